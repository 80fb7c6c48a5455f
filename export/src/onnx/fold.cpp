#include "fold.h"

#include <algorithm>
#include <utility>

#include "engine/region/shape.h"

namespace edgeticket {
namespace {

using Shape = std::vector<std::int64_t>;

bool readable(const OnnxValue& value) {
    const std::int64_t count = count_elements(value.shape);
    const bool typed = value.type == ElementType::Float32 || value.type == ElementType::Int64;
    return value.constant && typed && count >= 0 && count <= kMostElements && (count == 0 || value.data != nullptr);
}

bool integers_of(const OnnxValue& value, Shape& numbers) {
    if (!readable(value) || value.type != ElementType::Int64) return false;
    const auto* first = static_cast<const std::int64_t*>(value.data);
    numbers.assign(first, first + count_elements(value.shape));
    return true;
}

// The shape of two that are broadcast, as Expand does it; false where they do not fit.
bool broadcast(Shape a, Shape b, Shape& result) {
    while (a.size() < b.size()) a.insert(a.begin(), 1);
    while (b.size() < a.size()) b.insert(b.begin(), 1);
    result.clear();
    for (std::size_t axis = 0; axis < a.size(); ++axis) {
        if (a[axis] != b[axis] && a[axis] != 1 && b[axis] != 1) return false;
        result.push_back(a[axis] == 1 ? b[axis] : a[axis]);
    }
    const std::int64_t count = count_elements(result);
    return count >= 0 && count <= kMostElements;
}

template <typename Element>
std::vector<Element> expanded(const void* data, Shape from, const Shape& to) {
    const auto* elements = static_cast<const Element*>(data);
    from.insert(from.begin(), to.size() - from.size(), 1);
    std::vector<Element> result(static_cast<std::size_t>(count_elements(to)));
    for (std::size_t i = 0; i < result.size(); ++i) {
        std::int64_t rest = static_cast<std::int64_t>(i), offset = 0, step = 1;
        for (std::size_t axis = to.size(); axis-- > 0; rest /= to[axis]) {
            if (from[axis] != 1) offset += rest % to[axis] * step;
            step *= from[axis];
        }
        result[i] = elements[offset];
    }
    return result;
}

ElementType asked_type(const OnnxGraph& graph, const OnnxNode& node, ElementType otherwise) {
    if (node.op == "CastLike" && node.inputs.size() > 1 && node.inputs[1] >= 0) return graph.value(node.inputs[1]).type;
    if (node.op != "Cast") return otherwise;
    const auto found = node.attributes.find("to");
    if (found == node.attributes.end() || found->second.ints.size() != 1) return ElementType::Other;
    constexpr std::int64_t float32 = 1, int64 = 7;  // of TensorProto
    const std::int64_t code = found->second.ints[0];
    return code == float32 ? ElementType::Float32 : code == int64 ? ElementType::Int64 : ElementType::Other;
}

}  // namespace

const void* FoldedConstants::Constant::data() const {
    return type == ElementType::Float32 ? static_cast<const void*>(floats.data())
                                        : static_cast<const void*>(integers.data());
}

bool FoldedConstants::computed(const OnnxGraph& graph, const OnnxNode& node, Constant& result) {
    const std::string& op = node.op;
    if (!node.domain.empty() && node.domain != "ai.onnx") return false;
    if (node.outputs.size() != 1 || node.outputs[0] < 0 || node.inputs.empty() || node.inputs[0] < 0) return false;
    const OnnxValue& in = graph.value(node.inputs[0]);
    if (op == "ConstantOfShape") {  // a value that is not the default is a tensor, which the runtime does not show
        if (node.attributes.count("value") != 0 || !integers_of(in, result.shape)) return false;
        const std::int64_t count = count_elements(result.shape);
        if (count < 0 || count > kMostElements) return false;
        result.floats.assign(static_cast<std::size_t>(count), 0.0F);
        return true;
    }
    if (!readable(in)) return false;
    const bool casts = op == "Cast" || op == "CastLike";
    const bool reshapes = op == "Reshape" || op == "Squeeze" || op == "Unsqueeze" || op == "Flatten";
    Shape wanted = in.shape;
    if (op == "Expand") {
        if (node.inputs.size() < 2 || node.inputs[1] < 0) return false;
        if (!integers_of(graph.value(node.inputs[1]), wanted) || !broadcast(in.shape, wanted, result.shape))
            return false;
        wanted = result.shape;
    } else if (reshapes) {
        wanted = graph.value(node.outputs[0]).shape;  // as the runtime inferred it
        if (count_elements(wanted) != count_elements(in.shape)) return false;
    } else if (op != "Identity" && !casts) {
        return false;
    }
    result.type = asked_type(graph, node, in.type);
    const bool widens = in.type == ElementType::Int64 && result.type == ElementType::Float32;
    if (result.type != in.type && !widens) return false;
    const Shape& from = reshapes ? wanted : in.shape;
    if (in.type == ElementType::Float32) result.floats = expanded<float>(in.data, from, wanted);
    else result.integers = expanded<std::int64_t>(in.data, from, wanted);
    if (widens) result.floats.assign(result.integers.begin(), result.integers.end());
    result.shape = std::move(wanted);
    return true;
}

void FoldedConstants::mark(OnnxValue& value, const Constant& constant) {
    value.type = constant.type, value.shape = constant.shape, value.constant = true, value.data = constant.data();
    value.symbols.assign(constant.shape.size(), "");
}

void FoldedConstants::fold(OnnxGraph& graph) {
    for (const OnnxNode& node : graph.nodes) {
        if (node.outputs.size() != 1 || node.outputs[0] < 0) continue;
        OnnxValue& output = graph.values[static_cast<std::size_t>(node.outputs[0])];
        auto known = known_.find(output.name);
        if (known == known_.end()) {
            Constant result;
            if (!computed(graph, node, result)) continue;
            known = known_.emplace(output.name, std::move(result)).first;
        }
        mark(output, known->second);
    }
}

void FoldedConstants::mark(OnnxGraph& graph) const {
    for (OnnxValue& value : graph.values) {
        const auto known = known_.find(value.name);
        if (known != known_.end()) mark(value, known->second);
    }
}

bool is_constant(const OnnxGraph& graph, const OnnxNode& node) {
    return !node.outputs.empty() && std::all_of(node.outputs.begin(), node.outputs.end(),
                                                [&](int output) { return output < 0 || graph.value(output).constant; });
}

}  // namespace edgeticket
