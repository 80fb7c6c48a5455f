#include "grid_chooser.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "conv_format.h"
#include "engine/region/shape.h"

namespace edgeticket {
namespace {

// Cycles.
constexpr double kMove = 20;   // to gather one vector
constexpr double kHalo = 2.5;  // ... to copy one vector of a halo
constexpr double kStore = 7;   // ... to store one vector, with bias and activation

constexpr double kMostWaste = 4;  // lanes without a pixel, as a multiple of the pixels, where a better grid exists
constexpr std::size_t kMostStarts = 6;
constexpr int kPasses = 4;
constexpr double kRounding = 1e-9;  // of a sum of up to a million costs, more than it can be wrong by

std::int64_t round_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b * b; }

std::vector<Grid> grids_of(const std::pair<std::int64_t, std::int64_t>& size, std::int64_t lanes) {
    std::vector<Grid> found;
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    for (std::int64_t high = 1; high <= lanes; high *= 2) {
        const std::int64_t wide = lanes / high;
        const std::int64_t rows = (size.first + high - 1) / high, columns = (size.second + wide - 1) / wide;
        for (std::int64_t down = 1; down <= 16; down *= 2)
            for (std::int64_t right = 1; right <= 16; right *= 2) {
                const Grid grid{{high, wide}, {round_up(rows, down), round_up(columns, right)}};
                if (std::find(found.begin(), found.end(), grid) == found.end()) found.push_back(grid);
            }
        least = std::min(least, rows * columns);
    }
    const auto wasteful = [&](const Grid& g) {
        return static_cast<double>(g.block[0] * g.block[1]) > kMostWaste * static_cast<double>(least);
    };
    found.erase(std::remove_if(found.begin(), found.end(), wasteful), found.end());
    return found;
}

// Cycles for one weight over a map of `vectors` vectors, in tiles of up to eight.
double entry_cost(std::int64_t vectors) {
    constexpr std::int64_t tile = 8;
    const auto cycles = traits_of(ConvFormat::Unstructured).entry_cycles;
    const double rest = vectors % tile ? cycles(vectors % tile) : 0;
    return static_cast<double>(vectors / tile) * cycles(tile) + rest;
}

double taps_of(const Node& node, const Value& output) {
    if (node.op == Op::Conv) return static_cast<double>(nonzeros_of(node));
    return static_cast<double>(node.window.kernel[0] * node.window.kernel[1]) * static_cast<double>(output.shape[0]);
}

void add_grid(std::vector<Grid>& grids, const Grid& grid) {
    if (std::find(grids.begin(), grids.end(), grid) == grids.end()) grids.push_back(grid);
}

// Whether maps of two sizes lie in such a way that a window of this stride reads its lane's own block.
bool in_line(const std::int64_t (&stride)[2], const Grid& in, const Grid& out) {
    for (int d = 0; d < 2; ++d)
        if (in.grid[d] != out.grid[d] || in.block[d] != out.block[d] * stride[d]) return false;
    return true;
}

bool covers(const Grid& grid, const std::pair<std::int64_t, std::int64_t>& size) {
    return grid.grid[0] * grid.block[0] >= size.first && grid.grid[1] * grid.block[1] >= size.second;
}

double pixels(const Grid& grid) {
    return static_cast<double>(grid.block[0] * grid.block[1] * grid.grid[0] * grid.grid[1]);
}

}  // namespace

GridChooser::GridChooser(const Region& region, const std::vector<Fused>& groups, const MapFamily& kernels,
                         const std::vector<bool>& is_map)
    : kernels_(kernels) {
    for (const Fused& group : groups) {
        const Node& node = region.node(group.node);
        const Value& output = region.value(group.output);
        if (!at(is_map, group.output)) continue;
        const std::size_t out = class_of(output);
        classes_[out].channels += static_cast<double>(output.shape[0]);
        if (!node.traits().has_window) continue;
        const Value& input = region.value(node.inputs[0]);
        const double channels = static_cast<double>(input.shape[0]);
        classes_[out].taps += taps_of(node, output);
        Link& link = link_between(class_of(input), out, node.window);
        link.channels += channels;
        if (node.window.kernel[0] > 1 || node.window.kernel[1] > 1) link.haloed += channels;
    }
    for (SizeClass& c : classes_) c.candidates = grids_of(c.size, lanes(c));
    // What a neighbour's blocks ask for lies among the rounded ones in nearly all cases; the rest are added here.
    for (int pass = 0; pass < 2; ++pass)
        for (const Link& link : links_) add_neighbours_grids(link);
    for (SizeClass& c : classes_)
        for (const Grid& grid : c.candidates) {
            const std::int64_t vectors = grid.block[0] * grid.block[1];
            c.costs.push_back(c.channels * kStore * static_cast<double>(vectors) + c.taps * entry_cost(vectors));
        }
    choose();
}

Grid GridChooser::grid(const Value& value) {
    SizeClass& c = classes_[class_of(value)];
    if (c.candidates.empty()) c.candidates = grids_of(c.size, lanes(c));
    return c.candidates[c.chosen];
}

std::size_t GridChooser::class_of(const Value& value) {
    std::int64_t size[2];
    image_size(value.shape, size);
    const auto [place, fresh] = class_index_.try_emplace({size[0], size[1]}, classes_.size());
    if (fresh) classes_.emplace_back(), classes_.back().size = place->first;
    return place->second;
}

