// What the kernels over feature maps are given: plain structures, the same for every instruction set.
//
// A map lies in lane-blocked layout (engine/plan/maps/layout.h): channels of `plane` floats; in a plane, vectors of VL
// lanes in rows `pitch` floats apart, each lane holding a block of the image of its own, with its halo. A tap of a
// convolution then is one constant, aligned distance for all lanes. Distances are in floats unless a comment says
// vectors.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/activation.h"

namespace edgeticket {

// Vectors outside their lanes' blocks, in a line: permutations of vectors inside, 0 where the image ends.
constexpr std::uint32_t NO_LANE = ~0U;
struct Halo {
    std::uint32_t to;           // the first, vectors from the plane's start
    std::uint32_t from;         // the first, vectors from the plane's start
    std::uint32_t permutation;  // index of VL lanes in Halos::lanes; NO_LANE: all are zero
    std::uint16_t count;
    std::uint16_t step;  // vectors from one to the next, of both
};

struct Halos {
    const Halo* entries;
    std::size_t count;
    const std::int32_t* lanes;  // permutations of VL lanes each; -1 is zero
};

// How the weights of a convolution are packed. An unstructured kernel takes `runs`, the entries of a channel each: a
// run ends where the next one begins. A dense kernel computes DENSE_OUTPUTS channels together, all with the same `taps`
// entries of `offsets`; its weights are [channel / DENSE_OUTPUTS][taps][DENSE_OUTPUTS], first and last whole multiples.
enum class ConvFormat : std::uint8_t { Unstructured, Dense };

constexpr int DENSE_OUTPUTS = 4;
struct ChannelRun {
    std::uint32_t begin;  // of `offsets` and `weights`
    std::uint32_t channel;
};

// One tile of output positions, from one block of input channels.
struct ConvTask {
    const float* in;               // the tile's first tap in the block's first channel
    float* out;                    // plane of channel 0
    const float* residual;         // plane of channel 0, or null
    const float* bias;             // of channel 0, or null
    const ChannelRun* runs;        // unstructured kernels; one more than there are, for its begin
    std::size_t taps;              // dense kernels
    const std::uint16_t* offsets;  // vectors from `in`
    const float* weights;
    const std::int32_t* masks;  // VL lanes a vector of the tile, 0 where there is no pixel; or null
    Halos halos;                // those that copy vectors of this tile
    std::ptrdiff_t in_pitch;    // between rows of output vectors: the stride times the input's pitch
    std::ptrdiff_t in_step;     // between neighbouring output vectors: the stride times VL
    std::ptrdiff_t out_tile, out_pitch, out_plane;
    std::ptrdiff_t residual_tile, residual_pitch, residual_plane;
    int first, last;  // runs, or channels of a dense kernel
    bool begins;      // sums begin with the bias, not with what `out` holds
    bool ends;        // residual, activation, mask and halos follow
    Epilogue epilogue;
};

// Point by point over the inside of maps: out = activation(a + b + constant), with either of b and constant, or none.
struct PointTask {
    const float* a;
    const float* b;         // or null
    const float* constant;  // rows * columns vectors a channel, in the order of the inside; or null
    float* out;
    const std::int32_t* masks;  // as in ConvTask, for the whole inside
    Halos halos;
    std::ptrdiff_t a_inside, a_pitch, a_plane;
    std::ptrdiff_t b_inside, b_pitch, b_plane;
    std::ptrdiff_t out_inside, out_pitch, out_plane;
    int rows, columns;
    int first, last;
    Epilogue epilogue;
};

struct PoolTask {
    const float* in;  // the first output's first tap in channel 0
    float* out;
    const std::uint32_t* taps;  // vectors from `in`
    int tap_count;
    bool average;         // else the maximum
    float scale;          // of an average, where `scales` is null
    const float* scales;  // VL a vector of the inside, or null
    const std::int32_t* masks;
    Halos halos;
    std::ptrdiff_t in_pitch, in_step, in_plane;
    std::ptrdiff_t out_inside, out_pitch, out_plane;
    int rows, columns;
    int first, last;
};

// The mean over the image: one float a channel.
struct MeanTask {
    const float* in;
    float* out;
    const std::int32_t* masks;
    std::ptrdiff_t in_inside, in_pitch, in_plane;
    int rows, columns;
    int first, last;
    float scale;
};

// to[i] = from[lanes[i]], `fill` where lanes[i] is negative, for `count` floats a plane: between row-major planes and
// layouts.
struct MoveTask {
    const float* from;
    float* to;
    const std::int32_t* lanes;
    std::size_t count;
    std::ptrdiff_t from_plane, to_plane;
    int first, last;
    float fill;
};

struct ConvKernel {
    const char* name;
    ConvFormat format;
    int rows, columns;  // of the tile, in vectors
    int stride;         // along a row; 0 is any
    void (*run)(const ConvTask&);
};

struct MapKernels {
    const char* isa;
    int lanes;
    const ConvKernel* convs;
    std::size_t conv_count;
    void (*point)(const PointTask&);
    void (*pool)(const PoolTask&);
    void (*mean)(const MeanTask&);
    void (*move)(const MoveTask&);
    // y[i] = activation(a[i] + b[i]) over row-major values; b may be null
    void (*flat)(const float* a, const float* b, float* y, std::size_t count, const Epilogue&);
};

}  // namespace edgeticket
