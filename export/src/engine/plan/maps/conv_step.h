// A convolution with its residual and activation: weights packed, output cut into tiles.
#pragma once

#include <cstdint>

#include "engine/region/region.h"
#include "map_program.h"

namespace edgeticket {

// Where a convolution reads and writes; `residual` is empty where there is none.
struct ConvLayouts {
    Layout in, out, residual;
    std::int64_t in_channels, out_channels;
};

// Keeps the packed weights in `constants`. Buffers and the node are the caller's to fill in. Throws
// std::invalid_argument where one input channel is larger than a 16-bit tap reaches.
Step conv_step(const MapKernels& kernels, const Node& conv, const ConvLayouts& layouts, const Epilogue& epilogue,
               int threads, Arena& constants);

}  // namespace edgeticket
