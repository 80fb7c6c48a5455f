// The constants of a node that was read, in the order that the engine wants them in.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/region/region.h"
#include "read_node.h"

namespace edgeticket {

// Fills in node.weight (of an Fc as {N, K}), node.bias (one number for each of N) and node.constant (expanded to
// `item`, the shape of the node's input). A weight that is in order already is a view of the graph's data.
void fill_constants(const OnnxGraph& graph, const ReadNode& read, const std::vector<std::int64_t>& item, Node& node);

}  // namespace edgeticket
