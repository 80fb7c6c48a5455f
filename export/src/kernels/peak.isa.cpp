// Twelve independent sums hide the latency of four or five cycles on two units, and with two operands fit the sixteen
// registers of the smallest instruction set. They are named one by one: an array of them would lie on the stack.
#include "peak.h"

#include "simd/vec.h"

namespace edgeticket::ISA_NS {
namespace {

constexpr int STEPS = 1500;  // some 2 to 20 µs: long beside a reading of the clock, short beside a time slice
constexpr int SUMS = 12;

float run(float factor, float summand) {
    const V x = V{} + factor, y = V{} + summand;
    V a = y, b = y + 1, c = y + 2, d = y + 3, e = y + 4, f = y + 5, g = y + 6, h = y + 7, i = y + 8, j = y + 9,
      k = y + 10, l = y + 11;
    for (int step = 0; step < STEPS; ++step) {
        a = a * x + y, b = b * x + y, c = c * x + y, d = d * x + y, e = e * x + y, f = f * x + y;
        g = g * x + y, h = h * x + y, i = i * x + y, j = j * x + y, k = k * x + y, l = l * x + y;
    }
    const V sum = a + b + c + d + e + f + g + h + i + j + k + l;
    float total = 0;
    for (int lane = 0; lane < VL; ++lane) total += sum[lane];
    return total;
}

}  // namespace

extern const PeakKernel peak_kernel;  // declared in isa/isa.h for everyone else
const PeakKernel peak_kernel = {double{STEPS} * SUMS * VL, run};

}  // namespace edgeticket::ISA_NS
