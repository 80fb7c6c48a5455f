// Judges, plans and predicts a long graph: what callgrind counts of two lengths says how the work grows.
//
//   growth KIND LENGTH     KIND is one of those in main(); prints the nodes that were claimed
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <set>
#include <string>
#include <vector>

#include "engine/choose/choose.h"
#include "engine/choose/select.h"
#include "engine/cost/predict.h"
#include "onnx/import.h"

using namespace edgeticket;

namespace {

using Shape = std::vector<std::int64_t>;
using Attributes = std::map<std::string, OnnxAttribute>;

// A graph whose float32 constants are a number each, repeated. Values are named by their indices.
class Long {
   public:
    OnnxGraph graph;
    std::vector<std::string> outputs;

    int input(const Shape& shape) {
        graph.inputs.push_back(add(shape));
        return graph.inputs.back();
    }
    int node(const std::string& op, std::vector<int> inputs, const Shape& shape, Attributes attributes = {}) {
        OnnxNode node;
        node.op = op, node.version = 13, node.inputs = std::move(inputs), node.attributes = std::move(attributes);
        node.outputs = {add(shape)};
        node.name = name(node.outputs[0]);
        graph.nodes.push_back(node);
        return node.outputs[0];
    }
    int conv(int x, const Shape& shape) {
        return node("Conv", {x, constant({shape[1], shape[1], 3, 3})}, shape, {{"pads", {{1, 1, 1, 1}, {}, ""}}});
    }
    int pool(int x, const Shape& shape) {
        return node("MaxPool", {x}, shape, {{"kernel_shape", {{3, 3}, {}, ""}}, {"pads", {{1, 1, 1, 1}, {}, ""}}});
    }
    int product(int x, const Shape& shape) { return node("MatMul", {x, constant({shape[1], shape[1]})}, shape); }
    const std::string& name(int value) const { return graph.value(value).name; }

   private:
    int add(const Shape& shape) {
        OnnxValue value;
        value.name = "v" + std::to_string(graph.values.size()), value.type = ElementType::Float32;
        value.shape = shape, value.symbols.resize(shape.size());
        return graph.add(std::move(value));
    }
    int constant(const Shape& shape) {
        std::size_t count = 1;
        for (const std::int64_t size : shape) count *= static_cast<std::size_t>(size);
        held_.emplace_back(count, 0.5F);
        const int value = add(shape);
        graph.values.back().constant = true, graph.values.back().data = held_.back().data();
        return value;
    }

    std::deque<std::vector<float>> held_;
};

const Shape kMap{-1, 2, 4, 4}, kRowShape{-1, 4};

void grow(const std::string& kind, Long& made, int length) {
    const bool rows = kind == "groups" || kind == "row outputs";
    int x = made.input(rows ? kRowShape : kMap);
    for (int i = 0; i < length; ++i) {
        if (kind == "groups") x = made.node("Tanh", {made.product(x, kRowShape)}, kRowShape);
        if (kind == "row outputs") x = made.product(x, kRowShape);
        if (kind == "map outputs") x = made.conv(x, kMap);
        if (kind == "pools") x = made.pool(made.conv(x, kMap), kMap);
        if (kind == "sums") x = made.node("Add", {x, made.node("Relu", {made.conv(x, kMap)}, kMap)}, kMap);
        if (kind == "map outputs" || kind == "row outputs" || i + 1 == length) made.outputs.push_back(made.name(x));
    }
}

// The graph as the runtime gives a group that holds all of it, planned and predicted.
void plan_whole(const Long& made, const Settings& settings) {
    const Import import = import_region(made.graph, {made.name(made.graph.inputs[0])}, made.outputs);
    const auto plan = Plan::build(import.region, settings);
    predict(import.region, *plan, settings.isa);
}

// Units that pay, one after the other.
std::size_t choose_units(int length) {
    Units units;
    units.values.resize(static_cast<std::size_t>(length) + 1);
    for (int u = 0; u < length; ++u) {
        Unit unit;
        unit.own_us = 1, unit.cpu_us = 2, unit.output = u + 1, unit.weighted = true, unit.reads = {{u, true}};
        units.values[static_cast<std::size_t>(u) + 1].unit = u;
        units.units.push_back(unit);
    }
    std::size_t claimed = 0;
    for (const auto& [first, last] : choose(units, Margin{})) claimed += last - first;
    return claimed;
}

}  // namespace

int main(int count, char** arguments) {
    const std::set<std::string> kinds{"groups", "row outputs", "map outputs", "pools", "sums", "units"};
    if (count != 3 || kinds.count(arguments[1]) == 0) return std::fprintf(stderr, "usage: growth KIND LENGTH\n"), 2;
    const std::string kind = arguments[1];
    const int length = std::atoi(arguments[2]);
    std::size_t claimed = 0;
    if (kind == "units") {
        claimed = choose_units(length);
    } else {
        Settings settings;
        settings.isa = Isa::Portable;
        Long made;
        grow(kind, made, length);
        const Selection selection = select(candidates(made.graph), settings, Claim::Always);
        for (const auto& group : selection.groups) claimed += group.size();
        if (kind != "groups") plan_whole(made, settings);
    }
    std::printf("%zu\n", claimed);
    return 0;
}
