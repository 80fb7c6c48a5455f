// The mean over all of height and width, as ReduceMean says it.
#include <algorithm>

#include "operators.h"

namespace edgeticket {

void read_reduce_mean(NodeReader& r) {
    const std::vector<std::int64_t> in = r.image();
    const auto rank = static_cast<std::int64_t>(in.size()) + 1;
    std::vector<std::int64_t> axes, wanted;
    const auto attribute = r.onnx.attributes.find("axes");
    if (attribute != r.onnx.attributes.end()) axes = attribute->second.ints;
    else if (r.input(1) >= 0) axes = r.constant_integers(1, "axes");
    for (std::int64_t& axis : axes)
        if (axis < 0) axis += rank;
    std::sort(axes.begin(), axes.end());
    for (std::int64_t axis = 2; axis < rank; ++axis) wanted.push_back(axis);
    if (axes != wanted)
        NodeReader::decline("the mean is over axes " + to_text(axes) + ", not over all of height and width");
    r.finish_image(in[0], std::vector<std::int64_t>(r.integer("keepdims", 1) != 0 ? in.size() - 1 : 0, 1));
}

}  // namespace edgeticket
