#include "row_schedule.h"

#include <algorithm>

#include "engine/region/index.h"

namespace edgeticket {

RowSchedule::RowSchedule(const std::vector<RowChunk>& chunks) : first_(1), us_(1, 0.0) {
    std::int32_t most = 1;
    for (const RowChunk& chunk : chunks) most = std::max(most, chunk.items);
    for (std::int32_t left = 1; left <= most; ++left) {
        RowChunk best;
        double least = 0;
        for (const RowChunk& chunk : chunks) {
            if (chunk.width == 0 && chunk.items > left) continue;  // rows are run whole; a panel pads
            const double us = chunk.us + at(us_, std::max(0, left - chunk.items));
            if (least == 0 || us < least) least = us, best = chunk;
        }
        first_.push_back(best);
        us_.push_back(least);
    }
}

RowChunk RowSchedule::next(std::int64_t left) const {
    RowChunk chunk = at(first_, std::min(left, static_cast<std::int64_t>(first_.size()) - 1));
    chunk.items = static_cast<std::int32_t>(std::min<std::int64_t>(left, chunk.items));
    return chunk;
}

double RowSchedule::us(std::int64_t items) const {
    const std::int64_t most = static_cast<std::int64_t>(first_.size()) - 1;
    const RowChunk& step = first_.back();
    const std::int64_t whole = items <= most ? 0 : (items - most + step.items - 1) / step.items;
    return at(us_, std::max<std::int64_t>(0, items - whole * step.items)) + static_cast<double>(whole) * step.us;
}

}  // namespace edgeticket
