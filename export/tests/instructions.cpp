// A sparse convolution, run a number of times: what callgrind counts between two numbers is what a run takes.
//
//   instructions ISA RUNS     prints the useful multiplications of a run
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "engine/plan/memory.h"
#include "engine/run/plan.h"
#include "isa/isa.h"

using namespace edgeticket;

int main(int count, char** arguments) {
    constexpr std::int64_t channels = 64, size = 8;
    Settings settings;
    const InstructionSet* const set = count == 3 ? isa_named(arguments[1]) : nullptr;
    if (set == nullptr || !has_isa(set->isa)) return std::fprintf(stderr, "usage: instructions ISA RUNS\n"), 2;
    settings.isa = set->isa;
    std::mt19937 random(1);
    std::vector<float> weight(static_cast<std::size_t>(channels * channels * 9));
    std::int64_t nonzeros = 0;
    for (float& w : weight)
        if (random() % 10 == 0) w = 0.01F, ++nonzeros;
    Region region;
    region.values = {{"x", {channels, size, size}}, {"y", {channels, size, size}}};
    region.inputs = {0}, region.outputs = {1};
    Node conv;
    conv.op = Op::Conv;
    conv.inputs = {0}, conv.output = 1, conv.weight = std::move(weight);
    for (int d = 0; d < 2; ++d) conv.window.kernel[d] = 3, conv.window.pad_begin[d] = conv.window.pad_end[d] = 1;
    region.nodes = {conv};
    const auto plan = Plan::build(region, settings);
    std::vector<float> x(static_cast<std::size_t>(channels * size * size), 1.0F), y(x.size());
    const Memory workspace(plan->workspace_bytes(1));
    std::memset(workspace.data(), 0, workspace.bytes());
    const void* const inputs[] = {x.data()};
    void* const outputs[] = {y.data()};
    for (int run = std::atoi(arguments[2]); run > 0; --run) plan->run(inputs, outputs, 1, workspace.data(), {});
    std::printf("%lld\n", static_cast<long long>(nonzeros * size * size));
    return 0;
}
