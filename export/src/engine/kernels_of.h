// The kernels of one instruction set, and whether this processor has it.
#pragma once

#include "../kernels/fc.h"
#include "../kernels/maps.h"
#include "plan.h"

namespace edgeticket {

// Throws std::invalid_argument where this build or this processor does not have it.
const MapKernels& map_kernels_of(Isa isa);
const FcKernels& fc_kernels_of(Isa isa);

bool has_isa(Isa isa);

}  // namespace edgeticket
