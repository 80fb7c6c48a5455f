// What this machine can multiply and add at most, by instruction set, on one core and on two at once: the yardstick of
// the benchmarks.
//
// usage: peak [milliseconds a measurement, 50 by default]
// prints a line for each measurement: instruction set, threads, GMAC/s (10^9 fp32 multiply-accumulates a second, all
// threads)
//
// Twelve independent accumulators, x and y fill 14 registers of the 16 that AVX2 has, so neither latency (4 or 5 cycles
// on two units: 10 in flight are enough) nor memory has a part in it. They are named one by one: arrays end up on the
// stack.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr int ACCUMULATORS = 12;
// A block takes 0.1 to 0.3 ms, which is long beside a reading of the clock and short beside a change of pace.
constexpr int STEPS = 40000;

// A function of STEPS * ACCUMULATORS fused multiply-adds of LANES lanes; its result depends on all of them.
#define EDGETICKET_PEAK_BLOCK(NAME, LANES, ATTRIBUTES)                                                \
    ATTRIBUTES float NAME(float factor, float summand) {                                              \
        typedef float V __attribute__((vector_size((LANES) * sizeof(float))));                        \
        const V x = V{} + factor, y = V{} + summand;                                                  \
        V a = y, b = y + 1, c = y + 2, d = y + 3, e = y + 4, f = y + 5;                               \
        V g = y + 6, h = y + 7, i = y + 8, j = y + 9, k = y + 10, l = y + 11;                         \
        for (int step = 0; step < STEPS; ++step) {                                                    \
            a = a * x + y, b = b * x + y, c = c * x + y, d = d * x + y, e = e * x + y, f = f * x + y; \
            g = g * x + y, h = h * x + y, i = i * x + y, j = j * x + y, k = k * x + y, l = l * x + y; \
        }                                                                                             \
        const V sum = a + b + c + d + e + f + g + h + i + j + k + l;                                  \
        float total = 0;                                                                              \
        for (int lane = 0; lane < (LANES); ++lane) {                                                  \
            total += sum[lane];                                                                       \
        }                                                                                             \
        return total;                                                                                 \
    }

struct Candidate {
    const char* name;
    int lanes;
    bool present;
    float (*block)(float factor, float summand);
};

#if defined(__x86_64__) || defined(__i386__)
EDGETICKET_PEAK_BLOCK(avx512_block, 16, __attribute__((noinline, target("avx512f,fma"))))
EDGETICKET_PEAK_BLOCK(avx2_block, 8, __attribute__((noinline, target("avx2,fma"))))
EDGETICKET_PEAK_BLOCK(portable_block, 4, __attribute__((noinline)))

std::vector<Candidate> candidates() {
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return {
        {"avx512", 16, avx2 && __builtin_cpu_supports("avx512f"), avx512_block},
        {"avx2", 8, avx2, avx2_block},
        {"portable", 4, true, portable_block},
    };
}
#else
EDGETICKET_PEAK_BLOCK(native_block, 4, __attribute__((noinline)))

std::vector<Candidate> candidates() {
#if defined(__ARM_NEON)
    return {{"neon", 4, true, native_block}};
#else
    return {{"portable", 4, true, native_block}};
#endif
}
#endif

std::atomic<float> sink{0};  // what is stored here cannot be optimised away
// What is read from here cannot be computed before: a * x + y tends to y / (1 - x).
std::atomic<float> factor{0.999F};
std::atomic<float> summand{0.001F};

// GMAC/s of one thread: the median over the blocks of `milliseconds`.
double rate(const Candidate& candidate, int milliseconds) {
    std::vector<double> rates;
    const auto end = Clock::now() + std::chrono::milliseconds(milliseconds);
    do {
        const auto began = Clock::now();
        sink = candidate.block(factor, summand);
        const double seconds = std::chrono::duration<double>(Clock::now() - began).count();
        rates.push_back(1e-9 * STEPS * ACCUMULATORS * candidate.lanes / seconds);
    } while (Clock::now() < end);
    std::nth_element(rates.begin(), rates.begin() + static_cast<std::ptrdiff_t>(rates.size() / 2), rates.end());
    return rates[rates.size() / 2];
}

// GMAC/s of `threads` threads running at once, summed.
double rate_of_threads(const Candidate& candidate, int threads, int milliseconds) {
    std::vector<double> rates(static_cast<std::size_t>(threads));
    std::atomic<int> ready{0};
    std::vector<std::thread> running;
    for (double& mine : rates) {
        running.emplace_back([&] {
            ++ready;
            while (ready < threads) {
            }
            mine = rate(candidate, milliseconds);
        });
    }
    double total = 0;
    for (std::size_t thread = 0; thread < running.size(); ++thread) {
        running[thread].join();
        total += rates[thread];
    }
    return total;
}

}  // namespace

int main(int count, char** arguments) {
    const int milliseconds = count > 1 ? std::atoi(arguments[1]) : 50;
    if (milliseconds < 1) {
        std::fprintf(stderr, "peak: '%s' is not a number of milliseconds above 0\n", arguments[1]);
        return 2;
    }
    for (const Candidate& candidate : candidates()) {
        if (candidate.present) {
            rate(candidate, 5);  // wakes the wide units up
            for (const int threads : {1, 2}) {
                std::printf("%s %d %.2f\n", candidate.name, threads, rate_of_threads(candidate, threads, milliseconds));
            }
        }
    }
    return 0;
}
