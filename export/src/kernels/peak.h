// The most that one core multiplies and adds with an instruction set: what every predicted time is scaled by.
#pragma once

#include <cstddef>

namespace edgeticket {

struct PeakKernel {
    double macs;  // multiply-accumulates of one run
    // Depends on every one of them. factor and summand must not be known to the compiler; 0.999 and 0.001 keep sums finite.
    float (*run)(float factor, float summand);
};

#if defined(__x86_64__)
namespace avx512 { extern const PeakKernel peak_kernel; }
namespace avx2 { extern const PeakKernel peak_kernel; }
#elif defined(__ARM_NEON)
namespace neon { extern const PeakKernel peak_kernel; }
#endif
namespace portable { extern const PeakKernel peak_kernel; }

}  // namespace edgeticket
