// Which grid of lanes each size of map is laid out in: the cheapest for the region as a whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/region/fuse.h"
#include "engine/region/region.h"
#include "isa/isa.h"

namespace edgeticket {

// As in Layout: lanes over the image, and the block of pixels that each holds.
struct Grid {
    std::int64_t grid[2];
    std::int64_t block[2];
    bool operator==(const Grid& o) const {
        return grid[0] == o.grid[0] && grid[1] == o.grid[1] && block[0] == o.block[0] && block[1] == o.block[1];
    }
};

class GridChooser {
   public:
    // is_map says of each value of the region whether a step over maps writes it.
    GridChooser(const Region& region, const std::vector<Fused>& groups, const MapFamily& kernels,
                const std::vector<bool>& is_map);

    // The grid of maps of this value's size.
    Grid grid(const Value& value);

   private:
    // One size of map, and what is done at that size.
    struct SizeClass {
        std::pair<std::int64_t, std::int64_t> size;
        std::vector<std::size_t> links;  // to and from it
        std::vector<Grid> candidates;
        std::size_t chosen = 0;
        double channels = 0;  // written at this size
        double taps = 0;      // nonzero weights of the convolutions that write it, taps of the pools times channels
        std::vector<double> costs;  // of each candidate, but for what its neighbours ask
    };
    struct Link {             // the windowed groups between two sizes, with one stride
        std::size_t in, out;  // size classes
        std::int64_t stride[2];
        double channels = 0, haloed = 0;  // that are read, and those of them whose halos are
    };

    std::size_t class_of(const Value& value);
    std::int64_t lanes(const SizeClass& size) const { return kernels_.lanes_for(size.size.first * size.size.second); }
    Link& link_between(std::size_t in, std::size_t out, const Window& window);
    void add_neighbours_grids(const Link& link);
    std::vector<std::size_t> cheapest(std::size_t index, std::size_t most) const;
    void follow(const Link& link);
    double improve();
    double cost() const;
    double cost_at(const SizeClass& size) const;  // the part of it that changes with this size's choice
    double cost_of(const Link& link) const;
    void choose();

    const MapFamily kernels_;
    std::vector<SizeClass> classes_;
    std::vector<Link> links_;
    std::map<std::pair<std::int64_t, std::int64_t>, std::size_t> class_index_;  // by size
    std::map<std::tuple<std::size_t, std::size_t, std::int64_t, std::int64_t>, std::size_t>
        link_index_;  // in, out, stride
};

}  // namespace edgeticket
