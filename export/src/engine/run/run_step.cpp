#include "run_step.h"

#include <algorithm>

#include "engine/region/index.h"
#include "isa/machine.h"
#include "pool.h"

namespace edgeticket {
namespace {

constexpr double kNear = 0.5;  // of the second cache: what is prefetched has to stay

float* buffer_at(const Frame& frame, int index) {
    const Buffer& buffer = at(frame.program.buffers, index);
    const std::size_t begin = static_cast<std::size_t>(frame.item) * buffer.bytes;
    switch (buffer.where) {
        case Buffer::Where::Input:  // never a step's target
            return reinterpret_cast<float*>(static_cast<char*>(const_cast<void*>(frame.inputs[buffer.index])) + begin);
        case Buffer::Where::Output:
            return reinterpret_cast<float*>(static_cast<char*>(frame.outputs[buffer.index]) + begin);
        case Buffer::Where::Workspace: break;
    }
    return reinterpret_cast<float*>(static_cast<char*>(frame.workspace) + buffer.offset);
}

float* optional_at(const Frame& frame, int index) { return index < 0 ? nullptr : buffer_at(frame, index); }

template <class T>
const T* data_or_null(const std::vector<T>& values) {
    return values.empty() ? nullptr : values.data();
}

Halos halos_of(const WrittenLayout& out) { return {out.lines.data(), out.lines.size(), out.halos.lanes.data()}; }

// Asks for lines that other cores may have written, one after the other: a kernel that met them at random would wait
// for each.
void prefetch(const float* data, std::size_t bytes) {
    constexpr std::size_t line = 64;
    if (static_cast<double>(bytes) > kNear * second_cache_bytes()) return;
    for (std::size_t i = 0; i < bytes; i += line) __builtin_prefetch(reinterpret_cast<const char*>(data) + i, 0, 2);
}

struct Runner {
    const Step& step;
    const Frame& frame;
    int part, parts;

    const std::ptrdiff_t lanes = step.kernels == nullptr ? 0 : step.kernels->lanes;
    Share share() const { return {step.count, part, parts}; }

    void operator()(const MoveStep& move) const {
        const Share mine = share();
        MoveTask task{};
        task.from = buffer_at(frame, step.in);
        task.to = buffer_at(frame, step.out);
        task.lanes = move.lanes.data();
        task.count = move.lanes.size();
        task.from_plane = static_cast<std::ptrdiff_t>(move.from_plane);
        task.to_plane = static_cast<std::ptrdiff_t>(move.to_plane);
        task.fill = move.fill;
        task.first = mine.begin, task.last = mine.end;
        step.kernels->move(task);
    }

    void operator()(const PointStep& point) const {
        const Share mine = share();
        const Layout &in = point.in, &other = point.other, &out = point.out.layout;
        PointTask task{};
        task.a = buffer_at(frame, step.in);
        task.b = optional_at(frame, step.other);
        task.constant = data_or_null(point.constant);
        task.out = buffer_at(frame, step.out);
        task.masks = data_or_null(point.out.masks);
        task.halos = halos_of(point.out);
        task.a_inside = in.inside() * lanes, task.a_pitch = in.pitch() * lanes, task.a_plane = in.plane() * lanes;
        task.b_inside = other.inside() * lanes, task.b_pitch = other.pitch() * lanes,
        task.b_plane = other.plane() * lanes;
        task.out_inside = out.inside() * lanes, task.out_pitch = out.pitch() * lanes,
        task.out_plane = out.plane() * lanes;
        task.rows = static_cast<int>(out.block[0]);
        task.columns = static_cast<int>(out.block[1]);
        task.epilogue = point.epilogue;
        task.first = mine.begin, task.last = mine.end;
        step.kernels->point(task);
    }

    void operator()(const PoolStep& pool) const {
        const Share mine = share();
        const Layout &in = pool.in, &out = pool.out.layout;
        PoolTask task{};
        task.in = buffer_at(frame, step.in);
        task.out = buffer_at(frame, step.out);
        task.taps = pool.taps.data();
        task.tap_count = static_cast<int>(pool.taps.size());
        task.average = pool.average;
        task.scale = 1;
        task.scales = data_or_null(pool.scales);
        task.masks = data_or_null(pool.out.masks);
        task.halos = halos_of(pool.out);
        task.in_pitch = in.pitch() * pool.stride[0] * lanes, task.in_step = pool.stride[1] * lanes,
        task.in_plane = in.plane() * lanes;
        task.out_inside = out.inside() * lanes, task.out_pitch = out.pitch() * lanes,
        task.out_plane = out.plane() * lanes;
        task.rows = static_cast<int>(out.block[0]);
        task.columns = static_cast<int>(out.block[1]);
        task.first = mine.begin, task.last = mine.end;
        step.kernels->pool(task);
    }

