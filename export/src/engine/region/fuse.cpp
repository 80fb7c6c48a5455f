#include "fuse.h"

#include "index.h"

namespace edgeticket {
namespace {

// The group's bias with the constant of an Add, or nothing where that has several values in the plane of a channel.
std::vector<float> bias_with(const Region& region, const Fused& group, const Node& add) {
    const std::size_t channels = static_cast<std::size_t>(region.shape(group.output)[0]);
    const std::size_t plane = add.constant.size() / channels;
    const Node& head = region.node(group.node);
    std::vector<float> bias = group.bias.empty() ? head.bias : group.bias;
    bias.resize(channels, 0.0F);
    for (std::size_t i = 0; i < add.constant.size(); ++i) {
        if (add.constant[i] != add.constant[i / plane * plane]) return {};  // NaN, too
        if (i % plane == 0) bias[i / plane] += add.constant[i];
    }
    return bias;
}

}  // namespace

std::vector<Fused> fuse(const Region& region) {
    std::vector<int> readers(region.values.size(), 0);
    for (const int value : region.outputs)
        at(readers, value) += 2;  // an output must be written, so it never lies inside a group
    for (const Node& node : region.nodes)
        for (const int value : node.inputs) ++at(readers, value);

    std::vector<Fused> groups;
    std::vector<int> group_of(region.values.size(), -1);  // that writes the value
    for (std::size_t i = 0; i < region.nodes.size(); ++i) {
        const Node& node = region.nodes[i];
        // The latest group that this node may join: it wrote one of the inputs, and nobody else reads that.
        int joined = -1;
        std::vector<float> bias;
        for (const int value : node.inputs) {
            const int group = at(group_of, value);
            if (group < 0 || at(readers, value) != 1) continue;
            const Fused& candidate = at(groups, group);
            const OpTraits& head = region.node(candidate.node).traits();
            if (candidate.epilogue.activation != Activation::None) continue;
            const bool adds = node.op == Op::Add && node.inputs.size() == 2 && node.inputs[0] != node.inputs[1] &&
                              head.has_weight && candidate.residual < 0;
            if (node.op == Op::Add && !node.constant.empty() && head.has_weight && candidate.residual < 0)
                bias = bias_with(region, candidate, node);
            const bool activates = node.traits().is_activation() && (head.has_weight || head.op == Op::Add);
            if ((adds || activates || !bias.empty()) && group > joined) joined = group;
        }
        if (joined >= 0 && node.op == Op::Add && bias.empty()) {  // the other operand must be there when the group runs
            const Fused& group = at(groups, joined);
            const int other = node.inputs[node.inputs[0] == group.output ? 1 : 0];
            if (at(group_of, other) > joined) joined = -1;
        }
        if (joined < 0) {
            Fused group;
            group.node = static_cast<int>(i);
            group.output = node.output;
            group.epilogue = node.epilogue();
            groups.push_back(group);
            joined = static_cast<int>(groups.size()) - 1;
        } else {
            Fused& group = at(groups, joined);
            if (!bias.empty()) group.bias = bias;
            else if (node.op == Op::Add) group.residual = node.inputs[node.inputs[0] == group.output ? 1 : 0];
            else group.epilogue = node.epilogue();
            group.followers.push_back(static_cast<int>(i));
            group.output = node.output;
        }
        at(group_of, node.output) = joined;
    }
    return groups;
}

}  // namespace edgeticket
