// Floats that are read only: their own, shared between copies, or a view of memory that somebody else keeps.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace edgeticket {

// In parts whose counts fit the lanes of the floats, so that a compiler's vectors serve; a NaN counts.
inline std::int64_t count_nonzeros(const float* values, std::size_t size) {
    constexpr std::size_t part = 1 << 16;
    std::int64_t total = 0;
    for (std::size_t from = 0; from < size; from += part) {
        std::uint32_t count = 0;
        for (std::size_t i = from; i < std::min(size, from + part); ++i) count += values[i] != 0.0F ? 1U : 0U;
        total += count;
    }
    return total;
}

class Floats {
   public:
    Floats() = default;
    Floats(std::vector<float> values)  // not explicit: wherever floats are wanted, a vector will do
        : held_(std::make_shared<const std::vector<float>>(std::move(values))),
          data_(held_->data()),
          size_(held_->size()) {}
    // The memory must outlive the view and its copies.
    static Floats view(const float* data, std::size_t size) {
        Floats floats;
        floats.data_ = data;
        floats.size_ = size;
        return floats;
    }

    const float* data() const { return data_; }
    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    const float* begin() const { return data_; }
    const float* end() const { return data_ + size_; }
    float operator[](std::size_t i) const { return data_[i]; }

   private:
    std::shared_ptr<const std::vector<float>> held_;
    const float* data_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace edgeticket
