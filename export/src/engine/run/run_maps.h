// Runs a map program, item after item and step after step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/plan/maps/map_program.h"
#include "pool.h"

namespace edgeticket {

void run_maps(const MapProgram& program, const void* const* inputs, void* const* outputs, std::int64_t items,
              void* workspace, const Pool& pool);

// Microseconds that each node of the region takes for one made-up item, on one thread.
std::vector<double> measure_maps(const MapProgram& program, void* workspace);

}  // namespace edgeticket
