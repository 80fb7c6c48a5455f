#include "read_node.h"

#include "engine/region/floats.h"
#include "engine/region/shape.h"
#include "fold.h"
#include "node_reader.h"
#include "operators/operators.h"

namespace edgeticket {
namespace {

const Operator& operator_of(const OnnxNode& onnx) {
    const Operator* found = onnx.domain.empty() || onnx.domain == "ai.onnx" ? find_operator(onnx.op) : nullptr;
    if (found == nullptr) throw Declined("no kernel for this operator");
    return *found;
}

void count_nonzeros_of(const OnnxValue& weight, Candidate& candidate) {
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

std::vector<std::int64_t> item_shape(const OnnxValue& value, Mode mode) {
    const std::size_t rank = value.shape.size();
    if (rank < (mode == kImage ? 2U : 1U)) throw Declined(value.name + " has " + std::to_string(rank) + " dimensions");
    const auto first = mode == kImage ? value.shape.begin() + 1 : value.shape.end() - 1;
    std::vector<std::int64_t> shape(first, value.shape.end());
    for (std::int64_t size : shape)
        if (size <= 0)
            throw Declined("the size of " + value.name + ", " + to_text(value.shape) + ", is not known before it runs");
    const std::int64_t count = count_elements(shape);
    if (count < 0 || count > kMostElements) throw Declined(value.name + " is too large: " + to_text(value.shape));
    return shape;
}

ReadNode read_node(const GraphContext& context, const OnnxNode& onnx) {
    const OnnxGraph& graph = context.graph;
    ReadNode result;
    Candidate& candidate = result.candidate;
    const bool named = !onnx.name.empty() || onnx.outputs.empty() || onnx.outputs[0] < 0;
    candidate.name = named ? onnx.name : graph.value(onnx.outputs[0]).name;  // for reports
    candidate.op = onnx.op;
    candidate.node.name = candidate.name;
    candidate.node.output = onnx.outputs.empty() ? -1 : onnx.outputs[0];
    try {
        if (is_constant(graph, onnx))
            throw Declined("it computes a constant, which ONNX Runtime did not fold; `edgeticket export` does");
        const Operator& row = operator_of(onnx);
        candidate.node.op = row.op;
        NodeReader reader(context, onnx, result);
        row.read(reader);
        const Mode mode = (candidate.modes & kImage) != 0 ? kImage : kRow;
        const OnnxValue& in = graph.value(candidate.node.inputs.at(0));
        candidate.in_shape = item_shape(in, mode);
        candidate.out_shape = item_shape(reader.output(), mode);
        candidate.items = known_items(in, mode);
        const int weight = result.constants.weight;
        if (weight >= 0 && !context.judged) count_nonzeros_of(graph.value(weight), candidate);
    } catch (const Declined& declined) {
        candidate.reason = declined.what();
    }
    return result;
}

}  // namespace edgeticket
