// Measures how much one core multiplies and adds at most with an instruction set. Every predicted time is scaled by it.
#pragma once

#include <cstddef>

namespace edgeticket {

struct PeakKernel {
    double macs;  // multiply-accumulates of one run
    // The result depends on every one of them. The compiler must not know factor and summand; 0.999 and 0.001 keep sums
    // finite.
    float (*run)(float factor, float summand);
};

}  // namespace edgeticket
