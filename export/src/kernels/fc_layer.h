// A fully connected layer, packed: chooses formats and kernels, predicts what they take, and runs any number of rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "fc.h"
#include "fc_pack.h"

namespace edgeticket {

struct FcMachine {
    // Of one core with the kernels' instruction set; 0 stands for the machine on which the costs were measured.
    double peak_gmacs = 0;
    double near_bytes = 1.7e6;  // weights up to here stay in this core's cache between runs
    double far_gb_s = 27;       // at which others arrive
};

class FcLayer {
   public:
    // weight is [outputs][inputs], row-major; bias is [outputs] or null; both may go afterwards. `many` packs for
    // panels, too.
    FcLayer(const FcKernels& kernels, const float* weight, const float* bias, std::int32_t outputs, std::int32_t inputs,
            bool many, const FcMachine& machine = {});

    // y[items][outputs] = activation(x[items][inputs] W^T + b + residual[items][outputs]); residual may be null or y.
    // No alignment but that of the workspace, 64 bytes. Neither allocates nor throws; re-entrant.
    void run(const float* x, const float* residual, const Epilogue& epilogue, float* y, std::int64_t items,
             float* workspace) const;
    std::size_t workspace_floats(std::int64_t items, bool residual) const;

    // One row on several threads: each computes units [first, last) of [0, row_units()).
    std::int32_t row_units() const { return row_->weights().units; }
    void run_row(const float* x, const float* residual, const Epilogue& epilogue, float* y, std::int32_t first,
                 std::int32_t last) const {
        row_kernel_->run(row_->weights(), x, residual, epilogue, y, first, last);
    }

    // Several rows, one after another, the same units of each: weights that lie far away come once for all of them.
    void run_rows(const float* x, const float* residual, const Epilogue& epilogue, float* y, std::int64_t items,
                  std::int32_t first, std::int32_t last) const;

    // y[outputs][width] from x[inputs][width], units [first, last) of [0, panel_units()), for chains that stay in
    // panels. width is one of FcKernels::widths; needs `many`.
    std::int32_t panel_units() const { return panel_->weights().units; }
    void run_panel(const float* x, const float* residual, const Epilogue& epilogue, float* y, std::int32_t width,
                   std::int32_t first, std::int32_t last) const {
        panel_kernel(width)->run(panel_->weights(), x, residual, epilogue, y, first, last);
    }

    // Predicted, on one thread.
    double predict_us(std::int64_t items) const;  // of run(), transposes included
    // Of run_rows().
    double rows_us(std::int64_t items) const { return row_us_ + static_cast<double>(items - 1) * next_row_us_; }
    double panel_us(std::int32_t width) const;  // of run_panel()
    double transpose_us(std::int64_t floats) const { return float_us_ * static_cast<double>(floats); }
    double density() const { return density_; }
    const FcKernel& row_kernel() const { return *row_kernel_; }
    // What the kernels read, for whoever writes a plan out; those of panels are null without `many`.
    const FcWeights& row_weights() const { return row_->weights(); }
    const FcWeights* panel_weights() const { return panel_ == nullptr ? nullptr : &panel_->weights(); }
    const FcKernel* panel_kernel(std::int32_t width) const;  // null without `many`
    std::size_t packed_bytes() const;

   private:
    double computed_us(const FcKernel& kernel, double steps) const;
    double cost_us(const FcKernel& kernel, double steps, double bytes) const;
    void choose_row(const float* weight, const FcNonzeros& nonzeros, const float* bias);
    void choose_panels(const float* weight, const FcNonzeros& nonzeros, const float* bias);
    void choose_rest();

    const FcKernels& kernels_;
    FcMachine machine_;
    std::int32_t outputs_, inputs_;
    double density_;
    const FcKernel* row_kernel_ = nullptr;
    const FcKernel* panel_kernels_[FC_MAX_WIDTHS] = {};
    std::shared_ptr<const FcPacked> row_, panel_;  // may be one
    double row_us_ = 0, next_row_us_ = 0, panel_us_[FC_MAX_WIDTHS] = {}, float_us_ = 0;
    std::int32_t together_ = 0;  // units of several rows that run_rows() takes at a time
    // For `rest` items, up to the widest panel: 0 where the next item is best run as a row, else the width of the next
    // panel.
    std::vector<std::int32_t> next_;
    std::vector<double> rest_us_;
};

}  // namespace edgeticket
