#include "own_cost.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/plan/maps/conv_format.h"
#include "engine/plan/maps/tiles.h"
#include "engine/region/index.h"
#include "engine/region/shape.h"
#include "isa/machine.h"

namespace edgeticket {
namespace {

// Cycles of the following, unless a name says otherwise, fitted with cost_bench on AVX-512.
constexpr double kCall = 90;         // a step's call
constexpr double kMove = 12;         // a vector gathered, of the layout
constexpr double kHalo = 2.5;        // a halo copy
constexpr double kResidual = 1;      // a vector of a residual
constexpr double kPoint = 4;         // a vector through an element-wise pass
constexpr double kTap = 2.6;         // a vector of a pool's tap
constexpr double kPooled = 15;       // a pooled vector
constexpr double kMeanPlane = 30;    // a plane's mean, beside its vectors
constexpr double kFlat = 3;          // a vector of row-major values
constexpr double kFarMapUs = 15e-6;  // a byte read or written by a step whose maps the second cache does not hold
// A share more of a convolution's cycles, where its maps overflow the second cache by as much as that holds.
constexpr double kOverflow = 0.5;
constexpr double kFarWeightUs = 33e-6;                      // a byte of packed weights from beyond the second cache
constexpr double kSmallFloats = 1 << 20, kMostGrowth = 16;  // of a layout, and times the map's own floats
constexpr double kSharedLeast = 15;                         // microseconds from which a step is shared between threads
constexpr double kSharing = 0.6;  // of what as many threads could do: each reads what the others wrote

// Places of a packed window for each nonzero. Sparser weights leave more of them empty.
double window_fill(double density) { return 1.3 * (1 + 0.022 / std::max(density, 0.005)); }

double pixels(const Layout& layout) {
    return static_cast<double>(layout.size[0]) * static_cast<double>(layout.size[1]);
}
double floats(const Layout& layout, std::int64_t channels) {
    return static_cast<double>(channels) * static_cast<double>(layout.plane()) * static_cast<double>(layout.lanes());
}
// Whether halos are most of a layout. Such a layout is not planned: it would take too much memory, and its tables too
// much time.
bool mostly_halo(const Layout& layout, std::int64_t channels) {
    return floats(layout, channels) > kSmallFloats + kMostGrowth * static_cast<double>(channels) * pixels(layout);
}
double vectors(const Layout& layout) { return static_cast<double>(layout.block[0] * layout.block[1]); }
double halos(const Layout& layout) { return static_cast<double>(layout.rows() * layout.pitch()) - vectors(layout); }

}  // namespace

double OwnCost::far_map_us(double bytes) const { return bytes > 0.8 * second_cache_bytes() ? kFarMapUs * bytes : 0; }

OwnCost::OwnCost(const OwnMachine& machine)
    : machine_(machine),
      kernels_(map_family_of(machine.isa)),
      products_(fc_kernels_of(machine.isa)),
      cycle_us_(2 * kernels_.wide->lanes / (machine.peak_gmacs * 1e3)),
      far_(std::clamp(machine.packed_bytes / second_cache_bytes() / 0.6 - 1, 0.0, 1.0)) {}

double OwnCost::shared_us(double alone) const {
    return alone < kSharedLeast || machine_.threads == 1 ? alone : alone / (kSharing * machine_.threads);
}

double OwnCost::other_us(double cycles, double bytes) const {
    return shared_us(cycles * cycle_us_ * instruction_set(machine_.isa).other_cycles + far_map_us(bytes));
}

double OwnCost::move_us(const Layout& layout, std::int64_t channels) const {
    const double count = static_cast<double>(channels), plane = static_cast<double>(layout.plane());
    return other_us(kCall + kMove * count * plane,
                    4 * count * (plane * static_cast<double>(layout.lanes()) + pixels(layout)));
}

double OwnCost::window_us(const Node& node, const Layout& in, const Layout& out, std::int64_t in_channels,
                          std::int64_t out_channels) const {
    const Window& w = node.window;
    const double outputs = static_cast<double>(out_channels);
    const double bytes = 4 * (floats(in, in_channels) + floats(out, out_channels));
    if (mostly_halo(in, in_channels) || mostly_halo(out, out_channels)) return std::numeric_limits<double>::infinity();
    if (node.op != Op::Conv) {
        const double taps = static_cast<double>(w.kernel[0] * w.kernel[1]);
        return other_us(kCall + outputs * ((kPooled + kTap * taps) * vectors(out) + kHalo * halos(out)), bytes);
    }
    if (!in_reach(w, in)) return std::numeric_limits<double>::infinity();
    const TileWork work = tile_work(node, out, in_channels, out_channels);
    const double all = static_cast<double>(work.channels_in * out_channels * w.kernel[0] * w.kernel[1]);
    const double nonzeros = static_cast<double>(nonzeros_of(node));
    const double cycles = kCall + tile(kernels_.of(out.lanes()), work).cycles * static_cast<double>(node.groups) +
                          kHalo * halos(out) * outputs;
    const double weights = packed_bytes(all, nonzeros),
                 overflow = std::clamp((bytes + std::min(weights, bytes)) / (0.8 * second_cache_bytes()) - 1, 0.0, 1.0);
    return shared_us(cycles * (1 + kOverflow * overflow) * cycle_us_ * instruction_set(machine_.isa).conv_cycles +
                     far_ * kFarWeightUs * weights);
}

// FcLayer takes the kernel that is cheapest while weights are near. The time is that of this kernel with the weights
// where they are.
double OwnCost::product_us(const Node& node, double inputs, double outputs, std::int64_t items) const {
    const double nonzeros = static_cast<double>(nonzeros_of(node)), lanes = products_.lanes,
                 count = static_cast<double>(items);
    double best = std::numeric_limits<double>::infinity(), best_us = best;
    for (std::int32_t i = 0; i < products_.count; ++i) {
        const FcKernel& kernel = products_.kernels[i];
        if (inputs > kernel.max_inputs || (kernel.panel && items == 1)) continue;
        double steps = nonzeros, bytes = 8 * nonzeros;
        switch (kernel.format) {
            case FcFormat::WindowNarrow:
            case FcFormat::WindowWide:
                steps = nonzeros / lanes * window_fill(nonzeros / (inputs * outputs));
                bytes = steps * lanes * 4 * (1 + kernel.index_bits / 32.0);
                break;
            case FcFormat::Csr16: bytes = 6 * nonzeros; break;
            case FcFormat::Csr32: break;
            case FcFormat::DenseRow: steps = std::ceil(outputs / lanes) * inputs, bytes = 4 * inputs * outputs; break;
            case FcFormat::DensePanel:
                steps = std::ceil(outputs / FC_DENSE_ROWS) * inputs, bytes = 4 * inputs * outputs;
                break;
        }
        const double runs = kernel.panel ? std::ceil(count / kernel.width) : count;
        const double unit = cycle_us_ / 2;  // of FcKernel's costs: one vector's multiply-add at the peak
        const double taken = unit * (60 + steps * kernel.cost_step + outputs * kernel.cost_output);
        const double turned = kernel.panel ? unit * products_.cost_transpose * kernel.width * (inputs + outputs) : 0;
        if (runs * (taken + turned) >= best) continue;
        best = runs * (taken + turned);
        best_us = runs * (std::max(taken, far_ * kFarWeightUs * bytes) + turned);
    }
    return shared_us(best_us);
}

double OwnCost::group_us(const Region& region, const std::vector<Fused>& groups, const Arrangement& arrangement,
                         std::size_t index, std::int64_t items) const {
    const Fused& group = groups[index];
    const Node& node = region.node(group.node);
    const int input = node.inputs[0];
    const auto& from = region.shape(input);
    const auto& to = region.shape(group.output);
    const double count = static_cast<double>(items);
    const ActivationTraits* const activation = traits_of(group.epilogue.activation);
    const auto curved = [&](double vectors) { return activation == nullptr ? 0 : activation->vector_cycles * vectors; };
    if (node.traits().has_window) {
        const int read_as = arrangement.read_as[index];
        const Layout& out = at(arrangement.home, group.output);
        const Layout& in = read_as >= 0 ? at(arrangement.copies, read_as).layout : at(arrangement.home, input);
        const double written = vectors(out) * static_cast<double>(to[0]);
        double us = window_us(node, in, out, from[0], to[0]) +
                    other_us(curved(written) + (group.residual >= 0 ? kResidual * written : 0), 0);
        const bool copies = read_as >= 0 && at(arrangement.copies, read_as).reader == index;
        if (copies) us += move_us(in, from[0]);  // counts with the first group that reads it
        return count * us;
    }
    if (node.op == Op::Reshape) return 0;
    if (node.op == Op::Fc)
        return product_us(node, static_cast<double>(from.back()), static_cast<double>(to.back()), items);
    if (node.op == Op::GlobalAveragePool) {
        const Layout& in = at(arrangement.home, input);
        return count * other_us(kCall + static_cast<double>(from[0]) * (vectors(in) + kMeanPlane), 0);
    }
    if (at(arrangement.is_map, group.output)) {
        const Layout& out = at(arrangement.home, group.output);
        const double written = vectors(out) * static_cast<double>(to[0]);
        return count *
               other_us(kCall + kPoint * written + curved(written) + kHalo * halos(out) * static_cast<double>(to[0]),
                        8 * written * static_cast<double>(out.lanes()));
    }
    const double written = static_cast<double>(elements(to)) / kernels_.wide->lanes;
    return other_us(kCall + count * (kFlat * written + curved(written)), 0);
}

}  // namespace edgeticket
