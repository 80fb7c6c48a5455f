#include "map_plan.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <utility>

#include "arrange.h"
#include "conv_step.h"
#include "fc_step.h"
#include "engine/region/fuse.h"
#include "isa/isa.h"
#include "engine/region/shape.h"
#include "steps.h"
#include "engine/cost/units.h"

namespace edgeticket {
namespace {

constexpr std::size_t kAlignment = 16;         // floats
constexpr double kLeastParallelCycles = 50000;  // some 15 µs: shorter steps stay on one thread
constexpr int kMeasureRuns = 7;

// The same with its nonzero weights counted: several steps of planning ask.
Region counted(Region region) {
    for (Node& node : region.nodes) node.nonzeros = nonzeros_of(node);
    return region;
}

class MapPlan final : public Plan {
   public:
    MapPlan(const Region& region, const Settings& settings);
    std::size_t workspace_floats(std::int64_t) const override { return workspace_; }
    void run(const float* const* inputs, float* const* outputs, std::int64_t items, float* workspace, const Pool& pool) const override;
    const std::vector<NodeReport>& reports() const override { return reports_; }
    std::size_t packed_bytes() const override;
    std::vector<double> measure(float* workspace) const override;

   private:
    int add_buffer(std::size_t floats);
    int plain(int value);          // the buffer that holds the value row-major; moved there if need be
    int new_plain(int value);      // a buffer for the value to be written into
    int home(int value);           // the buffer that holds the value in its home layout
    int copy(int index, int node);
    std::size_t floats_of(int value) const { return static_cast<std::size_t>(elements(region_.values[static_cast<std::size_t>(value)].shape)); }
    std::int64_t channels_of(int value) const { return region_.values[static_cast<std::size_t>(value)].shape[0]; }
    std::size_t plane_of(int value) const;
    const Node& node_of(const Fused& group) const { return region_.nodes[static_cast<std::size_t>(group.node)]; }
    template <class S, class... Arguments>
    void emit(Arguments&&... arguments);

    void add_group(std::size_t index);
    void add_conv(std::size_t index);
    void add_point(const Fused& group);
    void place_buffers();
    void report();
    int parts_of(const Step& step) const { return settings_.threads > 1 && step.cycles() >= kLeastParallelCycles ? settings_.threads : 1; }

