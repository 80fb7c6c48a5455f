// How a number of items is divided into chunks: some rows, or a panel.
#pragma once

#include <cstdint>
#include <vector>

#include "row_steps.h"

namespace edgeticket {

constexpr double kPoolUs = 10;         // to hand work to a pool and to wait for it
constexpr double kLeastSharedUs = 30;  // shorter steps stay on one thread

struct RowChunk {
    std::int32_t width = 0;  // of the panel; 0: rows
    std::int32_t items = 1;  // at most; a panel may hold fewer than its width
    double us = 0;           // predicted
};

// All that a program can be run in, with every long step on this many threads.
std::vector<RowChunk> row_chunks(const RowProgram& program, const FcKernels& kernels, int threads);

// The cheapest sequence of the chunks that there are, for any number of items.
class RowSchedule {
   public:
    // `chunks` has one of rows with one item among them.
    explicit RowSchedule(const std::vector<RowChunk>& chunks);
    RowChunk next(std::int64_t left) const;  // to run first of this many items
    double us(std::int64_t items) const;     // in all

   private:
    std::vector<RowChunk> first_;  // of `left` items; the last one of more, too
    std::vector<double> us_;
};

}  // namespace edgeticket
