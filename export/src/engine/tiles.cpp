#include "tiles.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>

namespace edgeticket {
namespace {

// Measured on AVX-512 with the kernels of conv.isa.cpp (docs/performance.md, "One tile"), in cycles.
constexpr double kTurn = 20;        // an output channel's turn: a branch that is not foreseen, and what surrounds the loop
constexpr double kStore = 1.5;      // a vector of sums stored, with what is added and clipped
constexpr double kReload = 2.5;     // a vector of sums put aside and taken up again
constexpr double kSecond = 0.75;    // more for a vector from the second cache
constexpr double kTouch = 1.3;      // a line of input brought into the first cache
constexpr double kFill = 0.85;      // of the first cache that a block may take
constexpr std::int64_t kMostBlocks = 64;

double first_cache() {
#ifdef _SC_LEVEL1_DCACHE_SIZE
    static const long size = sysconf(_SC_LEVEL1_DCACHE_SIZE);
    if (size > 0) return static_cast<double>(size);
#endif
    return 32768;
}

const ConvKernel* find(const MapKernels& kernels, std::int64_t rows, std::int64_t columns, std::int64_t stride) {
    for (std::size_t i = 0; i < kernels.conv_count; ++i) {
        const ConvKernel& kernel = kernels.convs[i];
        if (kernel.rows == rows && kernel.columns == columns && kernel.stride == stride) return &kernel;
    }
    return nullptr;
}

// A strip of `columns` vectors a row, cut into tiles of `high` rows, and lower ones for what is left.
void strip(const MapKernels& kernels, std::int64_t rows, std::int64_t columns, std::int64_t column, std::int64_t stride, std::int64_t high,
           std::vector<Tile>& tiles) {
    for (std::int64_t row = 0; row < rows;) {
        std::int64_t part = std::min(rows - row, high);
        const ConvKernel* kernel = nullptr;
        while ((kernel = find(kernels, part, columns, stride)) == nullptr) --part;  // every width has a kernel of one row
        tiles.push_back({kernel, row, column});
        row += part;
    }
}

std::vector<Tile> cut(const MapKernels& kernels, const TileWork& work, std::int64_t stride, std::int64_t high, std::int64_t wide) {
    std::vector<Tile> tiles;
    for (std::int64_t column = 0; column < work.columns;) {
        std::int64_t part = std::min(work.columns - column, wide);
        while (find(kernels, 1, part, stride) == nullptr) --part;
        strip(kernels, work.rows, part, column, stride, high, tiles);
        column += part;
    }
    return tiles;
}

double cycles_of(const std::vector<Tile>& tiles, const TileWork& work, const MapKernels& kernels, std::int64_t blocks) {
    const double outputs = static_cast<double>(work.channels_out), share = std::ceil(static_cast<double>(work.channels_in) / static_cast<double>(blocks));
    const double turns = outputs * static_cast<double>(blocks), line_bytes = kernels.lanes * 4.0;
    double total = 0;
    for (const Tile& tile : tiles) {
        const std::int64_t vectors = std::int64_t{tile.kernel->rows} * tile.kernel->columns;
        const double window = static_cast<double>((tile.kernel->rows - 1) * work.stride[0] + 1 + work.reach[0]) *
                              static_cast<double>((tile.kernel->columns - 1) * work.stride[1] + 1 + work.reach[1]);
        const double bytes = share * window * line_bytes, room = kFill * first_cache();
        const double missing = bytes > room ? 1 - room / bytes : 0;
        const double v = static_cast<double>(vectors);
        total += work.entries * (entry_cycles(vectors) + missing * kSecond * v * line_bytes / 64) + turns * (kTurn + kReload * v) +
                 outputs * (kStore - kReload) * v + static_cast<double>(work.channels_in) * window * kTouch * line_bytes / 64;
    }
    return total;
}

}  // namespace

double entry_cycles(std::int64_t vectors) {
    switch (vectors) {
        case 1: return 1.6;
        case 2: return 2.2;
        default: return 0.8 * static_cast<double>(vectors) + 0.6;
    }
}

Tiling tile(const MapKernels& kernels, const TileWork& work) {
    const std::int64_t stride = work.stride[1] == 1 || work.stride[1] == 2 ? work.stride[1] : 0;
    Tiling best;
    for (std::size_t i = 0; i < kernels.conv_count; ++i) {
        const ConvKernel& kernel = kernels.convs[i];
        if (kernel.stride != stride || kernel.rows > work.rows || kernel.columns > work.columns) continue;
        Tiling tiling;
        tiling.tiles = cut(kernels, work, stride, kernel.rows, kernel.columns);
        for (std::int64_t blocks = 1; blocks <= std::min(kMostBlocks, work.channels_in); ++blocks) {
            tiling.cycles = cycles_of(tiling.tiles, work, kernels, blocks);
            tiling.block = (work.channels_in + blocks - 1) / blocks;
            if (best.tiles.empty() || tiling.cycles < best.cycles) best = tiling;
        }
    }
    return best;
}

}  // namespace edgeticket
