// Which spans of a sequence of units to run here: the least predicted time of the whole, with a margin for what predictions miss.
#pragma once

#include <utility>
#include <vector>

#include "engine/cost/units.h"

namespace edgeticket {

// What a span has to save. Both models err by some 10 % a layer; the errors of a span's layers partly cancel out.
struct Margin {
    double share = 0.87;   // of the CPU provider's time that this engine's may be
    double span_us = 1.2;  // for each span: the call of a node (some 0.6 µs), and as much to be safe
};

// Spans [first, last) that do not touch, in order.
std::vector<std::pair<std::size_t, std::size_t>> choose(const Units& units, const Margin& margin);

}  // namespace edgeticket
