// Runs a row program: some rows at a time, or a panel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/plan/rows/row_program.h"
#include "pool.h"

namespace edgeticket {

// What run_rows() needs for this many items. Throws std::bad_alloc where that is more than can be addressed.
std::size_t row_workspace_bytes(const RowProgram& program, std::int64_t items);

void run_rows(const RowProgram& program, const void* const* inputs, void* const* outputs, std::int64_t items,
              void* workspace, const Pool& pool);

// Microseconds that each node of the region takes for one made-up item, on one thread.
std::vector<double> measure_rows(const RowProgram& program, void* workspace);

}  // namespace edgeticket
