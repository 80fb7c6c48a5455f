// Windows, partial vectors and transposes: what the fully connected kernels need beyond vec.h. Included by *.isa.cpp
// files only.
//
// A window holds the COLUMNS floats at some place of x in registers and a lane that reads as 0. pick() moves any of
// them to any lane, by index, without touching memory. Only the low BITS of an index count.
#pragma once

#include <utility>

#include "vec.h"

namespace edgeticket::ISA_NS {

#if defined(__AVX512F__)

struct WindowNarrow {  // two registers, vpermt2ps
    static constexpr int COLUMNS = 31, BITS = 5, ZERO = 31, FLOATS = 32;
    __m512 low, high;
    ET_INLINE explicit WindowNarrow(const float* p)
        : low(_mm512_loadu_ps(p)),
          high(_mm512_maskz_loadu_ps(0x7fff, p + 16)) {}
    ET_INLINE V pick(Vi index) const { return (V)_mm512_permutex2var_ps(low, (__m512i)index, high); }
};

#elif defined(__AVX2__)

struct WindowNarrow {  // one register, vpermps
    static constexpr int COLUMNS = 7, BITS = 3, ZERO = 7, FLOATS = 8;
    __m256 all;
    ET_INLINE explicit WindowNarrow(const float* p)
        : all(_mm256_maskload_ps(p, _mm256_setr_epi32(-1, -1, -1, -1, -1, -1, -1, 0))) {}
    ET_INLINE V pick(Vi index) const { return (V)_mm256_permutevar8x32_ps(all, (__m256i)index); }
};

struct WindowWide {  // two registers: both are permuted, bit 3 of the index chooses
    static constexpr int COLUMNS = 15, BITS = 4, ZERO = 15, FLOATS = 16;
    __m256 low, high;
    ET_INLINE explicit WindowWide(const float* p)
        : low(_mm256_loadu_ps(p)),
          high(_mm256_maskload_ps(p + 8, _mm256_setr_epi32(-1, -1, -1, -1, -1, -1, -1, 0))) {}
    ET_INLINE V pick(Vi index) const {
        const __m256 a = _mm256_permutevar8x32_ps(low, (__m256i)index),
                     b = _mm256_permutevar8x32_ps(high, (__m256i)index);
        return (V)_mm256_blendv_ps(a, b, _mm256_castsi256_ps(_mm256_slli_epi32((__m256i)index, 28)));
    }
};

#elif defined(__aarch64__)

struct WindowNarrow {  // four registers, TBL, which gives 0 for a byte past the table
    static constexpr int COLUMNS = 16, BITS = 5, ZERO = 16, FLOATS = 16;
    uint8x16x4_t table;
    ET_INLINE explicit WindowNarrow(const float* p) {
        for (int i = 0; i < 4; ++i) table.val[i] = vreinterpretq_u8_f32(vld1q_f32(p + 4 * i));
    }
    ET_INLINE V pick(Vi index) const {
        const uint32x4_t column = vandq_u32((uint32x4_t)index, vdupq_n_u32(31));
        const uint32x4_t bytes = vmlaq_u32(vdupq_n_u32(0x03020100), column, vdupq_n_u32(0x04040404));
        return (V)vqtbl4q_u8(table, vreinterpretq_u8_u32(bytes));
    }
};

#endif

// x in every lane, as one instruction: the compiler may drop "- 0" but not "0 +", which turns -0 into 0.
ET_INLINE V broadcast(float x) { return x - V{}; }

// Keeps the compiler from making hardware gathers of scalar code: measured, they are half as fast.
#if defined(__x86_64__)
#define ET_SCALAR(v) asm("" : "+x"(v))
#elif defined(__ARM_NEON)
#define ET_SCALAR(v) asm("" : "+w"(v))
#else
#define ET_SCALAR(v) asm("" : "+m"(v))
#endif

// As load_first and store_first, for an n between 0 and VL, without a call.
ET_INLINE V load_part(const float* p, int n) {
#if defined(__AVX512F__)
    return (V)_mm512_maskz_loadu_ps(static_cast<__mmask16>((1U << n) - 1), p);
#else
    V v{};
    for (int i = 0; i < VL; ++i) {
        if (i < n) v[i] = p[i];
    }
    return v;
#endif
}

ET_INLINE void store_part(float* p, V v, int n) {
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1U << n) - 1), (__m512)v);
#else
    for (int i = 0; i < VL; ++i) {
        if (i < n) p[i] = v[i];
    }
#endif
}

// One stage of a transpose: lanes whose number has bit STEP change places between a and b. (The sequence of lanes
// exists while compiling only, so nothing of std:: ends up in an object file.)
template <int STEP, int... I>
ET_INLINE void exchange(V& a, V& b, std::integer_sequence<int, I...>) {
    const V first = __builtin_shufflevector(a, b, ((I & STEP) == 0 ? I : I - STEP + VL)...);
    b = __builtin_shufflevector(a, b, ((I & STEP) == 0 ? I + STEP : I + VL)...);
    a = first;
}

template <int STEP>
ET_INLINE void exchange_all(V (&v)[VL]) {
    if constexpr (STEP < VL) {
        for (int i = 0; i < VL; ++i) {
            if ((i & STEP) == 0) exchange<STEP>(v[i], v[i + STEP], std::make_integer_sequence<int, VL>());
        }
        exchange_all<2 * STEP>(v);
    }
}

// v[i][j] becomes v[j][i].
ET_INLINE void transpose(V (&v)[VL]) { exchange_all<1>(v); }

}  // namespace edgeticket::ISA_NS