GridChooser::Link& GridChooser::link_between(std::size_t in, std::size_t out, const Window& w) {
    const auto [place, fresh] = link_index_.try_emplace({in, out, w.stride[0], w.stride[1]}, links_.size());
    if (fresh) {
        links_.push_back({in, out, {w.stride[0], w.stride[1]}});
        classes_[in].links.push_back(place->second);
        if (out != in) classes_[out].links.push_back(place->second);
    }
    return links_[place->second];
}

void GridChooser::add_neighbours_grids(const Link& link) {
    SizeClass &in_class = classes_[link.in], &out_class = classes_[link.out];
    const auto pixels_of = [](const SizeClass& c) { return static_cast<double>(c.size.first * c.size.second); };
    for (const Grid& out : std::vector<Grid>(out_class.candidates)) {
        Grid in = out;
        for (int d = 0; d < 2; ++d) in.block[d] *= link.stride[d];
        if (in.grid[0] * in.grid[1] == lanes(in_class) && covers(in, in_class.size) &&
            pixels(in) <= 2.5 * pixels_of(in_class))
            add_grid(in_class.candidates, in);
    }
    for (const Grid& in : std::vector<Grid>(in_class.candidates)) {
        Grid out = in;
        bool whole = true;
        for (int d = 0; d < 2; ++d) {
            whole = whole && in.block[d] % link.stride[d] == 0;
            out.block[d] /= link.stride[d];
        }
        const double most = std::max(static_cast<double>(lanes(out_class)), 4.0 * pixels_of(out_class));
        if (whole && out.grid[0] * out.grid[1] == lanes(out_class) && covers(out, out_class.size) &&
            pixels(out) <= most)
            add_grid(out_class.candidates, out);
    }
}

// The candidates that are cheapest on their own.
std::vector<std::size_t> GridChooser::cheapest(std::size_t index, std::size_t most) const {
    const std::vector<double>& costs = classes_[index].costs;
    std::vector<std::size_t> chosen(costs.size());
    std::iota(chosen.begin(), chosen.end(), std::size_t{0});
    most = std::min(most, chosen.size());
    std::partial_sort(
        chosen.begin(), chosen.begin() + static_cast<std::ptrdiff_t>(most), chosen.end(),
        [&](std::size_t a, std::size_t b) { return std::make_pair(costs[a], a) < std::make_pair(costs[b], b); });
    chosen.resize(most);
    return chosen;
}

void GridChooser::follow(const Link& link) {
    const SizeClass& from = classes_[link.in];
    SizeClass& c = classes_[link.out];
    for (std::size_t i = 0; i < c.candidates.size(); ++i)
        if (in_line(link.stride, from.candidates[from.chosen], c.candidates[i])) c.chosen = i;
}

double GridChooser::cost_of(const Link& link) const {
    const Grid& in = classes_[link.in].candidates[classes_[link.in].chosen];
    const Grid& out = classes_[link.out].candidates[classes_[link.out].chosen];
    const double high = static_cast<double>(out.block[0] * link.stride[0]);
    const double wide = static_cast<double>(out.block[1] * link.stride[1]);
    if (in_line(link.stride, in, out)) return link.haloed * kHalo * (2 * high + 2 * wide + 4);
    return link.channels * kMove * (high + 2) * (wide + 2);
}

double GridChooser::cost() const {
    double total = 0;
    for (const SizeClass& c : classes_) total += c.costs[c.chosen];
    for (const Link& link : links_) total += cost_of(link);
    return total;
}

double GridChooser::cost_at(const SizeClass& size) const {
    double total = size.costs[size.chosen];
    for (const std::size_t link : size.links) total += cost_of(links_[link]);
    return total;
}

// Each size takes the candidate that makes the whole cheapest while the others stay, until none changes. Returns the
// cost. The whole is summed only for a candidate whose own part is not dearer by more than the sums' rounding.
double GridChooser::improve() {
    double least = cost();
    for (int pass = 0; pass < kPasses; ++pass) {
        const double before = least;
        for (SizeClass& c : classes_) {
            std::size_t better = c.chosen;
            double part = cost_at(c);
            for (std::size_t i = 0; i < c.candidates.size(); ++i) {
                c.chosen = i;
                const double here = cost_at(c);
                if (here - part > kRounding * (least + here)) continue;
                const double changed = cost();
                if (changed < least) least = changed, better = i, part = here;
            }
            c.chosen = better;
        }
        if (least >= before) break;
    }
    return least;
}

void GridChooser::choose() {
    if (classes_.empty()) return;
    std::vector<std::size_t> best;
    double least = std::numeric_limits<double>::infinity();
    for (const std::size_t start : cheapest(0, kMostStarts)) {
        // Everything begins in line with the first map, as far as that goes; then each size improves on its own.
        for (std::size_t i = 0; i < classes_.size(); ++i) classes_[i].chosen = cheapest(i, 1)[0];
        classes_[0].chosen = start;
        for (const Link& link : links_) follow(link);
        const double reached = improve();
        if (reached >= least) continue;
        least = reached;
        best.clear();
        for (const SizeClass& c : classes_) best.push_back(c.chosen);
    }
    for (std::size_t i = 0; i < classes_.size(); ++i) classes_[i].chosen = best[i];
}

}  // namespace edgeticket
