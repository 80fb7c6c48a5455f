// The product of a tensor of any rank with a constant matrix on its right.
#include "operators.h"

namespace edgeticket {

void read_matmul(NodeReader& r) {
    const OnnxValue& in = r.data(0);
    const OnnxValue& weight = r.constant(1, "the right operand");
    if (weight.shape.size() != 2) NodeReader::decline("the right operand " + weight.name + " is not a matrix");
    if (item_shape(in, kRow) != std::vector<std::int64_t>{weight.shape[0]})
        NodeReader::decline("weight " + to_text(weight.shape) + " does not fit rows of " + to_text(in.shape));
    if (r.output().shape.size() != in.shape.size()) NodeReader::decline("the output has another rank than the input");
    r.constants.weight = r.input(1);
    r.set_weight_is_kn();
    r.node.inputs = {r.input(0)};
    r.expect(kRow, {weight.shape[1]});
    r.allow(in.shape.size() == 2, true);
}

}  // namespace edgeticket