    void operator()(const MeanStep& mean) const {
        const Share mine = share();
        const Layout& in = mean.in;
        MeanTask task{};
        task.in = buffer_at(frame, step.in);
        task.out = buffer_at(frame, step.out);
        task.masks = data_or_null(mean.masks);
        task.in_inside = in.inside() * lanes, task.in_pitch = in.pitch() * lanes, task.in_plane = in.plane() * lanes;
        task.rows = static_cast<int>(in.block[0]);
        task.columns = static_cast<int>(in.block[1]);
        task.scale = 1.0F / static_cast<float>(in.size[0] * in.size[1]);
        task.first = mine.begin, task.last = mine.end;
        step.kernels->mean(task);
    }

    void operator()(const FlatStep& flat) const {
        const Share mine = share();
        const float* const a = buffer_at(frame, step.in);
        const float* const b = step.other >= 0 ? buffer_at(frame, step.other) : data_or_null(flat.constant);
        float* const y = buffer_at(frame, step.out);
        const auto count = static_cast<std::size_t>(mine.end - mine.begin);
        step.kernels->flat(a + mine.begin, b == nullptr ? nullptr : b + mine.begin, y + mine.begin, count,
                           flat.epilogue);
    }

    void operator()(const ProductStep& product) const {
        const Share mine = share();
        product.layer.run_row(buffer_at(frame, step.in), optional_at(frame, step.other), product.epilogue,
                              buffer_at(frame, step.out), mine.begin, mine.end);
    }

    void operator()(const ConvStep& conv) const {
        const Layout &in = conv.in, &out = conv.out, &residual = conv.residual;
        const float* const from = buffer_at(frame, step.in);
        if (parts > 1) prefetch(from, at(frame.program.buffers, step.in).bytes);
        ConvTask task{};
        task.out = buffer_at(frame, step.out);
        task.residual = optional_at(frame, step.other);
        task.bias = data_or_null(conv.bias);
        task.in_pitch = in.pitch() * conv.stride[0] * lanes;
        task.in_step = conv.stride[1] * lanes;
        task.out_pitch = out.pitch() * lanes, task.out_plane = out.plane() * lanes;
        task.residual_pitch = residual.pitch() * lanes, task.residual_plane = residual.plane() * lanes;
        task.epilogue = conv.epilogue;
        // A tile's input serves all output channels of its group; different groups share nothing, so each is finished
        // on its own.
        const std::vector<ConvSegment>& segments = conv.segments;
        for (std::size_t begin = 0; begin < segments.size();) {
            std::size_t end = begin + 1;
            while (end < segments.size() && !segments[end].begins) ++end;
            for (const ConvStep::Tile& tile : conv.tiles)
                for (std::size_t s = begin; s < end; ++s) run_tile(conv, tile, segments[s], from, task);
            begin = end;
        }
    }

    void run_tile(const ConvStep& conv, const ConvStep::Tile& tile, const ConvSegment& segment, const float* from,
                  ConvTask& task) const {
        const int first = parts == 1 ? 0 : at(conv.cut, part),
                  last = parts == 1 ? conv.cut.back() : at(conv.cut, part + 1);
        task.first = std::max(first, segment.first) - segment.first;
        task.last = std::min(last, segment.last) - segment.first;
        if (task.first >= task.last) return;
        task.out_tile = tile.out;
        task.residual_tile = tile.residual;
        task.masks = data_or_null(tile.masks);
        task.halos = {tile.halos.data(), tile.halos.size(), conv.halo_lanes.data()};
        task.in = from + segment.in_channel * conv.in.plane() * lanes + tile.in;
        task.runs = segment.runs.data();
        task.taps = segment.taps;
        task.weights = conv.weights.data + segment.first_weight;
        task.offsets = conv.offsets.data + segment.first_offset;
        task.begins = segment.begins;
        task.ends = segment.ends;
        tile.kernel->run(task);
    }
};

}  // namespace

void run_step(const Step& step, const Frame& frame, int part, int parts) {
    std::visit(Runner{step, frame, part, parts}, step.work);
}

}  // namespace edgeticket
