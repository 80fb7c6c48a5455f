#include "run_maps.h"

#include <algorithm>
#include <chrono>

#include "engine/region/index.h"
#include "made_up.h"
#include "run_step.h"

namespace edgeticket {
namespace {

constexpr double kLeastParallelCycles = 50000;  // some 15 µs: shorter steps stay on one thread
constexpr int kMeasureRuns = 7;

// The node that a step counts with: its own, or for a step between nodes that of the next step that has one, or of the
// last before.
int node_of(const std::vector<Step>& steps, std::size_t index) {
    std::size_t next = index;
    while (next < steps.size() && steps[next].node < 0) ++next;
    if (next == steps.size()) next = index;
    while (steps[next].node < 0 && next > 0) --next;
    return steps[next].node;
}

}  // namespace

void run_maps(const MapProgram& program, const void* const* inputs, void* const* outputs, std::int64_t items,
              void* workspace, const Pool& pool) {
    const int threads = pool.has_threads() ? program.threads : 1;
    for (std::int64_t item = 0; item < items; ++item) {
        const Frame frame{program, inputs, outputs, workspace, item};
        for (const Step& step : program.steps) {
            if (threads == 1 || step.cycles < kLeastParallelCycles) run_step(step, frame, 0, 1);
            else pool.parallel(threads, [&](int part) { run_step(step, frame, part, threads); });
        }
    }
}

std::vector<double> measure_maps(const MapProgram& program, void* workspace) {
    MadeUp made_up;
    for (const Buffer& buffer : program.buffers)  // in the order of the region's inputs, and of its outputs
        if (buffer.where == Buffer::Where::Input) made_up.add_input(buffer.bytes / bytes_of(buffer.element));
    std::vector<std::size_t> outputs;
    for (const Buffer& buffer : program.buffers) {
        if (buffer.where != Buffer::Where::Output) continue;
        outputs.resize(std::max(outputs.size(), static_cast<std::size_t>(buffer.index) + 1));
        at(outputs, buffer.index) = buffer.bytes / bytes_of(buffer.element);
    }
    for (const std::size_t floats : outputs) made_up.add_output(floats);
    const Frame frame{program, made_up.inputs(), made_up.outputs(), workspace, 0};
    std::vector<double> least(program.steps.size(), 1e30), result(program.reports.size(), 0);
    for (int i = 0; i < kMeasureRuns; ++i)
        for (std::size_t s = 0; s < program.steps.size(); ++s) {
            const auto begin = std::chrono::steady_clock::now();
            run_step(program.steps[s], frame, 0, 1);
            const std::chrono::duration<double, std::micro> taken = std::chrono::steady_clock::now() - begin;
            least[s] = std::min(least[s], taken.count());
        }
    for (std::size_t s = 0; s < program.steps.size(); ++s) {
        const int node = node_of(program.steps, s);
        if (node >= 0) at(result, node) += least[s];
    }
    return result;
}

}  // namespace edgeticket
