#include "conv_step.h"

#include <algorithm>
#include <stdexcept>

namespace edgeticket {
namespace {

constexpr std::int64_t kReach = 65536;  // taps in 16 bits
constexpr double kHaloCycles = 4;        // a halo copy
constexpr std::int64_t kGroupChannels = 16;  // input channels of groups that are computed together

// Groups whose weights make one segment: several, while their input under one tile stays small.
std::int64_t groups_together(std::int64_t group_in, std::int64_t groups, std::int64_t reach, std::int64_t block) {
    if (block < group_in) return 1;
    return std::max<std::int64_t>(1, std::min({groups, reach / group_in, kGroupChannels / group_in}));
}

}  // namespace

ConvStep::ConvStep(int node, const MapKernels& kernels, const Node& conv, const Epilogue& epilogue, const Place& in, std::int64_t in_channels,
                   const Place& out, std::int64_t out_channels, const Place& residual, int threads)
    : Step(node), kernels_(kernels), in_(in), out_(out), residual_(residual), epilogue_(epilogue), bias_(conv.bias) {
    for (int d = 0; d < 2; ++d) stride_[d] = conv.window.stride[d];
    const std::int64_t block = place_tiles(conv, in_channels, out_channels);
    pack(conv, in_channels, out_channels, block);

    // Shares of the output channels with equal numbers of weights (one more a channel for what it costs to store).
    std::vector<std::int64_t> load(static_cast<std::size_t>(out_channels) + 1, 0);
    for (std::size_t c = 0; c < static_cast<std::size_t>(out_channels); ++c) {
        load[c + 1] = load[c] + 4;
        for (const Segment& segment : segments_) load[c + 1] += segment.starts[c + 1] - segment.starts[c];
    }
    for (int parts = 1; parts <= threads; ++parts) {
        std::vector<int> cut;
        for (int part = 0; part <= parts; ++part)
            cut.push_back(static_cast<int>(std::lower_bound(load.begin(), load.end(), load.back() * part / parts) - load.begin()));
        cut.back() = static_cast<int>(out_channels);
        cuts_.push_back(cut);
    }
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
    work.entries = static_cast<double>(std::count_if(conv.weight.begin(), conv.weight.end(), [](float x) { return x != 0; })) / static_cast<double>(conv.groups);
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
        cycles_ += kHaloCycles * static_cast<double>(out_channels) * static_cast<double>(placed.halos.size());
        tiles_.push_back(std::move(placed));
    }
    return tiling.block;
}

