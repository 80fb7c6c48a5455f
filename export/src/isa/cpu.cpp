#include "cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace edgeticket {
namespace {

// Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, sections 14.7.1 and 15.2: the instructions
// count only where the operating system saves the registers (OSXSAVE, then XCR0: 6 for ymm, 0xe6 for zmm and masks).
Cpu ask_cpu() {
    Cpu cpu;
#if defined(__x86_64__)
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid(1, &a, &b, &c, &d) == 0) return cpu;
    constexpr unsigned FMA = 1U << 12, OSXSAVE = 1U << 27, AVX = 1U << 28, F16C = 1U << 29;
    constexpr unsigned WANTED = FMA | OSXSAVE | AVX | F16C;
    if ((c & WANTED) != WANTED) return cpu;
    unsigned low = 0, high = 0;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if ((low & 6U) != 6U || __get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return cpu;
    constexpr unsigned AVX2 = 1U << 5, F = 1U << 16, DQ = 1U << 17, BW = 1U << 30, VL = 1U << 31;
    cpu.avx2 = (b & AVX2) != 0;
    cpu.avx512 = cpu.avx2 && (b & (F | DQ | BW | VL)) == (F | DQ | BW | VL) && (low & 0xe6U) == 0xe6U;
#endif
    return cpu;
}

}  // namespace

const Cpu& this_cpu() {
    static const Cpu found = ask_cpu();
    return found;
}

}  // namespace edgeticket
