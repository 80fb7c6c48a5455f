// Packs the weights of a fully connected layer into the formats that the kernels of fc.h read. Runs when a session is
// created.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "fc.h"

namespace edgeticket {

// The nonzeros of W[N, K], row by row; `order` sorts rows by falling count of nonzeros, equal counts in the order of
// the rows.
struct FcNonzeros {
    std::int32_t outputs = 0, inputs = 0;
    std::vector<std::int32_t> order;      // [N]
    std::vector<std::int64_t> row_begin;  // [N + 1], in the rows' own order
    std::vector<std::int32_t> columns;
    std::vector<float> values;

    FcNonzeros(const float* weight, std::int32_t outputs, std::int32_t inputs);
    double density() const;
};

// Weights in one format, with the memory that holds them.
class FcPacked {
   public:
    // weight is [N][K], row-major; nonzeros are its own; bias is [N] or null. The kernel says format and geometry.
    FcPacked(const float* weight, const FcNonzeros& nonzeros, const float* bias, const FcKernel& kernel,
             std::int32_t lanes);

    const FcWeights& weights() const { return view_; }
    std::size_t bytes() const { return bytes_; }
    std::int64_t steps() const { return steps_; }              // what the kernel's cost_step counts
    double weighted_steps() const { return weighted_steps_; }  // the same, dearer where few registers share a window

   private:
    struct Free {
        void operator()(void* p) const;
    };
    template <class T>
    T* hold(const std::vector<T>& values, std::size_t& count);

    void pack_window(const FcNonzeros& nonzeros, const FcKernel& kernel, std::int32_t lanes);
    template <class Column>
    void pack_csr(const FcNonzeros& nonzeros, std::int32_t lanes);
    void pack_dense(const float* weight, std::int32_t block);
    void pack_bias(const float* bias, std::int32_t multiple);

    FcWeights view_;
    std::vector<std::unique_ptr<void, Free>> held_;
    std::size_t bytes_ = 0;
    std::int64_t steps_ = 0;
    double weighted_steps_ = 0;
};

}  // namespace edgeticket
