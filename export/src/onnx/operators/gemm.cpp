// The product of a matrix with a constant one, and a constant bias.
#include <cmath>

#include "operators.h"

namespace edgeticket {

void read_gemm(NodeReader& r) {
    const OnnxValue& in = r.data(0);
    const OnnxValue& weight = r.constant(1, "the weight");
    if (in.shape.size() != 2 || weight.shape.size() != 2) NodeReader::decline("an operand is not a matrix");
    if (r.integer("transA", 0) != 0) NodeReader::decline("transA is set");
    const bool transposed = r.integer("transB", 0) != 0;
    const std::int64_t inputs = weight.shape[transposed ? 1 : 0], outputs = weight.shape[transposed ? 0 : 1];
    if (item_shape(in, kRow) != std::vector<std::int64_t>{inputs})
        NodeReader::decline("weight " + to_text(weight.shape) + " does not fit rows of " + to_text(in.shape));
    NodeConstants& constants = r.constants;
    constants.weight_scale = r.number("alpha", 1);
    constants.bias_scale = r.number("beta", 1);
    if (!std::isfinite(constants.weight_scale) || !std::isfinite(constants.bias_scale))
        NodeReader::decline("alpha or beta is not finite");
    if (r.input(2) >= 0) {
        const OnnxValue& bias = r.constant(2, "the bias");
        if (bias.shape.size() > 2 || !expands_to(bias.shape, {outputs}))
            NodeReader::decline("the bias " + to_text(bias.shape) + " differs from row to row");
        if (constants.bias_scale != 0) constants.bias = r.input(2);  // one that is not read may hold anything
    }
    constants.weight = r.input(1);
    if (!transposed) r.set_weight_is_kn();
    r.node.inputs = {r.input(0)};
    if (r.output().shape.size() != 2) NodeReader::decline("the output is not a matrix");
    r.expect(kRow, {outputs});
    r.allow(true, true);
}

}  // namespace edgeticket
