// How fast the fully connected kernels are, one table row after another, and how well FcLayer predicts them.
//
// usage: fc_bench kernels|layers [ISA [DENSITY...]]
// kernels: microseconds, useful GMAC/s (zeros do not count), packed size and nanoseconds a step, of each kernel and
// shape layers: predicted and measured microseconds for several numbers of rows; p where panels are used

#include <chrono>
#include <cstring>
#include <string>

#include "fc_cases.h"

using namespace edgeticket;

namespace {

// Median microseconds of a call: of 25 samples, each long enough for the clock.
template <class Call>
double median_us(Call call) {
    using Clock = std::chrono::steady_clock;
    auto time = [&](long count) {
        const auto start = Clock::now();
        for (long i = 0; i < count; ++i) call();
        return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
    };
    long count = 1;
    while (time(count) < 1000 && count < (1L << 30)) count *= 2;
    std::vector<double> samples;
    for (int i = 0; i < 25; ++i) samples.push_back(time(count) / static_cast<double>(count));
    std::nth_element(samples.begin(), samples.begin() + 12, samples.end());
    return samples[12];
}

void bench(const std::string& only_isa, const std::vector<double>& densities) {
    const std::int32_t shapes[][2] = {{784, 300}, {300, 100},  {100, 10},   {640, 128},  {128, 640},
                                      {512, 512}, {4096, 256}, {2048, 512}, {4096, 4096}};
    for (const FcKernels* isa : present()) {
        if (!only_isa.empty() && only_isa != isa->isa) continue;
        for (const auto& shape : shapes) {
            for (const double density : densities) {
                const Data d = make({shape[1], shape[0], 128, density, true, false, {}, Case::Plain});
                const FcNonzeros nonzeros(d.weight.data(), shape[1], shape[0]);
                for (int i = 0; i < isa->count; ++i) {
                    const FcKernel& kernel = isa->kernels[i];
                    if (kernel.panel && shape[0] == 4096 && shape[1] == 4096) continue;
                    const auto began = std::chrono::steady_clock::now();
                    const FcPacked packed(d.weight.data(), nonzeros, d.bias.data(), kernel, isa->lanes);
                    const double pack_ms =
                        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
                    const FcWeights& w = packed.weights();
                    Fenced x(static_cast<std::size_t>(shape[0]) * kernel.width + 64, false);
                    Fenced y(static_cast<std::size_t>(shape[1]) * kernel.width + 64, false);
                    std::copy(d.x.begin(), d.x.begin() + shape[0] * kernel.width, x.data());
                    const Epilogue relu{Activation::Clip, 0, INFINITY, 0};
                    const double us = median_us([&] { kernel.run(w, x.data(), nullptr, relu, y.data(), 0, w.units); });
                    const double macs = static_cast<double>(nonzeros.values.size()) * kernel.width;
                    std::printf(
                        "%-8s %-18s K=%-5d N=%-5d density %.2f  %9.3f us %9.3f us/row %6.1f GMAC/s useful %6.0f kB "
                        "%8ld steps, %.3f ns each, pack %.2f ms\n",
                        isa->isa, kernel.name, shape[0], shape[1], density, us, us / kernel.width, 1e-3 * macs / us,
                        static_cast<double>(packed.bytes()) / 1024, static_cast<long>(packed.steps()),
                        1e3 * us / static_cast<double>(std::max<std::int64_t>(packed.steps(), 1)), pack_ms);
                    std::fflush(stdout);
                }
            }
        }
    }
}

void bench_layers(const std::string& only_isa, const std::vector<double>& densities) {
    const std::int32_t shapes[][2] = {{784, 300}, {300, 100}, {100, 10}, {640, 128},  {128, 128},  {128, 8},
                                      {128, 640}, {512, 512}, {512, 10}, {1024, 256}, {4096, 256}, {2048, 512}};
    for (const FcKernels* isa : present()) {
        if (!only_isa.empty() && only_isa != isa->isa) continue;
        for (const auto& shape : shapes) {
            for (const double density : densities) {
                const Data d = make({shape[1], shape[0], 128, density, true, false, {}, Case::Plain});
                const FcLayer layer(*isa, d.weight.data(), d.bias.data(), shape[1], shape[0], true);
                std::vector<float> x(d.x), y(static_cast<std::size_t>(128) * shape[1] + 64);
                x.resize(x.size() + 64);
                std::printf("%-8s K=%-5d N=%-5d density %.2f %-14s us predicted/measured:", isa->isa, shape[0],
                            shape[1], density, layer.row_kernel().name);
                for (const std::int32_t items : {1, 2, 3, 4, 5, 8, 16, 32, 64, 128}) {
                    Fenced workspace(layer.workspace_floats(items, false) + 64, false);
                    const Epilogue relu{Activation::Clip, 0, INFINITY, 0};
                    const double us =
                        median_us([&] { layer.run(x.data(), nullptr, relu, y.data(), items, workspace.data()); });
                    std::printf("  %d%s %.2f/%.2f", items, layer.workspace_floats(items, false) > 0 ? "p" : "",
                                layer.predict_us(items), us);
                }
                std::printf("\n");
                std::fflush(stdout);
            }
        }
    }
}

}  // namespace

int main(int count, char** arguments) {
    if (count < 2 || (std::strcmp(arguments[1], "kernels") != 0 && std::strcmp(arguments[1], "layers") != 0)) {
        std::fprintf(stderr, "usage: fc_bench kernels|layers [ISA [DENSITY...]]\n");
        return 2;
    }
    std::vector<double> densities;
    for (int i = 3; i < count; ++i) densities.push_back(std::atof(arguments[i]));
    if (densities.empty()) densities = {0.2, 0.1, 0.05, 0.02};
    (std::strcmp(arguments[1], "layers") == 0 ? bench_layers : bench)(count > 2 ? arguments[2] : "", densities);
    return 0;
}
