#include "row_cost.h"

#include <algorithm>

#include "engine/region/index.h"

namespace edgeticket {
namespace {

constexpr std::int32_t kMostRows = 16;      // that are run step by step, together
constexpr std::int64_t kFlatFloats = 4096;  // ... where there are no layers: what a step computes at once
constexpr double kFlatCost = 6;             // of a vector, element by element, in the unit of FcKernel's costs

}  // namespace

std::vector<RowChunk> row_chunks(const RowProgram& program, int threads) {
    const FcKernels& kernels = *program.layers;
    const auto value = [&](int index) -> const RowValue& { return at(program.values, index); };
    const double flat_us = 1e-3 * kFlatCost / kernels.peak_gmacs;  // of one float
    const auto shared = [&](double us) { return threads > 1 && us >= kLeastSharedUs ? us / threads + kPoolUs : us; };
    std::vector<RowChunk> found;
    std::int64_t largest = 1;
    bool layers = false;
    for (const RowStep& step : program.steps)
        largest = std::max(largest, value(step.out).elements), layers = layers || step.layer;
    const std::int32_t most =
        layers ? kMostRows : static_cast<std::int32_t>(std::max<std::int64_t>(kMostRows, kFlatFloats / largest));
    for (std::int32_t items = 1; items <= most; items += items < kMostRows ? 1 : most - kMostRows) {
        RowChunk rows{0, items, 0};
        for (const RowStep& step : program.steps)
            rows.us += step.layer ? shared(step.layer->rows_us(items))
                                  : flat_us * static_cast<double>(items * value(step.out).elements);
        found.push_back(rows);
        if (items == most) break;
    }
    for (const std::int32_t width : kernels.widths) {
        if (width == 0 || !layers) continue;
        RowChunk panel{width, width, 0};
        std::int64_t moved = 0;
        for (const RowStep& step : program.steps) {
            panel.us += step.layer ? shared(step.layer->panel_us(width))
                                   : flat_us * static_cast<double>(width * value(step.out).elements);
            for (const int input : step.loads) moved += value(at(program.inputs, input)).elements;
            moved += static_cast<std::int64_t>(step.stores.size()) * value(step.out).elements;
        }
        panel.us +=
            1e-3 * kernels.cost_transpose * kernels.lanes / kernels.peak_gmacs * static_cast<double>(moved * width);
        found.push_back(panel);
    }
    return found;
}

}  // namespace edgeticket
