// What is known of a node once its region is planned.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/region/fuse.h"
#include "engine/region/region.h"

namespace edgeticket {

struct NodeReport {
    std::string name;
    std::string kernel;     // e.g. "conv_avx512_2x4_s1", "fc_window", "fused into CONV_NAME"
    double density = 1.0;   // nonzero share of the weights; 1 where there are none
    std::int64_t macs = 0;  // dense multiply-accumulates an item
};

// One a node of the region, in its order. A node that leads a group and computes something is left to the planner,
// which knows its kernel; so is the density of weights whose nonzeros have not been counted.
std::vector<NodeReport> node_reports(const Region& region, const std::vector<Fused>& groups);

}  // namespace edgeticket
