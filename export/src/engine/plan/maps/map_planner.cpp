#include "map_planner.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "arrange.h"
#include "conv_step.h"
#include "engine/plan/bytes.h"
#include "engine/plan/place.h"
#include "engine/region/fuse.h"
#include "engine/region/index.h"
#include "engine/region/shape.h"
#include "isa/isa.h"
#include "map_steps.h"

namespace edgeticket {
namespace {

// The same with its nonzero weights counted, for several steps of planning ask.
Region counted(Region region) {
    for (Node& node : region.nodes) node.nonzeros = nonzeros_of(node);
    return region;
}

class MapPlanner {
   public:
    MapPlanner(const Region& region, const Settings& settings)
        : region_(counted(region)),
          family_(map_family_of(settings.isa)),
          layers_(fc_kernels_of(settings.isa)),
          groups_(fuse(region_)),
          arrangement_(arrange(region_, groups_, family_)),
          row_major_(region_.values.size(), -1),
          home_(region_.values.size(), -1),
          copy_(arrangement_.copies.size(), -1),
          output_(region_.values.size(), -1) {
        program_.threads = std::max(1, settings.threads);
        for (std::size_t i = region_.outputs.size(); i-- > 0;) at(output_, region_.outputs[i]) = static_cast<int>(i);
    }

    MapProgram plan() {
        for (std::size_t i = 0; i < region_.inputs.size(); ++i) {
            const int value = region_.inputs[i];
            at(row_major_, value) = add_buffer(value, elements_of(value), Buffer::Where::Input, static_cast<int>(i));
        }
        program_.reports = node_reports(region_, groups_);
        for (const Fused& group : groups_)
            if (!group.bias.empty()) region_.node(group.node).bias = group.bias;
        for (std::size_t g = 0; g < groups_.size(); ++g) add_group(g);
        for (const int value : region_.outputs) row_major(value);
        for (std::size_t i = 0; i < region_.outputs.size(); ++i) copy_output(static_cast<int>(i));
        place_buffers();
        return std::move(program_);
    }

   private:
    const MapKernels& wide() const { return *family_.wide; }
    std::int64_t elements_of(int value) const { return elements(region_.shape(value)); }
    std::int64_t channels_of(int value) const { return region_.shape(value)[0]; }
    std::size_t plane_of(int value) const { return static_cast<std::size_t>(elements_of(value) / channels_of(value)); }
    static std::size_t plane_of(const Layout& layout) {
        return static_cast<std::size_t>(layout.plane() * layout.lanes());
    }
    const Layout& layout_of(int value) const { return at(arrangement_.home, value); }

    int add_buffer(int value, std::int64_t elements, Buffer::Where where = Buffer::Where::Workspace, int index = 0);
    int add_map(int value, const Layout& layout) {
        return add_buffer(value, layout.plane() * layout.lanes() * channels_of(value));
    }
    int new_row_major(int value);
    int new_home(int value);
    int row_major(int value);
    int home(int value);
    int copy(int index, int node);
    void emit(Step step, int node, int in, int other, int out);
    void move(int node, int in, int out, int value, std::vector<std::int32_t> lanes, std::size_t from, std::size_t to,
              float fill = 0);

    void add_group(std::size_t index);
    void add_window(std::size_t index);
    void add_elementwise(const Fused& group);
    void add_product(const Fused& group);
    void add_mean(const Fused& group);
    void copy_output(int index);
    void place_buffers();

