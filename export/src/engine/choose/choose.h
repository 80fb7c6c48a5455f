// Chooses the spans of a sequence of units that this engine runs, so that the predicted time of the whole is least,
// with a margin for errors of the predictions.
#pragma once

#include <utility>
#include <vector>

#include "engine/cost/units.h"

namespace edgeticket {

// What a span has to save to be chosen. Both models err by some 10 % a layer; the errors of a span's layers partly
// cancel out.
struct Margin {
    double share = 0.87;   // of the CPU provider's time, at most, that this engine may take
    double span_us = 1.2;  // added to each span: the call of a node takes some 0.6 µs, and as much is a margin
};

// Gives spans [first, last) in order; no two of them touch.
std::vector<std::pair<std::size_t, std::size_t>> choose(const Units& units, const Margin& margin);

}  // namespace edgeticket
