#include "row_plan.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "isa/isa.h"
#include "row_schedule.h"
#include "row_steps.h"
#include "engine/plan/maps/steps.h"

namespace edgeticket {
namespace {

constexpr int kMeasureRuns = 7;

// Items of one chunk, or of one part of a run.
struct Items {
    const float* const* inputs;
    float* const* outputs;
    float* workspace;
    std::int64_t first, count;
};

struct Split {
    int parts;                      // that run side by side, each with a workspace of its own; 1: one after the other
    const RowSchedule* schedule;
};

class RowPlan final : public Plan {
   public:
    RowPlan(const Region& region, const Settings& settings);
    std::size_t workspace_floats(std::int64_t items) const override;
    void run(const float* const* inputs, float* const* outputs, std::int64_t items, float* workspace, const Pool& pool) const override;
    const std::vector<NodeReport>& reports() const override { return program_.reports; }
    std::size_t packed_bytes() const override;
    std::vector<double> measure(float* workspace) const override;

   private:
    Split split(std::int64_t items, bool pool) const;
    std::size_t part_floats(std::int64_t items, const RowSchedule& schedule) const;
    std::size_t slice_floats(std::int64_t items, const Split& split) const;
    void run_part(const Items& part, const RowSchedule& schedule, const Pool& pool) const;
    void run_rows(const Items& chunk, const RowStep& step, const Pool& pool) const;
    void run_panel(const Items& chunk, std::int32_t width, const Pool& pool) const;
    void flat(const RowStep& step, const float* a, const float* b, float* y, std::int64_t items) const;
    void flat_panel(const RowStep& step, const float* a, const float* b, float* y, std::int32_t width) const;
    float* as_row(const Items& chunk, int value) const;
    float* in_panel(const Items& chunk, int value, std::int32_t width) const;
    const RowValue& value(int index) const { return program_.values[static_cast<std::size_t>(index)]; }
    template <class Task>
    void over_units(const Pool& pool, std::int32_t units, double us, const Task& task) const;

