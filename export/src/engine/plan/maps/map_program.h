// A region over maps, planned: what is computed, step by step, for one item. It is data alone: run/run_maps.h runs it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <variant>
#include <vector>

#include "conv_format.h"
#include "engine/plan/memory.h"
#include "engine/plan/node_report.h"
#include "engine/region/element.h"
#include "kernels/fc_layer.h"
#include "kernels/maps.h"
#include "layout.h"

namespace edgeticket {

struct Buffer {
    enum class Where : std::uint8_t { Input, Output, Workspace } where = Where::Workspace;
    int index = 0;  // of the region's input or output
    Element element = Element::Float32;
    std::size_t bytes = 0;   // of an item
    std::size_t offset = 0;  // in the workspace, bytes
};

// The tables that every writer of a layout needs.
struct WrittenLayout {
    Layout layout;
    HaloTable halos;
    std::vector<Halo> lines;
    std::vector<std::int32_t> masks;
    explicit WrittenLayout(const Layout& layout)
        : layout(layout),
          halos(halo_table(layout)),
          lines(halos.all(layout)),
          masks(edgeticket::masks(layout)) {}
    std::size_t bytes() const {
        return (halos.entries.size() + lines.size()) * sizeof(Halo) +
               (halos.lanes.size() + masks.size()) * sizeof(std::int32_t);
    }
};

// Gathers planes by a table: row-major to a layout, back, or from one layout into another.
struct MoveStep {
    std::vector<std::int32_t> lanes;   // for each element of a plane the one it comes from; -1: `fill`
    std::size_t from_plane, to_plane;  // elements
    float fill;
};

// Element by element over maps: activation(in + other + constant).
struct PointStep {
    Layout in, other;
    WrittenLayout out;
    std::vector<float> constant;  // in the order of the inside of `out`, or empty
    Epilogue epilogue;
};

struct PoolStep {
    Layout in;
    WrittenLayout out;
    std::int64_t stride[2];
    bool average;                     // else the maximum
    std::vector<std::uint32_t> taps;  // vectors
    std::vector<float> scales;        // of an average, for each lane of the inside
};

// The mean of each plane.
struct MeanStep {
    Layout in;
    std::vector<std::int32_t> masks;
};

// Element by element over row-major values: activation(in + other + constant).
struct FlatStep {
    std::vector<float> constant;  // or empty
    Epilogue epilogue;
};

struct ConvStep {
    struct Tile {
        const ConvKernel* kernel;
        std::ptrdiff_t in, out, residual;  // floats
        std::vector<std::int32_t> masks;
        std::vector<Halo> halos;
    };
    Layout in, out, residual;
    std::int64_t stride[2] = {1, 1};
    Epilogue epilogue;
    std::vector<float> bias;
    Kept<float> weights;          // in the program's constants
    Kept<std::uint16_t> offsets;  // in the program's constants
    std::vector<ConvSegment> segments;
    std::vector<Tile> tiles;  // never empty
    std::vector<std::int32_t> halo_lanes;
    std::vector<int> cut;  // where the output channels are divided among the threads
};

struct ProductStep {
    FcLayer layer;
    Epilogue epilogue;
};

struct Step {
    int node = -1;            // of the region; -1 for a step between nodes
    const char* kernel = "";  // its name, for reports
    const MapKernels* kernels = nullptr;
    int in = -1, other = -1, out = -1;  // buffers; `other`: a second operand or a residual, -1 for none
    std::int64_t count = 0;             // channels, or elements of a FlatStep: what threads share
    double cycles = 0;                  // that it takes on the machine for which costs were fitted
    std::size_t bytes = 0;              // of its weights and tables
    std::variant<MoveStep, PointStep, PoolStep, MeanStep, FlatStep, ConvStep, ProductStep> work;
};

struct MapProgram {
    std::vector<Step> steps;  // in order
    std::vector<Buffer> buffers;
    Arena constants;  // weights and offsets of convolutions
    std::size_t workspace_bytes = 0;
    int threads = 1;
    std::vector<NodeReport> reports;  // one a node of the region, in its order
};

}  // namespace edgeticket
