// The activations that a kernel can end with: their names and numbers for everyone, their vectors for *.isa.cpp files.
#pragma once

#include <cstdint>

namespace edgeticket {

enum class Activation : std::uint8_t { None, Clip, LeakyRelu, Sigmoid, HardSwish };  // Relu is Clip from 0 to infinity

// What follows the sums of a kernel.
struct Epilogue {
    Activation activation = Activation::None;
    float low = 0;    // Clip
    float high = 0;   // Clip
    float alpha = 0;  // LeakyRelu
};

}  // namespace edgeticket

#ifdef ISA_NS

#include <cmath>

#include "vec.h"

namespace edgeticket::ISA_NS {

ET_INLINE V clip(V x, V low, V high) {
    x = x < low ? low : x;  // a NaN compares false and goes through
    return x > high ? high : x;
}

inline __attribute__((noinline)) V sigmoid(V x) {
    V y{};
    for (int i = 0; i < VL; ++i) y[i] = 1.0F / (1.0F + expf(-x[i]));
    return y;
}

ET_INLINE V activate(V x, const Epilogue& e) {
    switch (e.activation) {
        case Activation::None: return x;
        case Activation::Clip: return clip(x, splat(e.low), splat(e.high));
        case Activation::LeakyRelu: return x < splat(0) ? x * e.alpha : x;
        case Activation::Sigmoid: return sigmoid(x);
        case Activation::HardSwish: return x * clip(x * (1.0F / 6.0F) + 0.5F, splat(0), splat(1));
    }
    return x;
}

}  // namespace edgeticket::ISA_NS

#endif  // ISA_NS
