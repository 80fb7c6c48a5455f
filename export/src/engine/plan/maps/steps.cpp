#include "steps.h"

#include <algorithm>
#include <utility>

#include "isa/machine.h"

namespace edgeticket {
namespace {

constexpr double kNear = 0.5;  // of the second cache: what is brought there has to stay

}  // namespace

float* Buffer::at(const Frame& frame) const {
    const std::size_t begin = static_cast<std::size_t>(frame.item) * floats;
    switch (where) {
        case Where::Input: return const_cast<float*>(frame.inputs[index]) + begin;  // never a step's target
        case Where::Output: return frame.outputs[index] + begin;
        case Where::Workspace: break;
    }
    return frame.workspace + offset;
}

void bring_near(const float* data, std::size_t floats) {
    constexpr std::size_t line = 64 / sizeof(float);
    if (static_cast<double>(floats * sizeof(float)) > kNear * second_cache_bytes()) return;
    for (std::size_t i = 0; i < floats; i += line) __builtin_prefetch(data + i, 0, 2);
}

void share(std::int64_t count, int part, int parts, int& begin, int& end) {
    begin = static_cast<int>(count * part / parts);
    end = static_cast<int>(count * (part + 1) / parts);
}

Move::Move(int node, const MapKernels& kernels, int from, int to, std::int64_t channels, std::vector<std::int32_t> lanes, std::size_t from_plane,
           std::size_t to_plane, float fill)
    : Step(node), kernels_(kernels), from_(from), to_(to), channels_(channels), lanes_(std::move(lanes)), from_plane_(from_plane), to_plane_(to_plane), fill_(fill) {}

void Move::run(const Frame& frame, const std::vector<Buffer>& buffers, int part, int parts) const {
    MoveTask task{};
    task.from = buffers[static_cast<std::size_t>(from_)].at(frame);
    task.to = buffers[static_cast<std::size_t>(to_)].at(frame);
    task.lanes = lanes_.data();
    task.count = lanes_.size();
    task.from_plane = static_cast<std::ptrdiff_t>(from_plane_);
    task.to_plane = static_cast<std::ptrdiff_t>(to_plane_);
    task.fill = fill_;
    share(channels_, part, parts, task.first, task.last);
    kernels_.move(task);
}

double Move::cycles() const { return static_cast<double>(channels_) * static_cast<double>(lanes_.size()) / kernels_.lanes * 12; }

Point::Point(int node, const MapKernels& kernels, int a, const Layout& a_layout, int b, const Layout& b_layout, int out, const Layout& out_layout,
             std::int64_t channels, const std::vector<float>& constant, const Epilogue& epilogue)
    : Step(node), kernels_(kernels), a_(a), b_(b), out_(out), a_layout_(a_layout), b_layout_(b_layout), writing_(out_layout), channels_(channels), epilogue_(epilogue) {
    if (constant.empty()) return;
    Layout bare = out_layout;  // the inside alone
    for (int d = 0; d < 2; ++d) bare.before[d] = bare.after[d] = 0;
    const std::vector<std::int32_t> places = from_row_major(bare);
    const std::size_t inside = static_cast<std::size_t>(bare.block[0] * bare.block[1] * bare.lanes());
    const std::size_t plane = static_cast<std::size_t>(bare.size[0] * bare.size[1]);
    constant_.resize(static_cast<std::size_t>(channels) * inside, 0.0F);
    for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c)
        for (std::size_t i = 0; i < inside; ++i)
            if (places[i] >= 0) constant_[c * inside + i] = constant[c * plane + static_cast<std::size_t>(places[i])];
}

void Point::run(const Frame& frame, const std::vector<Buffer>& buffers, int part, int parts) const {
    const std::ptrdiff_t lanes = kernels_.lanes;
    PointTask task{};
    task.a = buffers[static_cast<std::size_t>(a_)].at(frame);
    task.b = b_ < 0 ? nullptr : buffers[static_cast<std::size_t>(b_)].at(frame);
    task.constant = constant_.empty() ? nullptr : constant_.data();
    task.out = buffers[static_cast<std::size_t>(out_)].at(frame);
    task.masks = writing_.mask();
    task.halos = writing_.all();
    task.a_inside = a_layout_.inside() * lanes, task.a_pitch = a_layout_.pitch() * lanes, task.a_plane = a_layout_.plane() * lanes;
    task.b_inside = b_layout_.inside() * lanes, task.b_pitch = b_layout_.pitch() * lanes, task.b_plane = b_layout_.plane() * lanes;
    const Layout& out = writing_.layout;
    task.out_inside = out.inside() * lanes, task.out_pitch = out.pitch() * lanes, task.out_plane = out.plane() * lanes;
    task.rows = static_cast<int>(out.block[0]);
    task.columns = static_cast<int>(out.block[1]);
    task.epilogue = epilogue_;
    share(channels_, part, parts, task.first, task.last);
    kernels_.point(task);
}

double Point::cycles() const {
    const Layout& out = writing_.layout;
    return static_cast<double>(channels_) * (4.0 * static_cast<double>(out.block[0] * out.block[1]) + 3.0 * static_cast<double>(writing_.halos.entries.size()));
}

