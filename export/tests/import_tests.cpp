// Reading ONNX without a runtime: graphs made by hand are judged, imported as regions and computed, by the reference
// and by plans on every instruction set of this processor.
//
//   import_tests     one line a failure; exit status 1 if there was any
#include <deque>
#include <set>
#include <stdexcept>

#include "engine/choose/select.h"
#include "onnx/fold.h"
#include "onnx/import.h"
#include "onnx/operators/operators.h"
#include "onnx/run_shapes.h"
#include "region_cases.h"

using namespace edgeticket;

namespace {

using Shape = std::vector<std::int64_t>;
using Numbers = std::vector<float>;
using Attributes = std::map<std::string, OnnxAttribute>;

OnnxAttribute ints(Shape values) { return {std::move(values), {}, ""}; }
OnnxAttribute number(float value) { return {{}, {value}, ""}; }
OnnxAttribute text(const std::string& value) { return {{}, {}, value}; }

// A graph in the making, with the data of its constants. Its nodes are named after their outputs.
class Draft {
   public:
    OnnxGraph graph;

    void value(const std::string& name, const Shape& shape, const std::string& batch = "") {
        OnnxValue value;
        value.name = name, value.type = ElementType::Float32, value.shape = shape;
        value.symbols.resize(shape.size());
        if (!shape.empty()) value.symbols[0] = batch;
        graph.add(std::move(value));
    }
    void input(const std::string& name, const Shape& shape, const std::string& batch = "") {
        value(name, shape, batch);
        graph.inputs.push_back(graph.find(name));
    }
    void constant(const std::string& name, const Shape& shape, const Numbers& numbers) {
        floats_.push_back(numbers);
        hold(name, shape, ElementType::Float32, floats_.back().data());
    }
    void constant_integers(const std::string& name, const Shape& numbers) {
        integers_.push_back(numbers);
        hold(name, {static_cast<std::int64_t>(numbers.size())}, ElementType::Int64, integers_.back().data());
    }
    // An input of no name is left out.
    void node(const std::string& op, const std::vector<std::string>& inputs, const std::string& output,
              const Shape& shape, const Attributes& attributes = {}, int version = 13) {
        value(output, shape);
        OnnxNode node;
        node.name = output, node.op = op, node.version = version, node.attributes = attributes;
        for (const std::string& name : inputs) node.inputs.push_back(name.empty() ? -1 : graph.find(name));
        node.outputs = {graph.find(output)};
        graph.nodes.push_back(std::move(node));
    }

   private:
    void hold(const std::string& name, const Shape& shape, ElementType type, const void* data) {
        OnnxValue value;
        value.name = name, value.type = type, value.shape = shape, value.constant = true, value.data = data;
        value.symbols.resize(shape.size());
        graph.add(std::move(value));
    }

    std::deque<Numbers> floats_;
    std::deque<Shape> integers_;
};

// One failure is one line.
class Result {
   public:
    void expect(bool right, const std::string& what) {
        ++checks_;
        if (right) return;
        ++failed_;
        std::printf("%s\n", what.c_str());
    }
    int close() const {
        std::printf("%d checks, %d failed\n", checks_, failed_);
        return failed_ > 0 ? 1 : 0;
    }

