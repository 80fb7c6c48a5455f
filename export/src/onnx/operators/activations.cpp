// Functions of one element.
#include <cmath>
#include <limits>

#include "operators.h"

namespace edgeticket {

void read_elementwise(NodeReader& r) {
    const OnnxValue& in = r.data(0);
    if (r.output().shape.size() != in.shape.size()) NodeReader::decline("the output has another rank than the input");
    const auto reasons = r.allow_where([&](Mode mode) { r.expect(mode, item_shape(in, mode)); });
    if (reasons.size() == 2) NodeReader::decline(reasons.back());
    r.node.inputs = {r.input(0)};
}

void read_leaky_relu(NodeReader& r) {
    read_elementwise(r);
    r.node.alpha = r.number("alpha", 0.01F);
    if (!std::isfinite(r.node.alpha)) NodeReader::decline("alpha is not finite");
}

void read_clip(NodeReader& r) {
    constexpr float most = std::numeric_limits<float>::max();
    read_elementwise(r);
    const bool attributes = r.onnx.version < 11;
    r.node.low = attributes ? r.number("min", -most) : r.scalar(1, -most, "the lower bound");
    r.node.high = attributes ? r.number("max", most) : r.scalar(2, most, "the upper bound");
    if (!(r.node.low <= r.node.high)) NodeReader::decline("its bounds are not in order");
}

}  // namespace edgeticket
