#include "map_steps.h"

#include <utility>

#include "engine/region/index.h"

namespace edgeticket {
namespace {

// Cycles.
constexpr double kMove = 12;       // a vector gathered
constexpr double kPoint = 4;       // a vector through an element-wise pass
constexpr double kHalo = 3;        // a vector of a halo
constexpr double kPooled = 2;      // a pooled vector, beside one for each tap
constexpr double kMeanPlane = 12;  // a plane's mean, beside one for each vector
constexpr double kFlat = 3;        // a vector of row-major values

double inside(const Layout& layout) { return static_cast<double>(layout.block[0] * layout.block[1]); }
double halos(const WrittenLayout& out) { return static_cast<double>(out.halos.entries.size()); }

template <class Work>
Step step(const MapKernels* kernels, const char* kernel, std::int64_t count, double cycles, std::size_t bytes,
          Work work) {
    return {-1, kernel, kernels, -1, -1, -1, count, cycles, bytes, std::move(work)};
}

// A row-major constant in the order of the inside of a layout, 0 where that has no pixel.
std::vector<float> constant_of(const std::vector<float>& constant, const Layout& out, std::int64_t channels) {
    std::vector<float> result;
    if (constant.empty()) return result;
    Layout bare = out;
    for (int d = 0; d < 2; ++d) bare.before[d] = bare.after[d] = 0;
    const std::vector<std::int32_t> places = from_row_major(bare);
    const std::int64_t vectors = bare.block[0] * bare.block[1] * bare.lanes(), plane = bare.size[0] * bare.size[1];
    result.resize(static_cast<std::size_t>(channels * vectors), 0.0F);
    for (std::int64_t c = 0; c < channels; ++c)
        for (std::int64_t i = 0; i < vectors; ++i)
            if (at(places, i) >= 0) at(result, c * vectors + i) = at(constant, c * plane + at(places, i));
    return result;
}

// One over how many taps of each output lie in the image (or, counting them, in its padding).
std::vector<float> scales_of(const Node& pool, const Layout& in, const Layout& out) {
    const Window& w = pool.window;
    std::vector<float> scales;
    for (std::int64_t i = 0; i < out.block[0]; ++i)
        for (std::int64_t j = 0; j < out.block[1]; ++j)
            for (std::int64_t lane = 0; lane < out.lanes(); ++lane) {
                const std::int64_t pixel[2] = {lane / out.grid[1] * out.block[0] + i,
                                               lane % out.grid[1] * out.block[1] + j};
                std::int64_t count = 1;
                for (int d = 0; d < 2; ++d) {
                    const std::int64_t low = pool.count_include_pad ? -w.pad_begin[d] : 0;
                    const std::int64_t high = in.size[d] + (pool.count_include_pad ? w.pad_end[d] : 0);
                    std::int64_t counted = 0;
                    for (std::int64_t k = 0; k < w.kernel[d]; ++k) {
                        const std::int64_t place = pixel[d] * w.stride[d] + k * w.dilation[d] - w.pad_begin[d];
                        counted += place >= low && place < high;
                    }
                    count *= counted;
                }
                scales.push_back(count > 0 ? 1.0F / static_cast<float>(count) : 0.0F);
            }
    return scales;
}

}  // namespace

Step move_step(const MapKernels& kernels, std::int64_t channels, std::vector<std::int32_t> lanes,
               std::size_t from_plane, std::size_t to_plane, float fill) {
    const double cycles = static_cast<double>(channels) * static_cast<double>(lanes.size()) / kernels.lanes * kMove;
    const std::size_t bytes = lanes.size() * sizeof(std::int32_t);
    return step(&kernels, "move", channels, cycles, bytes, MoveStep{std::move(lanes), from_plane, to_plane, fill});
}

Step point_step(const MapKernels& kernels, const Layout& in, const Layout& other, const Layout& out,
                std::int64_t channels, const std::vector<float>& constant, const Epilogue& epilogue) {
    PointStep work{in, other, WrittenLayout(out), constant_of(constant, out, channels), epilogue};
    const double cycles = static_cast<double>(channels) * (kPoint * inside(out) + kHalo * halos(work.out));
    const std::size_t bytes = work.out.bytes() + work.constant.size() * sizeof(float);
    return step(&kernels, "point", channels, cycles, bytes, std::move(work));
}

Step pool_step(const MapKernels& kernels, const Node& pool, const Layout& in, const Layout& out,
               std::int64_t channels) {
    const Window& w = pool.window;
    const bool average = pool.op == Op::AveragePool;
    PoolStep work{in, WrittenLayout(out), {w.stride[0], w.stride[1]}, average, {}, {}};
    for (std::int64_t y = 0; y < w.kernel[0]; ++y)
        for (std::int64_t x = 0; x < w.kernel[1]; ++x) {
            const std::int64_t row = in.before[0] + y * w.dilation[0] - w.pad_begin[0];
            const std::int64_t column = in.before[1] + x * w.dilation[1] - w.pad_begin[1];
            work.taps.push_back(static_cast<std::uint32_t>(row * in.pitch() + column));
        }
    if (average) work.scales = scales_of(pool, in, out);
    const double taps = static_cast<double>(work.taps.size());
    const double cycles = static_cast<double>(channels) * ((kPooled + taps) * inside(out) + kHalo * halos(work.out));
    const std::size_t bytes =
        work.out.bytes() + work.taps.size() * sizeof(std::uint32_t) + work.scales.size() * sizeof(float);
    return step(&kernels, average ? "average_pool" : "max_pool", channels, cycles, bytes, std::move(work));
}

Step mean_step(const MapKernels& kernels, const Layout& in, std::int64_t channels) {
    MeanStep work{in, masks(in)};
    const double cycles = static_cast<double>(channels) * (inside(in) + kMeanPlane);
    const std::size_t bytes = work.masks.size() * sizeof(std::int32_t);
    return step(&kernels, "mean", channels, cycles, bytes, std::move(work));
}

Step flat_step(const MapKernels& kernels, std::int64_t elements, std::vector<float> constant,
               const Epilogue& epilogue) {
    const std::size_t bytes = constant.size() * sizeof(float);
    const double cycles = static_cast<double>(elements) / kernels.lanes * kFlat;
    return step(&kernels, "flat", elements, cycles, bytes, FlatStep{std::move(constant), epilogue});
}

Step product_step(const FcKernels& kernels, const Node& fc, std::int32_t inputs, std::int32_t outputs,
                  const Epilogue& epilogue) {
    const float* const bias = fc.bias.empty() ? nullptr : fc.bias.data();
    ProductStep work{FcLayer(kernels, fc.weight.data(), bias, outputs, inputs, false), epilogue};
    const double macs_a_cycle = 2.0 * kernels.lanes;  // at the peak: two vector multiply-accumulates
    const double cycles = work.layer.predict_us(1) * 1e3 * kernels.peak_gmacs / macs_a_cycle;
    const char* const name = work.layer.row_kernel().name;
    const std::size_t bytes = work.layer.packed_bytes();
    const std::int32_t units = work.layer.row_units();
    return step(nullptr, name, units, cycles, bytes, std::move(work));
}

}  // namespace edgeticket
