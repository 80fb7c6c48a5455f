// A region as a sequence of units, each computed as one: what a unit takes here and on the CPU provider, and what it
// takes to bring values from one to the other. From these a choice is made (choose/choose.h) and predictions are
// reported (predict.h).
#pragma once

#include <cstdint>
#include <vector>

#include "cpu_cost.h"
#include "engine/plan/maps/arrange.h"
#include "engine/region/fuse.h"
#include "engine/region/region.h"
#include "own_cost.h"

namespace edgeticket {

struct Unit {
    struct Read {
        int value;
        bool as_map;        // in our layout, not row-major
        bool moves = true;  // false where a copy is gathered, from either form at the same cost
    };
    int node = -1;          // of the region, the first
    bool weighted = false;  // a convolution or a product
    double own_us = 0, cpu_us = 0;
    std::vector<double> cpu_parts;  // of node, then of its followers
    std::vector<Read> reads;
    int output = -1;  // value
};

struct UnitValue {
    bool is_map = false;    // written in our layout
    double move_us = 0;     // between row-major order and our layout
    double reorder_us = 0;  // the CPU provider's, where its neighbour is ours; 0 for what no node computes
    int unit = -1;          // that writes it; -1: from outside
    int readers = 0;        // units; an output of the region has one more
};

// In an order that computes values before they are read.
struct Units {
    std::vector<Unit> units;
    std::vector<UnitValue> values;  // as in the region
};

// `computed` says of each input of the region whether another node computes it; times are of `items` items.
Units units_of(const Region& region, const std::vector<Fused>& groups, const Arrangement& arrangement,
               const OwnCost& own, const CpuCost& cpu, std::int64_t items, const std::vector<bool>& computed);

// What the CPU provider takes for the first node of a group, then for each of its followers.
std::vector<double> cpu_parts_of(const Region& region, const Fused& group, const CpuCost& cpu, std::int64_t items);

// The time to run units [begin, end) here, with what moves the values that cross their border. It grows by one unit at
// a time.
class Span {
   public:
    Span(const Units& units, std::size_t begin)
        : units_(units),
          begin_(begin),
          end_(begin),
          seen_(units.values.size()) {}
    void extend();
    void restart(std::size_t begin);                      // as a span that was made anew, without its memory
    double own_us() const { return own_us_ + move_us_; }  // of this engine, moves included
    double reorder_us() const { return reorder_us_; }     // of the CPU provider, for its neighbours

   private:
    struct Seen {
        bool row_major = false, moved = false;  // there in row-major order; brought into our layout
        int readers = 0;                        // still to come
    };
    void charge(int value, double sign);  // adds what a value takes that has readers outside the span

    const Units& units_;
    std::size_t begin_, end_;
    std::vector<Seen> seen_;
    std::vector<int> touched_;  // values that were seen
    double own_us_ = 0, move_us_ = 0, reorder_us_ = 0;
};

}  // namespace edgeticket
