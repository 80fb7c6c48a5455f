#include "fc_layer.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace edgeticket {

namespace {

constexpr double BLOCK_BYTES = 256 << 10;  // of weights that several rows share while they are near
constexpr double CALL_COST = 60;  // what every call takes, in the unit of FcKernel's costs: a few mispredicted branches

std::int32_t widest(const FcKernels& kernels) {
    return *std::max_element(kernels.widths, kernels.widths + FC_MAX_WIDTHS);
}

bool is_window(const FcKernel& kernel) { return kernel.columns > 0; }

// Steps and bytes of a format before it is packed; of a window at best, which the packing decides.
double least_steps(const FcKernel& kernel, std::int32_t lanes, double outputs, double inputs, double nonzeros) {
    switch (kernel.format) {
        case FcFormat::WindowNarrow:
        case FcFormat::WindowWide: return nonzeros / lanes;
        case FcFormat::Csr16:
        case FcFormat::Csr32: return nonzeros;
        case FcFormat::DenseRow: return std::ceil(outputs / lanes) * inputs;
        case FcFormat::DensePanel: return std::ceil(outputs / FC_DENSE_ROWS) * inputs;
    }
    return 0;
}

double bytes_of(const FcKernel& kernel, std::int32_t lanes, double outputs, double steps) {
    switch (kernel.format) {
        case FcFormat::WindowNarrow:
        case FcFormat::WindowWide: return steps * lanes * 4 * (1 + kernel.index_bits / 32.0);
        case FcFormat::Csr16: return 6 * steps + 8 * outputs;
        case FcFormat::Csr32: return 8 * steps + 8 * outputs;
        case FcFormat::DenseRow: return 4 * lanes * steps;
        case FcFormat::DensePanel: return 4 * FC_DENSE_ROWS * steps;
    }
    return 0;
}

}  // namespace

FcLayer::FcLayer(const FcKernels& kernels, const float* weight, const float* bias, std::int32_t outputs,
                 std::int32_t inputs, bool many, const FcMachine& machine)
    : kernels_(kernels),
      machine_(machine),
      outputs_(outputs),
      inputs_(inputs) {
    if (machine_.peak_gmacs <= 0) machine_.peak_gmacs = kernels.peak_gmacs;
    float_us_ = 1e-3 * kernels.cost_transpose * kernels.lanes / machine_.peak_gmacs;
    const FcNonzeros nonzeros(weight, outputs, inputs);
    density_ = nonzeros.density();
    choose_row(weight, nonzeros, bias);
    if (many) choose_panels(weight, nonzeros, bias);
    choose_rest();
}

double FcLayer::computed_us(const FcKernel& kernel, double steps) const {
    return (CALL_COST + steps * kernel.cost_step + outputs_ * kernel.cost_output) * 1e-3 * kernels_.lanes /
           machine_.peak_gmacs;
}

double FcLayer::cost_us(const FcKernel& kernel, double steps, double bytes) const {
    const double computed = computed_us(kernel, steps);
    return bytes > machine_.near_bytes ? std::max(computed, 1e-3 * bytes / machine_.far_gb_s) : computed;
}

void FcLayer::choose_row(const float* weight, const FcNonzeros& nonzeros, const float* bias) {
    const double count = static_cast<double>(nonzeros.values.size());
    row_us_ = std::numeric_limits<double>::infinity();
    auto predicted = [&](const FcKernel& kernel, double steps) {
        return cost_us(kernel, steps, bytes_of(kernel, kernels_.lanes, outputs_, steps));
    };
    for (std::int32_t i = 0; i < kernels_.count; ++i) {
        const FcKernel& kernel = kernels_.kernels[i];
        if (kernel.panel || is_window(kernel) || inputs_ > kernel.max_inputs) continue;
        const double us = predicted(kernel, least_steps(kernel, kernels_.lanes, outputs_, inputs_, count));
        if (us < row_us_) row_us_ = us, row_kernel_ = &kernel;
    }
    for (std::int32_t i = 0; i < kernels_.count; ++i) {
        const FcKernel& kernel = kernels_.kernels[i];
        if (!is_window(kernel) || inputs_ > kernel.max_inputs) continue;
        if (predicted(kernel, least_steps(kernel, kernels_.lanes, outputs_, inputs_, count)) >= row_us_) continue;
        auto packed = std::make_shared<const FcPacked>(weight, nonzeros, bias, kernel, kernels_.lanes);
        const double us = predicted(kernel, packed->weighted_steps());
        if (us < row_us_) row_us_ = us, row_kernel_ = &kernel, row_ = packed;
    }
    if (row_ == nullptr) row_ = std::make_shared<const FcPacked>(weight, nonzeros, bias, *row_kernel_, kernels_.lanes);
    const double bytes = static_cast<double>(row_->bytes());
    together_ = row_units();
    next_row_us_ = row_us_;
    if (bytes <= machine_.near_bytes) return;
    together_ = std::max(1, static_cast<std::int32_t>(BLOCK_BYTES / bytes * row_units()));
    const bool window = is_window(*row_kernel_);
    next_row_us_ = computed_us(*row_kernel_, window ? row_->weighted_steps() : static_cast<double>(row_->steps()));
}

