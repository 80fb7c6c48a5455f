// Predicts what a planned region takes, node by node.
#pragma once

#include <vector>

#include "engine/region/region.h"
#include "engine/run/plan.h"
#include "isa/isa.h"

namespace edgeticket {

// Microseconds of one item on one thread.
struct Prediction {
    double own_us = 0;  // of this engine; 0 for a node that is computed with another
    double cpu_us = 0;  // of ONNX Runtime's CPU provider
};

// One a node of the region, in its order. The plan is that of the region with this instruction set; weights are only
// counted.
std::vector<Prediction> predict(const Region& region, const Plan& plan, Isa isa);

}  // namespace edgeticket
