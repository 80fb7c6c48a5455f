// A convolution with its residual and activation: nonzero weights packed as (tap, weight) streams, output cut into tiles.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/plan/memory.h"
#include "steps.h"

namespace edgeticket {

// Whether a convolution is computed by the kernels that take every weight, zeros too.
bool runs_dense(std::int64_t groups, std::int64_t out_channels, double density);

// Whether every tap of a convolution over a map in this layout can be named: the one limit of ConvStep.
bool in_reach(const Window& window, const Layout& in);

class ConvStep final : public Step {
   public:
    struct Place {
        int buffer = -1;
        Layout layout;
    };
    // Throws std::invalid_argument where one input channel is larger than a 16-bit tap reaches.
    ConvStep(int node, Arena& arena, const MapKernels& kernels, const Node& conv, const Epilogue& epilogue, const Place& in, std::int64_t in_channels, const Place& out,
             std::int64_t out_channels, const Place& residual, int threads);
    void run(const Frame&, const std::vector<Buffer>&, int part, int parts) const override;
    double cycles() const override { return cycles_; }
    std::size_t bytes() const override;
    const char* kernel() const override { return tiles_.front().kernel->name; }
    std::vector<int> reads() const override;
    int writes() const override { return out_.buffer; }

   private:
    // Weights whose taps start in one block of input channels, for the output channels that read it.
    struct Segment {
        std::int64_t in_channel;
        int first, last;
        bool begins, ends;
        std::vector<Turn> turns;  // of the channels [first, last), share by share, and the end; empty where dense
        std::size_t taps = 0, first_weight = 0, first_offset = 0;  // where dense
    };
    struct PlacedTile {
        const ConvKernel* kernel;
        std::ptrdiff_t in, out, residual;  // floats
        std::vector<std::int32_t> masks;
        std::vector<Halo> halos;
    };
    std::int64_t place_tiles(const Node& conv, std::int64_t in_channels, std::int64_t out_channels);  // gives the block of input channels
    struct Reach;
    void pack(const Node& conv, std::int64_t in_channels, std::int64_t out_channels, std::int64_t block, Arena& arena);
    void pack_dense(const Node& conv, std::int64_t in_channels, std::int64_t out_channels, std::int64_t block, Arena& arena);
    void keep(const std::vector<float>& weights, const std::vector<std::uint16_t>& offsets, Arena& arena);
    void divide(const std::vector<std::int64_t>& weights);
    void order(std::vector<Turn>& turns, std::uint32_t first, const std::vector<std::uint32_t>& counts) const;

    const MapKernels& kernels_;
    Place in_, out_, residual_;
    Epilogue epilogue_;
    std::int64_t stride_[2];
    bool dense_ = false;
    std::vector<float> bias_;
    const float* weights_ = nullptr;
    const std::uint16_t* offsets_ = nullptr;
    std::size_t weight_bytes_ = 0;
    std::vector<Segment> segments_;
    std::vector<PlacedTile> tiles_;
    std::vector<std::int32_t> halo_lanes_;
    std::vector<int> cut_;  // where the output channels are divided among the threads
    double cycles_ = 0;
};

}  // namespace edgeticket
