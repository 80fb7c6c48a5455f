// Products with constant matrices, element-wise nodes, and nodes that change a shape alone.
#include <algorithm>
#include <cmath>
#include <limits>

#include "reading.h"

namespace edgeticket {
namespace {

using Shape = std::vector<std::int64_t>;

// A dimension's identity: two that are equal have the same size in every run. Nodes pass the batch on; elsewhere a number or a name
// says it.
std::string identity(const OnnxGraph& graph, int value, std::size_t axis) {
    const OnnxValue* here = &graph.values[static_cast<std::size_t>(value)];
    while (here->shape[axis] < 0 && axis == 0 && here->batch >= 0) here = &graph.values[static_cast<std::size_t>(here->batch)];
    if (here->shape[axis] >= 0) return "#" + std::to_string(here->shape[axis]);
    if (!here->symbols[axis].empty()) return "$" + here->symbols[axis];
    return "@" + here->name + "." + std::to_string(axis);
}

void read_elementwise(Reading& r, Op op) {
    r.node.op = op;
    const OnnxValue& in = r.data(0);
    if (r.output().shape.size() != in.shape.size()) Reading::decline("the output has another rank than the input");
    bool allowed[2] = {false, false};
    std::string reason;
    for (Mode mode : {kImage, kRow}) try {
            r.expect(mode, item_shape(in, mode));
            allowed[mode == kRow] = true;
        } catch (const Declined& declined) {
            reason = declined.what();
        }
    if (!allowed[0] && !allowed[1]) Reading::decline(reason);
    r.allow(allowed[0], allowed[1]);
    r.taken.data = {r.input(0)};
}

// Whether a constant of this shape, expanded, is the same for every item, and stays within it.
bool expands_to(Shape constant, const Shape& item) {
    while (constant.size() > item.size() && constant[0] == 1) constant.erase(constant.begin());
    if (constant.size() > item.size()) return false;
    const std::size_t missing = item.size() - constant.size();
    for (std::size_t i = 0; i < constant.size(); ++i)
        if (constant[i] != 1 && constant[i] != item[i + missing]) return false;
    return true;
}

void read_add_constant(Reading& r, std::size_t data, std::size_t other) {
    const OnnxValue& in = r.data(data);
    const OnnxValue& constant = r.constant(other, "the addend");
    if (constant.shape.size() > in.shape.size()) Reading::decline("the addend has a higher rank than the value");
    r.node.op = Op::Add;
    bool allowed[2] = {false, false};
    for (Mode mode : {kImage, kRow}) try {
            const Shape item = item_shape(in, mode);
            if (!expands_to(constant.shape, item)) continue;
            r.expect(mode, item);
            allowed[mode == kRow] = true;
        } catch (const Declined&) {
            continue;  // the other way to see it may do
        }
    if (!allowed[0] && !allowed[1]) Reading::decline("the addend " + say(constant.shape) + " is not the same for every item of " + say(in.shape));
    r.allow(allowed[0], allowed[1]);
    r.taken.data = {r.input(data)};
    r.taken.constant = r.input(other);
}

}  // namespace

void read_gemm(Reading& r) {
    r.node.op = Op::Fc;
    const OnnxValue& in = r.data(0);
    const OnnxValue& weight = r.constant(1, "the weight");
    if (in.shape.size() != 2 || weight.shape.size() != 2) Reading::decline("an operand is not a matrix");
    if (r.integer("transA", 0) != 0) Reading::decline("transA is set");
    const bool transposed = r.integer("transB", 0) != 0;
    const std::int64_t inputs = weight.shape[transposed ? 1 : 0], outputs = weight.shape[transposed ? 0 : 1];
    if (item_shape(in, kRow) != Shape{inputs}) Reading::decline("weight " + say(weight.shape) + " does not fit rows of " + say(in.shape));
    r.taken.weight_scale = r.number("alpha", 1);
    r.taken.bias_scale = r.number("beta", 1);
    if (!std::isfinite(r.taken.weight_scale) || !std::isfinite(r.taken.bias_scale)) Reading::decline("alpha or beta is not finite");
    if (r.input(2) >= 0) {
        const OnnxValue& bias = r.constant(2, "the bias");
        if (bias.shape.size() > 2 || !expands_to(bias.shape, {outputs})) Reading::decline("the bias " + say(bias.shape) + " differs from row to row");
        if (r.taken.bias_scale != 0) r.taken.bias = r.input(2);  // one that is not read may hold anything
    }
    r.taken.weight = r.input(1);
    r.taken.candidate.weight_is_kn = !transposed;
    r.taken.data = {r.input(0)};
    if (r.output().shape.size() != 2) Reading::decline("the output is not a matrix");
    r.expect(kRow, {outputs});
    r.allow(true, true);
}

void read_matmul(Reading& r) {
    r.node.op = Op::Fc;
    const OnnxValue& in = r.data(0);
    const OnnxValue& weight = r.constant(1, "the right operand");
    if (weight.shape.size() != 2) Reading::decline("the right operand " + weight.name + " is not a matrix");
    if (item_shape(in, kRow) != Shape{weight.shape[0]}) Reading::decline("weight " + say(weight.shape) + " does not fit rows of " + say(in.shape));
    if (r.output().shape.size() != in.shape.size()) Reading::decline("the output has another rank than the input");
    r.taken.weight = r.input(1);
    r.taken.candidate.weight_is_kn = true;
    r.taken.data = {r.input(0)};
    r.expect(kRow, {weight.shape[1]});
    r.allow(in.shape.size() == 2, true);
}

void read_add(Reading& r) {
    if (r.input(0) < 0 || r.input(1) < 0) Reading::decline("an operand is missing");
    if (r.value(r.input(1)).constant) return read_add_constant(r, 0, 1);
    if (r.value(r.input(0)).constant) return read_add_constant(r, 1, 0);
    const OnnxValue &a = r.data(0), &b = r.data(1);
    read_elementwise(r, Op::Add);
    if (a.shape.size() != b.shape.size()) Reading::decline("the operands differ in rank");
    for (std::size_t axis = 0; axis < a.shape.size() && !r.graph.part; ++axis)
        if (identity(r.graph, r.input(0), axis) != identity(r.graph, r.input(1), axis))
            Reading::decline("the operands " + say(a.shape) + " and " + say(b.shape) + " may differ in shape");
    r.taken.data = {r.input(0), r.input(1)};
}

void read_relu(Reading& r) { read_elementwise(r, Op::Relu); }
void read_sigmoid(Reading& r) { read_elementwise(r, Op::Sigmoid); }
void read_hard_swish(Reading& r) { read_elementwise(r, Op::HardSwish); }

void read_leaky_relu(Reading& r) {
    read_elementwise(r, Op::LeakyRelu);
    r.node.alpha = r.number("alpha", 0.01F);
    if (!std::isfinite(r.node.alpha)) Reading::decline("alpha is not finite");
}

void read_clip(Reading& r) {
    constexpr float most = std::numeric_limits<float>::max();
    read_elementwise(r, Op::Clip);
    const bool attributes = r.onnx.version < 11;
    r.node.low = attributes ? r.number("min", -most) : r.scalar(1, -most, "the lower bound");
    r.node.high = attributes ? r.number("max", most) : r.scalar(2, most, "the upper bound");
    if (!(r.node.low <= r.node.high)) Reading::decline("its bounds are not in order");
}

// Flatten, Reshape, Squeeze, Unsqueeze: where an item keeps its elements and all of the tensor does, the batch keeps its size too.
void read_reshape(Reading& r) {
    r.node.op = Op::Reshape;
    const OnnxValue& in = r.data(0);
    if (r.onnx.inputs.size() > 1 && r.input(1) >= 0) r.constant_integers(1, "the shape");
    bool allowed[2] = {false, false};
    std::string reason;
    for (Mode mode : {kImage, kRow}) try {
            const Shape from = item_shape(in, mode), to = item_shape(r.output(), mode);
            if (count_elements(from) != count_elements(to)) Reading::decline("it moves elements between items");
            const Shape& all = r.output().shape;
            const auto unknown = std::count_if(all.begin(), all.end() - 1, [](std::int64_t size) { return size < 0; });
            if (mode == kRow && unknown > 1) Reading::decline("more than one size of its output is unknown");
            allowed[mode == kRow] = true;
        } catch (const Declined& declined) {
            if (reason.empty()) reason = declined.what();
        }
    if (!allowed[0] && !allowed[1]) Reading::decline(reason);
    r.allow(allowed[0], allowed[1]);
    r.taken.data = {r.input(0)};
    r.taken.keeps_leads = false;
}

void fill_constants(const OnnxGraph& graph, const Taken& taken, const Shape& item, Node& node) {
    const auto at = [&](int index) -> const OnnxValue& { return graph.values[static_cast<std::size_t>(index)]; };
    if (taken.weight >= 0) {
        const OnnxValue& weight = at(taken.weight);
        const auto* from = static_cast<const float*>(weight.data);
        const auto count = static_cast<std::size_t>(elements(weight.shape));
        if (!taken.candidate.weight_is_kn && taken.weight_scale == 1) {
            node.weight = Floats::view(from, count);  // the runtime keeps it as long as a plan is being made
        } else {
            std::vector<float> brought(from, from + count);
            if (taken.candidate.weight_is_kn) {
                const auto rows = static_cast<std::size_t>(weight.shape[0]), columns = static_cast<std::size_t>(weight.shape[1]);
                for (std::size_t n = 0; n < columns; ++n)
                    for (std::size_t k = 0; k < rows; ++k) brought[n * rows + k] = from[k * columns + n];
            }
            for (float& x : brought) x *= taken.weight_scale;
            node.weight = std::move(brought);
        }
    }
    if (taken.bias >= 0) {
        const OnnxValue& bias = at(taken.bias);
        const auto* from = static_cast<const float*>(bias.data);
        const auto count = static_cast<std::size_t>(elements(bias.shape));
        const auto outputs = node.op == Op::Conv ? count : node.weight.size() / static_cast<std::size_t>(item[0]);
        for (std::size_t n = 0; n < outputs; ++n) node.bias.push_back(from[count == 1 ? 0 : n] * taken.bias_scale);
    }
    if (taken.constant >= 0) {
        const OnnxValue& addend = at(taken.constant);
        const auto* from = static_cast<const float*>(addend.data);
        Shape shape = addend.shape;
        while (shape.size() > item.size()) shape.erase(shape.begin());  // ones, or it would not have been taken
        shape.insert(shape.begin(), item.size() - shape.size(), 1);
        const auto count = static_cast<std::size_t>(elements(item));
        node.constant.resize(count);
        for (std::size_t i = 0; i < count; ++i) {
            std::int64_t rest = static_cast<std::int64_t>(i), offset = 0, step = 1;
            for (std::size_t axis = item.size(); axis-- > 0; rest /= item[axis]) {
                if (shape[axis] != 1) offset += rest % item[axis] * step;
                step *= shape[axis];
            }
            node.constant[i] = from[offset];
        }
    }
}

}  // namespace edgeticket
