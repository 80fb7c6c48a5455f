// Many rows at a time, in panels, and the transposes there and back. Included by fc.isa.cpp only; see fc.h.
#pragma once

#include "fc.h"
#include "simd/activation.h"
#include "simd/fc_vec.h"

namespace edgeticket::ISA_NS {
namespace {

// As csr_row, for a panel: VL outputs a unit, y[row][T * VL].
template <int T, class Column>
void csr_panel(const FcWeights& w, const float* x, const float* residual, const Epilogue& epilogue, float* y,
               std::int32_t first, std::int32_t last) {
    constexpr std::int64_t WIDTH = T * VL;
    constexpr int CHAINS = T == 1   ? 8
                           : T == 2 ? 4
                           : T == 4 ? 2
                                    : 1;  // as many sums in flight as the latency of an FMA asks for
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
void dense_panel(const FcWeights& w, const float* x, const float* residual, const Epilogue& epilogue, float* y,
                 std::int32_t first, std::int32_t last) {
    constexpr int R = FC_DENSE_ROWS;
    // Registers of x that are held at once: 16 or 8 sums in all.
    constexpr int HELD = VL == 16 ? (T < 4 ? T : 4) : (T < 2 ? T : 2);
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

void to_panel(const float* rows, std::int64_t stride, std::int32_t count, std::int32_t elements, float* panel,
              std::int32_t width) {
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

void from_panel(const float* panel, std::int32_t width, float* rows, std::int64_t stride, std::int32_t count,
                std::int32_t elements) {
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

}  // namespace
}  // namespace edgeticket::ISA_NS
