#include "conv_format.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>

#include "engine/region/index.h"

namespace edgeticket {
namespace {

constexpr std::int64_t kReach = 65536;   // taps in 16 bits
constexpr std::uint64_t kLongRun = 256;  // multiplications of vectors, beside which one mispredicted branch is short
constexpr std::int64_t kGroupChannels = 16;  // input channels of groups that are computed together
constexpr double kDense = 0.66;              // density from which computing the zeros too is faster
constexpr std::int64_t kStoreEntries = 4;    // what storing a channel takes, in weights

// Where taps lie in a plane, and how many channels they reach.
struct Reach {
    std::vector<std::int64_t> taps;  // of the window, vectors from the first
    std::int64_t plane, channels;
    Reach(const Window& w, const Layout& in) : plane(in.plane()) {
        // Padding that is negative (a crop) moves the first tap into the image.
        const std::int64_t crop =
            std::max<std::int64_t>(0, -w.pad_begin[0]) * in.pitch() + std::max<std::int64_t>(0, -w.pad_begin[1]);
        for (std::int64_t y = 0; y < w.kernel[0]; ++y)
            for (std::int64_t x = 0; x < w.kernel[1]; ++x)
                taps.push_back(crop + y * w.dilation[0] * in.pitch() + x * w.dilation[1]);
        if (taps.back() >= kReach)
            throw std::invalid_argument("an image of " + std::to_string(in.size[0]) + " x " +
                                        std::to_string(in.size[1]) + " is larger than a tap reaches");
        channels = (kReach - 1 - taps.back()) / plane + 1;
    }
    // A block of input channels that taps reach, all of nearly equal size.
    std::int64_t block(std::int64_t wanted, std::int64_t of) const {
        const std::int64_t most = std::min(wanted, channels), blocks = (of + most - 1) / most;
        return (of + blocks - 1) / blocks;
    }
};

// Groups whose weights make one segment: several, while their input under one tile stays small.
std::int64_t groups_together(std::int64_t group_in, std::int64_t groups, std::int64_t reach, std::int64_t block) {
    if (block < group_in) return 1;
    return std::max<std::int64_t>(1, std::min({groups, reach / group_in, kGroupChannels / group_in}));
}

// Shares of the output channels with equal numbers of weights, in multiples of `unit` channels.
std::vector<int> divide(const std::vector<std::int64_t>& weights, int threads, std::int64_t unit) {
    std::vector<std::int64_t> load(weights.size() + 1, 0);
    for (std::size_t c = 0; c < weights.size(); ++c) load[c + 1] = load[c] + weights[c] + kStoreEntries;
    std::vector<int> cut;
    for (int part = 0; part < threads; ++part) {
        const auto first = std::lower_bound(load.begin(), load.end(), load.back() * part / threads) - load.begin();
        cut.push_back(static_cast<int>(first / unit * unit));
    }
    cut.push_back(static_cast<int>(weights.size()));
    return cut;
}

// Within each share, runs of equal length follow each other, so that the branch at a run's end is predicted by the one
// before. Long runs are not bound by mispredicted branches: they stay in the order in which channels are stored.
void order(std::vector<ChannelRun>& runs, int first, const std::vector<std::uint32_t>& counts,
           const std::vector<int>& cut, std::int64_t tile_vectors) {
    const auto count = static_cast<int>(runs.size());
    std::uint64_t products = 0;
    for (int i = 0; i < count; ++i) {
        at(runs, i).channel = static_cast<std::uint32_t>(first + i);
        products += std::uint64_t{at(counts, first + i)} * static_cast<std::uint64_t>(tile_vectors);
    }
    if (products > kLongRun * runs.size()) return;
    for (std::size_t share = 0; share + 1 < cut.size(); ++share)
        std::stable_sort(
            runs.begin() + std::clamp(cut[share] - first, 0, count),
            runs.begin() + std::clamp(cut[share + 1] - first, 0, count),
            [&](const ChannelRun& a, const ChannelRun& b) { return counts[a.channel] > counts[b.channel]; });
}

// The weights of a convolution by output channel and by block of input channels.
struct Blocks {
    const Node& node;
    std::int64_t group_in, size, count;
    std::size_t taps;
    std::vector<std::vector<std::uint32_t>> nonzeros;  // of each block, by output channel
    std::vector<std::int64_t> loads;                   // nonzeros by output channel

