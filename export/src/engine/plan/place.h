// Where buffers lie in one piece of memory: those that are never needed at the same time may share a place.
#pragma once

#include <cstddef>
#include <vector>

namespace edgeticket {

constexpr std::size_t kBufferAlignment = 64;  // bytes: a cache line, and the longest vector

struct Placed {
    int first, last;  // steps between which it is needed, both included
    std::size_t bytes;
    std::size_t offset = 0;  // bytes; the result
};

// Gives every buffer an offset, by first fit in their order, and returns the bytes of all. Throws std::bad_alloc where
// these are more than can be addressed.
std::size_t place(std::vector<Placed>& buffers);

}  // namespace edgeticket
