// One row at a time: windows, CSR and dense. Included by fc.isa.cpp only; see fc.h for what is computed and read.
#pragma once

#include "fc.h"
#include "simd/activation.h"
#include "simd/fc_vec.h"

namespace edgeticket::ISA_NS {
namespace {

// A register of finished sums to the outputs [row, row + VL) of stored order, those below `outputs`.
ET_INLINE void finish(const FcWeights& w, V sum, std::int32_t row, const float* residual, const Epilogue& epilogue,
                      float* y) {
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
void window_group(const FcWeights& w, const FcGroup& group, const float* x, const float* residual,
                  const Epilogue& epilogue, float* y) {
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
void window_row(const FcWeights& w, const float* x, const float* residual, const Epilogue& epilogue, float* y,
                std::int32_t first, std::int32_t last) {
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
void csr_row(const FcWeights& w, const float* x, const float* residual, const Epilogue& epilogue, float* y,
             std::int32_t first, std::int32_t last) {
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
                ET_SCALAR(a);
                ET_SCALAR(b);
                ET_SCALAR(c);
                ET_SCALAR(d);
            }
            for (; i < stop; ++i) a += w.values[i] * x[columns[i]];
            sums[row - begin] = (a + b) + (c + d);
        }
        finish(w, load(sums), begin, residual, epilogue, y);
    }
}

template <int SETS>
ET_INLINE void dense_block(const FcWeights& w, std::int32_t block, const float* x, const float* residual,
                           const Epilogue& epilogue, float* y) {
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

void dense_row(const FcWeights& w, const float* x, const float* residual, const Epilogue& epilogue, float* y,
               std::int32_t first, std::int32_t last) {
    std::int32_t block = first;
    for (; block + 4 <= last; block += 4) dense_block<4>(w, block, x, residual, epilogue, y);
    for (; block < last; ++block) dense_block<1>(w, block, x, residual, epilogue, y);
}

}  // namespace
}  // namespace edgeticket::ISA_NS
