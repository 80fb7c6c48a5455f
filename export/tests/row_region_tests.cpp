// Plans of random regions of fully connected layers, few rows and many, against the double-precision reference; what is
// fused; and sizes that no address reaches.
//
//   row_region_tests [COUNT [SEED]]     one line a failure; exit status 1 if there was any
#include "region_cases.h"

#include <cstdint>
#include <functional>
#include <new>

#include "engine/plan/maps/map_planner.h"
#include "engine/plan/memory.h"
#include "engine/plan/place.h"

using namespace edgeticket;

namespace {

class Maker {
   public:
    explicit Maker(Chance& chance) : chance_(chance) {}

    RegionCase make() {
        Region& region = test_.region;
        test_.operations = 4;
        if (chance_.chance(4)) widest_ = 1200;  // layers that are worth several threads
        int value = add_value(region, {width()});
        region.inputs.push_back(value);
        if (chance_.chance(25)) region.inputs.push_back(add_value(region, {width()}));
        const int nodes = chance_.number(1, widest_ > 300 ? 3 : 9);
        for (int i = 0; i < nodes; ++i) value = add_node(chance_.chance(85) ? value : any());
        region.outputs.push_back(value);
        while (chance_.chance(25)) region.outputs.push_back(any());  // inputs as well, and one value twice
        return test_;
    }

   private:
    int width() { return chance_.chance(30) ? chance_.number(1, 20) : chance_.number(1, widest_); }
    int any() { return chance_.number(0, static_cast<int>(test_.region.values.size()) - 1); }

    int add_node(int value) {
        const std::vector<std::int64_t> in = test_.region.values[static_cast<std::size_t>(value)].shape;
        Node node;
        node.name = "n" + std::to_string(test_.region.nodes.size());
        node.inputs = {value};
        std::vector<std::int64_t> out = in;
        const int kind = chance_.number(0, 99);
        if (kind < 45 && in.size() == 1) {
            node.op = Op::Fc;
            // Often a width that is there already: residuals.
            out = chance_.chance(60)
                      ? std::vector<std::int64_t>{elements(test_.region.values[static_cast<std::size_t>(any())].shape)}
                      : std::vector<std::int64_t>{width()};
            node.weight = chance_.weights(out[0], in[0]);
            if (chance_.chance(60)) node.bias = chance_.reals(out[0]);
            test_.operations += static_cast<double>(in[0]) + 2;
        } else if (kind < 65) {
            node.op = Op::Add;
            test_.operations += 1;
            std::vector<int> same;
            for (std::size_t v = 0; v < test_.region.values.size(); ++v)
                if (test_.region.values[v].shape == in) same.push_back(static_cast<int>(v));
            if (chance_.chance(65))
                node.inputs.push_back(
                    same[static_cast<std::size_t>(chance_.number(0, static_cast<int>(same.size()) - 1))]);
            else node.constant = chance_.reals(elements(in));
            if (node.inputs.size() == 2 && chance_.chance(50)) std::swap(node.inputs[0], node.inputs[1]);
        } else if (kind < 72) {
            node.op = Op::Reshape;
            out = in.size() == 1 ? std::vector<std::int64_t>{1, in[0], 1} : std::vector<std::int64_t>{elements(in)};
        } else {
            chance_.activation(node);
            test_.operations += 8;
        }
        node.output = add_value(test_.region, out);
        test_.region.nodes.push_back(node);
        return node.output;
    }

