// The operators of a region, a row each: what fusing, planning, predicting and testing ask of an operator. A new
// activation is a row here, its vectors in simd/activation.h and its reader in onnx/.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <limits>

#include "simd/activation.h"

namespace edgeticket {

enum class Op : std::uint8_t {  // in the order of the rows below
    Conv,                       // item {C, H, W} or {C, L}; weight {M, C/groups, kernel...}; bias {M} or empty
    Fc,   // item {K} -> {N}; weight {N, K} (Gemm and MatMul are brought into this order); bias {N} or empty
    Add,  // two values of one item shape, or a value and `constant`, expanded to the item's shape
    Relu,
    Clip,       // [low, high]
    LeakyRelu,  // alpha
    Sigmoid,
    HardSwish,  // x * max(0, min(1, x / 6 + 0.5))
    MaxPool,
    AveragePool,        // count_include_pad
    GlobalAveragePool,  // {C, ...} -> {C, 1, 1} or {C, 1} or, as ReduceMean without keepdims, {C}
    Reshape,            // Flatten and Reshape: the item keeps its elements and their order
};

// y = f(x) for each element.
struct ActivationTraits {
    using Function = double (*)(double x, const Epilogue& epilogue);
    // As kernels take it; null for an operator that is no activation.
    Epilogue (*epilogue)(float low, float high, float alpha) = nullptr;
    // f in double precision: every kernel is tested against it.
    Function value = nullptr;
    // Of an x whose sum of magnitudes is given, that of f(x): how far an error of x and the rounding of f may go.
    Function magnitude = nullptr;
    double slope = 1;          // of f, at most, with the alpha that tests use
    double vector_cycles = 0;  // of this engine's kernels, beside loading and storing a vector
};

// ONNX Runtime's CPU provider, for an operator that it computes in a pass of its own over the elements.
struct CpuPass {
    double us = 0;               // an element, on the machine of the fit (cost/cpu_cost.h)
    double far_us = 0;           // an element of what no cache holds
    bool joins_product = false;  // computed with the matrix product that it follows
};

struct OpTraits {
    Op op;
    const char* name;
    bool has_weight;    // sums products with a weight: what follows may be computed in its epilogue
    bool has_window;    // reads a map through a window
    bool runs_on_rows;  // reads no map unless it writes one: may be part of a region whose items are rows
    CpuPass cpu = {};
    ActivationTraits activation = {};

    bool is_activation() const { return activation.epilogue != nullptr; }
    bool is_elementwise() const { return is_activation() || op == Op::Add; }
};

constexpr double clipped(double x, const Epilogue& e) { return x < e.low ? e.low : x > e.high ? e.high : x; }
constexpr double unchanged(double size, const Epilogue&) { return size; }

inline constexpr ActivationTraits kRelu = {
    [](float, float, float) { return Epilogue{Activation::Clip, 0, std::numeric_limits<float>::infinity(), 0}; },
    clipped,
    unchanged,
};

inline constexpr ActivationTraits kClip = {
    [](float low, float high, float) { return Epilogue{Activation::Clip, low, high, 0}; },
    clipped,
    [](double size, const Epilogue& e) {  // where 0 is not between the bounds, the nearer one may be larger than x
        return std::max({size, static_cast<double>(e.low), static_cast<double>(-e.high)});
    },
};

inline constexpr ActivationTraits kLeakyRelu = {
    [](float, float, float alpha) { return Epilogue{Activation::LeakyRelu, 0, 0, alpha}; },
    [](double x, const Epilogue& e) { return x < 0 ? x * static_cast<double>(e.alpha) : x; },
    [](double size, const Epilogue& e) { return size * std::max(1.0, std::abs(static_cast<double>(e.alpha))); },
    1,
    2,
};

inline constexpr ActivationTraits kSigmoid = {
    [](float, float, float) { return Epilogue{Activation::Sigmoid, 0, 0, 0}; },
    [](double x, const Epilogue&) { return 1 / (1 + std::exp(-x)); },
    [](double size, const Epilogue&) { return size + 1; },
    0.25,
    16,
};

inline constexpr ActivationTraits kHardSwish = {
    [](float, float, float) { return Epilogue{Activation::HardSwish, 0, 0, 0}; },
    [](double x, const Epilogue&) { return x * std::max(0.0, std::min(1.0, x / 6 + 0.5)); },
    [](double size, const Epilogue&) { return size * 3; },
    1.5,
    2,
};

inline constexpr OpTraits kOps[] = {
    // weight, window, rows
    {Op::Conv, "Conv", true, true, false},
    {Op::Fc, "Fc", true, false, true},
    {Op::Add, "Add", false, false, true, {0.10e-3, 0.40e-3, false}},
    {Op::Relu, "Relu", false, false, true, {0.10e-3, 0.10e-3, true}, kRelu},
    {Op::Clip, "Clip", false, false, true, {0.10e-3, 0.10e-3, false}, kClip},
    {Op::LeakyRelu, "LeakyRelu", false, false, true, {0.16e-3, 0.16e-3, true}, kLeakyRelu},
    {Op::Sigmoid, "Sigmoid", false, false, true, {0.27e-3, 0.27e-3, true}, kSigmoid},
    {Op::HardSwish, "HardSwish", false, false, true, {0.21e-3, 0.21e-3, false}, kHardSwish},
    {Op::MaxPool, "MaxPool", false, true, false},
    {Op::AveragePool, "AveragePool", false, true, false},
    {Op::GlobalAveragePool, "GlobalAveragePool", false, false, false},
    {Op::Reshape, "Reshape", false, false, true},
};

constexpr bool ops_in_order() {
    for (std::size_t i = 0; i < std::size(kOps); ++i)
        if (kOps[i].op != static_cast<Op>(i)) return false;
    return true;
}
static_assert(ops_in_order(), "traits_of() finds a row by its place");

inline const OpTraits& traits_of(Op op) { return kOps[static_cast<int>(op)]; }

// Of the first row with this activation, for rows of one activation share value and slope; null for None.
inline const ActivationTraits* traits_of(Activation activation) {
    for (const OpTraits& row : kOps)
        if (row.is_activation() && row.activation.epilogue(0, 0, 0).activation == activation) return &row.activation;
    return nullptr;
}

}  // namespace edgeticket
