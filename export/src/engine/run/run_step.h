// Runs one step of a map program.
#pragma once

#include <cstdint>

#include "engine/plan/maps/map_program.h"

namespace edgeticket {

// Where the buffers of the running item lie.
struct Frame {
    const MapProgram& program;
    const void* const* inputs;
    void* const* outputs;
    void* workspace;
    std::int64_t item;
};

// The share `part` of `parts` of the work; shares may run at the same time.
void run_step(const Step& step, const Frame& frame, int part, int parts);

}  // namespace edgeticket
