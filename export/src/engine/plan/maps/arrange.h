// Decides which values are maps, and in which layout each lies.
#pragma once

#include <cstddef>
#include <vector>

#include "engine/region/fuse.h"
#include "engine/region/region.h"
#include "isa/isa.h"
#include "layout.h"

namespace edgeticket {

// A value may lie in several layouts at once: that of its size class, which every node of this size writes, and others
// that a reader of another size needs. Row-major is a form of its own.
struct Arrangement {
    std::vector<bool> is_map;  // of each value: computed in a layout, not row-major
    std::vector<Layout> home;  // of each map value: that of its size class, with the halos that its readers need
    // Of each group that reads a map through a window: an index into `copies`, or -1 for home.
    std::vector<int> read_as;
    struct Copy {
        int value;
        Layout layout;
        float fill;          // outside the image: 0, or minus infinity for the maximum of values of any sign
        std::size_t reader;  // the first group that reads it
    };
    std::vector<Copy> copies;
};

Arrangement arrange(const Region& region, const std::vector<Fused>& groups, const MapFamily& kernels);

}  // namespace edgeticket
