// How a number of items is divided into chunks: some rows, or a panel.
#pragma once

#include <cstdint>
#include <vector>

namespace edgeticket {

struct RowChunk {
    std::int32_t width = 0;  // of the panel; 0: rows
    std::int32_t items = 1;  // at most; a panel may hold fewer than its width
    double us = 0;           // predicted
};

// The cheapest sequence of the chunks that there are, for any number of items.
class RowSchedule {
   public:
    RowSchedule() = default;
    // `chunks` has one of rows with one item among them.
    explicit RowSchedule(const std::vector<RowChunk>& chunks);
    RowChunk next(std::int64_t left) const;  // to run first of this many items
    double us(std::int64_t items) const;     // in all

   private:
    std::vector<RowChunk> first_;  // of `left` items; the last one of more, too
    std::vector<double> us_;
};

}  // namespace edgeticket
