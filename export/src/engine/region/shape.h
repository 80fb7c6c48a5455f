// Sizes of shapes, with checked products: a file may say anything.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <vector>

namespace edgeticket {

// Elements of an item or a weight that we take: 2^30 floats are 4 GiB.
constexpr std::int64_t kMostElements = std::int64_t{1} << 30;

// The product of two sizes, or -1 where it is none: a factor below 0 or a product that does not fit.
inline std::int64_t product(std::int64_t a, std::int64_t b) {
    std::int64_t result = 0;
    return a < 0 || b < 0 || __builtin_mul_overflow(a, b, &result) ? -1 : result;
}

// The number of elements, or -1 where a dimension is negative (unknown) or the product does not fit.
inline std::int64_t count_elements(const std::vector<std::int64_t>& shape) {
    std::int64_t count = 1;
    for (std::int64_t size : shape) count = product(count, size);
    return count;
}

// Height and width of an item of shape {C, H, W} or {C, L}.
inline void image_size(const std::vector<std::int64_t>& shape, std::int64_t (&size)[2]) {
    size[0] = shape.size() == 3 ? shape[1] : 1;
    size[1] = shape.back();
}

// Throws std::invalid_argument where there is no such number.
inline std::int64_t elements(const std::vector<std::int64_t>& shape) {
    const std::int64_t count = count_elements(shape);
    if (count < 0) throw std::invalid_argument("a shape has a negative size or more elements than memory");
    return count;
}

}  // namespace edgeticket
