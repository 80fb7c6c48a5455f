#include "arrange.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "tiles.h"

namespace edgeticket {
namespace {

using Size = std::pair<std::int64_t, std::int64_t>;

constexpr double kMove = 20;       // cycles to gather one vector
constexpr double kHalo = 2.5;      // ... one halo copy
constexpr double kStore = 7;       // ... to store one vector, with bias and activation
constexpr double kMostWaste = 4;   // lanes without a pixel, as a multiple of the pixels, where a better grid exists

constexpr std::size_t kMostStarts = 6;

struct Grid {
    std::int64_t grid[2];
    std::int64_t block[2];
    bool operator==(const Grid& o) const {
        return grid[0] == o.grid[0] && grid[1] == o.grid[1] && block[0] == o.block[0] && block[1] == o.block[1];
    }
};

std::int64_t round_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b * b; }

// The layout of an input that a window reads when the output lies in `out`.
Layout input_layout(const Window& window, const std::int64_t (&size)[2], const Grid& out) {
    Layout in;
    for (int d = 0; d < 2; ++d) {
        in.size[d] = size[d];
        in.grid[d] = out.grid[d];
        in.block[d] = out.block[d] * window.stride[d];
        in.before[d] = std::max<std::int64_t>(0, window.pad_begin[d]);
        const std::int64_t last = (out.block[d] - 1) * window.stride[d] + (window.kernel[d] - 1) * window.dilation[d] - window.pad_begin[d];
        in.after[d] = std::max<std::int64_t>(0, last - (in.block[d] - 1));
    }
    return in;
}

// What a window has to find outside the image. A maximum over values that are never negative may read zeros.
float fill_of(const std::vector<Fused>& groups, const Node& node, const Layout& in, const Layout& out) {
    if (node.op != Op::MaxPool) return 0;
    const Window& w = node.window;
    bool outside = false;
    for (int d = 0; d < 2; ++d) {
        const std::int64_t last = (out.size[d] - 1) * w.stride[d] + (w.kernel[d] - 1) * w.dilation[d] - w.pad_begin[d];
        outside = outside || w.pad_begin[d] > 0 || last >= in.size[d];
    }
    if (!outside) return 0;
    for (const Fused& group : groups)
        if (group.output == node.inputs[0] && group.epilogue.activation == Activation::Clip && group.epilogue.low >= 0) return 0;
    return -std::numeric_limits<float>::infinity();
}

// One size of map, and what is done at that size.
struct SizeClass {
    Size size;
    std::vector<Grid> candidates;
    std::size_t chosen = 0;
};

struct Link {  // the windowed groups between two sizes, with one stride
    std::size_t in, out;  // size classes
    std::int64_t stride[2];
    double channels = 0, haloed = 0;  // that are read, and those of them whose halos are
};

std::vector<Grid> candidates(const Size& size, std::int64_t lanes) {
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
    const auto wasteful = [&](const Grid& g) { return static_cast<double>(g.block[0] * g.block[1]) > kMostWaste * static_cast<double>(least); };
    found.erase(std::remove_if(found.begin(), found.end(), wasteful), found.end());
    return found;
}

// Cycles for one weight over a map of `vectors` vectors, in tiles of up to eight.
double entry_cost(std::int64_t vectors) {
    constexpr std::int64_t tile = 8;
    const double rest = vectors % tile ? entry_cycles(vectors % tile, false) : 0;
    return static_cast<double>(vectors / tile) * entry_cycles(tile, false) + rest;
}

double work_of(const Node& node) {
    if (node.op != Op::Conv) return static_cast<double>(node.window.kernel[0] * node.window.kernel[1]);
    return static_cast<double>(nonzeros_of(node));
}

class Chooser {
   public:
    Chooser(const Region& region, const std::vector<Fused>& groups, const MapFamily& kernels, const std::vector<bool>& is_map)
        : region_(region), kernels_(kernels) {
        for (std::size_t g = 0; g < groups.size(); ++g) {
            const Node& node = region.nodes[static_cast<std::size_t>(groups[g].node)];
            const Value& output = region.values[static_cast<std::size_t>(groups[g].output)];
            if (!is_map[static_cast<std::size_t>(groups[g].output)]) continue;
            const std::size_t out = class_of(output);
            points_[out] += static_cast<double>(output.shape[0]);
            if (!node.traits().has_window) continue;
            const Value& input = region.values[static_cast<std::size_t>(node.inputs[0])];
            const double channels = static_cast<double>(input.shape[0]);
            taps_[out] += work_of(node) * (node.op == Op::Conv ? 1 : static_cast<double>(output.shape[0]));
            Link& link = link_between(class_of(input), out, node.window);
            link.channels += channels;
            if (node.window.kernel[0] > 1 || node.window.kernel[1] > 1) link.haloed += channels;
        }
        for (SizeClass& c : classes_) c.candidates = candidates(c.size, lanes(c));
        // What a neighbour's blocks ask for lies among the rounded ones in nearly all cases; the rest are added here.
        for (int pass = 0; pass < 2; ++pass)
            for (const Link& link : links_) relate(link);
        alone_.resize(classes_.size());
        for (std::size_t i = 0; i < classes_.size(); ++i)
            for (const Grid& grid : classes_[i].candidates) {
                const double vectors = static_cast<double>(grid.block[0] * grid.block[1]);
                alone_[i].push_back(points_[i] * kStore * vectors + taps_[i] * entry_cost(grid.block[0] * grid.block[1]));
            }
    }

