// The kernels of one instruction set, and whether this processor has it.
#pragma once

#include "kernels/fc.h"
#include "kernels/maps.h"
#include "engine/plan/plan.h"

namespace edgeticket {

// Kernels of one instruction set for vectors of several lengths.
struct MapFamily {
    const MapKernels* wide;
    const MapKernels* small;  // of four lanes; the same where `wide` has no more
    const MapKernels& of(std::int64_t lanes) const { return lanes == small->lanes ? *small : *wide; }
    // Lanes for an image: one of up to four pixels would leave most of a long vector empty.
    std::int64_t lanes_for(std::int64_t pixels) const { return pixels <= small->lanes ? small->lanes : wide->lanes; }
};

// Throws std::invalid_argument where this build or this processor does not have it.
const MapKernels& map_kernels_of(Isa isa);
MapFamily map_family_of(Isa isa);
const FcKernels& fc_kernels_of(Isa isa);

bool has_isa(Isa isa);

}  // namespace edgeticket