void FcLayer::choose_panels(const float* weight, const FcNonzeros& nonzeros, const float* bias) {
    const double count = static_cast<double>(nonzeros.values.size());
    double best = std::numeric_limits<double>::infinity();
    FcFormat format = FcFormat::Csr32;
    for (const bool choosing : {true, false}) {  // the format that is best at the widest panel serves all widths
        for (std::int32_t i = 0; i < kernels_.count; ++i) {
            const FcKernel& kernel = kernels_.kernels[i];
            if (!kernel.panel || inputs_ > kernel.max_inputs) continue;
            const double steps = least_steps(kernel, kernels_.lanes, outputs_, inputs_, count);
            const double us = cost_us(kernel, steps, bytes_of(kernel, kernels_.lanes, outputs_, steps));
            if (choosing && kernel.width == widest(kernels_) && us < best) best = us, format = kernel.format;
            if (choosing || kernel.format != format) continue;
            for (int w = 0; w < FC_MAX_WIDTHS; ++w) {
                if (kernels_.widths[w] == kernel.width) panel_kernels_[w] = &kernel, panel_us_[w] = us;
            }
        }
    }
    const FcKernel* any = panel_kernels_[0];
    panel_ = row_->weights().format == any->format
                 ? row_
                 : std::make_shared<const FcPacked>(weight, nonzeros, bias, *any, kernels_.lanes);
}

// The cheapest way to run a number of items, from the cheapest ways to run fewer.
void FcLayer::choose_rest() {
    const std::int32_t most = panel_ == nullptr ? 0 : widest(kernels_);
    next_.assign(static_cast<std::size_t>(most) + 1, 0);
    rest_us_.assign(static_cast<std::size_t>(most) + 1, 0);
    for (std::int32_t rest = 1; rest <= most; ++rest) {
        rest_us_[rest] = row_us_ + rest_us_[rest - 1];
        for (int w = 0; w < FC_MAX_WIDTHS; ++w) {
            if (panel_kernels_[w] == nullptr) continue;
            const std::int32_t width = kernels_.widths[w];
            const double us = panel_us_[w] + transpose_us(width * (static_cast<std::int64_t>(inputs_) + outputs_)) +
                              rest_us_[std::max(0, rest - width)];
            if (us < rest_us_[rest]) rest_us_[rest] = us, next_[rest] = width;
        }
    }
}

const FcKernel* FcLayer::panel_kernel(std::int32_t width) const {
    for (int w = 0; w < FC_MAX_WIDTHS; ++w) {
        if (kernels_.widths[w] == width) return panel_kernels_[w];
    }
    return nullptr;
}

double FcLayer::panel_us(std::int32_t width) const {
    for (int w = 0; w < FC_MAX_WIDTHS; ++w) {
        if (kernels_.widths[w] == width && panel_kernels_[w] != nullptr) return panel_us_[w];
    }
    return std::numeric_limits<double>::infinity();
}

void FcLayer::run_rows(const float* x, const float* residual, const Epilogue& epilogue, float* y, std::int64_t items,
                       std::int32_t first, std::int32_t last) const {
    for (std::int32_t begin = first; begin < last; begin += together_) {
        const std::int32_t end = std::min(last, begin + together_);
        for (std::int64_t item = 0; item < items; ++item) {
            const float* added = residual == nullptr ? nullptr : residual + item * outputs_;
            row_kernel_->run(row_->weights(), x + item * inputs_, added, epilogue, y + item * outputs_, begin, end);
        }
    }
}

void FcLayer::run(const float* x, const float* residual, const Epilogue& epilogue, float* y, std::int64_t items,
                  float* workspace) const {
    const std::int64_t most = static_cast<std::int64_t>(next_.size()) - 1;
    while (items > 0) {
        const std::int32_t width = most == 0 ? 0 : next_[static_cast<std::size_t>(std::min(items, most))];
        const std::int32_t count = width == 0 ? 1 : static_cast<std::int32_t>(std::min<std::int64_t>(width, items));
        if (width == 0) {
            run_row(x, residual, epilogue, y, 0, row_units());
        } else {
            float* in = workspace;
            float* out = in + static_cast<std::int64_t>(inputs_) * width;
            float* added = residual == nullptr ? nullptr : out + static_cast<std::int64_t>(outputs_) * width;
            kernels_.to_panel(x, inputs_, count, inputs_, in, width);
            if (added != nullptr) kernels_.to_panel(residual, outputs_, count, outputs_, added, width);
            run_panel(in, added, epilogue, out, width, 0, panel_units());
            kernels_.from_panel(out, width, y, outputs_, count, outputs_);
        }
        x += static_cast<std::int64_t>(count) * inputs_;
        y += static_cast<std::int64_t>(count) * outputs_;
        if (residual != nullptr) residual += static_cast<std::int64_t>(count) * outputs_;
        items -= count;
    }
}

std::size_t FcLayer::workspace_floats(std::int64_t items, bool residual) const {
    std::int32_t width = 0;
    for (std::int64_t rest = std::min<std::int64_t>(items, static_cast<std::int64_t>(next_.size()) - 1); rest > 0;
         --rest) {
        width = std::max(width, next_[static_cast<std::size_t>(rest)]);
    }
    return static_cast<std::size_t>(width) *
           (static_cast<std::size_t>(inputs_) + static_cast<std::size_t>(outputs_) * (residual ? 2 : 1));
}

double FcLayer::predict_us(std::int64_t items) const {
    const std::int64_t most = static_cast<std::int64_t>(next_.size()) - 1;
    if (most == 0) return row_us_ * static_cast<double>(items);
    const std::int64_t step = std::max(1, next_[static_cast<std::size_t>(most)]),
                       whole = items <= most ? 0 : (items - most + step - 1) / step;
    return rest_us_[static_cast<std::size_t>(std::max<std::int64_t>(0, items - whole * step))] +
           static_cast<double>(whole) *
               (rest_us_[static_cast<std::size_t>(most)] - rest_us_[static_cast<std::size_t>(most - step)]);
}

std::size_t FcLayer::packed_bytes() const {
    return row_->bytes() + (panel_ == nullptr || panel_ == row_ ? 0 : panel_->bytes());
}

}  // namespace edgeticket