    Region region_;  // without its weights once built
    Settings settings_;
    const MapFamily family_;
    const MapKernels& kernels_;  // the wide ones
    std::vector<Fused> groups_;
    Arrangement arrangement_;
    std::vector<Buffer> buffers_;
    std::vector<int> plain_, home_, copy_;  // buffers of values and copies; -1 where not there
    Arena arena_;
    std::vector<std::unique_ptr<Step>> steps_;
    std::vector<NodeReport> reports_;
    std::size_t workspace_ = 0;
};

MapPlan::MapPlan(const Region& region, const Settings& settings)
    : region_(counted(region)), settings_(settings), family_(map_family_of(settings.isa)), kernels_(*family_.wide), groups_(fuse(region_)), arrangement_(arrange(region_, groups_, family_)) {
    plain_.assign(region_.values.size(), -1);
    home_.assign(region_.values.size(), -1);
    copy_.assign(arrangement_.copies.size(), -1);
    for (std::size_t i = 0; i < region_.inputs.size(); ++i) {
        const int buffer = add_buffer(floats_of(region_.inputs[i]));
        buffers_.back().where = Buffer::Where::Input;
        buffers_.back().index = static_cast<int>(i);
        plain_[static_cast<std::size_t>(region_.inputs[i])] = buffer;
    }
    for (const Fused& group : groups_)
        if (!group.bias.empty()) region_.nodes[static_cast<std::size_t>(group.node)].bias = group.bias;
    for (std::size_t g = 0; g < groups_.size(); ++g) add_group(g);
    for (const int value : region_.outputs) plain(value);
    for (std::size_t i = 0; i < region_.outputs.size(); ++i) {  // a value that an input holds, or another output, is copied
        const int buffer = plain_[static_cast<std::size_t>(region_.outputs[i])];
        const Buffer& held = buffers_[static_cast<std::size_t>(buffer)];
        if (held.where == Buffer::Where::Output && held.index == static_cast<int>(i)) continue;
        const std::size_t floats = held.floats;
        const int output = add_buffer(floats);
        buffers_.back().where = Buffer::Where::Output;
        buffers_.back().index = static_cast<int>(i);
        emit<Flat>(-1, kernels_, buffer, -1, output, floats, std::vector<float>{}, Epilogue{});
    }
    place_buffers();
    report();
    for (Node& node : region_.nodes) node.weight = {}, node.bias = node.constant = {};
}

int MapPlan::add_buffer(std::size_t floats) {
    Buffer buffer;
    buffer.floats = floats;
    buffers_.push_back(buffer);
    return static_cast<int>(buffers_.size()) - 1;
}

template <class S, class... Arguments>
void MapPlan::emit(Arguments&&... arguments) {
    steps_.push_back(std::make_unique<S>(std::forward<Arguments>(arguments)...));
}

std::size_t MapPlan::plane_of(int value) const {
    std::int64_t size[2];
    image_size(region_.values[static_cast<std::size_t>(value)], size);
    return static_cast<std::size_t>(size[0] * size[1]);
}

int MapPlan::new_plain(int value) {
    const int buffer = add_buffer(floats_of(value));
    const auto output = std::find(region_.outputs.begin(), region_.outputs.end(), value);
    if (output != region_.outputs.end()) {
        buffers_.back().where = Buffer::Where::Output;
        buffers_.back().index = static_cast<int>(output - region_.outputs.begin());
    }
    return plain_[static_cast<std::size_t>(value)] = buffer;
}

int MapPlan::plain(int value) {
    const std::size_t v = static_cast<std::size_t>(value);
    if (plain_[v] >= 0) return plain_[v];
    const Layout& layout = arrangement_.home[v];
    const int from = home_[v];
    const int to = new_plain(value);
    emit<Move>(-1, kernels_, from, to, channels_of(value), to_row_major(layout), static_cast<std::size_t>(layout.plane() * layout.lanes()), plane_of(value), 0.0F);
    return to;
}

int MapPlan::home(int value) {
    const std::size_t v = static_cast<std::size_t>(value);
    if (home_[v] >= 0) return home_[v];
    const Layout& layout = arrangement_.home[v];
    const std::size_t plane = static_cast<std::size_t>(layout.plane() * layout.lanes());
    const int from = plain(value);
    home_[v] = add_buffer(plane * static_cast<std::size_t>(channels_of(value)));
    emit<Move>(-1, kernels_, from, home_[v], channels_of(value), from_row_major(layout), plane_of(value), plane, 0.0F);
    return home_[v];
}

int MapPlan::copy(int index, int node) {
    const std::size_t i = static_cast<std::size_t>(index);
    if (copy_[i] >= 0) return copy_[i];
    const auto& [value, layout, fill] = arrangement_.copies[i];
    const std::size_t v = static_cast<std::size_t>(value);
    const std::size_t plane = static_cast<std::size_t>(layout.plane() * layout.lanes());
    if (home_[v] >= 0) {
        const Layout& from = arrangement_.home[v];
        copy_[i] = add_buffer(plane * static_cast<std::size_t>(channels_of(value)));
        emit<Move>(node, kernels_, home_[v], copy_[i], channels_of(value), between(from, layout), static_cast<std::size_t>(from.plane() * from.lanes()), plane, fill);
    } else {
        const int from = plain(value);
        copy_[i] = add_buffer(plane * static_cast<std::size_t>(channels_of(value)));
        emit<Move>(node, kernels_, from, copy_[i], channels_of(value), from_row_major(layout), plane_of(value), plane, fill);
    }
    return copy_[i];
}

void MapPlan::add_conv(std::size_t index) {
    const Fused& group = groups_[index];
    const Node& node = node_of(group);
    const int input = node.inputs[0];
    const int read_as = arrangement_.read_as[index];
    ConvStep::Place in, out, residual;
    in.buffer = read_as >= 0 ? copy(read_as, group.node) : home(input);
    in.layout = read_as >= 0 ? arrangement_.copies[static_cast<std::size_t>(read_as)].layout : arrangement_.home[static_cast<std::size_t>(input)];
    if (group.residual >= 0) {
        residual.buffer = home(group.residual);
        residual.layout = arrangement_.home[static_cast<std::size_t>(group.residual)];
    }
    out.layout = arrangement_.home[static_cast<std::size_t>(group.output)];
    out.buffer = add_buffer(static_cast<std::size_t>(out.layout.plane() * out.layout.lanes() * channels_of(group.output)));
    home_[static_cast<std::size_t>(group.output)] = out.buffer;
    if (node.op == Op::Conv) {
        emit<ConvStep>(group.node, arena_, family_.of(out.layout.lanes()), node, group.epilogue, in, channels_of(input), out, channels_of(group.output), residual, settings_.threads);
    } else {
        emit<Pool2d>(group.node, family_.of(out.layout.lanes()), node, in.buffer, in.layout, out.buffer, out.layout, channels_of(group.output));
    }
}

void MapPlan::add_point(const Fused& group) {
    const Node& node = node_of(group);
    const bool two = node.inputs.size() == 2;
    if (!arrangement_.is_map[static_cast<std::size_t>(group.output)]) {
        const int a = plain(node.inputs[0]), b = two ? plain(node.inputs[1]) : -1;
        emit<Flat>(group.node, kernels_, a, b, new_plain(group.output), floats_of(group.output), node.constant, group.epilogue);
        return;
    }
    const int a = home(node.inputs[0]), b = two ? home(node.inputs[1]) : -1;
    const Layout& layout = arrangement_.home[static_cast<std::size_t>(group.output)];
    const int out = add_buffer(static_cast<std::size_t>(layout.plane() * layout.lanes() * channels_of(group.output)));
    home_[static_cast<std::size_t>(group.output)] = out;
    emit<Point>(group.node, family_.of(layout.lanes()), a, arrangement_.home[static_cast<std::size_t>(node.inputs[0])], b,
                two ? arrangement_.home[static_cast<std::size_t>(node.inputs[1])] : layout, out, layout, channels_of(group.output), node.constant, group.epilogue);
}

void MapPlan::add_group(std::size_t index) {
    const Fused& group = groups_[index];
    const Node& node = node_of(group);
    switch (node.op) {
        case Op::Conv:
        case Op::MaxPool:
        case Op::AveragePool: add_conv(index); return;
        case Op::GlobalAveragePool: {
            const Layout& layout = arrangement_.home[static_cast<std::size_t>(node.inputs[0])];
            const int in = home(node.inputs[0]);
            emit<Mean>(group.node, family_.of(layout.lanes()), in, layout, new_plain(group.output), channels_of(node.inputs[0]));
            return;
        }
        case Op::Fc: {
            const int in = plain(node.inputs[0]);
            const int residual = group.residual < 0 ? -1 : plain(group.residual);
            emit<FcStep>(group.node, fc_kernels_of(settings_.isa), node, group.epilogue, in, static_cast<std::int32_t>(floats_of(node.inputs[0])),
                         new_plain(group.output), static_cast<std::int32_t>(floats_of(group.output)), residual);
            return;
        }
        case Op::Reshape: plain_[static_cast<std::size_t>(group.output)] = plain(node.inputs[0]); return;
        default: add_point(group);
    }
}

// First fit over the time from the first step that writes a buffer to the last that reads it.
void MapPlan::place_buffers() {
    for (std::size_t s = 0; s < steps_.size(); ++s) {
        Buffer& written = buffers_[static_cast<std::size_t>(steps_[s]->writes())];
        if (written.written < 0) written.written = static_cast<int>(s);
        written.read = std::max(written.read, static_cast<int>(s));
        for (const int buffer : steps_[s]->reads()) buffers_[static_cast<std::size_t>(buffer)].read = static_cast<int>(s);
    }
    std::vector<Buffer*> placed;
    for (Buffer& buffer : buffers_) {
        if (buffer.where != Buffer::Where::Workspace) continue;
        const std::size_t floats = (buffer.floats + kAlignment - 1) / kAlignment * kAlignment;
        std::sort(placed.begin(), placed.end(), [](const Buffer* a, const Buffer* b) { return a->offset < b->offset; });
        for (const Buffer* other : placed) {
            if (other->read < buffer.written || other->written > buffer.read) continue;
            if (buffer.offset + floats <= other->offset) break;
            buffer.offset = std::max(buffer.offset, (other->offset + other->floats + kAlignment - 1) / kAlignment * kAlignment);
        }
        workspace_ = std::max(workspace_, buffer.offset + floats);
        placed.push_back(&buffer);
    }
}

void MapPlan::report() {
    for (const Node& node : region_.nodes) {
        NodeReport r;
        r.name = node.name;
        r.kernel = "none: the same memory";
        if (!node.weight.empty()) {
            r.density = static_cast<double>(nonzeros_of(node)) / static_cast<double>(node.weight.size());
            r.macs = static_cast<std::int64_t>(node.weight.size());
            if (node.op == Op::Conv) r.macs *= static_cast<std::int64_t>(plane_of(node.output));
        }
        reports_.push_back(std::move(r));
    }
    for (const Fused& group : groups_)
        for (const int follower : group.followers) reports_[static_cast<std::size_t>(follower)].kernel = "fused into " + node_of(group).name;
    for (const auto& step : steps_) {
        if (step->node < 0) continue;
        NodeReport& r = reports_[static_cast<std::size_t>(step->node)];
        r.kernel = step->kernel();
    }
    report_predictions(region_, groups_, arrangement_, settings_.isa, reports_);
}

std::size_t MapPlan::packed_bytes() const {
    std::size_t total = 0;
    for (const auto& step : steps_) total += step->bytes();
    return total;
}

struct Shared {
    const Step* step;
    const Frame* frame;
    const std::vector<Buffer>* buffers;
    int parts;
};

void MapPlan::run(const float* const* inputs, float* const* outputs, std::int64_t items, float* workspace, const Pool& pool) const {
    for (std::int64_t item = 0; item < items; ++item) {
        const Frame frame{inputs, outputs, workspace, item};
        for (const auto& step : steps_) {
            const int parts = pool.run == nullptr ? 1 : parts_of(*step);
            if (parts == 1) {
                step->run(frame, buffers_, 0, 1);
                continue;
            }
            Shared shared{step.get(), &frame, &buffers_, parts};
            pool.run(
                pool.pool,
                [](void* argument, std::size_t part) {
                    const Shared& s = *static_cast<const Shared*>(argument);
                    s.step->run(*s.frame, *s.buffers, static_cast<int>(part), s.parts);
                },
                static_cast<std::size_t>(parts), &shared);
        }
    }
}

std::vector<double> MapPlan::measure(float* workspace) const {
    std::vector<std::vector<float>> held;
    std::vector<const float*> inputs;
    std::vector<float*> outputs;
    for (const int value : region_.inputs) {
        held.emplace_back(floats_of(value));
        for (std::size_t i = 0; i < held.back().size(); ++i) held.back()[i] = static_cast<float>(i % 7) * 0.25F - 0.75F;
        inputs.push_back(held.back().data());
    }
    for (const int value : region_.outputs) {
        held.emplace_back(floats_of(value));
        outputs.push_back(held.back().data());
    }
    const Frame frame{inputs.data(), outputs.data(), workspace, 0};
    std::vector<double> least(steps_.size(), 1e30), result(region_.nodes.size(), 0);
    for (int i = 0; i < kMeasureRuns; ++i)
        for (std::size_t s = 0; s < steps_.size(); ++s) {
            const auto begin = std::chrono::steady_clock::now();
            steps_[s]->run(frame, buffers_, 0, 1);
            const std::chrono::duration<double, std::micro> taken = std::chrono::steady_clock::now() - begin;
            least[s] = std::min(least[s], taken.count());
        }
    for (std::size_t s = 0; s < steps_.size(); ++s) {  // a step between nodes counts with the node that follows
        std::size_t at = s;
        while (at < steps_.size() && steps_[at]->node < 0) ++at;
        if (at == steps_.size()) at = s;
        while (steps_[at]->node < 0 && at > 0) --at;
        if (steps_[at]->node >= 0) result[static_cast<std::size_t>(steps_[at]->node)] += least[s];
    }
    return result;
}

}  // namespace

std::unique_ptr<Plan> build_map_plan(const Region& region, const Settings& settings) { return std::make_unique<MapPlan>(region, settings); }

}  // namespace edgeticket
