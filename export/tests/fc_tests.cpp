// Every fully connected kernel against double-precision sums, on buffers fenced by pages that may not be touched.
//
// usage: fc_tests            all kernels that this processor can run
//        fc_tests --bench kernels|layers [ISA [DENSITY...]]

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "../src/kernels/fc.h"
#include "../src/kernels/fc_layer.h"
#include "../src/kernels/fc_pack.h"

using namespace edgeticket;

namespace {

std::vector<const FcKernels*> present() {
    std::vector<const FcKernels*> found;
#if defined(__x86_64__)
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")) found.push_back(&avx512::fc_kernels);
    if (avx2) found.push_back(&avx2::fc_kernels);
#elif defined(__ARM_NEON)
    found.push_back(&neon::fc_kernels);
#endif
    found.push_back(&portable::fc_kernels);
    return found;
}

// Floats between two pages that may not be read or written: right before the second, or right behind the first.
class Fenced {
   public:
    Fenced(std::size_t floats, bool at_end) : page_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))) {
        const std::size_t bytes = floats * 4;
        inner_ = std::max<std::size_t>((bytes + page_ - 1) / page_ * page_, page_);
        memory_ = static_cast<char*>(mmap(nullptr, inner_ + 2 * page_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        if (memory_ == MAP_FAILED || mprotect(memory_ + page_, inner_, PROT_READ | PROT_WRITE) != 0) {
            std::perror("fc_tests: mmap");
            std::exit(2);
        }
        data_ = reinterpret_cast<float*>(memory_ + page_ + (at_end ? inner_ - bytes : 0));
    }
    ~Fenced() { munmap(memory_, inner_ + 2 * page_); }
    Fenced(const Fenced&) = delete;
    Fenced& operator=(const Fenced&) = delete;
    float* data() { return data_; }

   private:
    std::size_t page_, inner_ = 0;
    char* memory_ = nullptr;
    float* data_ = nullptr;
};

struct Case {
    std::int32_t outputs, inputs, items;
    double density;
    bool bias, residual;
    Epilogue epilogue;
    enum Special { Plain, EmptyRows, EmptyColumns, NotFinite } special;
};

struct Data {
    std::vector<float> weight, bias, x, residual;
};

std::mt19937 random_source(20261121);

double uniform() { return random_source() / 4294967296.0; }
float normal() { return static_cast<float>(std::normal_distribution<double>()(random_source)); }

Data make(const Case& c) {
    Data d;
    d.weight.resize(static_cast<std::size_t>(c.outputs) * c.inputs);
    std::vector<bool> row_empty(c.outputs), column_empty(c.inputs);
    if (c.special == Case::EmptyRows) std::generate(row_empty.begin(), row_empty.end(), [] { return uniform() < 0.5; });
    if (c.special == Case::EmptyColumns) std::generate(column_empty.begin(), column_empty.end(), [] { return uniform() < 0.5; });
    for (std::int32_t n = 0; n < c.outputs; ++n) {
        for (std::int32_t k = 0; k < c.inputs; ++k) {
            if (!row_empty[n] && !column_empty[k] && uniform() < c.density) d.weight[static_cast<std::size_t>(n) * c.inputs + k] = normal();
        }
    }
    d.x.resize(static_cast<std::size_t>(c.items) * c.inputs);
    for (float& v : d.x) v = normal();
    if (c.special == Case::NotFinite) {
        const float specials[] = {NAN, INFINITY, -INFINITY};
        for (float& v : d.x) {
            if (uniform() < 0.05) v = specials[random_source() % 3];
        }
    }
    if (c.bias) {
        d.bias.resize(c.outputs);
        for (float& v : d.bias) v = normal();
    }
    if (c.residual) {
        d.residual.resize(static_cast<std::size_t>(c.items) * c.outputs);
        for (float& v : d.residual) v = normal();
    }
    return d;
}

double activated(double x, const Epilogue& e) {
    switch (e.activation) {
        case Activation::None: return x;
        case Activation::Clip: return x < e.low ? e.low : x > e.high ? e.high : x;
        case Activation::LeakyRelu: return x < 0 ? x * e.alpha : x;
        case Activation::Sigmoid: return 1 / (1 + std::exp(-x));
        case Activation::HardSwish: {
            const double gate = x / 6 + 0.5;
            return x * (gate < 0 ? 0 : gate > 1 ? 1 : gate);
        }
    }
    return x;
}

int failures = 0, checks = 0;

// Sums of n terms in any order are off by at most gamma_n = n u / (1 - n u) times the sum of the terms' sizes (Higham, Accuracy and
// Stability, section 3.1). No activation here has a slope above 1.5, and each rounds a few times: 16 u of the result.
void compare(const Case& c, const Data& d, const float* y, const std::string& kernel, bool reads_zeros) {
    const double u = std::ldexp(1.0, -24);
    for (std::int32_t item = 0; item < c.items; ++item) {
        for (std::int32_t n = 0; n < c.outputs; ++n) {
            double sum = d.bias.empty() ? 0 : d.bias[n], size = std::fabs(sum);
            bool meets_special = false;
            for (std::int32_t k = 0; k < c.inputs; ++k) {
                const float w = d.weight[static_cast<std::size_t>(n) * c.inputs + k], x = d.x[static_cast<std::size_t>(item) * c.inputs + k];
                meets_special |= !std::isfinite(x);
                if (w == 0) continue;
                sum += static_cast<double>(w) * x;
                size += std::fabs(static_cast<double>(w) * x);
            }
            if (!d.residual.empty()) {
                const double r = d.residual[static_cast<std::size_t>(item) * c.outputs + n];
                sum += r, size += std::fabs(r);
            }
            const double expected = activated(sum, c.epilogue);
            const double terms = c.inputs + 8, gamma = terms * u / (1 - terms * u);
            const double tolerance = 1.5 * gamma * size + 16 * u * std::fabs(expected);
            const float got = y[static_cast<std::size_t>(item) * c.outputs + n];
            bool good = std::isfinite(expected) ? std::fabs(got - expected) <= tolerance
                                                : std::isnan(expected) ? std::isnan(got) : static_cast<double>(got) == expected;
            if (!std::isfinite(size) && std::isfinite(expected)) good = static_cast<double>(got) == expected;  // clipped infinity
            if (reads_zeros && meets_special && std::isnan(got)) good = true;  // dense: 0 times infinity
            ++checks;
            if (!good && ++failures <= 20) {
                std::printf("FAIL %s N=%d K=%d items=%d density=%.3f special=%d activation=%d: y[%d][%d] = %.9g, expected %.9g +- %.3g\n",
                            kernel.c_str(), c.outputs, c.inputs, c.items, c.density, c.special, static_cast<int>(c.epilogue.activation), item,
                            n, static_cast<double>(got), expected, tolerance);
            }
        }
    }
}

void run_case(const Case& c, const FcKernels& isa, const FcKernel& kernel) {
    if (c.inputs > kernel.max_inputs) return;
    const Data d = make(c);
    const std::string name = std::string(isa.isa) + " " + kernel.name;
    const bool dense = kernel.format == FcFormat::DenseRow || kernel.format == FcFormat::DensePanel;
    const FcNonzeros nonzeros(d.weight.data(), c.outputs, c.inputs);
    const FcPacked packed(d.weight.data(), nonzeros, d.bias.empty() ? nullptr : d.bias.data(), kernel, isa.lanes);
    const FcWeights& w = packed.weights();
    for (const bool at_end : {false, true}) {
        Fenced x(d.x.size(), at_end), y(static_cast<std::size_t>(c.items) * c.outputs, at_end), r(d.residual.size(), at_end);
        std::memcpy(x.data(), d.x.data(), d.x.size() * 4);
        if (c.residual) std::memcpy(r.data(), d.residual.data(), d.residual.size() * 4);
        std::fill(y.data(), y.data() + static_cast<std::size_t>(c.items) * c.outputs, NAN);
        if (!kernel.panel) {
            for (std::int32_t item = 0; item < c.items; ++item) {
                const std::int32_t middle = w.units / 2;
                const float* residual = c.residual ? r.data() + item * c.outputs : nullptr;
                kernel.run(w, x.data() + item * c.inputs, residual, c.epilogue, y.data() + item * c.outputs, 0, middle);
                kernel.run(w, x.data() + item * c.inputs, residual, c.epilogue, y.data() + item * c.outputs, middle, w.units);
            }
        } else {
            const std::int32_t width = kernel.width;
            Fenced in(static_cast<std::size_t>(c.inputs) * width, at_end), out(static_cast<std::size_t>(c.outputs) * width, at_end);
            Fenced add(c.residual ? static_cast<std::size_t>(c.outputs) * width : 0, at_end);
            for (std::int32_t item = 0; item < c.items; item += width) {
                const std::int32_t count = std::min(width, c.items - item), middle = w.units / 2;
                isa.to_panel(x.data() + item * c.inputs, c.inputs, count, c.inputs, in.data(), width);
                if (c.residual) isa.to_panel(r.data() + item * c.outputs, c.outputs, count, c.outputs, add.data(), width);
                const float* residual = c.residual ? add.data() : nullptr;
                kernel.run(w, in.data(), residual, c.epilogue, out.data(), 0, middle);
                kernel.run(w, in.data(), residual, c.epilogue, out.data(), middle, w.units);
                isa.from_panel(out.data(), width, y.data() + item * c.outputs, c.outputs, count, c.outputs);
            }
        }
        compare(c, d, y.data(), name, dense);
    }
}

// A whole layer: formats as it chooses them, the residual sometimes in place.
void run_layer(const Case& c, const FcKernels& isa, bool many) {
    const Data d = make(c);
    const FcLayer layer(isa, d.weight.data(), d.bias.empty() ? nullptr : d.bias.data(), c.outputs, c.inputs, many);
    const bool panel_dense = many && layer.panel_kernel(isa.lanes)->format == FcFormat::DensePanel;
    const bool dense = layer.row_kernel().format == FcFormat::DenseRow || panel_dense;
    for (const bool at_end : {false, true}) {
        Fenced x(d.x.size(), at_end), y(static_cast<std::size_t>(c.items) * c.outputs, at_end);
        const std::size_t floats = layer.workspace_floats(c.items, c.residual);
        if (!many && floats != 0) ++failures, std::printf("FAIL workspace without panels: %zu\n", floats);
        Fenced workspace((floats + 15) / 16 * 16, at_end);  // aligned to 64 bytes
        std::memcpy(x.data(), d.x.data(), d.x.size() * 4);
        if (c.residual) std::memcpy(y.data(), d.residual.data(), d.residual.size() * 4);
        layer.run(x.data(), c.residual ? y.data() : nullptr, c.epilogue, y.data(), c.items, workspace.data());
        compare(c, d, y.data(), std::string(isa.isa) + " layer", dense);
    }
    if (!(layer.predict_us(c.items) > 0 && layer.predict_us(c.items) <= layer.predict_us(c.items + 1))) {
        ++failures, std::printf("FAIL prediction: %g us for %d items\n", layer.predict_us(c.items), c.items);
    }
}

Epilogue some_epilogue() {
    switch (random_source() % 6) {
        case 0: return {};
        case 1: return {Activation::Clip, 0, INFINITY, 0};
        case 2: return {Activation::Clip, -0.5F, 1.5F, 0};
        case 3: return {Activation::LeakyRelu, 0, 0, 0.1F};
        case 4: return {Activation::Sigmoid, 0, 0, 0};
        default: return {Activation::HardSwish, 0, 0, 0};
    }
}

void test_kernel(const FcKernels& isa, const FcKernel& kernel) {
    const double densities[] = {0, 0.02, 0.1, 0.3, 0.7, 1};
    auto some_size = [] { return static_cast<std::int32_t>(1 + random_source() % (random_source() % 3 == 0 ? 150 : 40)); };
    for (int i = 0; i < 120; ++i) {
        const std::int32_t items = 1 + static_cast<std::int32_t>(random_source() % (kernel.panel ? 2 * kernel.width : 3));
        run_case({some_size(), some_size(), items, densities[random_source() % 6], random_source() % 2 == 0, random_source() % 2 == 0,
                  some_epilogue(), static_cast<Case::Special>(random_source() % 4)},
                 isa, kernel);
    }
    for (const std::int32_t n : {1, 10, 64, 65, 300}) {
        for (const std::int32_t k : {1, 6, 7, 8, 15, 16, 17, 30, 31, 32, 33, 784}) {
            run_case({n, k, 1, 0.1, true, false, {}, Case::Plain}, isa, kernel);
            run_case({n, k, 2, 0, false, true, {Activation::Clip, 0, INFINITY, 0}, Case::NotFinite}, isa, kernel);
        }
    }
    if (kernel.format == FcFormat::Csr32) run_case({3, 70000, 1, 0.001, true, false, {}, Case::Plain}, isa, kernel);
}

void test_layers(const FcKernels& isa) {
    const double densities[] = {0, 0.05, 0.2, 0.6, 1};
    for (int i = 0; i < 150; ++i) {
        const auto size = [] { return static_cast<std::int32_t>(1 + random_source() % 120); };
        run_layer({size(), size(), size(), densities[random_source() % 5], random_source() % 2 == 0, random_source() % 2 == 0, some_epilogue(),
                   static_cast<Case::Special>(random_source() % 4)},
                  isa, i % 4 != 0);
    }
}

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
    const std::int32_t shapes[][2] = {{784, 300}, {300, 100}, {100, 10}, {640, 128}, {128, 640}, {512, 512}, {4096, 256}, {2048, 512}, {4096, 4096}};
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
                    const double pack_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
                    const FcWeights& w = packed.weights();
                    Fenced x(static_cast<std::size_t>(shape[0]) * kernel.width + 64, false);
                    Fenced y(static_cast<std::size_t>(shape[1]) * kernel.width + 64, false);
                    std::copy(d.x.begin(), d.x.begin() + shape[0] * kernel.width, x.data());
                    const Epilogue relu{Activation::Clip, 0, INFINITY, 0};
                    const double us = median_us([&] { kernel.run(w, x.data(), nullptr, relu, y.data(), 0, w.units); });
                    const double macs = static_cast<double>(nonzeros.values.size()) * kernel.width;
                    std::printf("%-8s %-18s K=%-5d N=%-5d density %.2f  %9.3f us %9.3f us/row %6.1f GMAC/s useful %6.0f kB %8ld steps, %.3f ns each, pack %.2f ms\n",
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
    const std::int32_t shapes[][2] = {{784, 300}, {300, 100}, {100, 10}, {640, 128}, {128, 128}, {128, 8}, {128, 640}, {512, 512}, {512, 10},
                                      {1024, 256}, {4096, 256}, {2048, 512}};
    for (const FcKernels* isa : present()) {
        if (!only_isa.empty() && only_isa != isa->isa) continue;
        for (const auto& shape : shapes) {
            for (const double density : densities) {
                const Data d = make({shape[1], shape[0], 128, density, true, false, {}, Case::Plain});
                const FcLayer layer(*isa, d.weight.data(), d.bias.data(), shape[1], shape[0], true);
                std::vector<float> x(d.x), y(static_cast<std::size_t>(128) * shape[1] + 64);
                x.resize(x.size() + 64);
                std::printf("%-8s K=%-5d N=%-5d density %.2f %-14s us predicted/measured:", isa->isa, shape[0], shape[1], density,
                            layer.row_kernel().name);
                for (const std::int32_t items : {1, 2, 3, 4, 5, 8, 16, 32, 64, 128}) {
                    Fenced workspace(layer.workspace_floats(items, false) + 64, false);
                    const Epilogue relu{Activation::Clip, 0, INFINITY, 0};
                    const double us = median_us([&] { layer.run(x.data(), nullptr, relu, y.data(), items, workspace.data()); });
                    std::printf("  %d%s %.2f/%.2f", items, layer.workspace_floats(items, false) > 0 ? "p" : "", layer.predict_us(items), us);
                }
                std::printf("\n");
                std::fflush(stdout);
            }
        }
    }
}

}  // namespace

int main(int count, char** arguments) {
    if (count > 1 && std::strcmp(arguments[1], "--bench") == 0) {
        std::vector<double> densities;
        for (int i = 4; i < count; ++i) densities.push_back(std::atof(arguments[i]));
        if (densities.empty()) densities = {0.2, 0.1, 0.05, 0.02};
        const bool layers = count > 2 && std::strcmp(arguments[2], "layers") == 0;
        (layers ? bench_layers : bench)(count > 3 ? arguments[3] : "", densities);
        return 0;
    }
    for (const FcKernels* isa : present()) {
        for (int i = 0; i < isa->count; ++i) {
            const int before = failures;
            test_kernel(*isa, isa->kernels[i]);
            std::printf("%s %s %s\n", failures == before ? "ok  " : "FAIL", isa->isa, isa->kernels[i].name);
        }
    }
    for (const FcKernels* isa : present()) {
        const int before = failures;
        test_layers(*isa);
        std::printf("%s %s layers\n", failures == before ? "ok  " : "FAIL", isa->isa);
    }
    std::printf("%d values compared, %d failed\n", checks, failures);
    return failures == 0 ? 0 : 1;
}
