#include "plan.h"

#include "map_plan.h"

namespace edgeticket {

std::unique_ptr<Plan> Plan::build(const Region& region, const Settings& settings) { return build_map_plan(region, settings); }

}  // namespace edgeticket
