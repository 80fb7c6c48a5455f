#include "run_rows.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "engine/plan/bytes.h"
#include "engine/plan/rows/row_cost.h"
#include "engine/region/index.h"
#include "made_up.h"

namespace edgeticket {
namespace {

constexpr int kMeasureRuns = 7;

// Items of one chunk, or of one part of a run.
struct Items {
    const void* const* inputs;
    void* const* outputs;
    char* workspace;
    std::int64_t first, count;
};

// All threads at the steps of one chunk after another, or each thread at items of its own.
struct Split {
    int parts;  // that run side by side, each with a workspace of its own; 1: one after the other
    const RowSchedule* schedule;
};

// Whichever way is predicted to be over sooner.
Split split(const RowProgram& program, std::int64_t items, bool pool) {
    Split best{1, &program.alone};
    if (!pool || program.threads == 1) return best;
    best.schedule = &program.together;
    double least = program.together.us(items);
    for (int parts = 2; parts <= program.threads && parts <= items; ++parts) {
        const double us = program.alone.us((items + parts - 1) / parts) + kPoolUs;
        if (us < least) least = us, best = {parts, &program.alone};
    }
    return best;
}

std::size_t bytes_of_part(const RowProgram& program, std::int64_t items, const RowSchedule& schedule) {
    std::size_t most = 0;
    while (items > 0) {
        const RowChunk chunk = schedule.next(items);
        const std::size_t bytes = chunk.width == 0 ? times_bytes(chunk.items, program.row_bytes)
                                                   : times_bytes(chunk.width, program.panel_bytes);
        most = std::max(most, bytes);
        items -= chunk.items;
    }
    return most;
}

std::size_t bytes_of_slice(const RowProgram& program, std::int64_t items, const Split& split) {
    return std::max(bytes_of_part(program, items / split.parts, *split.schedule),
                    bytes_of_part(program, (items + split.parts - 1) / split.parts, *split.schedule));
}

// Runs the steps of a program for one chunk or one part.
class Runner {
   public:
    Runner(const RowProgram& program, const Pool& pool) : program_(program), pool_(pool) {}
    void run_part(const Items& part, const RowSchedule& schedule) const;
    void run_rows(const Items& chunk, const RowStep& step) const;

   private:
    void run_panel(const Items& chunk, std::int32_t width) const;
    void flat(const RowStep& step, const float* a, const float* b, float* y, std::int64_t items) const;
    void flat_panel(const RowStep& step, const float* a, const float* b, float* y, std::int32_t width) const;
    float* as_row(const Items& chunk, int value) const;
    float* in_panel(const Items& chunk, int value, std::int32_t width) const;
    const RowValue& value(int index) const { return at(program_.values, index); }
    template <class Task>
    void over_units(std::int32_t units, double us, const Task& task) const;

