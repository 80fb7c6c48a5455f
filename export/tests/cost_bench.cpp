// How well this engine's times are predicted: random layers, each planned alone, predicted and measured.
//
// usage: cost_bench [COUNT [SEED [ISA]]]     a line a layer, then the spread of measured / predicted for each kind
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "engine/cost/predict.h"
#include "engine/plan/memory.h"
#include "engine/region/shape.h"
#include "engine/run/plan.h"
#include "isa/isa.h"

using namespace edgeticket;

namespace {

std::mt19937 random_source;
int number(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_source); }
bool chance(int percent) { return number(1, 100) <= percent; }
int pick(std::initializer_list<int> from) { return *(from.begin() + number(0, static_cast<int>(from.size()) - 1)); }

void draw_weight(Node& node, std::size_t count, int zeros) {
    std::vector<float> weight(count);
    for (float& w : weight) w = number(0, 999) < zeros * 10 ? 0.0F : 0.1F;
    node.weight = std::move(weight);
}

// A layer alone: what it takes to bring its map in and out is part of both times.
Region layer(std::string& kind, std::string& text) {
    Region region;
    const int zeros = pick({0, 50, 80, 90, 95, 99});
    char line[160];
    Node node;
    node.name = "layer", node.inputs = {0}, node.output = 1;
    region.inputs = {0}, region.outputs = {1};
    if (chance(20)) {
        const int in = number(8, chance(30) ? 2000 : 400), out = number(8, chance(30) ? 1000 : 300);
        node.op = Op::Fc, kind = "fc";
        draw_weight(node, static_cast<std::size_t>(in) * static_cast<std::size_t>(out), zeros);
        region.values = {{"x", {in}}, {"y", {out}}};
        std::snprintf(line, sizeof line, "%d -> %d, %d %% zero", in, out, zeros);
    } else {
        const int size = pick({4, 5, 7, 8, 10, 14, 16, 20, 28, 32, 49, 56, 80, 112}), most = size > 30 ? 64 : 256;
        const int kernel = pick({1, 1, 3, 3, 3, 5, 7}), stride = chance(25) && size > kernel ? 2 : 1;
        const bool depthwise = chance(15), pool = !depthwise && chance(12);
        const int in = number(3, most), out = depthwise || pool ? in : number(4, most), pad = kernel / 2,
                  after = (size + 2 * pad - kernel) / stride + 1;
        node.op = pool ? (chance(50) ? Op::MaxPool : Op::AveragePool) : Op::Conv, kind = pool          ? "pool"
                                                                                         : depthwise   ? "depthwise"
                                                                                         : kernel == 1 ? "point"
                                                                                                       : "conv";
        for (int d = 0; d < 2; ++d)
            node.window.kernel[d] = kernel, node.window.stride[d] = stride,
            node.window.pad_begin[d] = node.window.pad_end[d] = pad;
        node.groups = depthwise ? in : 1;
        if (!pool)
            draw_weight(node,
                        static_cast<std::size_t>(out) * static_cast<std::size_t>(depthwise ? 1 : in) *
                            static_cast<std::size_t>(kernel * kernel),
                        depthwise ? 0 : zeros);
        region.values = {{"x", {in, size, size}}, {"y", {out, after, after}}};
        std::snprintf(line, sizeof line, "%d -> %d, %d x %d s%d, %d px, %d %% zero", in, out, kernel, kernel, stride,
                      size, zeros);
    }
    region.nodes = {node};
    text = line;
    return region;
}

double seconds(const Plan& plan, const void* in, void* out, void* workspace, long count) {
    const auto began = std::chrono::steady_clock::now();
    for (long i = 0; i < count; ++i) plan.run(&in, &out, 1, workspace, {});
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

// Microseconds of a run: the least of several samples, since neighbours only ever slow it down.
double measure(const Plan& plan, const Region& region) {
    std::vector<float> in(static_cast<std::size_t>(elements(region.values[0].shape)), 0.5F),
        out(static_cast<std::size_t>(elements(region.values[1].shape)));
    const Memory workspace(plan.workspace_bytes(1));
    long count = 1;
    while (seconds(plan, in.data(), out.data(), workspace.data(), count) < 4e-4) count *= 2;
    double least = 1e9;
    for (int sample = 0; sample < 9; ++sample)
        least =
            std::min(least, seconds(plan, in.data(), out.data(), workspace.data(), count) / static_cast<double>(count));
    return least * 1e6;
}

}  // namespace

int main(int count, char** arguments) {
    const int layers = count > 1 ? std::atoi(arguments[1]) : 100;
    random_source.seed(count > 2 ? static_cast<unsigned>(std::atoi(arguments[2])) : 1U);
    Settings settings;
    if (count > 3) {
        const InstructionSet* const set = isa_named(arguments[3]);
        if (set == nullptr || !has_isa(set->isa))
            return std::fprintf(stderr, "no instruction set %s here\n", arguments[3]), 2;
        settings.isa = set->isa;
    }
    std::map<std::string, std::vector<double>> ratios;
    for (int i = 0; i < layers; ++i) {
        std::string kind, text;
        const Region region = layer(kind, text);
        const std::unique_ptr<Plan> plan = Plan::build(region, settings);
        const Prediction predicted = predict(region, *plan, settings.isa)[0];
        const double us = measure(*plan, region);
        ratios[kind].push_back(us / predicted.own_us);
        std::printf("%-9s %-40s %9.2f predicted %9.2f us, x %.2f, the CPU provider %.2f\n", kind.c_str(), text.c_str(),
                    us, predicted.own_us, us / predicted.own_us, predicted.cpu_us);
    }
    std::printf("\nmeasured / predicted on %s\n", isa_name(settings.isa));
    for (auto& [kind, values] : ratios) {
        std::sort(values.begin(), values.end());
        const auto quantile = [&](double share) {
            return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
        };
        std::printf("%-9s %3zu layers: median %.2f, 10 %% below %.2f, 10 %% above %.2f, most %.2f\n", kind.c_str(),
                    values.size(), quantile(0.5), quantile(0.1), quantile(0.9), quantile(1));
    }
    return 0;
}
