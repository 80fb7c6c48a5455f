// Sizes in bytes, with checked sums and products: where an address has 32 bits, what a file asks for may not fit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>

namespace edgeticket {

// Both throw std::bad_alloc where the result is more than can be addressed.
inline std::size_t sum_of_bytes(std::size_t a, std::size_t b) {
    std::size_t result = 0;
    if (__builtin_add_overflow(a, b, &result)) throw std::bad_alloc();
    return result;
}
inline std::size_t times_bytes(std::int64_t count, std::size_t each) {  // count is not negative
    std::size_t result = 0;
    if (__builtin_mul_overflow(count, each, &result)) throw std::bad_alloc();
    return result;
}
inline std::size_t whole_bytes(std::size_t bytes, std::size_t unit) {  // the next multiple of a unit
    return sum_of_bytes(bytes, unit - 1) / unit * unit;
}

}  // namespace edgeticket