    void choose() {
        if (classes_.empty()) return;
        std::vector<std::size_t> best;
        double least = std::numeric_limits<double>::infinity();
        for (const std::size_t start : by_cost(0, kMostStarts)) {
            // Everything begins in line with the first map, as far as that goes; then each size improves on its own.
            for (std::size_t i = 0; i < classes_.size(); ++i) classes_[i].chosen = by_cost(i, 1)[0];
            classes_[0].chosen = start;
            for (const Link& link : links_) follow(link);
            double cost = total();
            for (int pass = 0; pass < 4; ++pass) {
                const double before = cost;
                for (SizeClass& c : classes_) {
                    const std::size_t kept = c.chosen;
                    std::size_t better = kept;
                    for (std::size_t i = 0; i < c.candidates.size(); ++i) {
                        c.chosen = i;
                        const double changed = total();
                        if (changed < cost) {
                            cost = changed;
                            better = i;
                        }
                    }
                    c.chosen = better;
                }
                if (cost >= before) break;
            }
            if (cost < least) {
                least = cost;
                best.clear();
                for (const SizeClass& c : classes_) best.push_back(c.chosen);
            }
        }
        for (std::size_t i = 0; i < classes_.size(); ++i) classes_[i].chosen = best[i];
    }

    Grid grid(const Value& value) {
        const SizeClass& c = classes_[class_of(value)];
        return c.candidates[c.chosen];
    }

    std::size_t class_of(const Value& value) {
        std::int64_t size[2];
        image_size(value, size);
        const Size key{size[0], size[1]};
        for (std::size_t i = 0; i < classes_.size(); ++i)
            if (classes_[i].size == key) return i;
        classes_.push_back({key, {}, 0});
        points_.push_back(0);
        taps_.push_back(0);
        return classes_.size() - 1;
    }

    void prepare(const Value& value) {
        SizeClass& c = classes_[class_of(value)];
        if (c.candidates.empty()) c.candidates = candidates(c.size, lanes(c));
    }

   private:
    Link& link_between(std::size_t in, std::size_t out, const Window& w) {
        const auto same = [&](const Link& link) { return link.in == in && link.out == out && link.stride[0] == w.stride[0] && link.stride[1] == w.stride[1]; };
        const auto found = std::find_if(links_.begin(), links_.end(), same);
        if (found != links_.end()) return *found;
        links_.push_back({in, out, {w.stride[0], w.stride[1]}});
        return links_.back();
    }

