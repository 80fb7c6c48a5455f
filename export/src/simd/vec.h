// One vector of floats and what the kernels do with it, for the instruction set that the compiler flags name.
//
// Included by *.isa.cpp files only. Everything lies in a namespace of its own per instruction set (ISA_NS, given by the
// build), so that the linker can never take a function compiled for AVX-512 where a build for another processor asked
// for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__AVX2__) || defined(__AVX512F__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#ifndef ISA_NS
#error "ISA_NS names the instruction set: avx512, avx2, neon or portable"
#endif

#define ET_INLINE inline __attribute__((always_inline))

namespace edgeticket::ISA_NS {

// ET_FOUR_LANES asks for short vectors where longer ones exist: maps of a few pixels would leave the rest empty.
#if defined(__AVX512F__) && !defined(ET_FOUR_LANES)
#define ET_VECTOR 512
constexpr int VL = 16;
#elif defined(__AVX2__) && !defined(ET_FOUR_LANES)
#define ET_VECTOR 256
constexpr int VL = 8;
#else
#define ET_VECTOR 128
constexpr int VL = 4;
#endif

typedef float V __attribute__((vector_size(VL * 4)));
typedef std::int32_t Vi __attribute__((vector_size(VL * 4)));

typedef float Floats __attribute__((vector_size(VL * 4), may_alias));  // V, where floats lie in memory

ET_INLINE V splat(float x) {  // not V{} + x: the compiler would add, for the sake of -0
#if ET_VECTOR == 512
    return (V)_mm512_set1_ps(x);
#elif ET_VECTOR == 256
    return (V)_mm256_set1_ps(x);
#else
    return V{x, x, x, x};
#endif
}
ET_INLINE V load(const float* p) { return *reinterpret_cast<const Floats*>(p); }  // p is aligned to the vector
ET_INLINE void store(float* p, V v) { *reinterpret_cast<Floats*>(p) = v; }        // p is aligned to the vector

ET_INLINE V load_unaligned(const float* p) {
    V v;
    std::memcpy(&v, p, sizeof v);
    return v;
}
ET_INLINE void store_unaligned(float* p, V v) { std::memcpy(p, &v, sizeof v); }

// The first n lanes of p, 0 in the others; nothing behind p[n] is touched.
ET_INLINE V load_first(const float* p, int n) {
    V v{};
    std::memcpy(&v, p, static_cast<std::size_t>(n) * 4);
    return v;
}
ET_INLINE void store_first(float* p, V v, int n) { std::memcpy(p, &v, static_cast<std::size_t>(n) * 4); }

ET_INLINE V max(V a, V b) {  // a NaN in either comes through
    V larger = a > b ? a : b;
    return a != a ? a : larger;
}

// Where each lane of a permutation comes from; -1 gives 0.
struct Lanes {
#if ET_VECTOR == 512
    __m512i index;
    __mmask16 real;
    ET_INLINE explicit Lanes(const std::int32_t* from)
        : index(_mm512_loadu_si512(from)),
          real(_mm512_cmpge_epi32_mask(index, _mm512_setzero_si512())) {}
#elif ET_VECTOR == 256
    __m256i index;
    __m256 nothing;
    ET_INLINE explicit Lanes(const std::int32_t* from)
        : index(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))),
          nothing(_mm256_castsi256_ps(_mm256_srai_epi32(index, 31))) {}
#else
    const std::int32_t* index;
    ET_INLINE explicit Lanes(const std::int32_t* from) : index(from) {}
#endif
};

ET_INLINE V permute(V v, const Lanes& from) {
#if ET_VECTOR == 512
    return (V)_mm512_maskz_permutexvar_ps(from.real, from.index, (__m512)v);
#elif ET_VECTOR == 256
    return (V)_mm256_andnot_ps(from.nothing, _mm256_permutevar8x32_ps((__m256)v, from.index));
#else
    V moved{};
    for (int i = 0; i < VL; ++i) moved[i] = from.index[i] < 0 ? 0.0F : v[from.index[i]];
    return moved;
#endif
}

// Lane i becomes base[from[i]], or `fill` where from[i] is negative.
ET_INLINE V gather(const float* base, const std::int32_t* from, float fill) {
#if ET_VECTOR == 512
    const __m512i lanes = _mm512_loadu_si512(from);
    const __mmask16 real = _mm512_cmpge_epi32_mask(lanes, _mm512_setzero_si512());
    return (V)_mm512_mask_i32gather_ps(_mm512_set1_ps(fill), real, lanes, base, 4);
#elif ET_VECTOR == 256
    const __m256i lanes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    const __m256 real = _mm256_castsi256_ps(_mm256_xor_si256(_mm256_srai_epi32(lanes, 31), _mm256_set1_epi32(-1)));
    return (V)_mm256_mask_i32gather_ps(_mm256_set1_ps(fill), base, lanes, real, 4);
#else
    V read{};
    for (int i = 0; i < VL; ++i) read[i] = from[i] < 0 ? fill : base[from[i]];
    return read;
#endif
}

}  // namespace edgeticket::ISA_NS
