#include "operators.h"

#include <map>

#include "reading.h"

namespace edgeticket {
namespace {

using Read = void (*)(Reading&);

const std::map<std::string, Read>& readers() {
    static const std::map<std::string, Read> table = {
        {"Add", read_add},
        {"AveragePool", read_average_pool},
        {"Clip", read_clip},
        {"Conv", read_conv},
        {"Flatten", read_reshape},
        {"Gemm", read_gemm},
        {"GlobalAveragePool", read_global_average_pool},
        {"HardSwish", read_hard_swish},
        {"LeakyRelu", read_leaky_relu},
        {"MatMul", read_matmul},
        {"MaxPool", read_max_pool},
        {"ReduceMean", read_reduce_mean},
        {"Relu", read_relu},
        {"Reshape", read_reshape},
        {"Sigmoid", read_sigmoid},
        {"Squeeze", read_reshape},
        {"Unsqueeze", read_reshape},
    };
    return table;
}

void weigh(const OnnxGraph& graph, Taken& taken) {
    Candidate& candidate = taken.candidate;
    if (taken.weight < 0 || graph.part) return;
    const OnnxValue& weight = graph.values[static_cast<std::size_t>(taken.weight)];
    candidate.weight = static_cast<const float*>(weight.data);
    candidate.weights = count_elements(weight.shape);
    candidate.nonzeros = count_nonzeros(candidate.weight, static_cast<std::size_t>(candidate.weights));
}

// How many items a run has, or the fewest where a size is open.
std::int64_t known_items(const OnnxValue& value, Mode mode) {
    std::int64_t count = 1;
    const auto end = mode == kImage ? value.shape.begin() + 1 : value.shape.end() - 1;
    for (auto size = value.shape.begin(); size != end; ++size)
        if (*size > 0) count = product(count, *size);
    return count > 0 ? count : 1;
}

}  // namespace

std::string say(const std::vector<std::int64_t>& shape) {
    std::string text;
    for (std::int64_t size : shape) text += (text.empty() ? "" : ", ") + std::to_string(size);
    return "[" + text + "]";
}

std::vector<std::int64_t> item_shape(const OnnxValue& value, Mode mode) {
    const std::size_t rank = value.shape.size();
    if (rank < (mode == kImage ? 2U : 1U)) throw Declined(value.name + " has " + std::to_string(rank) + " dimensions");
    const auto first = mode == kImage ? value.shape.begin() + 1 : value.shape.end() - 1;
    std::vector<std::int64_t> shape(first, value.shape.end());
    for (std::int64_t size : shape)
        if (size <= 0) throw Declined("the size of " + value.name + ", " + say(value.shape) + ", is not known before it runs");
    const std::int64_t count = count_elements(shape);
    if (count < 0 || count > kMostElements) throw Declined(value.name + " is too large: " + say(value.shape));
    return shape;
}

Taken take(const OnnxGraph& graph, const OnnxNode& node) {
    Taken taken;
    Candidate& candidate = taken.candidate;
    const bool named = !node.name.empty() || node.outputs.empty() || node.outputs[0] < 0;
    candidate.name = named ? node.name : graph.values[static_cast<std::size_t>(node.outputs[0])].name;  // for reports
    candidate.op = node.op;
    candidate.node.name = candidate.name;
    try {
        const auto found = readers().find(node.op);
        if ((!node.domain.empty() && node.domain != "ai.onnx") || found == readers().end())
            throw Declined("no kernel for this operator");
        Reading reading{graph, node, taken};
        taken.output = node.outputs.empty() ? -1 : node.outputs[0];
        found->second(reading);
        const Mode mode = (candidate.modes & kImage) != 0 ? kImage : kRow;
        const OnnxValue& in = graph.values[static_cast<std::size_t>(taken.data.at(0))];
        candidate.in_shape = item_shape(in, mode);
        candidate.out_shape = item_shape(reading.output(), mode);
        candidate.items = known_items(in, mode);
        weigh(graph, taken);
    } catch (const Declined& declined) {
        candidate.reason = declined.what();
    }
    return taken;
}

std::int64_t Reading::integer(const char* name, std::int64_t otherwise) const {
    const auto found = onnx.attributes.find(name);
    if (found == onnx.attributes.end()) return otherwise;
    if (found->second.ints.size() != 1) decline(std::string(name) + " is not one integer");
    return found->second.ints[0];
}

float Reading::number(const char* name, float otherwise) const {
    const auto found = onnx.attributes.find(name);
    if (found == onnx.attributes.end()) return otherwise;
    if (found->second.floats.size() != 1) decline(std::string(name) + " is not one number");
    return found->second.floats[0];
}

std::string Reading::text(const char* name, const std::string& otherwise) const {
    const auto found = onnx.attributes.find(name);
    return found == onnx.attributes.end() ? otherwise : found->second.text;
}

std::vector<std::int64_t> Reading::integers(const char* name, std::size_t count, std::int64_t otherwise) const {
    const auto found = onnx.attributes.find(name);
    if (found == onnx.attributes.end()) return std::vector<std::int64_t>(count, otherwise);
    if (found->second.ints.size() != count) decline(std::string(name) + " has not " + std::to_string(count) + " entries");
    return found->second.ints;
}

const OnnxValue& Reading::data(std::size_t i) const {
    if (input(i) < 0) decline("input " + std::to_string(i) + " is missing");
    const OnnxValue& found = value(input(i));
    if (found.constant) decline(found.name + " is constant; the runtime folds this node where it optimises");
    if (found.type != abi::kFloat) decline(found.name + " is not float32");
    return found;
}

const OnnxValue& Reading::constant(std::size_t i, const char* what) const {
    if (input(i) < 0) decline(std::string(what) + " is missing");
    const OnnxValue& found = value(input(i));
    if (!found.constant) decline(std::string(what) + " " + found.name + " is not constant");
    if (found.type != abi::kFloat) decline(std::string(what) + " " + found.name + " is not float32");
    const std::int64_t count = count_elements(found.shape);
    if (count <= 0 || count > kMostElements || found.data == nullptr)
        decline(std::string(what) + " " + found.name + " is empty or too large: " + say(found.shape));
    return found;
}

std::vector<std::int64_t> Reading::constant_integers(std::size_t i, const char* what) const {
    const OnnxValue& found = value(input(i));
    const std::int64_t count = count_elements(found.shape);
    if (!found.constant || found.type != abi::kInt64 || count < 0 || count > 64 || (count > 0 && found.data == nullptr))
        decline(std::string(what) + " " + found.name + " is not a short constant of int64");
    const auto* first = static_cast<const std::int64_t*>(found.data);
    return count == 0 ? std::vector<std::int64_t>() : std::vector<std::int64_t>(first, first + count);
}

float Reading::scalar(std::size_t i, float otherwise, const char* what) const {
    if (input(i) < 0) return otherwise;
    const OnnxValue& found = constant(i, what);
    if (count_elements(found.shape) != 1) decline(std::string(what) + " is not one number");
    return *static_cast<const float*>(found.data);
}

const OnnxValue& Reading::output() const {
    if (taken.output < 0) decline("it has no output");
    const OnnxValue& found = value(taken.output);
    if (found.type != abi::kFloat) decline(found.name + " is not float32");
    return found;
}

void Reading::expect(Mode mode, const std::vector<std::int64_t>& shape) const {
    const std::vector<std::int64_t> declared = item_shape(output(), mode);
    if (declared != shape) decline(output().name + " has items of " + say(declared) + " where " + say(shape) + " follows from the inputs");
}

std::vector<std::int64_t> Reading::image(std::size_t least, std::size_t most) const {
    const std::vector<std::int64_t> shape = item_shape(data(0), kImage);
    if (shape.size() < least + 1 || shape.size() > most + 1)
        decline(data(0).name + " has " + std::to_string(shape.size() + 1) + " dimensions");
    return shape;
}

void Reading::allow(bool image, bool row) const {
    taken.candidate.modes = (image ? kImage : 0U) | (row ? kRow : 0U);
}

}  // namespace edgeticket
