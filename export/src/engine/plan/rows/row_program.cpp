#include "row_program.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "engine/plan/bytes.h"
#include "engine/plan/place.h"
#include "engine/region/fuse.h"
#include "engine/region/index.h"
#include "engine/region/shape.h"
#include "row_cost.h"

namespace edgeticket {
namespace {

class RowPlanner {
   public:
    RowPlanner(const Region& region, const Settings& settings) : region_(region) {
        program_.layers = &fc_kernels_of(settings.isa);
        program_.kernels = &map_kernels_of(settings.isa);
        program_.threads = std::max(1, settings.threads);
    }

    RowProgram plan() {
        for (const Value& value : region_.values) {
            held_.push_back(static_cast<int>(program_.values.size()));
            program_.values.emplace_back();
            program_.values.back().element = value.element;
            program_.values.back().elements = elements(value.shape);
        }
        const std::vector<Fused> groups = fuse(region_);
        program_.reports = node_reports(region_, groups);
        for (const Fused& group : groups) add_step(group);
        name_ends();
        find_loads_and_stores();
        place_values();
        program_.alone = RowSchedule(row_chunks(program_, 1));
        program_.together = RowSchedule(row_chunks(program_, program_.threads));
        return std::move(program_);
    }

   private:
    void add_step(const Fused& group);
    void name_ends();
    void find_loads_and_stores();
    void place_values();
    FcLayer layer(const Node& node, const Fused& group, int in, int out) const;

    const Region& region_;
    std::vector<int> held_;  // of each value of the region: the one that holds its elements
    RowProgram program_;
};

FcLayer RowPlanner::layer(const Node& node, const Fused& group, int in, int out) const {
    const std::vector<float>& bias = group.bias.empty() ? node.bias : group.bias;
    const std::int64_t inputs = at(program_.values, in).elements, outputs = at(program_.values, out).elements;
    if (inputs > INT32_MAX || outputs > INT32_MAX)
        throw std::invalid_argument(node.name + ": a layer of 2^31 inputs or outputs, or more");
    return FcLayer(*program_.layers, node.weight.data(), bias.empty() ? nullptr : bias.data(),
                   static_cast<std::int32_t>(outputs), static_cast<std::int32_t>(inputs), true);
}

void RowPlanner::add_step(const Fused& group) {
    const Node& node = region_.node(group.node);
    RowStep step;
    step.node = group.node;
    step.a = at(held_, node.inputs[0]);
    if (node.op == Op::Reshape) {
        at(held_, group.output) = step.a;
        return;
    }
    step.out = group.output;
    step.epilogue = group.epilogue;
    if (node.op == Op::Fc) {
        step.layer = std::make_unique<FcLayer>(layer(node, group, step.a, step.out));
        if (group.residual >= 0) step.b = at(held_, group.residual);
    } else if (node.traits().is_elementwise()) {
        if (node.inputs.size() == 2) step.b = at(held_, node.inputs[1]);
        step.constant = node.constant;
    } else {
        throw std::invalid_argument(node.name + ": not computed row by row");
    }
    NodeReport& report = at(program_.reports, step.node);
    report.kernel = step.layer ? step.layer->row_kernel().name : "flat";
    if (step.layer) report.density = step.layer->density();
    program_.steps.push_back(std::move(step));
}

void RowPlanner::name_ends() {
    for (std::size_t i = 0; i < region_.inputs.size(); ++i) {
        program_.inputs.push_back(at(held_, region_.inputs[i]));
        at(program_.values, program_.inputs.back()).input = static_cast<int>(i);
    }
    for (std::size_t o = 0; o < region_.outputs.size(); ++o) {
        program_.outputs.push_back(at(held_, region_.outputs[o]));
        RowValue& value = at(program_.values, program_.outputs.back());
        if (value.output < 0) value.output = static_cast<int>(o);
    }
}

void RowPlanner::find_loads_and_stores() {
    std::vector<bool> there(program_.values.size(), false);
    std::vector<std::vector<int>> outputs(program_.values.size());  // that each value is
    for (std::size_t o = 0; o < program_.outputs.size(); ++o)
        at(outputs, program_.outputs[o]).push_back(static_cast<int>(o));
    for (RowStep& step : program_.steps) {
        for (const int read : {step.a, step.b}) {
            if (read < 0 || at(there, read)) continue;
            at(there, read) = true;
            const int input = at(program_.values, read).input;
            if (input < 0) throw std::invalid_argument("a value is read before it is computed");
            step.loads.push_back(input);
        }
        at(there, step.out) = true;
        step.stores = at(outputs, step.out);
    }
}

// A value is needed from the first step that touches it, which writes it or brings it in, to the last.
void RowPlanner::place_values() {
    std::vector<Placed> lifetimes;
    for (const RowValue& value : program_.values)
        lifetimes.push_back({-1, -1, times_bytes(value.elements, bytes_of(value.element))});
    for (std::size_t s = 0; s < program_.steps.size(); ++s) {
        const RowStep& step = program_.steps[s];
        for (const int value : {step.a, step.b, step.out}) {
            if (value < 0) continue;
            Placed& lifetime = at(lifetimes, value);
            lifetime.last = static_cast<int>(s);
            if (lifetime.first < 0) lifetime.first = static_cast<int>(s);
        }
    }
    std::vector<Placed> rows, panels;
    std::vector<std::size_t*> row_offsets, panel_offsets;
    for (std::size_t v = 0; v < program_.values.size(); ++v) {
        if (lifetimes[v].first < 0) continue;
        RowValue& value = program_.values[v];
        panels.push_back(lifetimes[v]);
        panel_offsets.push_back(&value.in_panel);
        if (!value.in_workspace()) continue;
        rows.push_back(lifetimes[v]);
        row_offsets.push_back(&value.as_row);
    }
    program_.row_bytes = place(rows);
    program_.panel_bytes = place(panels);
    for (std::size_t i = 0; i < rows.size(); ++i) *row_offsets[i] = rows[i].offset;
    for (std::size_t i = 0; i < panels.size(); ++i) *panel_offsets[i] = panels[i].offset;
}

}  // namespace

bool is_row_region(const Region& region) {
    return std::all_of(region.nodes.begin(), region.nodes.end(),
                       [](const Node& node) { return node.traits().runs_on_rows; });
}

RowProgram plan_rows(const Region& region, const Settings& settings) { return RowPlanner(region, settings).plan(); }

}  // namespace edgeticket
