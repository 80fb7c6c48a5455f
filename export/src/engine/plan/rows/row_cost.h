// What chunks of a row program take, as predicted from its packed layers.
#pragma once

#include <vector>

#include "row_program.h"
#include "row_schedule.h"

namespace edgeticket {

constexpr double kPoolUs = 10;         // to hand work to a pool and to wait for it
constexpr double kLeastSharedUs = 30;  // shorter steps stay on one thread

// All that a program can be run in, with every long step on this many threads.
std::vector<RowChunk> row_chunks(const RowProgram& program, int threads);

}  // namespace edgeticket
