#include "row_steps.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "engine/region/shape.h"
#include "engine/cost/units.h"

namespace edgeticket {
namespace {

constexpr std::size_t kAlignment = 16;  // floats

// First fit: `values` that are alive at the same time (first to last step) get different places. Gives the floats of all.
struct Placed {
    int from, to;
    std::size_t floats, offset;
    std::size_t* result;
};

std::size_t first_fit(std::vector<Placed>& values) {
    std::vector<const Placed*> placed;
    std::size_t total = 0;
    for (Placed& value : values) {
        value.floats = (value.floats + kAlignment - 1) / kAlignment * kAlignment;
        for (const Placed* other : placed) {  // by rising offset
            if (other->to < value.from || other->from > value.to) continue;
            if (value.offset + value.floats <= other->offset) break;
            value.offset = std::max(value.offset, other->offset + other->floats);
        }
        const auto behind = std::find_if(placed.begin(), placed.end(), [&](const Placed* p) { return p->offset > value.offset; });
        placed.insert(behind, &value);
        total = std::max(total, value.offset + value.floats);
        *value.result = value.offset;
    }
    return total;
}

}  // namespace

RowProgram::RowProgram(const Region& region, const FcKernels& kernels) {
    for (const Value& value : region.values) {
        held.push_back(static_cast<int>(values.size()));
        values.emplace_back();
        values.back().elements = elements(value.shape);
    }
    const std::vector<Fused> groups = fuse(region);
    for (const Fused& group : groups) add_step(region, kernels, group);
    for (std::size_t i = 0; i < region.inputs.size(); ++i) {
        inputs.push_back(held[static_cast<std::size_t>(region.inputs[i])]);
        values[static_cast<std::size_t>(inputs.back())].input = static_cast<int>(i);
    }
    for (std::size_t o = 0; o < region.outputs.size(); ++o) {
        outputs.push_back(held[static_cast<std::size_t>(region.outputs[o])]);
        RowValue& value = values[static_cast<std::size_t>(outputs.back())];
        if (value.output < 0) value.output = static_cast<int>(o);
    }
    place();
    report(region, groups);
}

void RowProgram::add_step(const Region& region, const FcKernels& kernels, const Fused& group) {
    const Node& node = region.nodes[static_cast<std::size_t>(group.node)];
    const auto holder = [&](int value) { return held[static_cast<std::size_t>(value)]; };
    RowStep step;
    step.node = group.node;
    step.a = holder(node.inputs[0]);
    if (node.op == Op::Reshape) {
        held[static_cast<std::size_t>(group.output)] = step.a;
        return;
    }
    step.out = group.output;
    step.epilogue = group.epilogue;
    if (node.op == Op::Fc) {
        const std::vector<float>& bias = group.bias.empty() ? node.bias : group.bias;
        const std::int64_t in = values[static_cast<std::size_t>(step.a)].elements, out = values[static_cast<std::size_t>(step.out)].elements;
        if (in > INT32_MAX || out > INT32_MAX) throw std::invalid_argument(node.name + ": a layer of 2^31 inputs or outputs, or more");
        step.layer = std::make_unique<FcLayer>(kernels, node.weight.data(), bias.empty() ? nullptr : bias.data(), static_cast<std::int32_t>(out),
                                               static_cast<std::int32_t>(in), true);
        if (group.residual >= 0) step.b = holder(group.residual);
    } else if (node.traits().is_elementwise()) {
        if (node.inputs.size() == 2) step.b = holder(node.inputs[1]);
        step.constant = node.constant;
    } else {
        throw std::invalid_argument(node.name + ": not computed row by row");
    }
    steps.push_back(std::move(step));
}

void RowProgram::place() {
    std::vector<int> from(values.size(), -1), to(values.size(), -1);
    for (std::size_t s = 0; s < steps.size(); ++s) {
        RowStep& step = steps[s];
        for (const int read : {step.a, step.b}) {
            if (read < 0) continue;
            const std::size_t v = static_cast<std::size_t>(read);
            to[v] = static_cast<int>(s);
            if (from[v] >= 0) continue;
            from[v] = static_cast<int>(s);
            if (values[v].input < 0) throw std::invalid_argument("a value is read before it is computed");
            step.loads.push_back(values[v].input);
        }
        const std::size_t v = static_cast<std::size_t>(step.out);
        from[v] = to[v] = static_cast<int>(s);
        for (std::size_t o = 0; o < outputs.size(); ++o)
            if (outputs[o] == step.out) step.stores.push_back(static_cast<int>(o));
    }
    std::vector<Placed> rows, panels;
    for (std::size_t v = 0; v < values.size(); ++v) {
        if (from[v] < 0) continue;
        RowValue& value = values[v];
        const std::size_t floats = static_cast<std::size_t>(value.elements);
        panels.push_back({from[v], to[v], floats, 0, &value.in_panel});
        if (value.in_workspace()) rows.push_back({from[v], to[v], floats, 0, &value.as_row});
    }
    row_floats = first_fit(rows);
    panel_floats = first_fit(panels);
}

void RowProgram::report(const Region& region, const std::vector<Fused>& groups) {
    for (const Node& node : region.nodes) {
        NodeReport r;
        r.name = node.name;
        r.kernel = "none: the same memory";
        reports.push_back(std::move(r));
    }
    for (const Fused& group : groups)
        for (const int follower : group.followers)
            reports[static_cast<std::size_t>(follower)].kernel = "fused into " + region.nodes[static_cast<std::size_t>(group.node)].name;
    for (const RowStep& step : steps) {
        NodeReport& r = reports[static_cast<std::size_t>(step.node)];
        r.kernel = step.layer ? step.layer->row_kernel().name : "flat";
        if (step.layer == nullptr) continue;
        r.density = step.layer->density();
        r.macs = static_cast<std::int64_t>(region.nodes[static_cast<std::size_t>(step.node)].weight.size());
        r.predicted_us = step.layer->predict_us(1);
    }
    report_cpu(region, groups, reports);
}

}  // namespace edgeticket
