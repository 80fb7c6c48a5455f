#include "units.h"

#include <algorithm>

#include "engine/region/index.h"

namespace edgeticket {

std::vector<double> cpu_parts_of(const Region& region, const Fused& group, const CpuCost& cpu, std::int64_t items) {
    const auto us = [&](const Node& node) {
        return cpu.node_us(node, region.shape(node.inputs[0]), region.shape(node.output), items);
    };
    const Node& head = region.node(group.node);
    const std::size_t rank = region.shape(head.output).size();
    std::vector<double> parts{us(head)};
    for (const int follower : group.followers) {
        const Node& node = region.node(follower);
        const bool bias = node.op == Op::Add && node.inputs.size() == 1;
        parts.push_back(bias || CpuCost::fuses(head.op, node.op, rank) ? 0 : us(node));
    }
    return parts;
}

Units units_of(const Region& region, const std::vector<Fused>& groups, const Arrangement& arrangement,
               const OwnCost& own, const CpuCost& cpu, std::int64_t items, const std::vector<bool>& computed) {
    Units result;
    result.values.resize(region.values.size());
    for (std::size_t v = 0; v < region.values.size(); ++v) {
        UnitValue& value = result.values[v];
        const auto& shape = region.values[v].shape;
        value.is_map = arrangement.is_map[v];
        if (arrangement.home[v].lanes() > 1)
            value.move_us = static_cast<double>(items) * own.move_us(arrangement.home[v], shape[0]);
        value.reorder_us = static_cast<double>(items) * cpu.reorder_us(shape);
    }
    for (std::size_t i = 0; i < region.inputs.size(); ++i)
        if (!computed[i]) at(result.values, region.inputs[i]).reorder_us = 0;
    for (const int output : region.outputs) ++at(result.values, output).readers;

    for (std::size_t g = 0; g < groups.size(); ++g) {
        const Fused& group = groups[g];
        const Node& head = region.node(group.node);
        Unit unit;
        unit.node = group.node;
        unit.output = group.output;
        unit.weighted = head.traits().has_weight;
        unit.own_us = own.group_us(region, groups, arrangement, g, items);
        unit.cpu_parts = cpu_parts_of(region, group, cpu, items);
        for (const double us : unit.cpu_parts) unit.cpu_us += us;
        const bool as_map =
            !head.traits().runs_on_rows || (head.traits().is_elementwise() && at(arrangement.is_map, group.output));
        std::vector<int> values = head.inputs;
        if (group.residual >= 0) values.push_back(group.residual);
        for (std::size_t i = 0; i < values.size(); ++i) {
            const bool gathered = i == 0 && head.traits().has_window && arrangement.read_as[g] >= 0;
            unit.reads.push_back({values[i], as_map, !gathered});
            ++at(result.values, values[i]).readers;
        }
        at(result.values, group.output).unit = static_cast<int>(g);
        result.units.push_back(std::move(unit));
    }
    return result;
}

void Span::charge(int value, double sign) {
    const Seen& seen = at(seen_, value);
    if (seen.readers == 0) return;
    reorder_us_ += sign * at(units_.values, value).reorder_us;
    if (!seen.row_major) move_us_ += sign * at(units_.values, value).move_us;
}

void Span::restart(std::size_t begin) {
    for (const int value : touched_) at(seen_, value) = {};
    touched_.clear();
    begin_ = end_ = begin;
    own_us_ = move_us_ = reorder_us_ = 0;
}

void Span::extend() {
    const Unit& unit = units_.units[end_++];
    own_us_ += unit.own_us;
    for (const Unit::Read& read : unit.reads) touched_.push_back(read.value);
    touched_.push_back(unit.output);
    for (const Unit::Read& read : unit.reads) {
        const UnitValue& value = at(units_.values, read.value);
        Seen& seen = at(seen_, read.value);
        const bool inside = value.unit >= static_cast<int>(begin_);
        if (inside) charge(read.value, -1);
        const bool there = seen.row_major || (inside && !value.is_map);
        if (!inside && !there) reorder_us_ += value.reorder_us;
        if (inside && !there && !read.as_map) move_us_ += value.move_us;
        if (!inside || !read.as_map) seen.row_major = true;
        if (read.as_map && read.moves && !seen.moved && !(inside && value.is_map))
            move_us_ += value.move_us, seen.moved = true;
        if (inside) --seen.readers, charge(read.value, 1);
    }
    Seen& written = at(seen_, unit.output);
    written.readers = std::max(1, at(units_.values, unit.output).readers);
    written.row_major = !at(units_.values, unit.output).is_map;
    charge(unit.output, 1);
}

}  // namespace edgeticket
