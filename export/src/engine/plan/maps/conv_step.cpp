#include "conv_step.h"

#include <algorithm>
#include <utility>

#include "tiles.h"

namespace edgeticket {
namespace {

constexpr double kHaloCycles = 2.5;  // a vector of a halo

// Where the first tap of the first output lies in a plane, in vectors.
std::int64_t origin_of(const Window& w, const Layout& in) {
    const std::int64_t row = in.before[0] - std::max<std::int64_t>(0, w.pad_begin[0]);
    const std::int64_t column = in.before[1] - std::max<std::int64_t>(0, w.pad_begin[1]);
    return row * in.pitch() + column;
}

ConvStep::Tile placed(const Tile& tile, const Window& w, const ConvLayouts& layouts, const WrittenLayout& written,
                      std::ptrdiff_t lanes) {
    const Layout &in = layouts.in, &out = layouts.out, &residual = layouts.residual;
    const std::int64_t rows = tile.kernel->rows, columns = tile.kernel->columns;
    ConvStep::Tile result;
    result.kernel = tile.kernel;
    result.in = (origin_of(w, in) + tile.row * w.stride[0] * in.pitch() + tile.column * w.stride[1]) * lanes;
    result.out = (out.inside() + tile.row * out.pitch() + tile.column) * lanes;
    result.residual = (residual.inside() + tile.row * residual.pitch() + tile.column) * lanes;
    for (std::int64_t r = 0; r < rows && !written.masks.empty(); ++r) {
        const auto begin = written.masks.begin() + ((tile.row + r) * out.block[1] + tile.column) * lanes;
        result.masks.insert(result.masks.end(), begin, begin + columns * lanes);
    }
    result.halos = written.halos.of_tile(tile.row, tile.column, rows, columns, out);
    return result;
}

std::size_t bytes_of(const ConvStep& work, const PackedConv& packed) {
    std::size_t total = packed.weights.size() * sizeof(float) + packed.offsets.size() * sizeof(std::uint16_t) +
                        work.bias.size() * sizeof(float) + work.halo_lanes.size() * sizeof(std::int32_t);
    for (const ConvSegment& segment : work.segments) total += segment.runs.size() * sizeof(ChannelRun);
    for (const ConvStep::Tile& tile : work.tiles)
        total += tile.masks.size() * sizeof(std::int32_t) + tile.halos.size() * sizeof(Halo);
    return total;
}

}  // namespace

Step conv_step(const MapKernels& kernels, const Node& conv, const ConvLayouts& layouts, const Epilogue& epilogue,
               int threads, Arena& constants) {
    const TileWork tiles = tile_work(conv, layouts.out, layouts.in_channels, layouts.out_channels);
    const Tiling tiling = tile(kernels, tiles);
    const WrittenLayout written(layouts.out);
    ConvStep work;
    work.in = layouts.in, work.out = layouts.out, work.residual = layouts.residual;
    for (int d = 0; d < 2; ++d) work.stride[d] = conv.window.stride[d];
    work.epilogue = epilogue;
    work.bias = conv.bias;
    double cycles = tiling.cycles * static_cast<double>(conv.groups);
    for (const Tile& tile : tiling.tiles) {
        work.tiles.push_back(placed(tile, conv.window, layouts, written, kernels.lanes));
        for (const Halo& line : work.tiles.back().halos)
            cycles += kHaloCycles * static_cast<double>(layouts.out_channels) * line.count;
    }
    work.halo_lanes = written.halos.lanes;
    const ConvKernel& first = *work.tiles.front().kernel;
    PackedConv packed = traits_of(tiles.format)
                            .pack({conv, layouts.in, layouts.in_channels, layouts.out_channels, tiling.block,
                                   std::int64_t{first.rows} * first.columns, threads});
    work.weights = constants.keep(packed.weights);
    work.offsets = constants.keep(packed.offsets);
    work.segments = std::move(packed.segments);
    work.cut = std::move(packed.cut);
    const std::size_t bytes = bytes_of(work, packed);
    return {-1, first.name, &kernels, -1, -1, -1, layouts.out_channels, cycles, bytes, std::move(work)};
}

}  // namespace edgeticket