void ConvStep::pack(const Node& conv, std::int64_t in_channels, std::int64_t out_channels, std::int64_t block) {
    const Window& w = conv.window;
    const Layout& in = in_.layout;
    const std::int64_t groups = conv.groups, group_in = in_channels / groups, group_out = out_channels / groups;
    const std::int64_t taps = w.kernel[0] * w.kernel[1], plane = in.plane();
    const std::int64_t span = (w.kernel[0] - 1) * w.dilation[0] * in.pitch() + (w.kernel[1] - 1) * w.dilation[1];
    // The padding that is negative (a crop) moves the first tap into the image.
    const std::int64_t crop = std::max<std::int64_t>(0, -w.pad_begin[0]) * in.pitch() + std::max<std::int64_t>(0, -w.pad_begin[1]);
    const std::int64_t reach = (kReach - 1 - span - crop) / plane + 1;  // channels from the block's first that a tap can name
    if (reach < 1 || span + crop >= kReach)
        throw std::invalid_argument("an image of " + std::to_string(in.size[0]) + " x " + std::to_string(in.size[1]) + " is larger than a tap reaches");

    block = std::min(block, reach);
    if (block < group_in) block = (group_in + (group_in + block - 1) / block - 1) / ((group_in + block - 1) / block);  // of equal size
    const std::int64_t together = groups_together(group_in, groups, reach, block);

    for (std::int64_t group = 0; group < groups; group += together) {
        const std::int64_t last_group = std::min(groups, group + together);
        for (std::int64_t from = 0; from < group_in; from += block) {
            const std::int64_t to = std::min(group_in, from + block);
            Segment segment;
            segment.in_channel = group * group_in + from;
            segment.first = static_cast<int>(group * group_out);
            segment.last = static_cast<int>(last_group * group_out);
            segment.begins = from == 0;
            segment.ends = to == group_in;
            segment.starts.assign(static_cast<std::size_t>(out_channels) + 1, static_cast<std::uint32_t>(weights_.size()));
            for (std::int64_t m = segment.first; m < segment.last; ++m) {
                segment.starts[static_cast<std::size_t>(m)] = static_cast<std::uint32_t>(weights_.size());
                const std::int64_t base = (m / group_out - group) * group_in;  // input channels of this group, from the segment's first
                for (std::int64_t c = from; c < to; ++c)
                    for (std::int64_t t = 0; t < taps; ++t) {
                        const float weight = conv.weight[static_cast<std::size_t>((m * group_in + c) * taps + t)];
                        if (weight == 0) continue;
                        const std::int64_t y = t / w.kernel[1], x = t % w.kernel[1];
                        const std::int64_t offset = (base + c - from) * plane + y * w.dilation[0] * in.pitch() + x * w.dilation[1] + crop;
                        weights_.push_back(weight);
                        offsets_.push_back(static_cast<std::uint16_t>(offset));
                    }
            }
            for (std::size_t m = static_cast<std::size_t>(segment.last); m < segment.starts.size(); ++m)
                segment.starts[m] = static_cast<std::uint32_t>(weights_.size());
            segments_.push_back(std::move(segment));
        }
    }
}

void ConvStep::run(const Frame& frame, const std::vector<Buffer>& buffers, int part, int parts) const {
    const std::ptrdiff_t lanes = kernels_.lanes;
    const Layout &in = in_.layout, &out = out_.layout, &residual = residual_.layout;
    const float* const from = buffers[static_cast<std::size_t>(in_.buffer)].at(frame);
    const std::vector<int>& cut = cuts_[static_cast<std::size_t>(parts - 1)];
    const int first = cut[static_cast<std::size_t>(part)], last = cut[static_cast<std::size_t>(part) + 1];
    ConvTask task{};
    task.out = buffers[static_cast<std::size_t>(out_.buffer)].at(frame);
    task.residual = residual_.buffer < 0 ? nullptr : buffers[static_cast<std::size_t>(residual_.buffer)].at(frame);
    task.bias = bias_.empty() ? nullptr : bias_.data();
    task.offsets = offsets_.data();
    task.weights = weights_.data();
    task.in_pitch = in.pitch() * stride_[0] * lanes;
    task.in_step = stride_[1] * lanes;
    task.out_pitch = out.pitch() * lanes, task.out_plane = out.plane() * lanes;
    task.residual_pitch = residual.pitch() * lanes, task.residual_plane = residual.plane() * lanes;
    task.epilogue = epilogue_;
    const auto run_tile = [&](const PlacedTile& tile, const Segment& segment) {
        task.first = std::max(first, segment.first);
        task.last = std::min(last, segment.last);
        if (task.first >= task.last) return;
        task.out_tile = tile.out;
        task.residual_tile = tile.residual;
        task.masks = tile.masks.empty() ? nullptr : tile.masks.data();
        task.halos = {tile.halos.data(), tile.halos.size(), halo_lanes_.data()};
        task.in = from + segment.in_channel * in.plane() * lanes + tile.in;
        task.starts = segment.starts.data();
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
    std::size_t total = weights_.size() * 4 + offsets_.size() * 2 + bias_.size() * 4 + halo_lanes_.size() * 4;
    for (const Segment& segment : segments_) total += segment.starts.size() * 4;
    for (const PlacedTile& tile : tiles_) total += tile.masks.size() * 4 + tile.halos.size() * sizeof(Halo);
    return total;
}

std::vector<int> ConvStep::reads() const {
    return residual_.buffer < 0 ? std::vector<int>{in_.buffer} : std::vector<int>{in_.buffer, residual_.buffer};
}

}  // namespace edgeticket
