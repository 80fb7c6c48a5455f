// A plan that computes one item after the other, step by step.
#pragma once

#include <memory>
#include <vector>

#include "engine/plan/plan.h"
#include "engine/region/region.h"

namespace edgeticket {

std::unique_ptr<Plan> build_map_plan(const Region& region, const Settings& settings);

}  // namespace edgeticket
