// What ONNX Runtime's CPU provider takes for a node: a model of its convolution kernels (channels blocked by vectors,
// im2col where that does not go), of its matrix products and of the passes over memory, fitted to some 200 layers
// measured with ONNX Runtime 1.31 on AVX-512 and AVX2 (docs/performance/predictions.md: median error 6 %). Constants
// are cycles or scale with the machine's measured peak; memory speeds are those of the machine of the fit. Elsewhere it
// is taken to be close to the peak: a CPU provider that is thought too fast costs speed-up, one that is thought too
// slow makes a model slower.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/region/region.h"
#include "isa/isa.h"

namespace edgeticket {

struct CpuMachine {
    Isa isa = Isa::Portable;  // the best that the processor has: the CPU provider chooses by itself
    double peak_gmacs = 1;    // of one core with it
    double weight_bytes = 0;  // of the whole graph: more than the second cache come from further away at each run
    int threads = 1;
    // Its AVX-512 multiplies clearly faster than its AVX2. Where that is not so, dense kernels come closer to the peak.
    bool fast_wide = true;
};
CpuMachine this_machine(double weight_bytes, int threads);

class CpuCost {
   public:
    explicit CpuCost(const CpuMachine& machine);

    // Microseconds that the node takes for `items` items, with shapes of one. Reshapes take none; neither does what is
    // fused.
    double node_us(const Node& node, const std::vector<std::int64_t>& in, const std::vector<std::int64_t>& out,
                   std::int64_t items) const;
    // To bring a map between its own blocked layout and the row-major one, as it must where another provider reads or
    // writes it.
    double reorder_us(const std::vector<std::int64_t>& shape) const;
    // Whether it computes `follower` in the same pass as the convolution or product (with a map of `rank` dimensions)
    // it follows.
    static bool fuses(Op head, Op follower, std::size_t rank);

   private:
    struct Constants;
    double conv_us(const Node& node, const std::vector<std::int64_t>& in, const std::vector<std::int64_t>& out) const;
    double blocked_us(const Node& node, std::int64_t in_channels, const std::int64_t (&size)[2],
                      std::int64_t out_channels, const std::int64_t (&out)[2]) const;
    double product_us(double rows, double inputs, double outputs) const;
    double window_pool_us(const Node& node, const std::vector<std::int64_t>& in,
                          const std::vector<std::int64_t>& out) const;
    double pass_us(Op op, double elements) const;
    double shared_us(double us) const;  // on all threads

    const Constants& c_;
    CpuMachine machine_;
    double cycle_us_, slower_;  // of a vector's two multiply-adds; how much slower this machine is than that of the fit
};

}  // namespace edgeticket
