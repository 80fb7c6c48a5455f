#include "sketch.h"

#include <utility>

#include "engine/region/index.h"
#include "engine/region/shape.h"

namespace edgeticket {
namespace {

// As rows, the lines of an image are items of their own.
std::vector<std::int64_t> shape_of(const std::vector<std::int64_t>& shape, const Candidate& candidate, unsigned mode) {
    return mode == kRow && (candidate.modes & kImage) != 0 ? std::vector<std::int64_t>{shape.back()} : shape;
}

}  // namespace

Sketch::Sketch(const std::vector<Candidate>& candidates, const std::vector<int>& group, unsigned mode)
    : members(group) {
    for (const int member : group) {
        const Candidate& candidate = at(candidates, member);
        Node node = candidate.node;
        for (int& input : node.inputs) input = value(input, shape_of(candidate.in_shape, candidate, mode));
        node.output = value(node.output, shape_of(candidate.out_shape, candidate, mode));
        node.nonzeros = candidate.nonzeros;
        if (node.op == Op::Add && node.inputs.size() == 1)  // as one a channel, of the item that this mode sees
            node.constant.resize(static_cast<std::size_t>(region.shape(node.output)[0]));
        at(written_, node.output) = true;
        region.nodes.push_back(std::move(node));
    }
    const Candidate& first = at(candidates, group[0]);
    items = first.items;
    if (mode == kRow && (first.modes & kImage) != 0)
        for (std::size_t axis = 0; axis + 1 < first.in_shape.size(); ++axis) items *= first.in_shape[axis];
    find_border(candidates);
}

int Sketch::value(int id, const std::vector<std::int64_t>& shape) {
    const auto [place, fresh] = index_.try_emplace(id, static_cast<int>(region.values.size()));
    if (fresh) region.values.push_back({"", shape}), written_.push_back(false);
    return place->second;
}

void Sketch::find_border(const std::vector<Candidate>& candidates) {
    std::vector<bool> inside(candidates.size(), false), elsewhere(region.values.size(), false),
        read(region.values.size(), false), leaves(region.values.size(), false);
    for (const int member : members) at(inside, member) = true;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        const auto output = index_.find(candidates[i].node.output);
        if (!inside[i] && output != index_.end()) at(elsewhere, output->second) = true;
        for (const int producer : candidates[i].producers) {
            const auto value = index_.find(at(candidates, producer).node.output);
            if (at(inside, producer) && value != index_.end()) at(inside[i] ? read : leaves, value->second) = true;
        }
    }
    for (std::size_t v = 0; v < region.values.size(); ++v) {
        if (!written_[v]) region.inputs.push_back(static_cast<int>(v)), computed.push_back(elsewhere[v]);
        else if (leaves[v] || !read[v]) region.outputs.push_back(static_cast<int>(v));
    }
}

Region Sketch::whole(const std::vector<Candidate>& candidates) const {
    Region whole = region;
    for (std::size_t n = 0; n < whole.nodes.size(); ++n) {
        Node& node = whole.nodes[n];
        const Candidate& candidate = at(candidates, members[n]);
        if (!node.constant.empty())
            node.constant.resize(static_cast<std::size_t>(elements(at(whole.values, node.output).shape)));
        if (candidate.weight == nullptr) continue;
        const auto count = static_cast<std::size_t>(candidate.weights);
        if (!candidate.weight_is_kn) {
            node.weight = Floats::view(candidate.weight, count);
            continue;
        }
        const auto inputs = static_cast<std::size_t>(at(whole.values, node.inputs[0]).shape.back());
        const std::size_t outputs = count / inputs;
        std::vector<float> weight(count);
        for (std::size_t k = 0; k < inputs; ++k)
            for (std::size_t m = 0; m < outputs; ++m) weight[m * inputs + k] = candidate.weight[k * outputs + m];
        node.weight = std::move(weight);
    }
    return whole;
}

}  // namespace edgeticket
