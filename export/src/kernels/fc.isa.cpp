// Fully connected kernels, once per instruction set: see fc.h for what they compute and fc_pack.cpp for what they read.
#include "fc.h"

#include "../simd/activation.h"
#include "../simd/fc_vec.h"

namespace edgeticket::ISA_NS {
namespace {

// A register of finished sums to the outputs [row, row + VL) of stored order, those below `outputs`.
ET_INLINE void finish(const FcWeights& w, V sum, std::int32_t row, const float* residual, const Epilogue& epilogue, float* y) {
    const int count = w.outputs - row < VL ? w.outputs - row : VL;
    if (w.order == nullptr) {
        if (residual != nullptr) sum += load_part(residual + row, count);
        store_part(y + row, activate(sum, epilogue), count);
        return;
    }
    const std::int32_t* order = w.order + row;
    alignas(64) float lanes[VL];  // aligned: a store that splits a cache line is not forwarded to the loads below
    if (residual != nullptr) {
        for (int i = 0; i < count; ++i) lanes[i] = residual[order[i]];
        for (int i = count; i < VL; ++i) lanes[i] = 0;
        sum += load(lanes);
    }
    store(lanes, activate(sum, epilogue));
    if (count == VL) {
#pragma GCC unroll 16
        for (int i = 0; i < VL; ++i) y[order[i]] = lanes[i];
    } else {
        for (int i = 0; i < count; ++i) y[order[i]] = lanes[i];
    }
}

#if defined(__AVX512F__) || defined(__AVX2__) || defined(__aarch64__)

ET_INLINE Vi load_indices(const std::uint32_t* p) {
    Vi v;
    std::memcpy(&v, p, sizeof v);
    return v;
}

template <class Window, int SETS>
void window_group(const FcWeights& w, const FcGroup& group, const float* x, const float* residual, const Epilogue& epilogue, float* y) {
    constexpr int WORD = 32 / Window::BITS;
    const float* values = w.values + group.first_value;
    const std::uint32_t* indices = w.indices + group.first_index;
    const std::int32_t* starts = w.starts + group.first_step;
    V even[SETS], odd[SETS];  // two chains of additions: one is bound by the latency of an FMA
    for (int s = 0; s < SETS; ++s) {
        even[s] = load(w.bias + group.first_row + s * VL);
        odd[s] = V{};
    }
    std::int32_t left = group.steps;
    for (; left >= WORD; left -= WORD) {
        Vi index[SETS];
        for (int s = 0; s < SETS; ++s) index[s] = load_indices(indices + s * VL);
#pragma GCC unroll 16
        for (int i = 0; i < WORD; ++i) {
            const Window window(x + starts[i]);
#pragma GCC unroll 4
            for (int s = 0; s < SETS; ++s) {
                V& sum = (i & 1) == 0 ? even[s] : odd[s];
                sum += load(values + (i * SETS + s) * VL) * window.pick(index[s] >> (i * Window::BITS));
            }
        }
        values += WORD * SETS * VL, indices += SETS * VL, starts += WORD;
    }
    if (left > 0) {
        Vi index[SETS];
        for (int s = 0; s < SETS; ++s) index[s] = load_indices(indices + s * VL);
        do {
            const Window window(x + *starts++);
            for (int s = 0; s < SETS; ++s) {
                even[s] += load(values + s * VL) * window.pick(index[s]);
                index[s] >>= Window::BITS;
            }
            values += SETS * VL;
        } while (--left > 0);
    }
    for (int s = 0; s < SETS; ++s) finish(w, even[s] + odd[s], group.first_row + s * VL, residual, epilogue, y);
}

template <class Window>
void window_row(const FcWeights& w, const float* x, const float* residual, const Epilogue& epilogue, float* y, std::int32_t first,
                std::int32_t last) {
    float copy[Window::FLOATS] = {};
    if (w.inputs < Window::COLUMNS) {
        for (std::int32_t i = 0; i < w.inputs; ++i) copy[i] = x[i];
        x = copy;
    }
    for (std::int32_t unit = first; unit < last; ++unit) {
        const FcGroup& group = w.groups[unit];
        switch (group.sets) {
            case 1: window_group<Window, 1>(w, group, x, residual, epilogue, y); break;
            case 2: window_group<Window, 2>(w, group, x, residual, epilogue, y); break;
            default: window_group<Window, 4>(w, group, x, residual, epilogue, y); break;
        }
    }
}
#endif

// One output after another, VL of them finished together; `first` and `last` count such blocks.
template <class Column>
void csr_row(const FcWeights& w, const float* x, const float* residual, const Epilogue& epilogue, float* y, std::int32_t first,
             std::int32_t last) {
    const Column* columns = static_cast<const Column*>(w.columns);
    for (std::int32_t block = first; block < last; ++block) {
        const std::int32_t begin = block * VL, end = begin + VL < w.outputs ? begin + VL : w.outputs;
        alignas(64) float sums[VL] = {};
        for (std::int32_t row = begin; row < end; ++row) {
            const std::int64_t stop = w.row_begin[row + 1];
            std::int64_t i = w.row_begin[row];
            float a = w.bias[row], b = 0, c = 0, d = 0;
            for (; i + 4 <= stop; i += 4) {
                a += w.values[i] * x[columns[i]];
                b += w.values[i + 1] * x[columns[i + 1]];
                c += w.values[i + 2] * x[columns[i + 2]];
                d += w.values[i + 3] * x[columns[i + 3]];
                ET_SCALAR(a); ET_SCALAR(b); ET_SCALAR(c); ET_SCALAR(d);
            }
            for (; i < stop; ++i) a += w.values[i] * x[columns[i]];
            sums[row - begin] = (a + b) + (c + d);
        }
        finish(w, load(sums), begin, residual, epilogue, y);
    }
}

template <int SETS>
ET_INLINE void dense_block(const FcWeights& w, std::int32_t block, const float* x, const float* residual, const Epilogue& epilogue, float* y) {
    const std::int64_t stride = static_cast<std::int64_t>(w.inputs) * VL;
    const float* values = w.values + block * stride;
    V even[SETS], odd[SETS];
    for (int s = 0; s < SETS; ++s) {
        even[s] = load(w.bias + (block + s) * VL);
        odd[s] = V{};
    }
    std::int32_t k = 0;
    for (; k + 2 <= w.inputs; k += 2) {
        const V a = broadcast(x[k]), b = broadcast(x[k + 1]);
        for (int s = 0; s < SETS; ++s) {
            even[s] += load(values + s * stride + k * VL) * a;
            odd[s] += load(values + s * stride + (k + 1) * VL) * b;
        }
    }
    for (; k < w.inputs; ++k) {
        for (int s = 0; s < SETS; ++s) even[s] += load(values + s * stride + k * VL) * broadcast(x[k]);
    }
    for (int s = 0; s < SETS; ++s) finish(w, even[s] + odd[s], (block + s) * VL, residual, epilogue, y);
}

void dense_row(const FcWeights& w, const float* x, const float* residual, const Epilogue& epilogue, float* y, std::int32_t first,
               std::int32_t last) {
    std::int32_t block = first;
    for (; block + 4 <= last; block += 4) dense_block<4>(w, block, x, residual, epilogue, y);
    for (; block < last; ++block) dense_block<1>(w, block, x, residual, epilogue, y);
}

// As csr_row, for a panel: VL outputs a unit, y[row][T * VL].
template <int T, class Column>
void csr_panel(const FcWeights& w, const float* x, const float* residual, const Epilogue& epilogue, float* y, std::int32_t first,
               std::int32_t last) {
    constexpr std::int64_t WIDTH = T * VL;
    constexpr int CHAINS = T == 1 ? 8 : T == 2 ? 4 : T == 4 ? 2 : 1;  // as many sums in flight as the latency of an FMA asks for
    const Column* columns = static_cast<const Column*>(w.columns);
    const std::int32_t end = last * VL < w.outputs ? last * VL : w.outputs;
    for (std::int32_t row = first * VL; row < end; ++row) {
        V sums[CHAINS][T];
        for (int c = 0; c < CHAINS; ++c) {
            for (int t = 0; t < T; ++t) sums[c][t] = c == 0 ? broadcast(w.bias[row]) : V{};
        }
        const std::int64_t stop = w.row_begin[row + 1];
        std::int64_t i = w.row_begin[row];
        for (; i + CHAINS <= stop; i += CHAINS) {
#pragma GCC unroll 8
            for (int c = 0; c < CHAINS; ++c) {
                const V weight = broadcast(w.values[i + c]);
                const float* from = x + columns[i + c] * WIDTH;
#pragma GCC unroll 8
                for (int t = 0; t < T; ++t) sums[c][t] += load(from + t * VL) * weight;
            }
        }
        for (; i < stop; ++i) {
            const V weight = broadcast(w.values[i]);
            const float* from = x + columns[i] * WIDTH;
#pragma GCC unroll 8
            for (int t = 0; t < T; ++t) sums[0][t] += load(from + t * VL) * weight;
        }
        const std::int64_t at = (w.order == nullptr ? row : w.order[row]) * WIDTH;
        for (int t = 0; t < T; ++t) {
            V sum = sums[0][t];
            for (int c = 1; c < CHAINS; ++c) sum += sums[c][t];
            if (residual != nullptr) sum += load(residual + at + t * VL);
            store(y + at + t * VL, activate(sum, epilogue));
        }
    }
}

// FC_DENSE_ROWS outputs by T registers; `first` and `last` count blocks of FC_DENSE_ROWS outputs.
template <int T>
void dense_panel(const FcWeights& w, const float* x, const float* residual, const Epilogue& epilogue, float* y, std::int32_t first,
                 std::int32_t last) {
    constexpr int R = FC_DENSE_ROWS;
    constexpr int HELD = VL == 16 ? (T < 4 ? T : 4) : (T < 2 ? T : 2);  // registers of x held at once: 16 or 8 sums in all
    constexpr std::int64_t WIDTH = T * VL;
    for (std::int32_t block = first; block < last; ++block) {
        const float* values = w.values + static_cast<std::int64_t>(block) * R * w.inputs;
        for (int part = 0; part < T; part += HELD) {
            V sums[R][HELD];
            for (int r = 0; r < R; ++r) {
                for (int t = 0; t < HELD; ++t) sums[r][t] = broadcast(w.bias[block * R + r]);
            }
            const float* from = x + part * VL;
            for (std::int32_t k = 0; k < w.inputs; ++k, from += WIDTH) {
                V held[HELD];
                for (int t = 0; t < HELD; ++t) held[t] = load(from + t * VL);
                for (int r = 0; r < R; ++r) {
                    const V weight = broadcast(values[k * R + r]);
                    for (int t = 0; t < HELD; ++t) sums[r][t] += held[t] * weight;
                }
            }
            for (int r = 0; r < R && block * R + r < w.outputs; ++r) {
                const std::int64_t at = (static_cast<std::int64_t>(block) * R + r) * WIDTH + part * VL;
                for (int t = 0; t < HELD; ++t) {
                    V sum = sums[r][t];
                    if (residual != nullptr) sum += load(residual + at + t * VL);
                    store(y + at + t * VL, activate(sum, epilogue));
                }
            }
        }
    }
}

void to_panel(const float* rows, std::int64_t stride, std::int32_t count, std::int32_t elements, float* panel, std::int32_t width) {
    for (std::int32_t row = 0; row < width; row += VL) {
        const int present = count - row < 0 ? 0 : count - row < VL ? count - row : VL;
        std::int32_t k = 0;
        for (; k + VL <= elements; k += VL) {
            V square[VL];
            for (int i = 0; i < VL; ++i) square[i] = i < present ? load_unaligned(rows + (row + i) * stride + k) : V{};
            transpose(square);
            for (int i = 0; i < VL; ++i) store(panel + static_cast<std::int64_t>(k + i) * width + row, square[i]);
        }
        for (; k < elements; ++k) {
            V column{};
            for (int i = 0; i < present; ++i) column[i] = rows[(row + i) * stride + k];
            store(panel + static_cast<std::int64_t>(k) * width + row, column);
        }
    }
}

void from_panel(const float* panel, std::int32_t width, float* rows, std::int64_t stride, std::int32_t count, std::int32_t elements) {
    for (std::int32_t row = 0; row < count; row += VL) {
        const int present = count - row < VL ? count - row : VL;
        std::int32_t k = 0;
        for (; k + VL <= elements; k += VL) {
            V square[VL];
            for (int i = 0; i < VL; ++i) square[i] = load(panel + static_cast<std::int64_t>(k + i) * width + row);
            transpose(square);
            for (int i = 0; i < present; ++i) store_unaligned(rows + (row + i) * stride + k, square[i]);
        }
        for (; k < elements; ++k) {
            const float* column = panel + static_cast<std::int64_t>(k) * width + row;
            for (int i = 0; i < present; ++i) rows[(row + i) * stride + k] = column[i];
        }
    }
}

constexpr std::int32_t ANY = 1 << 30;

#define ET_WINDOW(label, format, window, step, output) \
    {label, format, false, 1, ANY, window_row<window>, window::COLUMNS, window::ZERO, window::BITS, step, output}
#define ET_ROW(label, format, inputs, function, step, output) {label, format, false, 1, inputs, function, 0, 0, 0, step, output}
#define ET_PANEL(label, format, t, inputs, function, step, output) {label, format, true, (t) * VL, inputs, function, 0, 0, 0, step, output}
#define ET_PANELS(t, csr, dense)                                                                                        \
    ET_PANEL("fc_panel" #t "_csr16", FcFormat::Csr16, t, 65536, (csr_panel<t, std::uint16_t>), csr, 10),                \
        ET_PANEL("fc_panel" #t "_csr32", FcFormat::Csr32, t, ANY, (csr_panel<t, std::uint32_t>), csr, 10),              \
        ET_PANEL("fc_panel" #t "_dense", FcFormat::DensePanel, t, ANY, dense_panel<t>, dense, 5)

constexpr FcKernel kernels[] = {
#if defined(__AVX512F__)
    ET_WINDOW("fc_window", FcFormat::WindowNarrow, WindowNarrow, 5.4F, 2.0F),
    ET_ROW("fc_csr16", FcFormat::Csr16, 65536, csr_row<std::uint16_t>, 2.3F, 13.0F),
    ET_ROW("fc_csr32", FcFormat::Csr32, ANY, csr_row<std::uint32_t>, 2.3F, 13.0F),
    ET_ROW("fc_dense", FcFormat::DenseRow, ANY, dense_row, 2.9F, 1.0F),
    ET_PANELS(1, 3.6F, 8.1F), ET_PANELS(2, 5.8F, 12.1F), ET_PANELS(4, 12.3F, 21.5F),
#elif defined(__AVX2__)
    ET_WINDOW("fc_window", FcFormat::WindowNarrow, WindowNarrow, 3.5F, 4.0F),
    ET_WINDOW("fc_window_wide", FcFormat::WindowWide, WindowWide, 6.7F, 4.0F),
    ET_ROW("fc_csr16", FcFormat::Csr16, 65536, csr_row<std::uint16_t>, 2.5F, 13.0F),
    ET_ROW("fc_csr32", FcFormat::Csr32, ANY, csr_row<std::uint32_t>, 2.5F, 13.0F),
    ET_ROW("fc_dense", FcFormat::DenseRow, ANY, dense_row, 2.1F, 1.0F),
    ET_PANELS(1, 3.2F, 8.8F), ET_PANELS(2, 4.9F, 10.7F), ET_PANELS(4, 9.4F, 21.4F), ET_PANELS(8, 18.0F, 42.0F),
#else
#if defined(__aarch64__)
    ET_WINDOW("fc_window", FcFormat::WindowNarrow, WindowNarrow, 4.0F, 4.0F),
#endif
    ET_ROW("fc_csr16", FcFormat::Csr16, 65536, csr_row<std::uint16_t>, 1.7F, 8.0F),
    ET_ROW("fc_csr32", FcFormat::Csr32, ANY, csr_row<std::uint32_t>, 1.7F, 8.0F),
    ET_ROW("fc_dense", FcFormat::DenseRow, ANY, dense_row, 1.3F, 1.0F),
    ET_PANELS(1, 1.9F, 5.0F), ET_PANELS(2, 2.9F, 9.0F), ET_PANELS(4, 5.5F, 18.0F), ET_PANELS(8, 11.0F, 36.0F),
#endif
};

#define ET_TEXT2(x) #x
#define ET_TEXT(x) ET_TEXT2(x)

}  // namespace

const FcKernels fc_kernels = {
    ET_TEXT(ISA_NS),
    VL,
    VL == 16 ? 117.0 : VL == 8 ? 63.0 : 21.0,
    kernels,
    sizeof kernels / sizeof kernels[0],
    VL == 16 ? 1.2F : 2.0F,
    {VL, 2 * VL, 4 * VL, 8 * VL <= FC_MAX_WIDTH ? 8 * VL : 0},
    to_panel,
    from_panel,
};

}  // namespace edgeticket::ISA_NS
