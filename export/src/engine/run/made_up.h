// Inputs and outputs of one item, for a program that is timed rather than used.
#pragma once

#include <cstddef>
#include <vector>

namespace edgeticket {

class MadeUp {
   public:
    void add_input(std::size_t floats) {
        std::vector<float>& values = hold(floats);
        for (std::size_t i = 0; i < floats; ++i) values[i] = static_cast<float>(i % 7) * 0.25F - 0.75F;
        inputs_.push_back(values.data());
    }
    void add_output(std::size_t floats) { outputs_.push_back(hold(floats).data()); }
    const void* const* inputs() const { return inputs_.data(); }
    void* const* outputs() const { return outputs_.data(); }

   private:
    std::vector<float>& hold(std::size_t floats) { return held_.emplace_back(floats); }

    std::vector<std::vector<float>> held_;
    std::vector<const void*> inputs_;
    std::vector<void*> outputs_;
};

}  // namespace edgeticket
