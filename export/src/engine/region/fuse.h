// Finds the nodes that run as one: a convolution or fully connected layer with the constant, residual and activation
// that follow it.
#pragma once

#include <vector>

#include "region.h"

namespace edgeticket {

struct Fused {
    int node = -1;               // the one that gives the group its kind
    std::vector<int> followers;  // nodes computed in its epilogue
    int residual = -1;           // value added before the activation
    int output = -1;             // value
    Epilogue epilogue;
    std::vector<float> bias;  // where constants are added to the node's own: the sum, one a channel; else empty
};

// Every node lies in exactly one group; groups stand in an order that computes values before they are read.
std::vector<Fused> fuse(const Region& region);

}  // namespace edgeticket
