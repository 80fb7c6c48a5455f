// The forms that the weights of a convolution can be packed in, a row each. To add one: its name in kernels/maps.h,
// kernels in kernels/conv.isa.cpp, and here when it serves, what it costs and how it is packed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/region/region.h"
#include "kernels/maps.h"
#include "layout.h"

namespace edgeticket {

// What is packed.
struct ConvToPack {
    const Node& node;
    const Layout& in;
    std::int64_t in_channels, out_channels;
    std::int64_t block;         // input channels of a group that a tile takes at a time
    std::int64_t tile_vectors;  // of the first tile
    int threads;
};

// Weights whose taps start in one block of input channels, for the output channels that read it.
struct ConvSegment {
    std::int64_t in_channel = 0;        // the first
    int first = 0, last = 0;            // output channels
    bool begins = false, ends = false;  // with the sums' first input channels, their last
    std::vector<ChannelRun> runs;       // unstructured: of the channels [first, last), share by share, and the end
    std::size_t taps = 0, first_weight = 0, first_offset = 0;  // dense
};

struct PackedConv {
    std::vector<float> weights;
    std::vector<std::uint16_t> offsets;
    std::vector<ConvSegment> segments;
    std::vector<int> cut;  // where the output channels are divided among the threads
};

// What is known of a convolution's weights before they are there.
struct ConvWeights {
    std::int64_t groups, out_channels;
    double weights, nonzeros;  // of all groups
};

struct ConvFormatTraits {
    ConvFormat format;
    std::int64_t outputs;  // channels that a kernel computes together
    // Whether it is the one to take, unless a row before it is.
    bool (*serves)(const ConvWeights& conv);
    // Weights that are multiplied, of all groups.
    double (*entries)(const ConvWeights& conv);
    // Cycles that one output channel takes for one weight over so many vectors.
    double (*entry_cycles)(std::int64_t vectors);
    // Throws std::invalid_argument where one input channel is larger than a 16-bit tap reaches.
    PackedConv (*pack)(const ConvToPack& conv);
};

const ConvFormatTraits& traits_of(ConvFormat format);
ConvFormat format_for(const ConvWeights& conv);

// Whether every tap of a convolution over a map in this layout can be named: the one limit of all formats.
bool in_reach(const Window& window, const Layout& in);

}  // namespace edgeticket
