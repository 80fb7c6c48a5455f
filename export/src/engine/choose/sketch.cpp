#include "sketch.h"

#include <algorithm>
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

Wiring::Wiring(const std::vector<Candidate>& candidates) : readers(candidates.size()) {
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        writer.emplace(candidates[i].node.output, static_cast<int>(i));
        for (const int producer : candidates[i].producers) at(readers, producer).push_back(static_cast<int>(i));
    }
}

Sketch::Sketch(const std::vector<Candidate>& candidates, const Wiring& wiring, const std::vector<int>& group,
               unsigned mode)
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
    find_border(candidates, wiring);
}

int Sketch::value(int id, const std::vector<std::int64_t>& shape) {
    const auto [place, fresh] = index_.try_emplace(id, static_cast<int>(region.values.size()));
    if (fresh) region.values.push_back({"", shape}), written_.push_back(false);
    return place->second;
}

void Sketch::find_border(const std::vector<Candidate>& candidates, const Wiring& wiring) {
    std::vector<bool> elsewhere(region.values.size(), false), read(region.values.size(), false),
        leaves(region.values.size(), false);
    const auto inside = [&](int candidate) { return std::binary_search(members.begin(), members.end(), candidate); };
    for (const auto& [value, index] : index_) {
        const auto writer = wiring.writer.find(value);
        at(elsewhere, index) = writer != wiring.writer.end() && !inside(writer->second);
    }
    for (const int member : members) {
        const int value = index_.at(at(candidates, member).node.output);
        for (const int reader : at(wiring.readers, member)) at(inside(reader) ? read : leaves, value) = true;
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
