#include "tiles.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "conv_format.h"

namespace edgeticket {
namespace {

// Cycles, fitted to 1,400 measurements of tiles and blocks on fourteen layers (docs/performance/designs.md).
constexpr double kTurn = 7;      // an output channel's turn: a mispredicted branch, and what surrounds the loop
constexpr double kStore = 7;     // a vector of sums stored, with what is added and clipped
constexpr double kReload = 1.1;  // a vector of sums put aside and taken up again
constexpr double kSecond = 0.4;  // more for a vector from the second cache
constexpr double kRun = 0.5;     // a row of vectors begun, of the input's block or of the output
constexpr double kFill = 0.84;   // of the first cache that a block may take
// In vectors, except for tiles of whole rows: a larger tile gains less than the columns left beside it cost.
constexpr int kLargestTile = 8;
constexpr std::int64_t kBlocks[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64};  // numbers of blocks to try

double first_cache() {
#ifdef _SC_LEVEL1_DCACHE_SIZE
    static const long size = sysconf(_SC_LEVEL1_DCACHE_SIZE);
    if (size > 0) return static_cast<double>(size);
#endif
    return 32768;
}

const ConvKernel* find(const MapKernels& kernels, ConvFormat format, std::int64_t rows, std::int64_t columns,
                       std::int64_t stride) {
    for (std::size_t i = 0; i < kernels.conv_count; ++i) {
        const ConvKernel& kernel = kernels.convs[i];
        if (kernel.format == format && kernel.rows == rows && kernel.columns == columns && kernel.stride == stride)
            return &kernel;
    }
    return nullptr;
}

// A strip of `columns` vectors a row, cut into tiles of `high` rows, and lower ones for what is left.
void strip(const MapKernels& kernels, ConvFormat format, std::int64_t rows, std::int64_t columns, std::int64_t column,
           std::int64_t stride, std::int64_t high, std::vector<Tile>& tiles) {
    for (std::int64_t row = 0; row < rows;) {
        std::int64_t part = std::min(rows - row, high);
        const ConvKernel* kernel = nullptr;
        while ((kernel = find(kernels, format, part, columns, stride)) == nullptr)
            --part;  // every width has a kernel of one row
        tiles.push_back({kernel, row, column});
        row += part;
    }
}

std::vector<Tile> cut(const MapKernels& kernels, const TileWork& work, std::int64_t stride, std::int64_t high,
                      std::int64_t wide) {
    std::vector<Tile> tiles;
    for (std::int64_t column = 0; column < work.columns;) {
        std::int64_t part = std::min(work.columns - column, wide);
        while (find(kernels, work.format, 1, part, stride) == nullptr) --part;
        strip(kernels, work.format, work.rows, part, column, stride, high, tiles);
        column += part;
    }
    return tiles;
}

// Bytes of the input under a tile, of `channels` channels.
double bytes_under(const Tile& tile, const TileWork& work, const MapKernels& kernels, double channels) {
    const double high = static_cast<double>((tile.kernel->rows - 1) * work.stride[0] + 1 + work.reach[0]);
    const double wide = static_cast<double>((tile.kernel->columns - 1) * work.stride[1] + 1 + work.reach[1]);
    return channels * high * wide * kernels.lanes * 4.0;
}

// Whether no tile's block of input channels is larger than its room in the first cache.
bool stays(const Tiling& tiling, const TileWork& work, const MapKernels& kernels) {
    return std::all_of(tiling.tiles.begin(), tiling.tiles.end(), [&](const Tile& tile) {
        return bytes_under(tile, work, kernels, static_cast<double>(tiling.block)) <= kFill * first_cache();
    });
}

double cycles_of(const std::vector<Tile>& tiles, const TileWork& work, const MapKernels& kernels, std::int64_t blocks) {
    const double outputs = static_cast<double>(work.channels_out),
                 share = std::ceil(static_cast<double>(work.channels_in) / static_cast<double>(blocks));
    const double turns = outputs * static_cast<double>(blocks), line_bytes = kernels.lanes * 4.0;
    const ConvFormatTraits& format = traits_of(work.format);
    double total = 0;
    for (const Tile& tile : tiles) {
        const std::int64_t vectors = std::int64_t{tile.kernel->rows} * tile.kernel->columns;
        const double bytes = bytes_under(tile, work, kernels, share), room = kFill * first_cache();
        const double missing = bytes > room ? 1 - room / bytes : 0;
        const double v = static_cast<double>(vectors), rows = static_cast<double>(tile.kernel->rows);
        const double runs =
            static_cast<double>(work.channels_in) * (rows + static_cast<double>(work.reach[0])) + turns * rows;
        const double from_second = missing * kSecond * v * line_bytes / 64 / static_cast<double>(format.outputs);
        total += work.entries * (format.entry_cycles(vectors) + from_second) + turns * (kTurn + kReload * v) +
                 outputs * (kStore - kReload) * v + runs * kRun;
    }
    return total;
}

}  // namespace

TileWork tile_work(const Node& conv, const Layout& out, std::int64_t in_channels, std::int64_t out_channels) {
    const Window& w = conv.window;
    TileWork work;
    work.rows = out.block[0];
    work.columns = out.block[1];
    for (int d = 0; d < 2; ++d) {
        work.stride[d] = w.stride[d];
        work.reach[d] = (w.kernel[d] - 1) * w.dilation[d];
    }
    work.channels_in = in_channels / conv.groups;
    work.channels_out = out_channels / conv.groups;
    const double weights = static_cast<double>(work.channels_in * out_channels * w.kernel[0] * w.kernel[1]);
    const ConvWeights known{conv.groups, out_channels, weights, static_cast<double>(nonzeros_of(conv))};
    work.format = format_for(known);
    work.entries = traits_of(work.format).entries(known) / static_cast<double>(conv.groups);
    return work;
}

Tiling tile(const MapKernels& kernels, const TileWork& work) {
    const std::int64_t stride = work.stride[1] == 1 || work.stride[1] == 2 ? work.stride[1] : 0;
    Tiling best;
    for (std::size_t i = 0; i < kernels.conv_count; ++i) {
        const ConvKernel& kernel = kernels.convs[i];
        if (kernel.format != work.format || kernel.stride != stride || kernel.rows > work.rows ||
            kernel.columns > work.columns)
            continue;
        if (kernel.rows * kernel.columns > kLargestTile && kernel.columns != work.columns) continue;
        Tiling tiling;
        tiling.tiles = cut(kernels, work, stride, kernel.rows, kernel.columns);
        for (const std::int64_t blocks : kBlocks) {
            if (blocks > work.channels_in) break;
            tiling.cycles = cycles_of(tiling.tiles, work, kernels, blocks);
            tiling.block = (work.channels_in + blocks - 1) / blocks;
            if (best.tiles.empty() || tiling.cycles < best.cycles) best = tiling;
            if (stays(tiling, work, kernels)) break;  // smaller blocks would only reload their sums more often
        }
    }
    return best;
}

}  // namespace edgeticket
