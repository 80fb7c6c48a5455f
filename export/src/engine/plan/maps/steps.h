// What a plan does, one after the other: each step reads and writes buffers of one item.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/maps.h"
#include "arrange.h"
#include "engine/region/region.h"
#include "tiles.h"

namespace edgeticket {

// Where the buffers of the running item lie.
struct Frame {
    const float* const* inputs;
    float* const* outputs;
    float* workspace;
    std::int64_t item;
};

struct Buffer {
    enum class Where : std::uint8_t { Input, Output, Workspace } where = Where::Workspace;
    int index = 0;              // of the region's input or output
    std::size_t floats = 0;     // of an item
    std::size_t offset = 0;     // in the workspace, floats
    int written = -1, read = -1;  // first and last step that touch it

    float* at(const Frame& frame) const;
};

class Step {
   public:
    explicit Step(int node) : node(node) {}
    virtual ~Step() = default;
    // The share `part` of `parts` of the work; shares may run at the same time.
    virtual void run(const Frame& frame, const std::vector<Buffer>& buffers, int part, int parts) const = 0;
    virtual double cycles() const = 0;  // that it takes, at the speed for which docs/performance.md measures cycles
    virtual std::size_t bytes() const { return 0; }
    virtual const char* kernel() const = 0;
    virtual std::vector<int> reads() const = 0;  // buffers
    virtual int writes() const = 0;

    int node;  // of the region; -1 for a step between nodes
};

// Gathers planes by a table: row-major to a layout, back, or from one layout into another.
class Move final : public Step {
   public:
    Move(int node, const MapKernels& kernels, int from, int to, std::int64_t channels, std::vector<std::int32_t> lanes, std::size_t from_plane,
         std::size_t to_plane, float fill);
    void run(const Frame&, const std::vector<Buffer>&, int part, int parts) const override;
    double cycles() const override;
    std::size_t bytes() const override { return lanes_.size() * 4; }
    const char* kernel() const override { return "move"; }
    std::vector<int> reads() const override { return {from_}; }
    int writes() const override { return to_; }

   private:
    const MapKernels& kernels_;
    int from_, to_;
    std::int64_t channels_;
    std::vector<std::int32_t> lanes_;
    std::size_t from_plane_, to_plane_;
    float fill_;
};

// The tables that every writer of a layout needs.
struct Writing {
    Layout layout;
    HaloTable halos;
    std::vector<Halo> lines;
    std::vector<std::int32_t> masks;
    explicit Writing(const Layout& layout) : layout(layout), halos(halo_table(layout)), lines(halos.all(layout)), masks(edgeticket::masks(layout)) {}
    Halos all() const { return {lines.data(), lines.size(), halos.lanes.data()}; }
    const std::int32_t* mask() const { return masks.empty() ? nullptr : masks.data(); }
    std::size_t bytes() const { return (halos.entries.size() + lines.size()) * sizeof(Halo) + (halos.lanes.size() + masks.size()) * 4; }
};

class Point final : public Step {
   public:
    // `b` is a buffer or -1; `constant` is row-major over the item, or empty.
    Point(int node, const MapKernels& kernels, int a, const Layout& a_layout, int b, const Layout& b_layout, int out, const Layout& out_layout,
          std::int64_t channels, const std::vector<float>& constant, const Epilogue& epilogue);
    void run(const Frame&, const std::vector<Buffer>&, int part, int parts) const override;
    double cycles() const override;
    std::size_t bytes() const override { return writing_.bytes() + constant_.size() * 4; }
    const char* kernel() const override { return "point"; }
    std::vector<int> reads() const override { return b_ < 0 ? std::vector<int>{a_} : std::vector<int>{a_, b_}; }
    int writes() const override { return out_; }

   private:
    const MapKernels& kernels_;
    int a_, b_, out_;
    Layout a_layout_, b_layout_;
    Writing writing_;
    std::int64_t channels_;
    std::vector<float> constant_;
    Epilogue epilogue_;
};

class Pool2d final : public Step {
   public:
    Pool2d(int node, const MapKernels& kernels, const Node& pool, int in, const Layout& in_layout, int out, const Layout& out_layout, std::int64_t channels);
    void run(const Frame&, const std::vector<Buffer>&, int part, int parts) const override;
    double cycles() const override;
    std::size_t bytes() const override { return writing_.bytes() + taps_.size() * 4 + scales_.size() * 4; }
    const char* kernel() const override { return average_ ? "average_pool" : "max_pool"; }
    std::vector<int> reads() const override { return {in_}; }
    int writes() const override { return out_; }

   private:
    const MapKernels& kernels_;
    int in_, out_;
    Layout in_layout_;
    Writing writing_;
    std::int64_t channels_;
    std::int64_t stride_[2];
    bool average_;
    std::vector<std::uint32_t> taps_;
    std::vector<float> scales_;
};

class Mean final : public Step {
   public:
    Mean(int node, const MapKernels& kernels, int in, const Layout& layout, int out, std::int64_t channels);
    void run(const Frame&, const std::vector<Buffer>&, int part, int parts) const override;
    double cycles() const override;
    std::size_t bytes() const override { return masks_.size() * 4; }
    const char* kernel() const override { return "mean"; }
    std::vector<int> reads() const override { return {in_}; }
    int writes() const override { return out_; }

   private:
    const MapKernels& kernels_;
    int in_, out_;
    Layout layout_;
    std::int64_t channels_;
    std::vector<std::int32_t> masks_;
};

class Flat final : public Step {
   public:
    Flat(int node, const MapKernels& kernels, int a, int b, int out, std::size_t floats, std::vector<float> constant, const Epilogue& epilogue);
    void run(const Frame&, const std::vector<Buffer>&, int part, int parts) const override;
    double cycles() const override;
    std::size_t bytes() const override { return constant_.size() * 4; }
    const char* kernel() const override { return "flat"; }
    std::vector<int> reads() const override { return b_ < 0 ? std::vector<int>{a_} : std::vector<int>{a_, b_}; }
    int writes() const override { return out_; }

   private:
    const MapKernels& kernels_;
    int a_, b_, out_;
    std::size_t floats_;
    std::vector<float> constant_;
    Epilogue epilogue_;
};

// Asks for lines that other cores may have written, one after the other: a kernel that met them at random would wait for each.
void bring_near(const float* data, std::size_t floats);

// [begin, end) of `count` things for one share.
void share(std::int64_t count, int part, int parts, int& begin, int& end);

}  // namespace edgeticket
