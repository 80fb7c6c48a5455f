#include "predict.h"

#include <algorithm>
#include <variant>

#include "cpu_cost.h"
#include "engine/plan/maps/arrange.h"
#include "engine/region/fuse.h"
#include "engine/region/index.h"
#include "isa/machine.h"
#include "own_cost.h"
#include "units.h"

namespace edgeticket {
namespace {

CpuCost cpu_cost_of(const Region& region) {
    double bytes = 0;
    for (const Node& node : region.nodes) bytes += 4.0 * static_cast<double>(node.weight.size());
    return CpuCost(this_machine(bytes, 1));
}

void predict_own(const Region& region, const std::vector<Fused>& groups, const CpuCost& cpu, Isa isa,
                 std::vector<Prediction>& found) {
    const Arrangement arrangement = arrange(region, groups, map_family_of(isa));
    double packed = 0;
    for (const Node& node : region.nodes)
        packed += packed_bytes(static_cast<double>(node.weight.size()), static_cast<double>(nonzeros_of(node)));
    const OwnCost own({isa, peak_gmacs(isa), packed, 1});
    const Units units =
        units_of(region, groups, arrangement, own, cpu, 1, std::vector<bool>(region.inputs.size(), false));
    std::vector<bool> leaves(region.values.size(), false);
    for (const int output : region.outputs) at(leaves, output) = true;
    Span span(units, 0);
    for (const Unit& unit : units.units) {  // a move counts with the unit that asks for it
        const double before = span.own_us();
        span.extend();
        const UnitValue& output = at(units.values, unit.output);
        // A span charges a move out until the readers of the value are seen.
        const double still = output.is_map && !at(leaves, unit.output) ? output.move_us : 0;
        at(found, unit.node).own_us = std::max(unit.own_us, span.own_us() - before - still);
    }
}

}  // namespace

std::vector<Prediction> predict(const Region& given, const Plan& plan, Isa isa) {
    Region region = given;
    for (Node& node : region.nodes) node.nonzeros = nonzeros_of(node);  // the models ask for them again and again
    std::vector<Prediction> found(region.nodes.size());
    const std::vector<Fused> groups = fuse(region);
    const CpuCost cpu = cpu_cost_of(region);
    if (const auto* rows = std::get_if<RowProgram>(&plan.program())) {
        for (const RowStep& step : rows->steps)
            if (step.layer != nullptr) at(found, step.node).own_us = step.layer->predict_us(1);
    } else {
        predict_own(region, groups, cpu, isa, found);
    }
    for (const Fused& group : groups) {
        const std::vector<double> parts = cpu_parts_of(region, group, cpu, 1);
        at(found, group.node).cpu_us = parts[0];
        for (std::size_t f = 0; f < group.followers.size(); ++f) at(found, group.followers[f]).cpu_us = parts[f + 1];
    }
    return found;
}

}  // namespace edgeticket
