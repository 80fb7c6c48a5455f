#include "tiles.h"

#include <algorithm>
#include <cstdlib>

namespace edgeticket {
namespace {

// Vector multiply-accumulates at the peak rate that a tile of `vectors` accumulators takes for one weight. A weight costs its own two
// loads besides; below six vectors the additions wait for one another (measured: docs/performance.md, "One tile").
double tile_cost(std::int64_t vectors) {
    switch (vectors) {
        case 1: return 2.7;
        case 2: return 4.2;
        case 3: return 5.6;
        case 4: return 7.0;
        case 5: return 8.6;
        default: return 1.55 * static_cast<double>(vectors) + 2.0;
    }
}

struct Cut {
    double cost = 0;
    std::vector<Tile> tiles;
};

const ConvKernel* find(const MapKernels& kernels, std::int64_t rows, std::int64_t columns, std::int64_t stride) {
    for (std::size_t i = 0; i < kernels.conv_count; ++i) {
        const ConvKernel& kernel = kernels.convs[i];
        if (kernel.rows == rows && kernel.columns == columns && kernel.stride == stride) return &kernel;
    }
    return nullptr;
}

// A strip of `columns` vectors a row, cut into tiles as high as fit.
void strip(const MapKernels& kernels, std::int64_t rows, std::int64_t columns, std::int64_t column, std::int64_t stride, Cut& cut) {
    for (std::int64_t row = 0; row < rows;) {
        std::int64_t high = std::min<std::int64_t>(rows - row, getenv("HM")?atoi(getenv("HM")):kernels.most_accumulators);
        const ConvKernel* kernel = nullptr;
        while ((kernel = find(kernels, high, columns, stride)) == nullptr) --high;  // one row always exists
        cut.tiles.push_back({kernel, row, column});
        cut.cost += tile_cost(high * columns);
        row += high;
    }
}

Cut best(const MapKernels& kernels, std::int64_t rows, std::int64_t columns, std::int64_t stride) {
    Cut chosen;
    for (std::int64_t wide = std::min<std::int64_t>(columns, getenv("WM")?atoi(getenv("WM")):kernels.most_accumulators); wide >= 1; --wide) {
        if (find(kernels, 1, wide, stride) == nullptr) continue;
        Cut cut;
        std::int64_t column = 0;
        for (; column + wide <= columns; column += wide) strip(kernels, rows, wide, column, stride, cut);
        for (std::int64_t rest = columns - column; rest > 0;) {
            std::int64_t part = rest;
            while (find(kernels, 1, part, stride) == nullptr) --part;
            strip(kernels, rows, part, column, stride, cut);
            column += part;
            rest -= part;
        }
        if (chosen.tiles.empty() || cut.cost < chosen.cost) chosen = cut;
    }
    return chosen;
}

}  // namespace

std::vector<Tile> tiles(const MapKernels& kernels, std::int64_t rows, std::int64_t columns, std::int64_t stride) {
    return best(kernels, rows, columns, stride == 1 || stride == 2 ? stride : 0).tiles;
}

double tiling_cost(const MapKernels& kernels, std::int64_t rows, std::int64_t columns) { return best(kernels, rows, columns, 1).cost; }

}  // namespace edgeticket
