// Plans a region over maps.
#pragma once

#include "engine/plan/settings.h"
#include "engine/region/region.h"
#include "map_program.h"

namespace edgeticket {

// Throws std::invalid_argument, with a sentence, for a region that it does not compute.
MapProgram plan_maps(const Region& region, const Settings& settings);

}  // namespace edgeticket