   private:
    int checks_ = 0, failed_ = 0;
};

bool close_to(const std::vector<double>& found, const Numbers& expected) {
    if (found.size() != expected.size()) return false;
    for (std::size_t i = 0; i < found.size(); ++i)
        if (!(std::fabs(found[i] - static_cast<double>(expected[i])) < 1e-6)) return false;
    return true;
}

// The worst error of a region's plans as a multiple of what is allowed (see region_cases.h).
double worst_of_plans(const Region& region, std::int64_t items, const std::vector<Numbers>& inputs) {
    double most = 0;
    for (const InstructionSet& set : kInstructionSets) {
        if (!has_isa(set.isa)) continue;
        Settings settings;
        settings.isa = set.isa;
        most = std::max(most, worst({region, 64}, settings, items, inputs, true));
    }
    return most;
}

// A node x -> y, with the constants that its other inputs name, and what it makes of numbers.
struct Case {
    std::string op;
    Attributes attributes;
    Shape in;  // of two items, whose dimension 0 is declared as unknown
    Numbers numbers;
    Shape out;
    Numbers expected;
    std::vector<std::string> inputs = {"x"};
    void (*constants)(Draft&) = nullptr;
    int version = 13;
};

Shape with_open_batch(Shape shape) {
    shape[0] = -1;
    return shape;
}

std::vector<Case> cases() {
    const auto weight = [](Draft& d) { d.constant("w", {2, 3}, {1, 2, 3, 4, 5, 6}); };
    const auto kernel = [](Draft& d) { d.constant("w", {1, 1, 2}, {1, 10}), d.constant("b", {1}, {100}); };
    const auto axes = [](Draft& d) { d.constant_integers("axes", {2}); };
    const auto bounds = [](Draft& d) { d.constant("low", {}, {-1}), d.constant("high", {1}, {2}); };
    const Attributes pool{{"kernel_shape", ints({2})}, {"strides", ints({2})}};
    const Attributes ceil{{"kernel_shape", ints({2})}, {"strides", ints({2})}, {"ceil_mode", ints({1})}};
    const Attributes bounded{{"min", number(-1)}, {"max", number(2)}};
    // clang-format off
    return {
        {"Relu", {}, {2, 2}, {-1, 2, 0, -3}, {2, 2}, {0, 2, 0, 0}},
        {"Sigmoid", {}, {2, 1}, {0, 100}, {2, 1}, {0.5F, 1}},
        {"HardSwish", {}, {2, 2}, {-3, 3, 0, 6}, {2, 2}, {0, 3, 0, 6}},
        {"LeakyRelu", {{"alpha", number(0.25F)}}, {2, 2}, {-4, 4, 8, -8}, {2, 2}, {-1, 4, 8, -2}},
        {"Clip", bounded, {2, 2}, {-9, 9, 0, 1}, {2, 2}, {-1, 2, 0, 1}, {"x"}, nullptr, 6},
        {"Clip", {}, {2, 2}, {-9, 9, 0, 1}, {2, 2}, {-1, 2, 0, 1}, {"x", "low", "high"}, bounds},
        {"Clip", {}, {2, 2}, {-9, 9, 0, 1}, {2, 2}, {-9, 2, 0, 1}, {"x", "", "high"}, bounds},
        {"Add", {}, {2, 1, 2}, {1, 2, 3, 4}, {2, 1, 2}, {11, 22, 13, 24}, {"x", "a"},
         [](Draft& d) { d.constant("a", {1, 1, 2}, {10, 20}); }},
        {"Add", {}, {2, 2}, {1, 2, 3, 4}, {2, 2}, {2, 4, 6, 8}, {"x", "x"}},
        {"Gemm", {{"alpha", number(2)}, {"beta", number(3)}}, {2, 2}, {1, 2, 0, 1}, {2, 3}, {21, 27, 33, 11, 13, 15},
         {"x", "w", "b"}, [](Draft& d) { d.constant("w", {2, 3}, {1, 2, 3, 4, 5, 6}), d.constant("b", {}, {1}); }},
        {"Gemm", {{"transB", ints({1})}}, {2, 3}, {1, 0, 0, 0, 1, 1}, {2, 2}, {1, 4, 5, 11}, {"x", "w"}, weight},
        {"MatMul", {}, {2, 1, 2}, {1, 2, 0, 1}, {2, 1, 3}, {9, 12, 15, 4, 5, 6}, {"x", "w"}, weight},
        {"Conv", {{"pads", ints({1, 0})}}, {2, 1, 2}, {1, 2, 3, 4}, {2, 1, 2}, {110, 121, 130, 143}, {"x", "w", "b"},
         kernel},
        {"Conv", {{"auto_pad", text("SAME_UPPER")}}, {2, 1, 2}, {1, 2, 3, 4}, {2, 1, 2}, {21, 2, 43, 4}, {"x", "w"},
         kernel},
        {"MaxPool", pool, {2, 1, 4}, {1, 2, 4, 3, 5, 6, 8, 7}, {2, 1, 2}, {2, 4, 6, 8}},
        {"AveragePool", pool, {2, 1, 4}, {1, 2, 4, 3, 5, 6, 8, 7}, {2, 1, 2}, {1.5F, 3.5F, 5.5F, 7.5F}},
        {"AveragePool", ceil, {2, 1, 3}, {1, 2, 4, 3, 5, 6}, {2, 1, 2}, {1.5F, 4, 4, 6}},
        {"GlobalAveragePool", {}, {2, 1, 2}, {1, 2, 3, 4}, {2, 1, 1}, {1.5F, 3.5F}},
        {"ReduceMean", {{"axes", ints({-1})}, {"keepdims", ints({0})}}, {2, 1, 2}, {1, 2, 3, 4}, {2, 1}, {1.5F, 3.5F}},
        {"ReduceMean", {}, {2, 1, 2}, {1, 2, 3, 4}, {2, 1, 1}, {1.5F, 3.5F}, {"x", "axes"}, axes},
        {"Flatten", {}, {2, 1, 2}, {1, 2, 3, 4}, {2, 2}, {1, 2, 3, 4}},
        {"Reshape", {}, {2, 2}, {1, 2, 3, 4}, {2, 1, 2}, {1, 2, 3, 4}, {"x", "s"},
         [](Draft& d) { d.constant_integers("s", {-1, 1, 2}); }},
        {"Squeeze", {}, {2, 1, 2}, {1, 2, 3, 4}, {2, 2}, {1, 2, 3, 4}, {"x", "s"},
         [](Draft& d) { d.constant_integers("s", {1}); }},
        {"Unsqueeze", {}, {2, 2}, {1, 2, 3, 4}, {2, 1, 2}, {1, 2, 3, 4}, {"x", "s"},
         [](Draft& d) { d.constant_integers("s", {1}); }},
    };
    // clang-format on
}

// Each operator by itself: numbers worked out by hand, of the reference and of plans.
void test_operators(Result& result) {
    std::set<std::string> seen;
    for (const Case& test : cases()) {
        seen.insert(test.op);
        Draft draft;
        draft.input("x", with_open_batch(test.in));
        if (test.constants != nullptr) test.constants(draft);
        draft.node(test.op, test.inputs, "y", with_open_batch(test.out), test.attributes, test.version);
        const std::string reason = candidates(draft.graph)[0].reason;
        result.expect(reason.empty(), test.op + " was left: " + reason);
        if (!reason.empty()) continue;
        const Import import = import_region(draft.graph, {"x"}, {"y"});
        RunShapes shapes(import);
        shapes.inputs[0] = test.in;
        const std::int64_t items = shapes.items(import);
        shapes.set_outputs(import, items);
        result.expect(shapes.outputs[0] == test.out, test.op + ": the output has another shape");
        const float* in = test.numbers.data();
        const std::vector<double> found = run_reference(import.region, items, &in)[0];
        result.expect(close_to(found, test.expected), test.op + ": the reference differs from what is worked out");
        result.expect(worst_of_plans(import.region, items, {test.numbers}) <= 1, test.op + ": a plan differs");
    }
    for (const Operator& row : kOperators)
        result.expect(seen.count(row.name) != 0, std::string(row.name) + " has no case");
}

// Weights of which two in three are zero.
Numbers sparse(Chance& chance, std::int64_t count) {
    Numbers weights = chance.reals(count);
    for (std::size_t i = 0; i < weights.size(); ++i)
        if (i % 3 != 0) weights[i] = 0;
    return weights;
}

// Two convolutions with a residual, a pool and a product, whose batch has no name: what shows that both
// operands of the Add have the same one is that nodes pass it on.
Draft network() {
    Chance chance(1);
    Draft d;
    d.input("x", {-1, 3, 8, 8});
    d.constant("w1", {16, 3, 3, 3}, sparse(chance, 16 * 27));
    d.constant("b1", {16}, chance.reals(16));
    d.constant("w2", {16, 16, 3, 3}, sparse(chance, 16 * 144));
    d.constant("w3", {10, 256}, sparse(chance, 10 * 256));
    const Attributes padded{{"pads", ints({1, 1, 1, 1})}};
    d.node("Conv", {"x", "w1", "b1"}, "a", {-1, 16, 8, 8}, padded);
    d.node("Relu", {"a"}, "ar", {-1, 16, 8, 8});
    d.node("Conv", {"ar", "w2"}, "c", {-1, 16, 8, 8}, padded);
    d.node("Add", {"c", "ar"}, "s", {-1, 16, 8, 8});
    d.node("MaxPool", {"s"}, "p", {-1, 16, 4, 4}, {{"kernel_shape", ints({2, 2})}, {"strides", ints({2, 2})}});
    d.node("Flatten", {"p"}, "f", {-1, 256});
    d.node("Gemm", {"f", "w3"}, "y", {-1, 10}, {{"transB", ints({1})}});
    return d;
}

// A whole network: all of it is one group, whose plan computes what the reference does.
void test_network(Result& result) {
    const Draft draft = network();
    const std::vector<Candidate> found = candidates(draft.graph);
    for (const Candidate& candidate : found)
        result.expect(candidate.reason.empty(), candidate.name + ": " + candidate.reason);
    result.expect(found[3].producers == std::vector<int>{2, 1},
                  "the Add has other producers than the Conv and the Relu");
    result.expect(found[0].weights == 16 * 27 && found[0].nonzeros == 16 * 9,
                  "the weights of the first Conv are not counted");
    const Selection selection = select(found, Settings{}, Claim::Always);
    const std::vector<int> all{0, 1, 2, 3, 4, 5, 6};
    result.expect(selection.groups.size() == 1 && selection.groups[0] == all, "the network is not one group");
    const Import import = import_region(draft.graph, {"w1", "x", "b1"}, {"y"});
    result.expect(import.positions == std::vector<std::size_t>{1}, "a constant among the inputs is not skipped");
    Chance chance(2);
    for (const std::int64_t items : {1, 3}) {
        const Numbers numbers = chance.reals(items * 3 * 8 * 8);
        result.expect(worst_of_plans(import.region, items, {numbers}) <= 1, "the network: a plan differs");
    }
    result.expect(weight_shape(draft.graph, draft.graph.nodes[0]) == Shape{16, 3, 3, 3},
                  "not the shape of the Conv's weight");
    result.expect(weight_shape(draft.graph, draft.graph.nodes[1]).empty(), "a Relu has a weight");
}

// What is left, and the sentence that says why.
void test_refusals(Result& result) {
    Draft d;
    d.input("x", {-1, 4, 6, 6}, "N");
    d.input("u", {-1, 4, 6, 6}, "M");
    d.input("v", {-1, 4, 6, 6}, "N");
    d.input("weight", {2, 4, 1, 1});
    d.value("indices", {-1, 4, 3, 3});
    d.constant("wide", {1, 4, 7, 7}, Numbers(196, 1));
    const Attributes halves{{"kernel_shape", ints({2, 2})}, {"strides", ints({2, 2})}};
    const Attributes huge{{"kernel_shape", ints({std::int64_t{1} << 62, 1})}};
    d.node("Tanh", {"x"}, "tanh", {-1, 4, 6, 6});
    d.node("Conv", {"x", "weight"}, "conv", {-1, 2, 6, 6});
    d.node("Conv", {"x", "wide"}, "wider", {-1, 1, 1, 1});
    d.node("Add", {"x", "u"}, "add", {-1, 4, 6, 6});
    d.node("Add", {"x", "v"}, "same", {-1, 4, 6, 6});
    d.node("MaxPool", {"x"}, "pool", {-1, 4, 3, 3}, halves);
    d.graph.nodes.back().outputs.push_back(d.graph.find("indices"));
    d.node("MaxPool", {"x"}, "large", {-1, 4, 1, 1}, huge);
    d.node("Relu", {"wide"}, "fold", {1, 4, 7, 7});
    d.node("Relu", {"x"}, "relu", {-1, 4, 6, 5});
    d.node("Flatten", {"x"}, "flat", {-1, 36});
    d.node("Relu", {"x"}, "foreign", {-1, 4, 6, 6});
    d.graph.nodes.back().domain = "com.example";
    const std::map<std::string, std::string> expected{
        {"tanh", "no kernel for this operator"},
        {"conv", "the weight weight is not constant"},
        {"wider", "the kernel is larger than the padded input"},
        {"add", "the operands [-1, 4, 6, 6] and [-1, 4, 6, 6] may differ in shape"},
        {"same", ""},
        {"pool", "the indices of the largest are asked for"},
        {"large", "a kernel, stride, dilation or padding is absurdly large"},
        {"fold", "wide is constant; the runtime folds this node where it optimises"},
        {"relu", "relu has items of [5] where [6] follows from the inputs"},
        {"flat", "it moves elements between items"},
        {"foreign", "no kernel for this operator"},
    };
    for (const Candidate& candidate : candidates(d.graph))
        result.expect(candidate.reason == expected.at(candidate.name),
                      candidate.name + ": \"" + candidate.reason + "\"");
}

std::string refusal(const Import& import, const std::vector<Shape>& inputs) {
    RunShapes shapes(import);
    shapes.inputs = inputs;
    try {
        shapes.set_outputs(import, shapes.items(import));
    } catch (const std::runtime_error& error) {
        return error.what();
    }
    return "";
}

// A run's shapes where a tensor of rows has several open sizes, and what is refused.
void test_shapes_of_runs(Result& result) {
    Draft d;
    d.input("x", {-1, -1, 2}, "N");
    d.input("z", {-1, -1, 2}, "N");
    d.constant("w", {2, 3}, {1, 2, 3, 4, 5, 6});
    d.node("Add", {"x", "z"}, "s", {-1, -1, 2});
    d.node("MatMul", {"s", "w"}, "y", {-1, -1, 3});
    d.node("Relu", {"s"}, "r", {-1, -1, 2});
    const Import import = import_region(d.graph, {"x", "z"}, {"y", "r"});
    RunShapes shapes(import);
    shapes.inputs = {{4, 5, 2}, {4, 5, 2}};
    result.expect(shapes.items(import) == 20, "a run of 4 x 5 rows has not 20 items");
    shapes.set_outputs(import, 20);
    result.expect(shapes.outputs == std::vector<Shape>{{4, 5, 3}, {4, 5, 2}},
                  "the outputs have not the shape of the inputs");
    result.expect(refusal(import, {{4, 5, 3}, {4, 5, 2}}) == "input x has size 3 in dimension 2; the model says 2",
                  "rows of another length are not refused");
    result.expect(refusal(import, {{4, 5, 2}, {4, 6, 2}}) == "the inputs of a fused region have 20 and 24 items",
                  "inputs of different items are not refused");
    result.expect(refusal(import, {{4, 5, 2}, {5, 4, 2}}) ==
                      "the inputs of a fused region have the same number of rows, 20, in different shapes",
                  "rows in different shapes are not refused");
}

// Constants that are computed from constants, as far as the runtime may leave them, and what is left alone.
void test_folding(Result& result) {
    Draft d;
    d.input("x", {-1, 3, 4, 4});
    d.constant("half", {}, {0.5F});
    d.constant("column", {2, 1}, {1, 2});
    d.constant_integers("three", {3});
    d.constant_integers("two by three", {2, 3});
    d.constant_integers("ten", {10});
    d.node("CastLike", {"half", "x"}, "like", {});
    d.node("Expand", {"like", "three"}, "bias", {3});
    d.node("Expand", {"column", "two by three"}, "matrix", {2, 3});
    d.node("Reshape", {"matrix", "three"}, "flat", {6});
    d.node("Cast", {"ten"}, "ten as float", {1}, {{"to", ints({1})}});
    d.node("Cast", {"column"}, "to half", {2, 1}, {{"to", ints({10})}});
    d.node("ConstantOfShape", {"two by three"}, "zeros", {2, 3});
    d.node("ConstantOfShape", {"two by three"}, "sevens", {2, 3}, {{"value", {}}});
    d.node("Identity", {"flat"}, "same", {6});
    d.node("Relu", {"flat"}, "relu", {6});
    d.node("Identity", {"x"}, "data", {-1, 3, 4, 4});
    d.constant_integers("enormous", {std::int64_t{1} << 40, 2});
    d.node("Expand", {"half", "enormous"}, "huge", {-1, -1});
    d.constant("weight", {3, 3, 1, 1}, Numbers(9, 1));
    d.node("Conv", {"x", "weight", "bias"}, "conv", {-1, 3, 4, 4});
    FoldedConstants folded;
    folded.fold(d.graph);
    const std::map<std::string, Numbers> expected = {
        {"like", {0.5F}},
        {"bias", {0.5F, 0.5F, 0.5F}},
        {"matrix", {1, 1, 1, 2, 2, 2}},
        {"ten as float", {10}},
        {"flat", {1, 1, 1, 2, 2, 2}},
        {"zeros", {0, 0, 0, 0, 0, 0}},
        {"same", {1, 1, 1, 2, 2, 2}},
    };
    for (const OnnxNode& node : d.graph.nodes) {
        const OnnxValue& value = d.graph.value(node.outputs[0]);
        const auto wanted = expected.find(value.name);
        result.expect(value.constant == (wanted != expected.end()),
                      value.name + " is folded, or not, against the list");
        if (!value.constant || wanted == expected.end()) continue;
        const auto* data = static_cast<const float*>(value.data);
        const auto count = static_cast<std::size_t>(count_elements(value.shape));
        result.expect(Numbers(data, data + count) == wanted->second, value.name + " has other numbers");
    }
    for (const Candidate& candidate : candidates(d.graph))
        if (candidate.name == "conv") result.expect(candidate.reason.empty(), "conv was left: " + candidate.reason);
        else if (expected.count(candidate.name) != 0)
            result.expect(candidate.reason.rfind("it computes a constant", 0) == 0, candidate.name + " is not told");

    Draft part;  // a region of it, in which the bias is an input that a run brings
    part.input("x", {-1, 3, 4, 4});
    part.input("bias", {3});
    part.constant("weight", {3, 3, 1, 1}, Numbers(9, 1));
    part.node("Conv", {"x", "weight", "bias"}, "conv", {-1, 3, 4, 4});
    folded.mark(part.graph);
    const Import import = import_region(part.graph, {"x", "bias"}, {"conv"});
    result.expect(import.positions == std::vector<std::size_t>{0}, "a constant is read at run time");
    result.expect(import.region.nodes[0].bias == Numbers(3, 0.5F), "the region has not the folded bias");
}

}  // namespace

int main() {
    Result result;
    test_operators(result);
    test_network(result);
    test_refusals(result);
    test_shapes_of_runs(result);
    test_folding(result);
    return result.close();
}
