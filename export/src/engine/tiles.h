// How the inside of a layout is cut into the tiles that kernels exist for.
#pragma once

#include <cstdint>
#include <vector>

#include "../kernels/maps.h"

namespace edgeticket {

struct Tile {
    const ConvKernel* kernel;
    std::int64_t row, column;  // of its first vector
};

// The cheapest tiling of rows x columns vectors for outputs `stride` apart; never empty.
std::vector<Tile> tiles(const MapKernels& kernels, std::int64_t rows, std::int64_t columns, std::int64_t stride);

// Time for one nonzero weight over the whole tiling, in multiply-accumulates of one vector at the peak rate.
double tiling_cost(const MapKernels& kernels, std::int64_t rows, std::int64_t columns);

}  // namespace edgeticket