Pool2d::Pool2d(int node, const MapKernels& kernels, const Node& pool, int in, const Layout& in_layout, int out, const Layout& out_layout, std::int64_t channels)
    : Step(node), kernels_(kernels), in_(in), out_(out), in_layout_(in_layout), writing_(out_layout), channels_(channels), average_(pool.op == Op::AveragePool) {
    const Window& w = pool.window;
    for (int d = 0; d < 2; ++d) stride_[d] = w.stride[d];
    for (std::int64_t y = 0; y < w.kernel[0]; ++y)
        for (std::int64_t x = 0; x < w.kernel[1]; ++x) {
            const std::int64_t row = in_layout.before[0] + y * w.dilation[0] - w.pad_begin[0], column = in_layout.before[1] + x * w.dilation[1] - w.pad_begin[1];
            taps_.push_back(static_cast<std::uint32_t>(row * in_layout.pitch() + column));
        }
    if (!average_) return;
    // How many taps of each output lie in the image (or, counting them, in its padding).
    for (std::int64_t i = 0; i < out_layout.block[0]; ++i)
        for (std::int64_t j = 0; j < out_layout.block[1]; ++j)
            for (std::int64_t lane = 0; lane < out_layout.lanes(); ++lane) {
                const std::int64_t at[2] = {lane / out_layout.grid[1] * out_layout.block[0] + i, lane % out_layout.grid[1] * out_layout.block[1] + j};
                std::int64_t count = 1;
                for (int d = 0; d < 2; ++d) {
                    std::int64_t inside = 0;
                    for (std::int64_t k = 0; k < w.kernel[d]; ++k) {
                        const std::int64_t place = at[d] * w.stride[d] + k * w.dilation[d] - w.pad_begin[d];
                        const std::int64_t low = pool.count_include_pad ? -w.pad_begin[d] : 0;
                        const std::int64_t high = in_layout.size[d] + (pool.count_include_pad ? w.pad_end[d] : 0);
                        inside += place >= low && place < high;
                    }
                    count *= inside;
                }
                scales_.push_back(count > 0 ? 1.0F / static_cast<float>(count) : 0.0F);
            }
}

void Pool2d::run(const Frame& frame, const std::vector<Buffer>& buffers, int part, int parts) const {
    const std::ptrdiff_t lanes = kernels_.lanes;
    PoolTask task{};
    task.in = buffers[static_cast<std::size_t>(in_)].at(frame);
    task.out = buffers[static_cast<std::size_t>(out_)].at(frame);
    task.taps = taps_.data();
    task.tap_count = static_cast<int>(taps_.size());
    task.average = average_;
    task.scale = 1;
    task.scales = scales_.empty() ? nullptr : scales_.data();
    task.masks = writing_.mask();
    task.halos = writing_.all();
    task.in_pitch = in_layout_.pitch() * stride_[0] * lanes, task.in_step = stride_[1] * lanes, task.in_plane = in_layout_.plane() * lanes;
    const Layout& out = writing_.layout;
    task.out_inside = out.inside() * lanes, task.out_pitch = out.pitch() * lanes, task.out_plane = out.plane() * lanes;
    task.rows = static_cast<int>(out.block[0]);
    task.columns = static_cast<int>(out.block[1]);
    share(channels_, part, parts, task.first, task.last);
    kernels_.pool(task);
}

double Pool2d::cycles() const {
    const Layout& out = writing_.layout;
    return static_cast<double>(channels_) * ((2.0 + static_cast<double>(taps_.size())) * static_cast<double>(out.block[0] * out.block[1]) +
                                             3.0 * static_cast<double>(writing_.halos.entries.size()));
}

Mean::Mean(int node, const MapKernels& kernels, int in, const Layout& layout, int out, std::int64_t channels)
    : Step(node), kernels_(kernels), in_(in), out_(out), layout_(layout), channels_(channels), masks_(masks(layout)) {}

void Mean::run(const Frame& frame, const std::vector<Buffer>& buffers, int part, int parts) const {
    const std::ptrdiff_t lanes = kernels_.lanes;
    MeanTask task{};
    task.in = buffers[static_cast<std::size_t>(in_)].at(frame);
    task.out = buffers[static_cast<std::size_t>(out_)].at(frame);
    task.masks = masks_.empty() ? nullptr : masks_.data();
    task.in_inside = layout_.inside() * lanes, task.in_pitch = layout_.pitch() * lanes, task.in_plane = layout_.plane() * lanes;
    task.rows = static_cast<int>(layout_.block[0]);
    task.columns = static_cast<int>(layout_.block[1]);
    task.scale = 1.0F / static_cast<float>(layout_.size[0] * layout_.size[1]);
    share(channels_, part, parts, task.first, task.last);
    kernels_.mean(task);
}

double Mean::cycles() const { return static_cast<double>(channels_) * (static_cast<double>(layout_.block[0] * layout_.block[1]) + 12); }

Flat::Flat(int node, const MapKernels& kernels, int a, int b, int out, std::size_t floats, std::vector<float> constant, const Epilogue& epilogue)
    : Step(node), kernels_(kernels), a_(a), b_(b), out_(out), floats_(floats), constant_(std::move(constant)), epilogue_(epilogue) {}

void Flat::run(const Frame& frame, const std::vector<Buffer>& buffers, int part, int parts) const {
    int begin = 0, end = 0;
    share(static_cast<std::int64_t>(floats_), part, parts, begin, end);
    const float* const a = buffers[static_cast<std::size_t>(a_)].at(frame);
    const float* b = constant_.empty() ? nullptr : constant_.data();
    if (b_ >= 0) b = buffers[static_cast<std::size_t>(b_)].at(frame);
    float* const y = buffers[static_cast<std::size_t>(out_)].at(frame);
    kernels_.flat(a + begin, b ? b + begin : nullptr, y + begin, static_cast<std::size_t>(end - begin), epilogue_);
}

double Flat::cycles() const { return static_cast<double>(floats_) / kernels_.lanes * 3; }

}  // namespace edgeticket
