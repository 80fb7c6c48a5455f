// Computes a convolution over one tile of a lane-blocked map.
//
// For each output channel, the tile's vectors are accumulators; each nonzero weight is broadcast once and multiplied
// with the tile shifted by that weight's tap. A tile of few vectors would wait for its own additions, so it sums
// entries in turns in several sets.
#include "maps.h"
#include "simd/activation.h"

namespace edgeticket::ISA_NS {
namespace {

ET_INLINE void write_halos(float* plane, const Halos& halos) {
    for (std::size_t i = 0; i < halos.count; ++i) {
        const Halo& halo = halos.entries[i];
        const std::size_t step = std::size_t{halo.step} * VL;
        float* to = plane + std::size_t{halo.to} * VL;
        if (halo.permutation == NO_LANE) {
            for (int n = halo.count; n > 0; --n, to += step) store(to, V{});
            continue;
        }
        const Lanes lanes(halos.lanes + std::size_t{halo.permutation} * VL);
        const float* from = plane + std::size_t{halo.from} * VL;
        for (int n = halo.count; n > 0; --n, to += step, from += step) store(to, permute(load(from), lanes));
    }
}

ET_INLINE V masked(V v, const std::int32_t* mask) {
    Vi keep;
    std::memcpy(&keep, mask, sizeof keep);
    return (V)((Vi)v & keep);
}

// Applies activations that need more registers than a tile leaves, to a tile that has been stored.
__attribute__((noinline)) void activate_stored(const ConvTask& task, float* out, int rows, int columns) {
    for (int r = 0; r < rows; ++r)
        for (int c = 0; c < columns; ++c) {
            float* const at = out + r * task.out_pitch + c * VL;
            const V v = activate(load(at), task.epilogue);
            store(at, task.masks ? masked(v, task.masks + (r * columns + c) * VL) : v);
        }
}

// Ends the sums of one channel: they are put aside, or go through residual, activation and mask to be stored, with
// their halos.
template <int Rows, int Columns>
ET_INLINE void finish(const ConvTask& task, int channel, V (&sums)[Rows][Columns], V low, V high) {
    float* const plane = task.out + channel * task.out_plane;
    float* const out = plane + task.out_tile;
    const bool clips = task.epilogue.activation == Activation::Clip;
    if (task.ends) {
        if (task.residual) {
            const float* const residual = task.residual + channel * task.residual_plane + task.residual_tile;
            for (int r = 0; r < Rows; ++r)
                for (int c = 0; c < Columns; ++c) sums[r][c] += load(residual + r * task.residual_pitch + c * VL);
        }
        if (clips)
            for (int r = 0; r < Rows; ++r)
                for (int c = 0; c < Columns; ++c) sums[r][c] = clip(sums[r][c], low, high);
        if (task.masks)
            for (int r = 0; r < Rows; ++r)
                for (int c = 0; c < Columns; ++c) sums[r][c] = masked(sums[r][c], task.masks + (r * Columns + c) * VL);
    }
    for (int r = 0; r < Rows; ++r)
        for (int c = 0; c < Columns; ++c) store(out + r * task.out_pitch + c * VL, sums[r][c]);
    if (!task.ends) return;
    if (task.epilogue.activation != Activation::None && !clips) activate_stored(task, out, Rows, Columns);
    write_halos(plane, task.halos);
}

template <int Rows, int Columns>
ET_INLINE void begin(const ConvTask& task, int channel, V (&sums)[Rows][Columns]) {
    const float* const out = task.out + channel * task.out_plane + task.out_tile;
    const V bias = splat(task.begins && task.bias ? task.bias[channel] : 0.0F);
    for (int r = 0; r < Rows; ++r)
        for (int c = 0; c < Columns; ++c) sums[r][c] = task.begins ? bias : load(out + r * task.out_pitch + c * VL);
}

template <int Rows, int Columns, int Stride>
void conv(const ConvTask& task) {
    constexpr int tile = Rows * Columns;
    constexpr int together = tile <= 4 ? 8 : 4;  // entries; one load brings four taps, and loads are the bottleneck
    constexpr int sets = tile > 4 ? 1 : tile > 2 ? 2 : 4;
    const std::ptrdiff_t in_pitch = task.in_pitch;
    const std::ptrdiff_t step = Stride > 0 ? Stride * VL : task.in_step;
    const float* const in = task.in;
    const std::uint16_t* const offsets = task.offsets;
    const float* const weights = task.weights;
    const V low = splat(task.epilogue.low), high = splat(task.epilogue.high);
    ChannelRun now = task.runs[task.first];
    std::size_t k = now.begin;
    for (int run = task.first; run < task.last; ++run) {
        const ChannelRun next = task.runs[run + 1];  // read before a branch that may be mispredicted
        const int channel = static_cast<int>(now.channel);
        now = next;
        V sums[sets][Rows][Columns];
        begin<Rows, Columns>(task, channel, sums[0]);
        for (int s = 1; s < sets; ++s)
            for (int r = 0; r < Rows; ++r)
                for (int c = 0; c < Columns; ++c) sums[s][r][c] = V{};
        const std::size_t end = next.begin;
        for (; k + together <= end; k += together) {
            std::uint64_t four[together / 4];
            std::memcpy(&four, offsets + k, sizeof four);
#pragma GCC unroll 8
            for (int i = 0; i < together; ++i) {
                const float* const from = in + static_cast<std::ptrdiff_t>(four[i / 4] >> (16 * (i % 4)) & 0xFFFF) * VL;
                const V weight = splat(weights[k + static_cast<std::size_t>(i)]);
#pragma GCC unroll 16
                for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 16
                    for (int c = 0; c < Columns; ++c)
                        sums[i % sets][r][c] += weight * load(from + r * in_pitch + c * step);
            }
        }
        for (; k < end; ++k) {
            const float* const from = in + std::ptrdiff_t{offsets[k]} * VL;
            const V weight = splat(weights[k]);
#pragma GCC unroll 16
            for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 16
                for (int c = 0; c < Columns; ++c) sums[0][r][c] += weight * load(from + r * in_pitch + c * step);
        }
        for (int s = 1; s < sets; ++s)
            for (int r = 0; r < Rows; ++r)
                for (int c = 0; c < Columns; ++c) sums[0][r][c] += sums[s][r][c];
        finish<Rows, Columns>(task, channel, sums[0], low, high);
    }
}

// Every channel has every tap, so that what is loaded serves DENSE_OUTPUTS channels.
template <int Rows, int Columns, int Stride>
void conv_dense(const ConvTask& task) {
    constexpr int outputs = DENSE_OUTPUTS;
    const std::ptrdiff_t in_pitch = task.in_pitch;
    const std::ptrdiff_t step = Stride > 0 ? Stride * VL : task.in_step;
    const V low = splat(task.epilogue.low), high = splat(task.epilogue.high);
    for (int channel = task.first; channel < task.last; channel += outputs) {
        const float* weights = task.weights + static_cast<std::size_t>(channel) * task.taps;
        V sums[outputs][Rows][Columns];
        for (int o = 0; o < outputs; ++o) begin<Rows, Columns>(task, channel + o, sums[o]);
        for (std::size_t k = 0; k < task.taps; ++k, weights += outputs) {
            const float* const from = task.in + std::ptrdiff_t{task.offsets[k]} * VL;
            V taps[Rows][Columns];
#pragma GCC unroll 6
            for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 6
                for (int c = 0; c < Columns; ++c) taps[r][c] = load(from + r * in_pitch + c * step);
#pragma GCC unroll 4
            for (int o = 0; o < outputs; ++o) {
                const V weight = splat(weights[o]);
#pragma GCC unroll 6
                for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 6
                    for (int c = 0; c < Columns; ++c) sums[o][r][c] += weight * taps[r][c];
            }
        }
        for (int o = 0; o < outputs; ++o) finish<Rows, Columns>(task, channel + o, sums[o], low, high);
    }
}

void point(const PointTask& task) {
    for (int channel = task.first; channel < task.last; ++channel) {
        const float* const a = task.a + channel * task.a_plane + task.a_inside;
        const float* const b = task.b ? task.b + channel * task.b_plane + task.b_inside : nullptr;
        const float* const constant =
            task.constant ? task.constant + std::ptrdiff_t{channel} * task.rows * task.columns * VL : nullptr;
        float* const plane = task.out + channel * task.out_plane;
        for (int r = 0; r < task.rows; ++r)
            for (int c = 0; c < task.columns; ++c) {
                const std::ptrdiff_t inside = (std::ptrdiff_t{r} * task.columns + c) * VL;
                V v = load(a + r * task.a_pitch + c * VL);
                if (b) v += load(b + r * task.b_pitch + c * VL);
                if (constant) v += load_unaligned(constant + inside);
                v = activate(v, task.epilogue);
                if (task.masks) v = masked(v, task.masks + inside);
                store(plane + task.out_inside + r * task.out_pitch + c * VL, v);
            }
        write_halos(plane, task.halos);
    }
}

void pool(const PoolTask& task) {
    for (int channel = task.first; channel < task.last; ++channel) {
        const float* const in = task.in + channel * task.in_plane;
        float* const plane = task.out + channel * task.out_plane;
        for (int r = 0; r < task.rows; ++r)
            for (int c = 0; c < task.columns; ++c) {
                const float* const from = in + r * task.in_pitch + c * task.in_step;
                const std::ptrdiff_t inside = (std::ptrdiff_t{r} * task.columns + c) * VL;
                V v = load(from + std::size_t{task.taps[0]} * VL);
                for (int t = 1; t < task.tap_count; ++t) {
                    const V tap = load(from + std::size_t{task.taps[t]} * VL);
                    v = task.average ? v + tap : max(v, tap);
                }
                if (task.average) v *= task.scales ? load_unaligned(task.scales + inside) : splat(task.scale);
                if (task.masks) v = masked(v, task.masks + inside);
                store(plane + task.out_inside + r * task.out_pitch + c * VL, v);
            }
        write_halos(plane, task.halos);
    }
}

void mean(const MeanTask& task) {
    for (int channel = task.first; channel < task.last; ++channel) {
        const float* const in = task.in + channel * task.in_plane + task.in_inside;
        V sum{};
        for (int r = 0; r < task.rows; ++r)
            for (int c = 0; c < task.columns; ++c) {
                V v = load(in + r * task.in_pitch + c * VL);
                if (task.masks) v = masked(v, task.masks + (std::ptrdiff_t{r} * task.columns + c) * VL);
                sum += v;
            }
        float total = 0;
        for (int i = 0; i < VL; ++i) total += sum[i];
        task.out[channel] = total * task.scale;
    }
}

void move(const MoveTask& task) {
    const std::size_t whole = task.count / VL * VL;
    for (int channel = task.first; channel < task.last; ++channel) {
        const float* const from = task.from + channel * task.from_plane;
        float* const to = task.to + channel * task.to_plane;
        for (std::size_t i = 0; i < whole; i += VL) store_unaligned(to + i, gather(from, task.lanes + i, task.fill));
        for (std::size_t i = whole; i < task.count; ++i) to[i] = task.lanes[i] < 0 ? task.fill : from[task.lanes[i]];
    }
}

void flat(const float* a, const float* b, float* y, std::size_t count, const Epilogue& epilogue) {
    for (std::size_t i = 0; i < count; i += VL) {
        const int n = count - i < VL ? static_cast<int>(count - i) : VL;
        V v = n == VL ? load_unaligned(a + i) : load_first(a + i, n);
        if (b) v += n == VL ? load_unaligned(b + i) : load_first(b + i, n);
        v = activate(v, epilogue);
        if (n == VL) store_unaligned(y + i, v);
        else store_first(y + i, v, n);
    }
}

#define ET_TEXT2(x) #x
#define ET_TEXT(x) ET_TEXT2(x)
#define ET_TILE(prefix, format, loop, R, C, stride, suffix) \
    {prefix ET_TEXT(ISA_NS) "_" #R "x" #C suffix, format, R, C, stride, loop<R, C, stride>}
#define ET_TILES(prefix, format, loop, R, C)                                                      \
    ET_TILE(prefix, format, loop, R, C, 1, "_s1"), ET_TILE(prefix, format, loop, R, C, 2, "_s2"), \
        ET_TILE(prefix, format, loop, R, C, 0, "_sn")
#define ROW(R, C) ET_TILES("conv_", ConvFormat::Unstructured, conv, R, C)
#define DENSE(R, C) ET_TILES("conv_dense_", ConvFormat::Dense, conv_dense, R, C)

// The table of convolution kernels: what is planned, tested and benchmarked are its rows.
const ConvKernel convs[] = {
    ROW(1, 1),   ROW(2, 1),   ROW(3, 1),   ROW(4, 1),   ROW(5, 1),   ROW(6, 1),   ROW(7, 1),   ROW(8, 1),
    ROW(1, 2),   ROW(2, 2),   ROW(3, 2),   ROW(4, 2),   ROW(1, 3),   ROW(2, 3),   ROW(1, 4),   ROW(2, 4),
    ROW(1, 5),   ROW(1, 6),   ROW(1, 7),   ROW(1, 8),   DENSE(1, 1), DENSE(2, 1), DENSE(1, 2),
#if defined(__AVX512F__) || defined(__aarch64__)  // 32 registers: more sums
    ROW(2, 5),   DENSE(3, 1), DENSE(4, 1), DENSE(5, 1), DENSE(6, 1), DENSE(2, 2), DENSE(3, 2), DENSE(1, 3),
    DENSE(2, 3), DENSE(1, 4), DENSE(1, 5), DENSE(1, 6),
#endif
};

}  // namespace

extern const MapKernels map_kernels;  // declared in isa/isa.h for everyone else
const MapKernels map_kernels = {
    ET_TEXT(ISA_NS), VL, convs, sizeof convs / sizeof convs[0], point, pool, mean, move, flat};

}  // namespace edgeticket::ISA_NS
