// A plan for regions without maps: fully connected layers and what is computed element by element. Items are rows of a matrix,
// run together: a few as rows, many as panels (kernels/fc.h) in which whole chains of layers stay.
#pragma once

#include <memory>

#include "engine/plan/plan.h"
#include "engine/region/region.h"

namespace edgeticket {

// Whether no node of the region needs a map.
bool is_row_region(const Region& region);

// Throws std::invalid_argument where one does.
std::unique_ptr<Plan> build_row_plan(const Region& region, const Settings& settings);

}  // namespace edgeticket
