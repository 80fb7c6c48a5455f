#include "units.h"

#include <algorithm>

#include "isa/machine.h"
#include "engine/region/shape.h"

namespace edgeticket {
namespace {

std::size_t at(int index) { return static_cast<std::size_t>(index); }

// Of the first node of a group, then of its followers.
std::vector<double> cpu_parts_of(const Region& region, const Fused& group, const CpuCost& cpu, std::int64_t items) {
    const auto us = [&](const Node& node) {
        return cpu.node_us(node, region.values[at(node.inputs[0])].shape, region.values[at(node.output)].shape, items);
    };
    const Node& head = region.nodes[at(group.node)];
    const std::size_t rank = region.values[at(head.output)].shape.size();
    std::vector<double> parts{us(head)};
    for (const int follower : group.followers) {
        const Node& node = region.nodes[at(follower)];
        const bool bias = node.op == Op::Add && node.inputs.size() == 1;
        parts.push_back(bias || CpuCost::fuses(head.op, node.op, rank) ? 0 : us(node));
    }
    return parts;
}

CpuCost cpu_cost_of(const Region& region) {
    double bytes = 0;
    for (const Node& node : region.nodes) bytes += 4.0 * static_cast<double>(node.weight.size());
    return CpuCost(this_machine(bytes, 1));
}

}  // namespace

Units units_of(const Region& region, const std::vector<Fused>& groups, const Arrangement& arrangement, const OwnCost& own, const CpuCost& cpu,
               std::int64_t items, const std::vector<bool>& computed) {
    Units result;
    result.values.resize(region.values.size());
    for (std::size_t v = 0; v < region.values.size(); ++v) {
        UnitValue& value = result.values[v];
        const auto& shape = region.values[v].shape;
        value.is_map = arrangement.is_map[v];
        if (arrangement.home[v].lanes() > 1) value.move_us = static_cast<double>(items) * own.move_us(arrangement.home[v], shape[0]);
        value.reorder_us = static_cast<double>(items) * cpu.reorder_us(shape);
    }
    for (std::size_t i = 0; i < region.inputs.size(); ++i)
        if (!computed[i]) result.values[at(region.inputs[i])].reorder_us = 0;
    for (const int output : region.outputs) ++result.values[at(output)].readers;

    for (std::size_t g = 0; g < groups.size(); ++g) {
        const Fused& group = groups[g];
        const Node& head = region.nodes[at(group.node)];
        Unit unit;
        unit.node = group.node;
        unit.output = group.output;
        unit.weighted = head.traits().has_weight;
        unit.own_us = own.group_us(region, groups, arrangement, g, items);
        unit.cpu_parts = cpu_parts_of(region, group, cpu, items);
        for (const double us : unit.cpu_parts) unit.cpu_us += us;
        const bool as_map = head.traits().has_window || head.op == Op::GlobalAveragePool || (head.op != Op::Fc && head.op != Op::Reshape && arrangement.is_map[at(group.output)]);
        std::vector<int> values = head.inputs;
        if (group.residual >= 0) values.push_back(group.residual);
        for (std::size_t i = 0; i < values.size(); ++i) {
            const bool gathered = i == 0 && head.traits().has_window && arrangement.read_as[g] >= 0;
            unit.reads.push_back({values[i], as_map, !gathered});
            ++result.values[at(values[i])].readers;
        }
        result.values[at(group.output)].unit = static_cast<int>(g);
        result.units.push_back(std::move(unit));
    }
    return result;
}

void Span::charge(int value, double sign) {
    const Seen& seen = seen_[at(value)];
    if (seen.readers == 0) return;
    reorder_us_ += sign * units_.values[at(value)].reorder_us;
    if (!seen.row_major) move_us_ += sign * units_.values[at(value)].move_us;
}

void Span::extend() {
    const Unit& unit = units_.units[end_++];
    own_us_ += unit.own_us;
    for (const Unit::Read& read : unit.reads) {
        const UnitValue& value = units_.values[at(read.value)];
        Seen& seen = seen_[at(read.value)];
        const bool inside = value.unit >= static_cast<int>(begin_);
        if (inside) charge(read.value, -1);
        const bool there = seen.row_major || (inside && !value.is_map);
        if (!inside && !there) reorder_us_ += value.reorder_us;
        if (inside && !there && !read.as_map) move_us_ += value.move_us;
        if (!inside || !read.as_map) seen.row_major = true;
        if (read.as_map && read.moves && !seen.moved && !(inside && value.is_map)) move_us_ += value.move_us, seen.moved = true;
        if (inside) --seen.readers, charge(read.value, 1);
    }
    Seen& written = seen_[at(unit.output)];
    written.readers = std::max(1, units_.values[at(unit.output)].readers);
    written.row_major = !units_.values[at(unit.output)].is_map;
    charge(unit.output, 1);
}

void report_cpu(const Region& region, const std::vector<Fused>& groups, std::vector<NodeReport>& reports) {
    const CpuCost cpu = cpu_cost_of(region);
    for (const Fused& group : groups) {
        const std::vector<double> parts = cpu_parts_of(region, group, cpu, 1);
        reports[at(group.node)].cpu_us = parts[0];
        for (std::size_t f = 0; f < group.followers.size(); ++f) reports[at(group.followers[f])].cpu_us = parts[f + 1];
    }
}

void report_predictions(const Region& region, const std::vector<Fused>& groups, const Arrangement& arrangement, Isa isa, std::vector<NodeReport>& reports) {
    double packed = 0;
    for (const Node& node : region.nodes) packed += packed_bytes(static_cast<double>(node.weight.size()), static_cast<double>(nonzeros_of(node)));
    const OwnCost own({isa, peak_gmacs(isa), packed, 1});
    const CpuCost cpu = cpu_cost_of(region);
    const Units units = units_of(region, groups, arrangement, own, cpu, 1, std::vector<bool>(region.inputs.size(), false));
    Span span(units, 0);
    for (std::size_t g = 0; g < groups.size(); ++g) {  // what brings values in counts with the unit that asks for it
        const Unit& unit = units.units[g];
        const bool leaves = std::find(region.outputs.begin(), region.outputs.end(), unit.output) != region.outputs.end();
        const double before = span.own_us();
        span.extend();
        const UnitValue& output = units.values[at(unit.output)];
        const double still = output.is_map && !leaves ? output.move_us : 0;  // charged until its readers are seen
        reports[at(unit.node)].predicted_us = std::max(unit.own_us, span.own_us() - before - still);
    }
    report_cpu(region, groups, reports);
}

}  // namespace edgeticket