    std::int64_t lanes(const SizeClass& c) const { return kernels_.lanes_for(c.size.first * c.size.second); }

    void relate(const Link& link) {
        for (const Grid& out : std::vector<Grid>(classes_[link.out].candidates)) {
            Grid in = out;
            for (int d = 0; d < 2; ++d) in.block[d] *= link.stride[d];
            if (in.grid[0] * in.grid[1] == lanes(classes_[link.in]) && in.grid[0] * in.block[0] >= classes_[link.in].size.first && in.grid[1] * in.block[1] >= classes_[link.in].size.second &&
                static_cast<double>(in.block[0] * in.block[1] * in.grid[0] * in.grid[1]) <=
                    2.5 * static_cast<double>(classes_[link.in].size.first * classes_[link.in].size.second))
                add(classes_[link.in].candidates, in);
        }
        for (const Grid& in : std::vector<Grid>(classes_[link.in].candidates)) {
            Grid out = in;
            bool whole = true;
            for (int d = 0; d < 2; ++d) {
                whole = whole && in.block[d] % link.stride[d] == 0;
                out.block[d] /= link.stride[d];
            }
            if (whole && out.grid[0] * out.grid[1] == lanes(classes_[link.out]) && out.grid[0] * out.block[0] >= classes_[link.out].size.first && out.grid[1] * out.block[1] >= classes_[link.out].size.second &&
                static_cast<double>(out.block[0] * out.block[1] * out.grid[0] * out.grid[1]) <=
                    std::max(static_cast<double>(lanes(classes_[link.out])), 4.0 * static_cast<double>(classes_[link.out].size.first * classes_[link.out].size.second)))
                add(classes_[link.out].candidates, out);
        }
    }

    static void add(std::vector<Grid>& grids, const Grid& grid) {
        if (std::find(grids.begin(), grids.end(), grid) == grids.end()) grids.push_back(grid);
    }

    void follow(const Link& link) {
        const Grid& in = classes_[link.in].candidates[classes_[link.in].chosen];
        SizeClass& c = classes_[link.out];
        for (std::size_t i = 0; i < c.candidates.size(); ++i)
            if (in_line(link, in, c.candidates[i])) c.chosen = i;
    }

    static bool in_line(const Link& link, const Grid& in, const Grid& out) {
        for (int d = 0; d < 2; ++d)
            if (in.grid[d] != out.grid[d] || in.block[d] != out.block[d] * link.stride[d]) return false;
        return true;
    }

    // The candidates that are cheapest on their own.
    std::vector<std::size_t> by_cost(std::size_t index, std::size_t most) const {
        const std::vector<double>& costs = alone_[index];
        std::vector<std::size_t> chosen(costs.size());
        std::iota(chosen.begin(), chosen.end(), std::size_t{0});
        most = std::min(most, chosen.size());
        std::partial_sort(chosen.begin(), chosen.begin() + static_cast<std::ptrdiff_t>(most), chosen.end(),
                          [&](std::size_t a, std::size_t b) { return std::make_pair(costs[a], a) < std::make_pair(costs[b], b); });
        chosen.resize(most);
        return chosen;
    }

    double total() {
        double cost = 0;
        for (std::size_t i = 0; i < classes_.size(); ++i) cost += alone_[i][classes_[i].chosen];
        for (const Link& link : links_) {
            const Grid& in = classes_[link.in].candidates[classes_[link.in].chosen];
            const Grid& out = classes_[link.out].candidates[classes_[link.out].chosen];
            const double high = static_cast<double>(out.block[0] * link.stride[0]), wide = static_cast<double>(out.block[1] * link.stride[1]);
            if (in_line(link, in, out)) cost += link.haloed * kHalo * (2 * high + 2 * wide + 4);
            else cost += link.channels * kMove * (high + 2) * (wide + 2);
        }
        return cost;
    }

