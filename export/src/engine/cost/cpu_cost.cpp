#include "cpu_cost.h"

#include <algorithm>
#include <cmath>

#include "engine/region/shape.h"
#include "isa/machine.h"

namespace edgeticket {

struct CpuCost::Constants {
    double lanes;                // of a vector, and channels of a block
    double group;                // outputs of a row computed together; the others come one at a time
    double efficiency;           // of the inner loops
    double lone, edge;           // least cycles of a step of one output, and of one that touches padding: latency
    double fixed_us;             // a call
    double store_us;             // a megabyte of sums stored
    double near_gb_s, far_gb_s;  // weights read again for each row of outputs; weights that no cache holds
    double row_near_gb_s, row_far_gb_s;  // of products with one row
    double fit_gmacs;                    // peak of the machine of the fit
    double multiply_us;  // a million multiply-accumulates of a general product, rows rounded up to a vector
};

namespace {

constexpr double kFarBytes = 1.5e6;     // weights of a graph that are still near at the next run
constexpr double kStrongWeights = 4e4;  // bytes under four blocks of outputs that the first cache does not hold
constexpr double kMega = 1e-6;
constexpr double kSurelyWide = 90;  // GMAC/s that no core reaches by AVX2, or by AVX-512 in halves

std::int64_t blocks_of(std::int64_t channels, double lanes) {
    return static_cast<std::int64_t>(std::ceil(static_cast<double>(channels) / lanes));
}

// Sums over the outputs along one dimension: the taps that lie in the image, and the outputs for which some do not.
struct Taps {
    double inside = 0;
    std::int64_t edges = 0;
    Taps(std::int64_t size, std::int64_t outputs, const Window& w, int d) {
        for (std::int64_t o = 0; o < outputs; ++o) {
            const std::int64_t start = o * w.stride[d] - w.pad_begin[d], step = w.dilation[d];  // of the first tap
            const std::int64_t first = start < 0 ? (step - 1 - start) / step : 0;
            const std::int64_t last = start < size ? std::min(w.kernel[d], (size - 1 - start) / step + 1) : 0;
            const std::int64_t valid = std::max<std::int64_t>(0, last - first);
            inside += static_cast<double>(valid);
            edges += valid < w.kernel[d];
        }
    }
};

bool general_convolution(const Node& node, std::int64_t group_in, std::int64_t group_out, std::size_t rank,
                         std::int64_t lanes) {
    if (rank != 3) return true;
    if (node.groups > 1) return group_in % lanes != 0 || group_out % lanes != 0;
    return group_in >= lanes && group_in % 4 != 0;
}

}  // namespace

CpuMachine this_machine(double weight_bytes, int threads) {
    const Isa isa = best_isa();
    const double peak = peak_gmacs(isa);
    return {isa, peak, weight_bytes, threads,
            isa != Isa::Avx512 || peak > kSurelyWide || peak > 1.5 * peak_gmacs(Isa::Avx2)};
}

CpuCost::CpuCost(const CpuMachine& machine)
    : c_([&]() -> const Constants& {
          static const Constants avx512 = {16, 6, 0.81, 1.2, 2.6, 0.6, 15.0, 75, 28, 105, 28.5, 118, 16.4};
          static const Constants halved = {16, 6, 0.97, 1.2, 2.6, 0.6, 15.0, 75, 28, 105, 28.5, 118, 16.4};
          static const Constants avx2 = {8, 2, 0.91, 2.4, 2.26, 0.59, 11.2, 50, 28, 61, 28.5, 65, 22.0};
          static const Constants unknown = {4, 1, 0.95, 0, 0, 0.3, 0, 1e6, 28, 200, 50, 32.5, 32.0};
          return machine.isa == Isa::Avx512 ? machine.fast_wide ? avx512 : halved
                 : machine.isa == Isa::Avx2 ? avx2
                                            : unknown;
      }()),
      machine_(machine),
      cycle_us_(2 * c_.lanes / (machine.peak_gmacs * 1e3)),
      slower_(c_.fit_gmacs / machine.peak_gmacs) {}

bool CpuCost::fuses(Op head, Op follower, std::size_t rank) {
    if (head == Op::Conv) return follower != Op::Add || rank == 3;
    return head == Op::Fc && traits_of(follower).cpu.joins_product;
}

double CpuCost::shared_us(double us) const {
    if (machine_.threads == 1 || us < 3 * slower_) return us;
    return us / std::pow(machine_.threads, us < 40 * slower_ ? 0.68 : 1.0);
}

double CpuCost::pass_us(Op op, double elements) const {
    const CpuPass& pass = traits_of(op).cpu;
    return slower_ * 0.3 + elements * (elements > 250e3 ? pass.far_us : pass.us * slower_);
}

double CpuCost::product_us(double rows, double inputs, double outputs) const {
    const double bytes = 4 * inputs * outputs;
    const double gb_s = machine_.weight_bytes < kFarBytes ? c_.row_near_gb_s / slower_ : c_.row_far_gb_s;
    const double efficiency = rows >= 8 ? 0.75 : 0.6;
    return 0.6 * slower_ +
           shared_us(std::max(bytes / (gb_s * 1e3),
                              rows <= 1 ? 0 : rows * inputs * outputs / (efficiency * machine_.peak_gmacs * 1e3)));
}

double CpuCost::blocked_us(const Node& node, std::int64_t in_channels, const std::int64_t (&size)[2],
                           std::int64_t out_channels, const std::int64_t (&out)[2]) const {
    const Window& w = node.window;
    const std::int64_t lanes = static_cast<std::int64_t>(c_.lanes);
    const std::int64_t group_in = in_channels / node.groups, group_out = out_channels / node.groups;
    const double spread = static_cast<double>(out[0] * out[1]);
    const bool point = w.kernel[0] * w.kernel[1] == 1 && group_in >= lanes;
    const Taps down(size[0], out[0], w, 0), right(size[1], out[1], w, 1);
    const bool flat = point && w.stride[0] == 1 && w.stride[1] == 1;  // rows may run into each other
    const std::int64_t width = flat ? out[0] * out[1] : out[1], edge = point ? 0 : right.edges;
    const double rows = flat ? 1 : point ? static_cast<double>(out[0]) : down.inside;
    const double together = std::floor(static_cast<double>(width - edge) / c_.group),
                 alone = static_cast<double>(width - edge) - together * c_.group;
    const double depth = group_in < lanes ? static_cast<double>(group_in)
                                          : c_.lanes * static_cast<double>(blocks_of(group_in, c_.lanes));
    const std::int64_t blocks = blocks_of(group_out, c_.lanes);
    double cycles = 0;
    for (const auto& [filters, count] : {std::pair{4.0, static_cast<double>(blocks / 4)},
                                         std::pair{static_cast<double>(blocks % 4), blocks % 4 ? 1.0 : 0.0}})
        cycles +=
            count * (together * std::max(c_.lone, filters * c_.group / 2) + alone * std::max(c_.lone, filters / 2) +
                     static_cast<double>(edge) * std::max(c_.edge, filters / 2));
    cycles *= static_cast<double>(node.groups) * depth * rows * static_cast<double>(point ? 1 : w.kernel[1]);

    const double taps = static_cast<double>(w.kernel[0] * w.kernel[1]);
    double weights = 4.0 * static_cast<double>(group_in) * taps * static_cast<double>(blocks) * c_.lanes *
                     static_cast<double>(node.groups);
    if (spread == 1) weights *= down.inside * right.inside / taps;
    const bool again = !point && weights * std::min(4 * c_.lanes, static_cast<double>(out_channels)) /
                                         static_cast<double>(out_channels) >
                                     kStrongWeights;
    const double near_us = again ? weights * static_cast<double>(out[0] - 1) / (c_.near_gb_s * 1e3) * slower_ : 0;
    const double far_us = machine_.weight_bytes > kFarBytes ? weights / (c_.far_gb_s * 1e3) : 0;
    const double passes = point ? std::ceil(depth / 128) : group_in >= lanes ? depth / c_.lanes : 1;
    const double stored_us = c_.store_us * slower_ * 4 * kMega * static_cast<double>(out_channels) * spread * passes;
    return c_.fixed_us * slower_ +
           shared_us(std::max(cycles * cycle_us_ / c_.efficiency, near_us) + far_us + stored_us);
}

double CpuCost::conv_us(const Node& node, const std::vector<std::int64_t>& in,
                        const std::vector<std::int64_t>& out) const {
    std::int64_t size[2], out_size[2];
    image_size(in, size), image_size(out, out_size);
    const Window& w = node.window;
    const std::int64_t lanes = static_cast<std::int64_t>(c_.lanes);
    const double spread = static_cast<double>(out_size[0] * out_size[1]), groups = static_cast<double>(node.groups);
    const double taps = static_cast<double>(w.kernel[0] * w.kernel[1]);
    if (in.size() == 3 && node.groups == in[0] && out[0] == in[0] && in[0] % 4 == 0) {  // depthwise
        const double blocks = static_cast<double>(blocks_of(in[0], c_.lanes));
        const double bytes = 4 * c_.lanes * blocks * (static_cast<double>(size[0] * size[1]) + spread);
        const Taps down(size[0], out_size[0], w, 0), right(size[1], out_size[1], w, 1);
        const double per_block = slower_ * (0.288e-3 * down.inside * right.inside + 0.63e-3 * spread);
        return slower_ * 1.57 + shared_us(blocks * per_block + bytes * (bytes < 1.5e6 ? 3.8e-6 * slower_ : 7.85e-6));
    }
    if (!general_convolution(node, in[0] / node.groups, out[0] / node.groups, in.size(), lanes))
        return blocked_us(node, in[0], size, out[0], out_size);
    const bool gathers = taps > 1 || w.stride[0] > 1 || w.stride[1] > 1;
    const double macs = static_cast<double>(in[0]) * taps * static_cast<double>(out[0] / node.groups) *
                        std::ceil(spread / c_.lanes) * c_.lanes;
    const double gathered_mb = gathers ? 4 * kMega * static_cast<double>(in[0]) * taps * spread : 0;
    return slower_ * (1.36 + 0.15 * groups) +
           shared_us(slower_ * (c_.multiply_us * kMega * macs + 45 * gathered_mb +
                                2.76 * 4 * kMega * static_cast<double>(out[0]) * spread));
}

double CpuCost::window_pool_us(const Node& node, const std::vector<std::int64_t>& in,
                               const std::vector<std::int64_t>& out) const {
    const double inputs = static_cast<double>(elements(in)), outputs = static_cast<double>(elements(out));
    const double taps = outputs * static_cast<double>(node.window.kernel[0] * node.window.kernel[1]);
    const bool blocked = in.size() == 3 && in[0] % static_cast<std::int64_t>(c_.lanes) == 0;
    const double near =
        slower_ * (blocked ? std::max(0.11e-3 * inputs, 0.042e-3 * taps) : std::max(0.4e-3 * inputs, 0.1e-3 * taps));
    return 0.6 * slower_ + std::max(near, inputs > 400e3 ? 0.25e-3 * inputs : 0);
}

double CpuCost::reorder_us(const std::vector<std::int64_t>& shape) const {
    if (shape.size() != 3 || shape[1] * shape[2] == 1) return 0;
    return slower_ * (0.3 + 0.1e-3 * static_cast<double>(elements(shape)));
}

double CpuCost::node_us(const Node& node, const std::vector<std::int64_t>& in, const std::vector<std::int64_t>& out,
                        std::int64_t items) const {
    const double count = static_cast<double>(items);
    switch (node.op) {
        case Op::Conv: return count * conv_us(node, in, out);
        case Op::Fc: return product_us(count, static_cast<double>(in.back()), static_cast<double>(out.back()));
        case Op::GlobalAveragePool: return slower_ * (0.6 + count * 0.085e-3 * static_cast<double>(elements(in)));
        case Op::Reshape: return 0;
        default: break;
    }
    if (node.traits().has_window) return count * window_pool_us(node, in, out);
    return pass_us(node.op, count * static_cast<double>(elements(out)));
}

}  // namespace edgeticket
