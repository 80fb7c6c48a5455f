// How the inside of a layout is cut into the tiles that kernels exist for.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/region/region.h"
#include "kernels/maps.h"
#include "layout.h"

namespace edgeticket {

struct Tile {
    const ConvKernel* kernel;
    std::int64_t row, column;  // of its first vector
};

// What the tiling of a convolution depends on. Counts are of one group.
struct TileWork {
    std::int64_t rows = 1, columns = 1;  // vectors of the output's inside
    std::int64_t stride[2] = {1, 1};
    std::int64_t reach[2] = {0, 0};  // vectors that a tile reads beyond its own, down and right
    std::int64_t channels_in = 1, channels_out = 1;
    double entries = 0;  // weights that are multiplied
    ConvFormat format = ConvFormat::Unstructured;
};

// The work of a convolution whose output lies in `out`, with the format that serves it.
TileWork tile_work(const Node& conv, const Layout& out, std::int64_t in_channels, std::int64_t out_channels);

struct Tiling {
    std::vector<Tile> tiles;  // never empty
    std::int64_t block = 1;   // input channels that a tile takes at a time
    double cycles = 0;        // for one group
};

// Finds the cheapest tiling by a model of the first cache: a block of input channels under a tile should stay in it,
// and every further block reloads the sums.
Tiling tile(const MapKernels& kernels, const TileWork& work);

}  // namespace edgeticket
