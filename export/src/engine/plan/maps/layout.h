// Lane-blocked layout of a feature map.
//
// The lanes of a vector are a grid over the image; each lane holds a block of its own, row-major, with a halo. Vector
// (i, j) of a plane holds, in lane (gy, gx), pixel (gy * block[0] + i, gx * block[1] + j), or 0 where the image has
// none; i and j run from -before to block + after.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/maps.h"

namespace edgeticket {

struct Layout {
    std::int64_t size[2] = {1, 1};    // of the image: height, width
    std::int64_t grid[2] = {1, 1};    // of lanes; their product is the vector's length
    std::int64_t block[2] = {1, 1};   // of a lane
    std::int64_t before[2] = {0, 0};  // halo above and left
    std::int64_t after[2] = {0, 0};   // halo below and right

    std::int64_t rows() const { return before[0] + block[0] + after[0]; }
    std::int64_t pitch() const { return before[1] + block[1] + after[1]; }  // vectors
    std::int64_t lanes() const { return grid[0] * grid[1]; }
    std::int64_t inside() const { return before[0] * pitch() + before[1]; }  // the vector where the blocks begin
    std::int64_t plane() const;                                              // vectors, some behind the last row unused
    // No lane is without a pixel.
    bool whole() const { return grid[0] * block[0] == size[0] && grid[1] * block[1] == size[1]; }
    bool aligned(const Layout& other) const;  // the same pixels in the same lanes; halos may differ
};

// Where each lane of each vector of a plane comes from in a row-major plane, -1 for nothing: plane() * lanes() entries.
std::vector<std::int32_t> from_row_major(const Layout& layout);
// Where each pixel of a row-major plane lies in a plane of the layout: size[0] * size[1] entries.
std::vector<std::int32_t> to_row_major(const Layout& layout);
// Where each lane of a plane of `to` lies in a plane of `from`, halo and all.
std::vector<std::int32_t> between(const Layout& from, const Layout& to);
// All bits set where a lane inside has a pixel: block[0] * block[1] * lanes() entries; empty where all have one.
std::vector<std::int32_t> masks(const Layout& layout);

// Halo copies.
struct HaloTable {
    std::vector<Halo> entries;  // one by one
    std::vector<std::int32_t> lanes;
    std::vector<Halo> all(const Layout& layout) const {
        return of_tile(0, 0, layout.block[0], layout.block[1], layout);
    }
    // The copies of vectors of the tile of rows x columns at (row, column) of the inside, those that lie in a line as
    // one.
    std::vector<Halo> of_tile(std::int64_t row, std::int64_t column, std::int64_t rows, std::int64_t columns,
                              const Layout& layout) const;
};
HaloTable halo_table(const Layout& layout);

}  // namespace edgeticket