    Chance& chance_;
    int widest_ = 300;
    RegionCase test_;
};

// A layer of one nonzero, an Add of `constant`, a Relu.
Region biased(Op op, const std::vector<std::int64_t>& shape, const std::vector<float>& constant) {
    Region region;
    for (int i = 0; i < 4; ++i) add_value(region, shape);
    Node layer, add, relu;
    layer.op = op, layer.name = "layer", layer.inputs = {0}, layer.output = 1;
    std::vector<float> weight(static_cast<std::size_t>(shape[0] * shape[0]), 0.0F);
    weight[0] = 2;
    layer.weight = std::move(weight);
    add.op = Op::Add, add.name = "add", add.inputs = {1}, add.output = 2, add.constant = constant;
    relu.op = Op::Relu, relu.name = "relu", relu.inputs = {2}, relu.output = 3;
    region.nodes = {layer, add, relu};
    region.inputs = {0};
    region.outputs = {3};
    return region;
}

// A constant goes into the bias where a channel has one value; a value that is read elsewhere keeps its own step.
int test_fusing() {
    Region read_twice = biased(Op::Fc, {2}, {1, 2});
    read_twice.outputs.push_back(1);
    const struct {
        Region region;
        const char *add, *relu;
    } cases[] = {
        {biased(Op::Fc, {2}, {1, 2}), "fused into layer", "fused into layer"},
        {biased(Op::Conv, {2, 1, 2}, {1, 1, 2, 2}), "fused into layer", "fused into layer"},
        {biased(Op::Conv, {2, 1, 2}, {1, 1, 2, 3}), "point", "fused into add"},
        {read_twice, "flat", "fused into add"},
    };
    int failed = 0;
    for (const auto& test : cases) {
        const std::unique_ptr<Plan> plan = Plan::build(test.region, {});
        const Memory workspace(plan->workspace_bytes(1));
        const std::vector<double> us = plan->measure(workspace.data());
        const bool fused = std::string(test.add).rfind("fused", 0) == 0;
        if (us.size() != 3 || us[0] <= 0 || us[2] != 0 || (us[1] == 0) != fused)
            ++failed, std::printf("measured: not what is run\n");
        if (plan->reports()[1].kernel == test.add && plan->reports()[2].kernel == test.relu) continue;
        ++failed;
        std::printf("Add is \"%s\", expected \"%s\"; Relu is \"%s\", expected \"%s\"\n",
                    plan->reports()[1].kernel.c_str(), test.add, plan->reports()[2].kernel.c_str(), test.relu);
    }
    return failed;
}

// A caller who counts no thread has one, as rows and as maps.
int test_one_thread_at_least() {
    Region rows = biased(Op::Fc, {2}, {1, 2}), maps = biased(Op::Conv, {2, 1, 2}, {1, 1, 2, 2});
    const RowProgram over_rows = plan_rows(rows, {best_isa(), 0});
    const MapProgram over_maps = plan_maps(maps, {best_isa(), -1});
    if (over_rows.threads == 1 && over_maps.threads == 1) return 0;
    std::printf("plans for no thread have %d and %d threads\n", over_rows.threads, over_maps.threads);
    return 1;
}

// A plan is data: convolutions compute the same from arrays that were written out by their counts.
int test_arrays_written_out() {
    const Region maps = biased(Op::Conv, {2, 1, 2}, {1, 1, 2, 2});
    MapProgram program = plan_maps(maps, {best_isa(), 1});
    std::vector<std::vector<float>> weights;
    std::vector<std::vector<std::uint16_t>> offsets;
    for (Step& step : program.steps) {
        auto* const conv = std::get_if<ConvStep>(&step.work);
        if (conv == nullptr) continue;
        weights.emplace_back(conv->weights.data, conv->weights.data + conv->weights.count);
        offsets.emplace_back(conv->offsets.data, conv->offsets.data + conv->offsets.count);
        conv->weights.data = weights.back().data();
        conv->offsets.data = offsets.back().data();
    }
    program.constants = Arena();
    const std::unique_ptr<Plan> whole = Plan::build(maps, {best_isa(), 1});
    const Plan copied{Program(std::move(program))};
    const auto outputs_of = [&](const Plan& plan) {
        const Memory workspace(plan.workspace_bytes(1));
        std::vector<float> in(static_cast<std::size_t>(elements(maps.value(maps.inputs[0]).shape)), 0.75F);
        std::vector<float> out(static_cast<std::size_t>(elements(maps.value(maps.outputs[0]).shape)));
        const void* const inputs[] = {in.data()};
        void* const outputs[] = {out.data()};
        plan.run(inputs, outputs, 1, workspace.data(), {});
        return out;
    };
    if (weights.size() == 1 && !weights[0].empty() && outputs_of(*whole) == outputs_of(copied)) return 0;
    std::printf("a convolution computes something else from arrays that were written out\n");
    return 1;
}

// What is more than can be addressed is refused, and never a small piece of memory in its place.
int test_sizes_beyond_memory() {
    constexpr std::size_t most = SIZE_MAX;
    RowProgram large = plan_rows(biased(Op::Fc, {2}, {1, 2}), {});
    large.row_bytes = large.panel_bytes = most / 2;
    const Plan plan{Program(std::move(large))};
    const auto placed = [](std::vector<Placed> buffers) { place(buffers); };
    const struct {
        const char* name;
        std::function<void()> work;
    } cases[] = {
        {"a buffer that is rounded up", [&] { placed({{0, 0, most}}); }},
        {"two buffers at a time", [&] { placed({{0, 1, most / 2 + 1}, {1, 2, most / 2 + 1}}); }},
        {"a workspace of several items", [&] { plan.workspace_bytes(16); }},
        {"memory", [&] { Memory held(most); }},
        {"memory of large pages", [&] { Memory held(most - (std::size_t{3} << 20)); }},
    };
    int failed = 0;
    for (const auto& test : cases) {
        try {
            test.work();
            ++failed, std::printf("%s: more than can be addressed was not refused\n", test.name);
        } catch (const std::bad_alloc&) {
        }
    }
    std::vector<Placed> apart{{0, 0, most - 63}, {1, 1, most - 63}};  // they may share a place, so they fit
    if (place(apart) != most - 63) ++failed, std::printf("two buffers that share a place take more than one\n");
    return failed;
}

}  // namespace

int main(int argc, char** argv) {
    const int count = argc > 1 ? std::atoi(argv[1]) : 500;
    const unsigned first = argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 1;
    const int others =
        test_fusing() + test_one_thread_at_least() + test_arrays_written_out() + test_sizes_beyond_memory();
    return test_regions(count, first, 70, [](Chance& chance) { return Maker(chance).make(); }) > 0 || others > 0;
}
