// The window of a convolution or a pool.
#pragma once

#include <cstdint>
#include <vector>

#include "onnx/node_reader.h"

namespace edgeticket {

// Reads strides, dilations, pads, auto_pad and ceil_mode into r.node.window and returns the output's spatial sizes,
// which follow from them. `in` is the shape of an item, {C, spatial...}; `kernel` has one entry a spatial axis. Throws
// Declined.
std::vector<std::int64_t> read_window(NodeReader& r, const std::vector<std::int64_t>& in,
                                      const std::vector<std::int64_t>& kernel);

}  // namespace edgeticket
