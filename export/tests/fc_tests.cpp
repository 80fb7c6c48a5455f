// Every fully connected kernel against double-precision sums, on buffers fenced by pages that may not be touched.
//
//   fc_tests [COUNT]     random layers a kernel, beside those of chosen sizes; exit status 1 if a value was wrong

#include <cstring>
#include <string>

#include "epilogues.h"
#include "fc_cases.h"

using namespace edgeticket;

namespace {

int failures = 0, checks = 0;

// Sums of n terms in any order are off by at most gamma_n = n u / (1 - n u) times the sum of the terms' sizes (Higham,
// Accuracy and Stability, section 3.1). An activation makes that as much larger as it is steep, and rounds a few times:
// 16 u of the result.
void compare(const Case& c, const Data& d, const float* y, const std::string& kernel, bool reads_zeros) {
    const double u = std::ldexp(1.0, -24);
    for (std::int32_t item = 0; item < c.items; ++item) {
        for (std::int32_t n = 0; n < c.outputs; ++n) {
            double sum = d.bias.empty() ? 0 : d.bias[n], size = std::fabs(sum);
            bool meets_special = false;
            for (std::int32_t k = 0; k < c.inputs; ++k) {
                const float w = d.weight[static_cast<std::size_t>(n) * c.inputs + k],
                            x = d.x[static_cast<std::size_t>(item) * c.inputs + k];
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
            const double tolerance = slope(c.epilogue) * gamma * size + 16 * u * std::fabs(expected);
            const float got = y[static_cast<std::size_t>(item) * c.outputs + n];
            bool good = std::isfinite(expected) ? std::fabs(got - expected) <= tolerance
                        : std::isnan(expected)  ? std::isnan(got)
                                                : static_cast<double>(got) == expected;
            if (!std::isfinite(size) && std::isfinite(expected))
                good = static_cast<double>(got) == expected;                   // clipped infinity
            if (reads_zeros && meets_special && std::isnan(got)) good = true;  // dense: 0 times infinity
            ++checks;
            if (!good && ++failures <= 20) {
                std::printf(
                    "FAIL %s N=%d K=%d items=%d density=%.3f special=%d activation=%d: y[%d][%d] = %.9g, expected %.9g "
                    "+- %.3g\n",
                    kernel.c_str(), c.outputs, c.inputs, c.items, c.density, c.special,
                    static_cast<int>(c.epilogue.activation), item, n, static_cast<double>(got), expected, tolerance);
            }
        }
    }
}

// Packed weights, written out by their counts alone: a plan is data, so a copy of its arrays computes the same.
class WrittenOut {
   public:
    explicit WrittenOut(const FcWeights& packed)
        : weights_(packed),
          bias_(packed.bias, packed.counts.bias),
          order_(packed.order, packed.counts.order),
          values_(packed.values, packed.counts.values),
          groups_(packed.groups, packed.counts.groups),
          starts_(packed.starts, packed.counts.starts),
          indices_(packed.indices, packed.counts.indices),
          row_begin_(packed.row_begin, packed.counts.row_begin),
          columns_(static_cast<const char*>(packed.columns),
                   packed.counts.columns * (packed.format == FcFormat::Csr16 ? 2 : 4)) {
        bias_.put(weights_.bias), order_.put(weights_.order), values_.put(weights_.values);
        groups_.put(weights_.groups), starts_.put(weights_.starts), indices_.put(weights_.indices);
        row_begin_.put(weights_.row_begin);
        if (weights_.columns != nullptr) weights_.columns = columns_.fenced.data();
    }
    const FcWeights& weights() const { return weights_; }

   private:
    template <class T>
    struct Copy {
        FencedArray<T> fenced;
        Copy(const T* from, std::size_t count) : fenced(count, false) {
            if (count != 0) std::memcpy(fenced.data(), from, count * sizeof(T));
        }
        void put(const T*& array) {
            if (array != nullptr) array = fenced.data();  // null is said to the kernel, and stays
        }
    };
    FcWeights weights_;
    Copy<float> bias_;
    Copy<std::int32_t> order_;
    Copy<float> values_;
    Copy<FcGroup> groups_;
    Copy<std::int32_t> starts_;
    Copy<std::uint32_t> indices_;
    Copy<std::int64_t> row_begin_;
    Copy<char> columns_;
};

void run_case(const Case& c, const FcKernels& isa, const FcKernel& kernel) {
    if (c.inputs > kernel.max_inputs) return;
    const Data d = make(c);
    const std::string name = std::string(isa.isa) + " " + kernel.name;
    const bool dense = kernel.format == FcFormat::DenseRow || kernel.format == FcFormat::DensePanel;
    const FcNonzeros nonzeros(d.weight.data(), c.outputs, c.inputs);
    const FcPacked packed(d.weight.data(), nonzeros, d.bias.empty() ? nullptr : d.bias.data(), kernel, isa.lanes);
    const WrittenOut copy(packed.weights());
    for (const bool at_end : {false, true}) {
        const FcWeights& w = at_end ? copy.weights() : packed.weights();
        Fenced x(d.x.size(), at_end), y(static_cast<std::size_t>(c.items) * c.outputs, at_end),
            r(d.residual.size(), at_end);
        std::memcpy(x.data(), d.x.data(), d.x.size() * 4);
        if (c.residual) std::memcpy(r.data(), d.residual.data(), d.residual.size() * 4);
        std::fill(y.data(), y.data() + static_cast<std::size_t>(c.items) * c.outputs, NAN);
        if (!kernel.panel) {
            for (std::int32_t item = 0; item < c.items; ++item) {
                const std::int32_t middle = w.units / 2;
                const float* residual = c.residual ? r.data() + item * c.outputs : nullptr;
                kernel.run(w, x.data() + item * c.inputs, residual, c.epilogue, y.data() + item * c.outputs, 0, middle);
                kernel.run(w, x.data() + item * c.inputs, residual, c.epilogue, y.data() + item * c.outputs, middle,
                           w.units);
            }
        } else {
            const std::int32_t width = kernel.width;
            Fenced in(static_cast<std::size_t>(c.inputs) * width, at_end),
                out(static_cast<std::size_t>(c.outputs) * width, at_end);
            Fenced add(c.residual ? static_cast<std::size_t>(c.outputs) * width : 0, at_end);
            for (std::int32_t item = 0; item < c.items; item += width) {
                const std::int32_t count = std::min(width, c.items - item), middle = w.units / 2;
                isa.to_panel(x.data() + item * c.inputs, c.inputs, count, c.inputs, in.data(), width);
                if (c.residual)
                    isa.to_panel(r.data() + item * c.outputs, c.outputs, count, c.outputs, add.data(), width);
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

Epilogue some_epilogue() { return epilogues()[random_source() % epilogues().size()]; }

void test_kernel(const FcKernels& isa, const FcKernel& kernel, int count) {
    const double densities[] = {0, 0.02, 0.1, 0.3, 0.7, 1};
    auto some_size = [] {
        return static_cast<std::int32_t>(1 + random_source() % (random_source() % 3 == 0 ? 150 : 40));
    };
    for (int i = 0; i < count; ++i) {
        const std::int32_t items =
            1 + static_cast<std::int32_t>(random_source() % (kernel.panel ? 2 * kernel.width : 3));
        run_case({some_size(), some_size(), items, densities[random_source() % 6], random_source() % 2 == 0,
                  random_source() % 2 == 0, some_epilogue(), static_cast<Case::Special>(random_source() % 4)},
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

void test_layers(const FcKernels& isa, int count) {
    const double densities[] = {0, 0.05, 0.2, 0.6, 1};
    for (int i = 0; i < count; ++i) {
        const auto size = [] { return static_cast<std::int32_t>(1 + random_source() % 120); };
        run_layer({size(), size(), size(), densities[random_source() % 5], random_source() % 2 == 0,
                   random_source() % 2 == 0, some_epilogue(), static_cast<Case::Special>(random_source() % 4)},
                  isa, i % 4 != 0);
    }
}

}  // namespace

int main(int argc, char** argv) {
    const int count = argc > 1 ? std::atoi(argv[1]) : 120;
    for (const FcKernels* isa : present()) {
        for (int i = 0; i < isa->count; ++i) {
            const int before = failures;
            test_kernel(*isa, isa->kernels[i], count);
            std::printf("%s %s %s\n", failures == before ? "ok  " : "FAIL", isa->isa, isa->kernels[i].name);
        }
    }
    for (const FcKernels* isa : present()) {
        const int before = failures;
        test_layers(*isa, count);
        std::printf("%s %s layers\n", failures == before ? "ok  " : "FAIL", isa->isa);
    }
    std::printf("%d values compared, %d failed\n", checks, failures);
    return failures == 0 ? 0 : 1;
}