    Region region_;
    const MapFamily family_;
    const FcKernels& layers_;
    const std::vector<Fused> groups_;
    const Arrangement arrangement_;
    std::vector<int> row_major_, home_, copy_;  // buffers of values and of copies; -1 where there is none yet
    std::vector<int> output_;                   // of the region, the first that each value is; -1 where it is none
    MapProgram program_;
};

// A buffer for so many elements of the value's type.
int MapPlanner::add_buffer(int value, std::int64_t elements, Buffer::Where where, int index) {
    Buffer buffer;
    buffer.element = region_.value(value).element;
    buffer.where = where;
    buffer.index = index;
    buffer.bytes = times_bytes(elements, bytes_of(buffer.element));
    program_.buffers.push_back(buffer);
    return static_cast<int>(program_.buffers.size()) - 1;
}

void MapPlanner::emit(Step step, int node, int in, int other, int out) {
    step.node = node, step.in = in, step.other = other, step.out = out;
    if (node >= 0) at(program_.reports, node).kernel = step.kernel;
    program_.steps.push_back(std::move(step));
}

void MapPlanner::move(int node, int in, int out, int value, std::vector<std::int32_t> lanes, std::size_t from,
                      std::size_t to, float fill) {
    emit(move_step(wide(), channels_of(value), std::move(lanes), from, to, fill), node, in, -1, out);
}

// A buffer for the value to be written into, row-major.
int MapPlanner::new_row_major(int value) {
    const int output = at(output_, value);
    const Buffer::Where where = output >= 0 ? Buffer::Where::Output : Buffer::Where::Workspace;
    return at(row_major_, value) = add_buffer(value, elements_of(value), where, std::max(0, output));
}

// A buffer for the value to be written into, in its home layout.
int MapPlanner::new_home(int value) { return at(home_, value) = add_map(value, layout_of(value)); }

// The buffer that holds the value row-major; moved there if need be.
int MapPlanner::row_major(int value) {
    if (at(row_major_, value) >= 0) return at(row_major_, value);
    const Layout& layout = layout_of(value);
    const int from = at(home_, value), to = new_row_major(value);
    move(-1, from, to, value, to_row_major(layout), plane_of(layout), plane_of(value));
    return to;
}

// The buffer that holds the value in its home layout; moved there if need be.
int MapPlanner::home(int value) {
    if (at(home_, value) >= 0) return at(home_, value);
    const Layout& layout = layout_of(value);
    const int from = row_major(value), to = new_home(value);
    move(-1, from, to, value, from_row_major(layout), plane_of(value), plane_of(layout));
    return to;
}

// The buffer of a copy of the arrangement; moved there by the first node that asks for it.
int MapPlanner::copy(int index, int node) {
    if (at(copy_, index) >= 0) return at(copy_, index);
    const auto& [value, layout, fill, reader] = at(arrangement_.copies, index);
    const bool at_home = at(home_, value) >= 0;
    const Layout& from_layout = layout_of(value);
    const int from = at_home ? at(home_, value) : row_major(value);
    const int to = at(copy_, index) = add_map(value, layout);
    if (at_home)
        move(node, from, to, value, between(from_layout, layout), plane_of(from_layout), plane_of(layout), fill);
    else move(node, from, to, value, from_row_major(layout), plane_of(value), plane_of(layout), fill);
    return to;
}

void MapPlanner::add_window(std::size_t index) {
    const Fused& group = groups_[index];
    const Node& node = region_.node(group.node);
    const int input = node.inputs[0], read_as = arrangement_.read_as[index];
    ConvLayouts layouts;
    layouts.in = read_as >= 0 ? at(arrangement_.copies, read_as).layout : layout_of(input);
    layouts.out = layout_of(group.output);
    if (group.residual >= 0) layouts.residual = layout_of(group.residual);
    layouts.in_channels = channels_of(input), layouts.out_channels = channels_of(group.output);
    const int in = read_as >= 0 ? copy(read_as, group.node) : home(input);
    const int residual = group.residual >= 0 ? home(group.residual) : -1;
    const int out = new_home(group.output);
    const MapKernels& kernels = family_.of(layouts.out.lanes());
    Step step = node.op == Op::Conv
                    ? conv_step(kernels, node, layouts, group.epilogue, program_.threads, program_.constants)
                    : pool_step(kernels, node, layouts.in, layouts.out, layouts.out_channels);
    emit(std::move(step), group.node, in, residual, out);
}

void MapPlanner::add_elementwise(const Fused& group) {
    const Node& node = region_.node(group.node);
    const int first = node.inputs[0], second = node.inputs.size() == 2 ? node.inputs[1] : -1;
    if (!at(arrangement_.is_map, group.output)) {
        const int a = row_major(first), b = second >= 0 ? row_major(second) : -1;
        const int out = new_row_major(group.output);
        emit(flat_step(wide(), elements_of(group.output), node.constant, group.epilogue), group.node, a, b, out);
        return;
    }
    const int a = home(first), b = second >= 0 ? home(second) : -1;
    const Layout& layout = layout_of(group.output);
    const Layout& other = second >= 0 ? layout_of(second) : layout;
    const int out = new_home(group.output);
    emit(point_step(family_.of(layout.lanes()), layout_of(first), other, layout, channels_of(group.output),
                    node.constant, group.epilogue),
         group.node, a, b, out);
}

void MapPlanner::add_product(const Fused& group) {
    const Node& node = region_.node(group.node);
    const int in = row_major(node.inputs[0]), residual = group.residual < 0 ? -1 : row_major(group.residual);
    const int out = new_row_major(group.output);
    const auto inputs = static_cast<std::int32_t>(elements_of(node.inputs[0]));
    const auto outputs = static_cast<std::int32_t>(elements_of(group.output));
    emit(product_step(layers_, node, inputs, outputs, group.epilogue), group.node, in, residual, out);
}

void MapPlanner::add_mean(const Fused& group) {
    const int input = region_.node(group.node).inputs[0];
    const Layout& layout = layout_of(input);
    const int in = home(input), out = new_row_major(group.output);
    emit(mean_step(family_.of(layout.lanes()), layout, channels_of(input)), group.node, in, -1, out);
}

void MapPlanner::add_group(std::size_t index) {
    const Fused& group = groups_[index];
    const Node& node = region_.node(group.node);
    if (node.traits().has_window) return add_window(index);
    if (node.traits().is_elementwise()) return add_elementwise(group);
    switch (node.op) {
        case Op::Fc: return add_product(group);
        case Op::GlobalAveragePool: return add_mean(group);
        case Op::Reshape: at(row_major_, group.output) = row_major(node.inputs[0]); return;
        default: throw std::invalid_argument(node.name + ": a plan over maps has no step for " + node.traits().name);
    }
}

// An output that an input holds, or another output, is copied.
void MapPlanner::copy_output(int index) {
    const int value = at(region_.outputs, index), buffer = at(row_major_, value);
    const Buffer& held = at(program_.buffers, buffer);
    if (held.where == Buffer::Where::Output && held.index == index) return;
    const std::int64_t count = elements_of(value);
    const int output = add_buffer(value, count, Buffer::Where::Output, index);
    emit(flat_step(wide(), count, {}, {}), -1, buffer, -1, output);
}

// A buffer is needed from the first step that writes it to the last that reads it.
void MapPlanner::place_buffers() {
    std::vector<Placed> lifetimes;
    for (const Buffer& buffer : program_.buffers) lifetimes.push_back({-1, -1, buffer.bytes});
    for (std::size_t s = 0; s < program_.steps.size(); ++s) {
        const Step& step = program_.steps[s];
        const int now = static_cast<int>(s);
        Placed& written = at(lifetimes, step.out);
        if (written.first < 0) written.first = now;
        written.last = std::max(written.last, now);
        for (const int read : {step.in, step.other})
            if (read >= 0) at(lifetimes, read).last = now;
    }
    std::vector<Placed> placed;
    std::vector<Buffer*> buffers;
    for (std::size_t i = 0; i < program_.buffers.size(); ++i) {
        if (program_.buffers[i].where != Buffer::Where::Workspace) continue;
        buffers.push_back(&program_.buffers[i]);
        placed.push_back(lifetimes[i]);
    }
    program_.workspace_bytes = place(placed);
    for (std::size_t i = 0; i < placed.size(); ++i) buffers[i]->offset = placed[i].offset;
}

}  // namespace

MapProgram plan_maps(const Region& region, const Settings& settings) { return MapPlanner(region, settings).plan(); }

}  // namespace edgeticket
