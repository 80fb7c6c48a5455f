#include "row_schedule.h"

#include <algorithm>

namespace edgeticket {
namespace {

constexpr std::int32_t kMostRows = 16;  // that are run step by step, together
constexpr std::int64_t kFlatFloats = 4096;  // ... where there are no layers: what a step computes at once
constexpr double kFlatCost = 6;         // of a vector, element by element, in the unit of FcKernel's costs

}  // namespace

std::vector<RowChunk> row_chunks(const RowProgram& program, const FcKernels& kernels, int threads) {
    const auto value = [&](int index) -> const RowValue& { return program.values[static_cast<std::size_t>(index)]; };
    const double flat_us = 1e-3 * kFlatCost / kernels.peak_gmacs;  // of one float
    const auto shared = [&](double us) { return threads > 1 && us >= kLeastSharedUs ? us / threads + kPoolUs : us; };
    std::vector<RowChunk> found;
    std::int64_t largest = 1;
    bool layers = false;
    for (const RowStep& step : program.steps) largest = std::max(largest, value(step.out).elements), layers = layers || step.layer;
    const std::int32_t most = layers ? kMostRows : static_cast<std::int32_t>(std::max<std::int64_t>(kMostRows, kFlatFloats / largest));
    for (std::int32_t items = 1; items <= most; items += items < kMostRows ? 1 : most - kMostRows) {
        RowChunk rows{0, items, 0};
        for (const RowStep& step : program.steps)
            rows.us += step.layer ? shared(step.layer->rows_us(items)) : flat_us * static_cast<double>(items * value(step.out).elements);
        found.push_back(rows);
        if (items == most) break;
    }
    for (const std::int32_t width : kernels.widths) {
        if (width == 0 || !layers) continue;
        RowChunk panel{width, width, 0};
        std::int64_t moved = 0;
        for (const RowStep& step : program.steps) {
            panel.us += step.layer ? shared(step.layer->panel_us(width)) : flat_us * static_cast<double>(width * value(step.out).elements);
            for (const int input : step.loads) moved += value(program.inputs[static_cast<std::size_t>(input)]).elements;
            moved += static_cast<std::int64_t>(step.stores.size()) * value(step.out).elements;
        }
        panel.us += 1e-3 * kernels.cost_transpose * kernels.lanes / kernels.peak_gmacs * static_cast<double>(moved * width);
        found.push_back(panel);
    }
    return found;
}

RowSchedule::RowSchedule(const std::vector<RowChunk>& chunks) : first_(1), us_(1, 0.0) {
    std::int32_t most = 1;
    for (const RowChunk& chunk : chunks) most = std::max(most, chunk.items);
    for (std::int32_t left = 1; left <= most; ++left) {
        RowChunk best;
        double least = 0;
        for (const RowChunk& chunk : chunks) {
            if (chunk.width == 0 && chunk.items > left) continue;  // rows are run whole; a panel pads
            const double us = chunk.us + us_[static_cast<std::size_t>(std::max(0, left - chunk.items))];
            if (least == 0 || us < least) least = us, best = chunk;
        }
        first_.push_back(best);
        us_.push_back(least);
    }
}

RowChunk RowSchedule::next(std::int64_t left) const {
    RowChunk chunk = first_[static_cast<std::size_t>(std::min(left, static_cast<std::int64_t>(first_.size()) - 1))];
    chunk.items = static_cast<std::int32_t>(std::min<std::int64_t>(left, chunk.items));
    return chunk;
}

double RowSchedule::us(std::int64_t items) const {
    const std::int64_t most = static_cast<std::int64_t>(first_.size()) - 1;
    const RowChunk& step = first_.back();
    const std::int64_t whole = items <= most ? 0 : (items - most + step.items - 1) / step.items;
    return us_[static_cast<std::size_t>(std::max<std::int64_t>(0, items - whole * step.items))] + static_cast<double>(whole) * step.us;
}

}  // namespace edgeticket
