// The sum of two values, or of a value and a constant.
#include "operators.h"

namespace edgeticket {
namespace {

// A dimension's identity: two that are equal have the same size in every run. Dimension 0 has that of the value that
// its batch comes from; elsewhere a number or a name says it.
std::string identity(const GraphContext& context, int value, std::size_t axis) {
    if (axis == 0) value = context.origin_of_batch(value);
    const OnnxValue& here = context.graph.value(value);
    if (here.shape[axis] >= 0) return "#" + std::to_string(here.shape[axis]);
    if (!here.symbols[axis].empty()) return "$" + here.symbols[axis];
    return "@" + here.name + "." + std::to_string(axis);
}

void read_add_constant(NodeReader& r, std::size_t data, std::size_t other) {
    const OnnxValue& in = r.data(data);
    const OnnxValue& addend = r.constant(other, "the addend");
    if (addend.shape.size() > in.shape.size()) NodeReader::decline("the addend has a higher rank than the value");
    const auto reasons = r.allow_where([&](Mode mode) {
        const std::vector<std::int64_t> item = item_shape(in, mode);
        if (!expands_to(addend.shape, item)) NodeReader::decline("the addend differs from item to item");
        r.expect(mode, item);
    });
    if (reasons.size() == 2)
        NodeReader::decline("the addend " + to_text(addend.shape) + " is not the same for every item of " +
                            to_text(in.shape));
    r.node.inputs = {r.input(data)};
    r.constants.addend = r.input(other);
}

}  // namespace

void read_add(NodeReader& r) {
    if (r.input(0) < 0 || r.input(1) < 0) NodeReader::decline("an operand is missing");
    if (r.value(r.input(1)).constant) return read_add_constant(r, 0, 1);
    if (r.value(r.input(0)).constant) return read_add_constant(r, 1, 0);
    const OnnxValue &a = r.data(0), &b = r.data(1);
    read_elementwise(r);
    if (a.shape.size() != b.shape.size()) NodeReader::decline("the operands differ in rank");
    for (std::size_t axis = 0; axis < a.shape.size() && !r.context.judged; ++axis)
        if (identity(r.context, r.input(0), axis) != identity(r.context, r.input(1), axis))
            NodeReader::decline("the operands " + to_text(a.shape) + " and " + to_text(b.shape) +
                                " may differ in shape");
    r.node.inputs = {r.input(0), r.input(1)};
}

}  // namespace edgeticket