    const RowProgram& program_;
    const Pool pool_;
};

template <class Task>
void Runner::over_units(std::int32_t units, double us, const Task& task) const {
    const int threads = program_.threads;
    if (!pool_.has_threads() || threads == 1 || us < kLeastSharedUs) {
        task(0, units);
        return;
    }
    pool_.parallel(threads, [&](int part) {
        const Share share(units, part, threads);
        task(share.begin, share.end);
    });
}

void Runner::run_part(const Items& part, const RowSchedule& schedule) const {
    Items chunk = part;
    for (std::int64_t left = part.count; left > 0; left -= chunk.count) {
        const RowChunk next = schedule.next(left);
        chunk.count = next.items;
        if (next.width != 0) run_panel(chunk, next.width);
        else
            for (const RowStep& step : program_.steps) run_rows(chunk, step);
        chunk.first += chunk.count;
    }
    // Outputs that no step writes are copied, and in rows a value's second output.
    for (std::size_t o = 0; o < program_.outputs.size(); ++o) {
        const RowValue& held = value(program_.outputs[o]);
        if (held.input < 0 && held.output == static_cast<int>(o)) continue;
        const void* const from = held.input >= 0 ? part.inputs[held.input] : part.outputs[held.output];
        const std::int64_t begin = part.first * held.bytes();
        std::memcpy(static_cast<char*>(part.outputs[o]) + begin, static_cast<const char*>(from) + begin,
                    static_cast<std::size_t>(part.count * held.bytes()));
    }
}

float* Runner::as_row(const Items& chunk, int index) const {
    const RowValue& held = value(index);
    void* whole = nullptr;
    if (held.input >= 0) whole = const_cast<void*>(chunk.inputs[held.input]);  // never written
    else if (held.output >= 0) whole = chunk.outputs[held.output];
    char* const place = whole != nullptr ? static_cast<char*>(whole) + chunk.first * held.bytes()
                                         : chunk.workspace + static_cast<std::int64_t>(held.as_row) * chunk.count;
    return reinterpret_cast<float*>(place);
}

float* Runner::in_panel(const Items& chunk, int index, std::int32_t width) const {
    return reinterpret_cast<float*>(chunk.workspace + static_cast<std::int64_t>(value(index).in_panel) * width);
}

void Runner::run_rows(const Items& chunk, const RowStep& step) const {
    const float* const a = as_row(chunk, step.a);
    const float* const b = step.b < 0 ? nullptr : as_row(chunk, step.b);
    float* const y = as_row(chunk, step.out);
    if (step.layer == nullptr) {
        flat(step, a, b, y, chunk.count);
        return;
    }
    over_units(step.layer->row_units(), step.layer->rows_us(chunk.count), [&](std::int32_t first, std::int32_t last) {
        step.layer->run_rows(a, b, step.epilogue, y, chunk.count, first, last);
    });
}

void Runner::run_panel(const Items& chunk, std::int32_t width) const {
    const FcKernels& layers = *program_.layers;
    const std::int32_t count = static_cast<std::int32_t>(chunk.count);
    for (const RowStep& step : program_.steps) {
        for (const int input : step.loads) {
            const int index = at(program_.inputs, input);
            const std::int64_t elements = value(index).elements;
            layers.to_panel(as_row(chunk, index), elements, count, static_cast<std::int32_t>(elements),
                            in_panel(chunk, index, width), width);
        }
        const float* const a = in_panel(chunk, step.a, width);
        const float* const b = step.b < 0 ? nullptr : in_panel(chunk, step.b, width);
        float* const y = in_panel(chunk, step.out, width);
        if (step.layer) {
            over_units(step.layer->panel_units(), step.layer->panel_us(width),
                       [&](std::int32_t first, std::int32_t last) {
                           step.layer->run_panel(a, b, step.epilogue, y, width, first, last);
                       });
        } else {
            flat_panel(step, a, b, y, width);
        }
        if (step.stores.empty()) continue;
        const std::int64_t elements = value(step.out).elements;
        layers.from_panel(y, width, as_row(chunk, step.out), elements, count, static_cast<std::int32_t>(elements));
    }
}

void Runner::flat(const RowStep& step, const float* a, const float* b, float* y, std::int64_t items) const {
    const auto run = program_.kernels->flat;
    const std::size_t elements = static_cast<std::size_t>(value(step.out).elements),
                      count = static_cast<std::size_t>(items);
    if (step.constant.empty()) {
        run(a, b, y, elements * count, step.epilogue);
        return;
    }
    for (std::size_t i = 0; i < count; ++i)
        run(a + i * elements, step.constant.data(), y + i * elements, elements, step.epilogue);
}

void Runner::flat_panel(const RowStep& step, const float* a, const float* b, float* y, std::int32_t width) const {
    const auto run = program_.kernels->flat;
    const std::size_t lanes = static_cast<std::size_t>(width),
                      count = static_cast<std::size_t>(value(step.out).elements) * lanes;
    if (step.constant.empty()) {
        run(a, b, y, count, step.epilogue);
        return;
    }
    for (std::size_t element = 0; element < step.constant.size(); ++element)
        for (std::size_t lane = 0; lane < lanes; ++lane)
            y[element * lanes + lane] = a[element * lanes + lane] + step.constant[element];
    if (step.epilogue.activation != Activation::None) run(y, nullptr, y, count, step.epilogue);
}

}  // namespace

std::size_t row_workspace_bytes(const RowProgram& program, std::int64_t items) {
    const Split shared = split(program, items, true);
    return std::max(bytes_of_slice(program, items, split(program, items, false)),
                    times_bytes(shared.parts, bytes_of_slice(program, items, shared)));
}

void run_rows(const RowProgram& program, const void* const* inputs, void* const* outputs, std::int64_t items,
              void* workspace, const Pool& pool) {
    if (items <= 0) return;
    const Items all{inputs, outputs, static_cast<char*>(workspace), 0, items};
    const Split how = split(program, items, pool.has_threads());
    if (how.parts == 1) {
        Runner(program, pool).run_part(all, *how.schedule);
        return;
    }
    const std::size_t slice = bytes_of_slice(program, items, how);
    const Runner runner(program, {});
    pool.parallel(how.parts, [&](int part) {
        const std::int64_t first = items * part / how.parts, last = items * (part + 1) / how.parts;
        runner.run_part({inputs, outputs, all.workspace + static_cast<std::size_t>(part) * slice, first, last - first},
                        *how.schedule);
    });
}

std::vector<double> measure_rows(const RowProgram& program, void* workspace) {
    MadeUp made_up;
    const auto floats = [&](int value) { return static_cast<std::size_t>(at(program.values, value).elements); };
    for (const int value : program.inputs) made_up.add_input(floats(value));
    for (const int value : program.outputs) made_up.add_output(floats(value));
    const Items one{made_up.inputs(), made_up.outputs(), static_cast<char*>(workspace), 0, 1};
    const Runner runner(program, {});
    std::vector<double> result(program.reports.size(), 0);
    for (int i = 0; i < kMeasureRuns; ++i)
        for (const RowStep& step : program.steps) {
            const auto begin = std::chrono::steady_clock::now();
            runner.run_rows(one, step);
            const std::chrono::duration<double, std::micro> taken = std::chrono::steady_clock::now() - begin;
            double& least = at(result, step.node);
            least = i == 0 ? taken.count() : std::min(least, taken.count());
        }
    return result;
}

}  // namespace edgeticket
