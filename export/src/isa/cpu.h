// What this processor and its operating system can run.
#pragma once

namespace edgeticket {

struct Cpu {
    bool avx2 = false;    // with FMA and F16C
    bool avx512 = false;  // F, BW, DQ and VL, with what avx2 says
};

// Asks the processor itself: __builtin_cpu_supports says no to everything in programs built by zig's clang (0.17). It
// is asked once: in a virtual machine each question leaves it, and takes tens of microseconds.
const Cpu& this_cpu();

}  // namespace edgeticket