    Blocks(const ConvToPack& conv, const Reach& reach)
        : node(conv.node),
          group_in(conv.in_channels / conv.node.groups),
          size(reach.block(conv.block, group_in)),
          count((group_in + size - 1) / size),
          taps(reach.taps.size()),
          nonzeros(static_cast<std::size_t>(count)) {
        for (std::int64_t m = 0; m < conv.out_channels; ++m) {
            loads.push_back(0);
            for (std::int64_t b = 0; b < count; ++b) {
                const float* const first = kernel(m, b * size);
                const float* const last = kernel(m, std::min(group_in, (b + 1) * size));
                const std::int64_t here = count_nonzeros(first, static_cast<std::size_t>(last - first));
                at(nonzeros, b).push_back(static_cast<std::uint32_t>(here));
                loads.back() += here;
            }
        }
    }
    const float* kernel(std::int64_t output, std::int64_t input) const {
        return node.weight.data() + static_cast<std::size_t>(output * group_in + input) * taps;
    }
};

PackedConv pack_unstructured(const ConvToPack& conv) {
    const Reach reach(conv.node.window, conv.in);
    const Blocks blocks(conv, reach);
    const std::int64_t groups = conv.node.groups, group_in = blocks.group_in, group_out = conv.out_channels / groups;
    const std::int64_t together = groups_together(group_in, groups, reach.channels, blocks.size);
    PackedConv result;
    result.cut = divide(blocks.loads, conv.threads, 1);
    // One place more than is kept: every weight is written to the next one, which a zero does not use up.
    const auto nonzeros = std::accumulate(blocks.loads.begin(), blocks.loads.end(), std::int64_t{0});
    result.weights.resize(static_cast<std::size_t>(nonzeros) + 1);
    result.offsets.resize(static_cast<std::size_t>(nonzeros) + 1);
    std::size_t packed = 0;
    for (std::int64_t group = 0; group < groups; group += together) {
        const std::int64_t last_group = std::min(groups, group + together);
        for (std::int64_t b = 0; b < blocks.count; ++b) {
            const std::int64_t from = b * blocks.size, to = std::min(group_in, from + blocks.size);
            ConvSegment segment;
            segment.in_channel = group * group_in + from;
            segment.first = static_cast<int>(group * group_out);
            segment.last = static_cast<int>(last_group * group_out);
            segment.begins = from == 0;
            segment.ends = to == group_in;
            segment.runs.resize(static_cast<std::size_t>(segment.last - segment.first));
            order(segment.runs, segment.first, at(blocks.nonzeros, b), result.cut, conv.tile_vectors);
            for (ChannelRun& run : segment.runs) {
                run.begin = static_cast<std::uint32_t>(packed);
                const std::int64_t m = run.channel;
                // The first input channel of this group, counted from the first of the segment.
                const std::int64_t base = (m / group_out - group) * group_in;
                for (std::int64_t c = from; c < to; ++c) {
                    const float* const kernel = blocks.kernel(m, c);
                    const std::int64_t channel = (base + c - from) * reach.plane;
                    for (std::size_t t = 0; t < blocks.taps; ++t) {
                        result.weights[packed] = kernel[t];
                        result.offsets[packed] = static_cast<std::uint16_t>(channel + reach.taps[t]);
                        packed += kernel[t] != 0;
                    }
                }
            }
            segment.runs.push_back({static_cast<std::uint32_t>(packed), 0});
            result.segments.push_back(std::move(segment));
        }
    }
    result.weights.resize(packed);
    result.offsets.resize(packed);
    return result;
}

PackedConv pack_dense(const ConvToPack& conv) {
    const Reach reach(conv.node.window, conv.in);
    const std::size_t taps = reach.taps.size();
    const std::int64_t in_channels = conv.in_channels, block = reach.block(conv.block, in_channels);
    PackedConv result;
    const std::vector<std::int64_t> loads(static_cast<std::size_t>(conv.out_channels),
                                          in_channels * static_cast<std::int64_t>(taps));
    result.cut = divide(loads, conv.threads, DENSE_OUTPUTS);
    for (std::int64_t from = 0; from < in_channels; from += block) {
        const std::int64_t to = std::min(in_channels, from + block);
        ConvSegment segment;
        segment.in_channel = from;
        segment.last = static_cast<int>(conv.out_channels);
        segment.begins = from == 0;
        segment.ends = to == in_channels;
        segment.first_weight = result.weights.size();
        segment.first_offset = result.offsets.size();
        for (std::int64_t c = from; c < to; ++c)
            for (const std::int64_t tap : reach.taps)
                result.offsets.push_back(static_cast<std::uint16_t>((c - from) * reach.plane + tap));
        segment.taps = result.offsets.size() - segment.first_offset;
        for (std::int64_t m = 0; m < conv.out_channels; m += DENSE_OUTPUTS)
            for (std::size_t t = 0; t < segment.taps; ++t)
                for (std::int64_t o = 0; o < DENSE_OUTPUTS; ++o)
                    result.weights.push_back(
                        conv.node.weight[static_cast<std::size_t>((m + o) * in_channels + from) * taps + t]);
        result.segments.push_back(std::move(segment));
    }
    return result;
}

// In the order in which they are asked whether they serve.
constexpr ConvFormatTraits kFormats[] = {
    {ConvFormat::Dense, DENSE_OUTPUTS,
     [](const ConvWeights& conv) {
         return conv.groups == 1 && conv.out_channels % DENSE_OUTPUTS == 0 && conv.nonzeros / conv.weights > kDense;
     },
     [](const ConvWeights& conv) { return conv.weights; },
     [](std::int64_t vectors) { return 0.56 * static_cast<double>(vectors) + 0.3; }, pack_dense},
    {ConvFormat::Unstructured, 1, [](const ConvWeights&) { return true; },
     [](const ConvWeights& conv) { return conv.nonzeros; },
     [](std::int64_t vectors) { return vectors == 1 ? 1.36 : 0.75 * static_cast<double>(vectors) + 0.5; },
     pack_unstructured},
};

}  // namespace

const ConvFormatTraits& traits_of(ConvFormat format) {
    return *std::find_if(std::begin(kFormats), std::end(kFormats),
                         [&](const ConvFormatTraits& row) { return row.format == format; });
}

ConvFormat format_for(const ConvWeights& conv) {
    const auto serves = [&](const ConvFormatTraits& row) { return row.serves(conv); };
    return std::find_if(std::begin(kFormats), std::end(kFormats), serves)->format;
}

bool in_reach(const Window& window, const Layout& in) {
    std::int64_t far = 0;
    for (int d = 0; d < 2; ++d) {
        const std::int64_t crop = std::max<std::int64_t>(0, -window.pad_begin[d]);
        far += ((window.kernel[d] - 1) * window.dilation[d] + crop) * (d == 0 ? in.pitch() : 1);
    }
    return far < kReach;
}

}  // namespace edgeticket
