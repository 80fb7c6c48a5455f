// Predicts what this engine takes for the fused groups of a region, before any weight is packed. Convolutions are
// predicted by the model that chooses their tiles, the rest by constants; both are checked against measured plans
// (tests/cost_bench.cpp, docs/performance/predictions.md).
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/plan/maps/arrange.h"
#include "engine/region/fuse.h"
#include "engine/region/region.h"
#include "isa/isa.h"

namespace edgeticket {

struct OwnMachine {
    Isa isa = Isa::Portable;
    double peak_gmacs = 1;  // of one core with it
    // Of all that the session may hold. What the second cache does not hold comes from further away at each run.
    double packed_bytes = 0;
    int threads = 1;
};

// Bytes that a layer's weights take, as pairs of a tap and a weight or dense, whichever is less.
inline double packed_bytes(double weights, double nonzeros) { return std::min(6 * nonzeros, 4 * weights); }

class OwnCost {
   public:
    explicit OwnCost(const OwnMachine& machine);

    // Microseconds that group `index` takes for `items` items, with what brings its inputs into another layout than
    // their home; infinity for what can not be planned.
    double group_us(const Region& region, const std::vector<Fused>& groups, const Arrangement& arrangement,
                    std::size_t index, std::int64_t items) const;
    // Microseconds to bring one item of a value of this layout in from row-major order, or out.
    double move_us(const Layout& layout, std::int64_t channels) const;
    double shared_us(double alone) const;  // what takes `alone` microseconds on one thread takes on all of them

   private:
    double window_us(const Node& node, const Layout& in, const Layout& out, std::int64_t in_channels,
                     std::int64_t out_channels) const;
    double product_us(const Node& node, double inputs, double outputs, std::int64_t items) const;
    // Of a step that is no convolution, and reads and writes so many bytes.
    double other_us(double cycles, double bytes) const;
    double far_map_us(double bytes) const;

    OwnMachine machine_;
    const MapFamily kernels_;
    const FcKernels& products_;
    double cycle_us_, far_;  // a cycle; the share of the packed weights that the second cache does not hold
};

}  // namespace edgeticket