    const FcKernels& layers_;
    const MapKernels& kernels_;
    int threads_;
    RowProgram program_;
    RowSchedule alone_, together_;  // on one thread; every long step on all threads
};

RowPlan::RowPlan(const Region& region, const Settings& settings)
    : layers_(fc_kernels_of(settings.isa)),
      kernels_(map_kernels_of(settings.isa)),
      threads_(std::max(1, settings.threads)),
      program_(region, layers_),
      alone_(row_chunks(program_, layers_, 1)),
      together_(row_chunks(program_, layers_, threads_)) {}

// All threads at the steps of one chunk after another, or each thread at items of its own, whichever is predicted to be over sooner.
Split RowPlan::split(std::int64_t items, bool pool) const {
    Split best{1, &alone_};
    if (!pool || threads_ == 1) return best;
    best.schedule = &together_;
    double least = together_.us(items);
    for (int parts = 2; parts <= threads_ && parts <= items; ++parts) {
        const double us = alone_.us((items + parts - 1) / parts) + kPoolUs;
        if (us < least) least = us, best = {parts, &alone_};
    }
    return best;
}

std::size_t RowPlan::part_floats(std::int64_t items, const RowSchedule& schedule) const {
    std::size_t most = 0;
    while (items > 0) {
        const RowChunk chunk = schedule.next(items);
        most = std::max(most, chunk.width == 0 ? program_.row_floats * static_cast<std::size_t>(chunk.items) : program_.panel_floats * static_cast<std::size_t>(chunk.width));
        items -= chunk.items;
    }
    return most;
}

std::size_t RowPlan::slice_floats(std::int64_t items, const Split& split) const {
    const std::size_t less = part_floats(items / split.parts, *split.schedule);
    return std::max(less, part_floats((items + split.parts - 1) / split.parts, *split.schedule));
}

std::size_t RowPlan::workspace_floats(std::int64_t items) const {
    const Split shared = split(items, true);
    return std::max(slice_floats(items, split(items, false)), static_cast<std::size_t>(shared.parts) * slice_floats(items, shared));
}

void RowPlan::run(const float* const* inputs, float* const* outputs, std::int64_t items, float* workspace, const Pool& pool) const {
    if (items <= 0) return;
    const Items all{inputs, outputs, workspace, 0, items};
    const Split how = split(items, pool.run != nullptr);
    if (how.parts == 1) {
        run_part(all, *how.schedule, pool);
        return;
    }
    const std::size_t slice = slice_floats(items, how);
    const auto part = [&](std::size_t index) {
        const std::int64_t i = static_cast<std::int64_t>(index), first = items * i / how.parts, last = items * (i + 1) / how.parts;
        run_part({inputs, outputs, workspace + index * slice, first, last - first}, *how.schedule, {});
    };
    pool.run(
        pool.pool, [](void* argument, std::size_t index) { (*static_cast<decltype(part)*>(argument))(index); }, static_cast<std::size_t>(how.parts),
        const_cast<void*>(static_cast<const void*>(&part)));
}

template <class Task>
void RowPlan::over_units(const Pool& pool, std::int32_t units, double us, const Task& task) const {
    if (pool.run == nullptr || threads_ == 1 || us < kLeastSharedUs) {
        task(0, units);
        return;
    }
    const auto part = [&](std::size_t index) {
        int first = 0, last = 0;
        share(units, static_cast<int>(index), threads_, first, last);
        task(first, last);
    };
    pool.run(
        pool.pool, [](void* argument, std::size_t index) { (*static_cast<decltype(part)*>(argument))(index); }, static_cast<std::size_t>(threads_),
        const_cast<void*>(static_cast<const void*>(&part)));
}

void RowPlan::run_part(const Items& part, const RowSchedule& schedule, const Pool& pool) const {
    Items chunk = part;
    for (std::int64_t left = part.count; left > 0; left -= chunk.count) {
        const RowChunk next = schedule.next(left);
        chunk.count = next.items;
        if (next.width != 0) run_panel(chunk, next.width, pool);
        else
            for (const RowStep& step : program_.steps) run_rows(chunk, step, pool);
        chunk.first += chunk.count;
    }
    for (std::size_t o = 0; o < program_.outputs.size(); ++o) {  // those that no step writes, and in rows a value's second output
        const RowValue& held = value(program_.outputs[o]);
        if (held.input < 0 && held.output == static_cast<int>(o)) continue;
        const float* const from = held.input >= 0 ? part.inputs[held.input] : part.outputs[held.output];
        std::memcpy(part.outputs[o] + part.first * held.elements, from + part.first * held.elements, static_cast<std::size_t>(part.count * held.elements) * 4);
    }
}

float* RowPlan::as_row(const Items& chunk, int index) const {
    const RowValue& held = value(index);
    if (held.input >= 0) return const_cast<float*>(chunk.inputs[held.input]) + chunk.first * held.elements;  // never written
    if (held.output >= 0) return chunk.outputs[held.output] + chunk.first * held.elements;
    return chunk.workspace + static_cast<std::int64_t>(held.as_row) * chunk.count;
}

float* RowPlan::in_panel(const Items& chunk, int index, std::int32_t width) const {
    return chunk.workspace + static_cast<std::int64_t>(value(index).in_panel) * width;
}

void RowPlan::run_rows(const Items& chunk, const RowStep& step, const Pool& pool) const {
    const float* const a = as_row(chunk, step.a);
    const float* const b = step.b < 0 ? nullptr : as_row(chunk, step.b);
    float* const y = as_row(chunk, step.out);
    if (step.layer == nullptr) {
        flat(step, a, b, y, chunk.count);
        return;
    }
    over_units(pool, step.layer->row_units(), step.layer->rows_us(chunk.count), [&](std::int32_t first, std::int32_t last) {
        step.layer->run_rows(a, b, step.epilogue, y, chunk.count, first, last);
    });
}

void RowPlan::run_panel(const Items& chunk, std::int32_t width, const Pool& pool) const {
    const std::int32_t count = static_cast<std::int32_t>(chunk.count);
    for (const RowStep& step : program_.steps) {
        for (const int input : step.loads) {
            const int index = program_.inputs[static_cast<std::size_t>(input)];
            const std::int64_t elements = value(index).elements;
            layers_.to_panel(as_row(chunk, index), elements, count, static_cast<std::int32_t>(elements), in_panel(chunk, index, width), width);
        }
        const float* const a = in_panel(chunk, step.a, width);
        const float* const b = step.b < 0 ? nullptr : in_panel(chunk, step.b, width);
        float* const y = in_panel(chunk, step.out, width);
        if (step.layer) {
            over_units(pool, step.layer->panel_units(), step.layer->panel_us(width), [&](std::int32_t first, std::int32_t last) {
                step.layer->run_panel(a, b, step.epilogue, y, width, first, last);
            });
        } else {
            flat_panel(step, a, b, y, width);
        }
        if (step.stores.empty()) continue;
        const std::int64_t elements = value(step.out).elements;
        layers_.from_panel(y, width, as_row(chunk, step.out), elements, count, static_cast<std::int32_t>(elements));
    }
}

void RowPlan::flat(const RowStep& step, const float* a, const float* b, float* y, std::int64_t items) const {
    const std::size_t elements = static_cast<std::size_t>(value(step.out).elements), count = static_cast<std::size_t>(items);
    if (step.constant.empty()) {
        kernels_.flat(a, b, y, elements * count, step.epilogue);
        return;
    }
    for (std::size_t i = 0; i < count; ++i) kernels_.flat(a + i * elements, step.constant.data(), y + i * elements, elements, step.epilogue);
}

void RowPlan::flat_panel(const RowStep& step, const float* a, const float* b, float* y, std::int32_t width) const {
    const std::size_t lanes = static_cast<std::size_t>(width), count = static_cast<std::size_t>(value(step.out).elements) * lanes;
    if (step.constant.empty()) {
        kernels_.flat(a, b, y, count, step.epilogue);
        return;
    }
    for (std::size_t element = 0; element < step.constant.size(); ++element)
        for (std::size_t lane = 0; lane < lanes; ++lane) y[element * lanes + lane] = a[element * lanes + lane] + step.constant[element];
    if (step.epilogue.activation != Activation::None) kernels_.flat(y, nullptr, y, count, step.epilogue);
}

std::size_t RowPlan::packed_bytes() const {
    std::size_t total = 0;
    for (const RowStep& step : program_.steps) total += step.constant.size() * 4 + (step.layer ? step.layer->packed_bytes() : 0);
    return total;
}

std::vector<double> RowPlan::measure(float* workspace) const {
    std::vector<std::vector<float>> held;
    std::vector<const float*> inputs;
    std::vector<float*> outputs;
    for (const int index : program_.inputs) {
        held.emplace_back(static_cast<std::size_t>(value(index).elements));
        for (std::size_t i = 0; i < held.back().size(); ++i) held.back()[i] = static_cast<float>(i % 7) * 0.25F - 0.75F;
        inputs.push_back(held.back().data());
    }
    for (const int index : program_.outputs) {
        held.emplace_back(static_cast<std::size_t>(value(index).elements));
        outputs.push_back(held.back().data());
    }
    const Items one{inputs.data(), outputs.data(), workspace, 0, 1};
    std::vector<double> result(program_.reports.size(), 0);
    for (int i = 0; i < kMeasureRuns; ++i)
        for (const RowStep& step : program_.steps) {
            const auto begin = std::chrono::steady_clock::now();
            run_rows(one, step, {});
            const std::chrono::duration<double, std::micro> taken = std::chrono::steady_clock::now() - begin;
            double& least = result[static_cast<std::size_t>(step.node)];
            least = i == 0 ? taken.count() : std::min(least, taken.count());
        }
    return result;
}

}  // namespace

bool is_row_region(const Region& region) {
    return std::all_of(region.nodes.begin(), region.nodes.end(), [](const Node& node) { return node.traits().runs_on_rows; });
}

std::unique_ptr<Plan> build_row_plan(const Region& region, const Settings& settings) { return std::make_unique<RowPlan>(region, settings); }

}  // namespace edgeticket
