#include "conv_step.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>

namespace edgeticket {
namespace {

constexpr std::int64_t kReach = 65536;       // taps in 16 bits
constexpr double kHaloCycles = 2.5;          // a halo copy
constexpr std::uint64_t kLongTurn = 256;     // multiplications of vectors, beside which a branch that was not foreseen is short
constexpr std::int64_t kGroupChannels = 16;  // input channels of groups that are computed together
constexpr double kDense = 0.66;              // density from which computing the zeros too is faster

// Groups whose weights make one segment: several, while their input under one tile stays small.
std::int64_t groups_together(std::int64_t group_in, std::int64_t groups, std::int64_t reach, std::int64_t block) {
    if (block < group_in) return 1;
    return std::max<std::int64_t>(1, std::min({groups, reach / group_in, kGroupChannels / group_in}));
}

}  // namespace

bool runs_dense(std::int64_t groups, std::int64_t out_channels, double density) {
    return groups == 1 && out_channels % DENSE_OUTPUTS == 0 && density > kDense;
}

bool in_reach(const Window& window, const Layout& in) {
    std::int64_t far = 0;
    for (int d = 0; d < 2; ++d) far += ((window.kernel[d] - 1) * window.dilation[d] + std::max<std::int64_t>(0, -window.pad_begin[d])) * (d == 0 ? in.pitch() : 1);
    return far < kReach;
}

ConvStep::ConvStep(int node, Arena& arena, const MapKernels& kernels, const Node& conv, const Epilogue& epilogue, const Place& in, std::int64_t in_channels,
                   const Place& out, std::int64_t out_channels, const Place& residual, int threads)
    : Step(node), kernels_(kernels), in_(in), out_(out), residual_(residual), epilogue_(epilogue), bias_(conv.bias), cut_(static_cast<std::size_t>(threads) + 1) {
    for (int d = 0; d < 2; ++d) stride_[d] = conv.window.stride[d];
    const double density = static_cast<double>(nonzeros_of(conv)) / static_cast<double>(conv.weight.size());
    dense_ = runs_dense(conv.groups, out_channels, density);
    const std::int64_t block = place_tiles(conv, in_channels, out_channels);
    if (dense_) pack_dense(conv, in_channels, out_channels, block, arena);
    else pack(conv, in_channels, out_channels, block, arena);
}

// Shares of the output channels with equal numbers of weights (some more a channel for what it costs to store).
void ConvStep::divide(const std::vector<std::int64_t>& weights) {
    const std::size_t unit = dense_ ? DENSE_OUTPUTS : 1;
    std::vector<std::int64_t> load(weights.size() + 1, 0);
    for (std::size_t c = 0; c < weights.size(); ++c) load[c + 1] = load[c] + weights[c] + 4;
    const auto parts = static_cast<std::int64_t>(cut_.size()) - 1;
    for (std::int64_t part = 0; part < parts; ++part)
        cut_[static_cast<std::size_t>(part)] =
            static_cast<int>(static_cast<std::size_t>(std::lower_bound(load.begin(), load.end(), load.back() * part / parts) - load.begin()) / unit * unit);
    cut_.back() = static_cast<int>(weights.size());
}

// Within each share, turns of equal length follow each other: a loop that ends where the last one did is foreseen.
void ConvStep::order(std::vector<Turn>& turns, std::uint32_t first, const std::vector<std::uint32_t>& counts) const {
    const auto count = static_cast<int>(turns.size()), from = static_cast<int>(first);
    for (std::uint32_t i = 0; i < turns.size(); ++i) turns[i].channel = first + i;
    std::uint64_t products = 0;
    for (const Turn& turn : turns) products += std::uint64_t{counts[turn.channel]} * static_cast<std::uint64_t>(tiles_.front().kernel->rows * tiles_.front().kernel->columns);
    if (products > kLongTurn * turns.size()) return;  // what is foreseen then weighs less than that channels are stored in order
    for (std::size_t share = 0; share + 1 < cut_.size(); ++share)
        std::stable_sort(turns.begin() + std::clamp(cut_[share] - from, 0, count), turns.begin() + std::clamp(cut_[share + 1] - from, 0, count),
                         [&](const Turn& a, const Turn& b) { return counts[a.channel] > counts[b.channel]; });
}

std::int64_t ConvStep::place_tiles(const Node& conv, std::int64_t in_channels, std::int64_t out_channels) {
    const Window& w = conv.window;
    const Layout &in = in_.layout, &out = out_.layout, &residual = residual_.layout;
    const std::ptrdiff_t lanes = kernels_.lanes;
    const Writing writing(out);
    halo_lanes_ = writing.halos.lanes;
    // Where the first tap of the first output lies in a plane.
    const std::int64_t origin = (in.before[0] - std::max<std::int64_t>(0, w.pad_begin[0])) * in.pitch() + in.before[1] - std::max<std::int64_t>(0, w.pad_begin[1]);
    TileWork work;
    work.rows = out.block[0];
    work.columns = out.block[1];
    for (int d = 0; d < 2; ++d) {
        work.stride[d] = w.stride[d];
        work.reach[d] = (w.kernel[d] - 1) * w.dilation[d];
    }
    work.channels_in = in_channels / conv.groups;
    work.channels_out = out_channels / conv.groups;
    work.dense = dense_;
    work.entries = static_cast<double>(dense_ ? static_cast<std::int64_t>(conv.weight.size()) : nonzeros_of(conv)) / static_cast<double>(conv.groups);
    const Tiling tiling = tile(kernels_, work);
    cycles_ = tiling.cycles * static_cast<double>(conv.groups);
    for (const Tile& tile : tiling.tiles) {
        const std::int64_t rows = tile.kernel->rows, columns = tile.kernel->columns;
        PlacedTile placed;
        placed.kernel = tile.kernel;
        placed.in = (origin + tile.row * w.stride[0] * in.pitch() + tile.column * w.stride[1]) * lanes;
        placed.out = (out.inside() + tile.row * out.pitch() + tile.column) * lanes;
        placed.residual = (residual.inside() + tile.row * residual.pitch() + tile.column) * lanes;
        if (writing.mask() != nullptr)
            for (std::int64_t r = 0; r < rows; ++r) {
                const auto begin = writing.masks.begin() + ((tile.row + r) * out.block[1] + tile.column) * lanes;
                placed.masks.insert(placed.masks.end(), begin, begin + columns * lanes);
            }
        placed.halos = writing.halos.of_tile(tile.row, tile.column, rows, columns, out);
        for (const Halo& line : placed.halos) cycles_ += kHaloCycles * static_cast<double>(out_channels) * line.count;
        tiles_.push_back(std::move(placed));
    }
    return tiling.block;
}

// Where taps lie in a plane, and how many channels they reach.
struct ConvStep::Reach {
    std::vector<std::int64_t> taps;  // of the window, vectors from the first
    std::int64_t plane, channels;
    Reach(const Window& w, const Layout& in) : plane(in.plane()) {
        // Padding that is negative (a crop) moves the first tap into the image.
        const std::int64_t crop = std::max<std::int64_t>(0, -w.pad_begin[0]) * in.pitch() + std::max<std::int64_t>(0, -w.pad_begin[1]);
        for (std::int64_t y = 0; y < w.kernel[0]; ++y)
            for (std::int64_t x = 0; x < w.kernel[1]; ++x) taps.push_back(crop + y * w.dilation[0] * in.pitch() + x * w.dilation[1]);
        if (taps.back() >= kReach)
            throw std::invalid_argument("an image of " + std::to_string(in.size[0]) + " x " + std::to_string(in.size[1]) + " is larger than a tap reaches");
        channels = (kReach - 1 - taps.back()) / plane + 1;
    }
    // A block of input channels that taps reach, all of nearly equal size.
    std::int64_t block(std::int64_t wanted, std::int64_t of) const {
        const std::int64_t most = std::min(wanted, channels), blocks = (of + most - 1) / most;
        return (of + blocks - 1) / blocks;
    }
};

void ConvStep::pack(const Node& conv, std::int64_t in_channels, std::int64_t out_channels, std::int64_t block, Arena& arena) {
    const Reach reach(conv.window, in_.layout);
    const std::int64_t groups = conv.groups, group_in = in_channels / groups, group_out = out_channels / groups;
    const std::size_t taps = reach.taps.size();
    block = reach.block(block, group_in);
    const std::int64_t together = groups_together(group_in, groups, reach.channels, block), blocks = (group_in + block - 1) / block;
    const auto kernels_at = [&](std::int64_t m, std::int64_t c) { return conv.weight.data() + static_cast<std::size_t>(m * group_in + c) * taps; };
    std::vector<std::vector<std::uint32_t>> counts(static_cast<std::size_t>(blocks));  // of each block's weights, by output channel
    std::vector<std::int64_t> loads(static_cast<std::size_t>(out_channels), 0);
    for (std::int64_t m = 0; m < out_channels; ++m)
        for (std::int64_t b = 0; b < blocks; ++b) {
            const float* const first = kernels_at(m, b * block);
            const std::int64_t count = count_nonzeros(first, static_cast<std::size_t>(kernels_at(m, std::min(group_in, (b + 1) * block)) - first));
            counts[static_cast<std::size_t>(b)].push_back(static_cast<std::uint32_t>(count));
            loads[static_cast<std::size_t>(m)] += count;
        }
    divide(loads);
    // One place more than is kept: every weight is written to the next one, which a zero does not use up.
    const auto nonzeros = static_cast<std::size_t>(std::accumulate(loads.begin(), loads.end(), std::int64_t{0}));
    std::vector<float> weights(nonzeros + 1);
    std::vector<std::uint16_t> offsets(nonzeros + 1);
    std::size_t packed = 0;
    for (std::int64_t group = 0; group < groups; group += together) {
        const std::int64_t last_group = std::min(groups, group + together);
        for (std::int64_t b = 0; b < blocks; ++b) {
            const std::int64_t from = b * block, to = std::min(group_in, from + block);
            Segment segment;
            segment.in_channel = group * group_in + from;
            segment.first = static_cast<int>(group * group_out);
            segment.last = static_cast<int>(last_group * group_out);
            segment.begins = from == 0;
            segment.ends = to == group_in;
            segment.turns.resize(static_cast<std::size_t>(segment.last - segment.first));
            order(segment.turns, static_cast<std::uint32_t>(segment.first), counts[static_cast<std::size_t>(b)]);
            for (Turn& turn : segment.turns) {
                turn.begin = static_cast<std::uint32_t>(packed);
                const std::int64_t m = turn.channel, base = (m / group_out - group) * group_in;  // input channels of this group, from the segment's first
                for (std::int64_t c = from; c < to; ++c) {
                    const float* const kernel = kernels_at(m, c);
                    const std::int64_t channel = (base + c - from) * reach.plane;
                    for (std::size_t t = 0; t < taps; ++t) {
                        weights[packed] = kernel[t];
                        offsets[packed] = static_cast<std::uint16_t>(channel + reach.taps[t]);
                        packed += kernel[t] != 0;
                    }
                }
            }
            segment.turns.push_back({static_cast<std::uint32_t>(packed), 0});
            segments_.push_back(std::move(segment));
        }
    }
    weights.resize(packed);
    offsets.resize(packed);
    keep(weights, offsets, arena);
}

void ConvStep::pack_dense(const Node& conv, std::int64_t in_channels, std::int64_t out_channels, std::int64_t block, Arena& arena) {
    const Reach reach(conv.window, in_.layout);
    const std::size_t taps = reach.taps.size();
    block = reach.block(block, in_channels);
    divide(std::vector<std::int64_t>(static_cast<std::size_t>(out_channels), in_channels * static_cast<std::int64_t>(taps)));
    std::vector<float> weights;
    std::vector<std::uint16_t> offsets;
    for (std::int64_t from = 0; from < in_channels; from += block) {
        const std::int64_t to = std::min(in_channels, from + block);
        Segment segment;
        segment.in_channel = from;
        segment.first = 0;
        segment.last = static_cast<int>(out_channels);
        segment.begins = from == 0;
        segment.ends = to == in_channels;
        segment.first_weight = weights.size();
        segment.first_offset = offsets.size();
        for (std::int64_t c = from; c < to; ++c)
            for (const std::int64_t tap : reach.taps) offsets.push_back(static_cast<std::uint16_t>((c - from) * reach.plane + tap));
        segment.taps = offsets.size() - segment.first_offset;
        for (std::int64_t m = 0; m < out_channels; m += DENSE_OUTPUTS)
            for (std::size_t t = 0; t < segment.taps; ++t)
                for (std::int64_t o = 0; o < DENSE_OUTPUTS; ++o)
                    weights.push_back(conv.weight[static_cast<std::size_t>((m + o) * in_channels + from) * taps + t]);
        segments_.push_back(std::move(segment));
    }
    keep(weights, offsets, arena);
}

void ConvStep::keep(const std::vector<float>& weights, const std::vector<std::uint16_t>& offsets, Arena& arena) {
    weights_ = arena.keep(weights);
    offsets_ = arena.keep(offsets);
    weight_bytes_ = weights.size() * sizeof weights[0] + offsets.size() * sizeof offsets[0];
}

void ConvStep::run(const Frame& frame, const std::vector<Buffer>& buffers, int part, int parts) const {
    const std::ptrdiff_t lanes = kernels_.lanes;
    const Layout &in = in_.layout, &out = out_.layout, &residual = residual_.layout;
    const float* const from = buffers[static_cast<std::size_t>(in_.buffer)].at(frame);
    const int first = parts == 1 ? 0 : cut_[static_cast<std::size_t>(part)], last = parts == 1 ? cut_.back() : cut_[static_cast<std::size_t>(part) + 1];
    if (parts > 1) bring_near(from, buffers[static_cast<std::size_t>(in_.buffer)].floats);
    ConvTask task{};
    task.out = buffers[static_cast<std::size_t>(out_.buffer)].at(frame);
    task.residual = residual_.buffer < 0 ? nullptr : buffers[static_cast<std::size_t>(residual_.buffer)].at(frame);
    task.bias = bias_.empty() ? nullptr : bias_.data();
    task.in_pitch = in.pitch() * stride_[0] * lanes;
    task.in_step = stride_[1] * lanes;
    task.out_pitch = out.pitch() * lanes, task.out_plane = out.plane() * lanes;
    task.residual_pitch = residual.pitch() * lanes, task.residual_plane = residual.plane() * lanes;
    task.epilogue = epilogue_;
    const auto run_tile = [&](const PlacedTile& tile, const Segment& segment) {
        const int base = dense_ ? 0 : segment.first;
        task.first = std::max(first, segment.first) - base;
        task.last = std::min(last, segment.last) - base;
        if (task.first >= task.last) return;
        task.out_tile = tile.out;
        task.residual_tile = tile.residual;
        task.masks = tile.masks.empty() ? nullptr : tile.masks.data();
        task.halos = {tile.halos.data(), tile.halos.size(), halo_lanes_.data()};
        task.in = from + segment.in_channel * in.plane() * lanes + tile.in;
        task.turns = segment.turns.data();
        task.taps = segment.taps;
        task.weights = weights_ + segment.first_weight;
        task.offsets = offsets_ + segment.first_offset;
        task.begins = segment.begins;
        task.ends = segment.ends;
        tile.kernel->run(task);
    };
    // A tile's input serves all output channels of its group; different groups share nothing, so each is finished on its own.
    for (std::size_t begin = 0; begin < segments_.size();) {
        std::size_t end = begin + 1;
        while (end < segments_.size() && !segments_[end].begins) ++end;
        for (const PlacedTile& tile : tiles_)
            for (std::size_t s = begin; s < end; ++s) run_tile(tile, segments_[s]);
        begin = end;
    }
}

std::size_t ConvStep::bytes() const {
    std::size_t total = weight_bytes_ + bias_.size() * 4 + halo_lanes_.size() * 4;
    for (const Segment& segment : segments_) total += segment.turns.size() * sizeof(Turn);
    for (const PlacedTile& tile : tiles_) total += tile.masks.size() * 4 + tile.halos.size() * sizeof(Halo);
    return total;
}

std::vector<int> ConvStep::reads() const {
    return residual_.buffer < 0 ? std::vector<int>{in_.buffer} : std::vector<int>{in_.buffer, residual_.buffer};
}

}  // namespace edgeticket