    const Region& region_;
    const MapFamily kernels_;
    std::vector<SizeClass> classes_;
    std::vector<double> points_;  // channels written at each size
    std::vector<double> taps_;    // nonzero weights of the convolutions that write it, taps of the pools times channels
    std::vector<Link> links_;
    std::vector<std::vector<double>> alone_;  // cost of each candidate of a size, but for what its neighbours ask
};

}  // namespace

void image_size(const Value& value, std::int64_t (&size)[2]) {
    size[0] = value.shape.size() == 3 ? value.shape[1] : 1;
    size[1] = value.shape.back();
}

Arrangement arrange(const Region& region, const std::vector<Fused>& groups, const MapFamily& kernels) {
    Arrangement result;
    result.is_map.assign(region.values.size(), false);
    result.home.resize(region.values.size());
    result.read_as.assign(groups.size(), -1);
    for (const Fused& group : groups) {
        const Node& node = region.nodes[static_cast<std::size_t>(group.node)];
        bool map = node.traits().has_window;
        if (node.traits().is_elementwise())
            for (const int value : node.inputs) map = map || result.is_map[static_cast<std::size_t>(value)];
        result.is_map[static_cast<std::size_t>(group.output)] = map;
    }

    Chooser chooser(region, groups, kernels, result.is_map);
    chooser.choose();
    // Homes: of every value that a map node writes or reads; the halos follow from the readers.
    std::vector<bool> placed(region.values.size(), false);
    const auto place = [&](int value) {
        const std::size_t v = static_cast<std::size_t>(value);
        if (placed[v]) return;
        placed[v] = true;
        chooser.prepare(region.values[v]);
        const Grid grid = chooser.grid(region.values[v]);
        Layout& home = result.home[v];
        image_size(region.values[v], home.size);
        for (int d = 0; d < 2; ++d) {
            home.grid[d] = grid.grid[d];
            home.block[d] = grid.block[d];
        }
    };
    for (const Fused& group : groups) {
        const Node& node = region.nodes[static_cast<std::size_t>(group.node)];
        if (result.is_map[static_cast<std::size_t>(group.output)]) place(group.output);
        if (!result.is_map[static_cast<std::size_t>(group.output)] && node.op != Op::GlobalAveragePool) continue;
        for (const int value : node.inputs) place(value);
        if (group.residual >= 0) place(group.residual);
    }
    for (std::size_t g = 0; g < groups.size(); ++g) {
        const Node& node = region.nodes[static_cast<std::size_t>(groups[g].node)];
        if (!node.traits().has_window) continue;
        const std::size_t input = static_cast<std::size_t>(node.inputs[0]);
        const Layout& out = result.home[static_cast<std::size_t>(groups[g].output)];
        const Layout needed = input_layout(node.window, result.home[input].size, {{out.grid[0], out.grid[1]}, {out.block[0], out.block[1]}});
        Layout* target = &result.home[input];
        const float fill = fill_of(groups, node, needed, out);
        if (!needed.aligned(*target) || fill != 0) {
            const auto same = [&](const Arrangement::Copy& copy) {
                return copy.value == node.inputs[0] && copy.layout.aligned(needed) && copy.fill == fill;
            };
            auto found = std::find_if(result.copies.begin(), result.copies.end(), same);
            if (found == result.copies.end()) found = result.copies.insert(found, {node.inputs[0], needed, fill});
            result.read_as[g] = static_cast<int>(found - result.copies.begin());
            target = &found->layout;
        }
        for (int d = 0; d < 2; ++d) {
            target->before[d] = std::max(target->before[d], needed.before[d]);
            target->after[d] = std::max(target->after[d], needed.after[d]);
        }
    }
    return result;
}

}  // namespace edgeticket
