#include "arrange.h"

#include <algorithm>
#include <limits>

#include "engine/region/index.h"
#include "engine/region/shape.h"
#include "grid_chooser.h"

namespace edgeticket {
namespace {

// The layout of an input that a window reads when the output lies in `out`.
Layout input_layout(const Window& window, const std::int64_t (&size)[2], const Grid& out) {
    Layout in;
    for (int d = 0; d < 2; ++d) {
        in.size[d] = size[d];
        in.grid[d] = out.grid[d];
        in.block[d] = out.block[d] * window.stride[d];
        in.before[d] = std::max<std::int64_t>(0, window.pad_begin[d]);
        const std::int64_t last =
            (out.block[d] - 1) * window.stride[d] + (window.kernel[d] - 1) * window.dilation[d] - window.pad_begin[d];
        in.after[d] = std::max<std::int64_t>(0, last - (in.block[d] - 1));
    }
    return in;
}

// The value that a window has to find outside the image. A maximum over values that are never negative may read zeros;
// `writer` is the group that computes them, or null.
float fill_of(const Fused* writer, const Node& node, const Layout& in, const Layout& out) {
    if (node.op != Op::MaxPool) return 0;
    const Window& w = node.window;
    bool outside = false;
    for (int d = 0; d < 2; ++d) {
        const std::int64_t last = (out.size[d] - 1) * w.stride[d] + (w.kernel[d] - 1) * w.dilation[d] - w.pad_begin[d];
        outside = outside || w.pad_begin[d] > 0 || last >= in.size[d];
    }
    if (!outside) return 0;
    if (writer != nullptr && writer->epilogue.activation == Activation::Clip && writer->epilogue.low >= 0) return 0;
    return -std::numeric_limits<float>::infinity();
}

}  // namespace

Arrangement arrange(const Region& region, const std::vector<Fused>& groups, const MapFamily& kernels) {
    Arrangement result;
    result.is_map.assign(region.values.size(), false);
    result.home.resize(region.values.size());
    result.read_as.assign(groups.size(), -1);
    for (const Fused& group : groups) {
        const Node& node = region.node(group.node);
        bool map = node.traits().has_window;
        if (node.traits().is_elementwise())
            for (const int value : node.inputs) map = map || at(result.is_map, value);
        at(result.is_map, group.output) = map;
    }

    GridChooser chooser(region, groups, kernels, result.is_map);
    // Every value that a map node writes or reads has a home; its halos follow from the readers.
    std::vector<bool> placed(region.values.size(), false);
    const auto place = [&](int value) {
        const std::size_t v = static_cast<std::size_t>(value);
        if (placed[v]) return;
        placed[v] = true;
        const Grid grid = chooser.grid(region.values[v]);
        Layout& home = result.home[v];
        image_size(region.values[v].shape, home.size);
        for (int d = 0; d < 2; ++d) {
            home.grid[d] = grid.grid[d];
            home.block[d] = grid.block[d];
        }
    };
    for (const Fused& group : groups) {
        const Node& node = region.node(group.node);
        if (at(result.is_map, group.output)) place(group.output);
        if (!at(result.is_map, group.output) && node.traits().runs_on_rows) continue;
        for (const int value : node.inputs) place(value);
        if (group.residual >= 0) place(group.residual);
    }
    std::vector<const Fused*> writer(region.values.size(), nullptr);
    for (const Fused& group : groups) at(writer, group.output) = &group;
    std::vector<std::vector<int>> copies_of(region.values.size());
    for (std::size_t g = 0; g < groups.size(); ++g) {
        const Node& node = region.node(groups[g].node);
        if (!node.traits().has_window) continue;
        const int input = node.inputs[0];
        const Layout& out = at(result.home, groups[g].output);
        const Layout needed = input_layout(node.window, at(result.home, input).size,
                                           {{out.grid[0], out.grid[1]}, {out.block[0], out.block[1]}});
        Layout* target = &at(result.home, input);
        const float fill = fill_of(at(writer, input), node, needed, out);
        if (!needed.aligned(*target) || fill != 0) {
            std::vector<int>& copies = at(copies_of, input);
            const auto found = std::find_if(copies.begin(), copies.end(), [&](int index) {
                const Arrangement::Copy& copy = at(result.copies, index);
                return copy.layout.aligned(needed) && copy.fill == fill;
            });
            if (found == copies.end()) {
                result.read_as[g] = static_cast<int>(result.copies.size());
                copies.push_back(result.read_as[g]);
                result.copies.push_back({input, needed, fill, g});
            } else {
                result.read_as[g] = *found;
            }
            target = &at(result.copies, result.read_as[g]).layout;
        }
        for (int d = 0; d < 2; ++d) {
            target->before[d] = std::max(target->before[d], needed.before[d]);
            target->after[d] = std::max(target->after[d], needed.after[d]);
        }
    }
    return result;
}

}  // namespace edgeticket
