// The most that one core multiplies and adds with an instruction set: what every predicted time is scaled by.
#pragma once

#include <cstddef>

namespace edgeticket {

struct PeakKernel {
    double macs;  // multiply-accumulates of one run
    // Depends on every one of them. factor and summand must not be known to the compiler; 0.999 and 0.001 keep sums finite.
    float (*run)(float factor, float summand);
};

}  // namespace edgeticket
