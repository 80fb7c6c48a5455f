#include "plan.h"

#include "engine/plan/maps/map_plan.h"
#include "engine/plan/rows/row_plan.h"

namespace edgeticket {

std::unique_ptr<Plan> Plan::build(const Region& region, const Settings& settings) {
    return is_row_region(region) ? build_row_plan(region, settings) : build_map_plan(region, settings);
}

}  // namespace edgeticket
