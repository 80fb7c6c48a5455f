// Convolutions of one and two spatial axes with constant weights.
#include "engine/region/shape.h"
#include "operators.h"
#include "window.h"

namespace edgeticket {

void read_conv(NodeReader& r) {
    const std::vector<std::int64_t> in = r.image();
    const OnnxValue& weight = r.constant(1, "the weight");
    const std::int64_t groups = r.integer("group", 1);
    if (weight.shape.size() != in.size() + 1)
        NodeReader::decline("the weight " + weight.name + " is " + to_text(weight.shape));
    const std::int64_t channels = weight.shape[0];
    if (groups <= 0 || channels % groups != 0 || product(weight.shape[1], groups) != in[0])
        NodeReader::decline("weight " + to_text(weight.shape) + " in " + std::to_string(groups) +
                            " groups does not fit " + std::to_string(in[0]) + " channels");
    const std::vector<std::int64_t> kernel(weight.shape.begin() + 2, weight.shape.end());
    if (r.has("kernel_shape") && r.integers("kernel_shape", kernel.size(), 1) != kernel)
        NodeReader::decline("kernel_shape is not that of the weight");
    if (r.input(2) >= 0) {
        if (r.constant(2, "the bias").shape != std::vector<std::int64_t>{channels})
            NodeReader::decline("the bias has not one number a channel");
        r.constants.bias = r.input(2);
    }
    r.constants.weight = r.input(1);
    r.node.groups = groups;
    r.finish_image(channels, read_window(r, in, kernel));
}

}  // namespace edgeticket
