// Flatten, Reshape, Squeeze, Unsqueeze. Where an item keeps its elements, so does the tensor, and the batch keeps its
// size.
#include <algorithm>

#include "engine/region/shape.h"
#include "operators.h"

namespace edgeticket {

void read_reshape(NodeReader& r) {
    const OnnxValue& in = r.data(0);
    if (r.input(1) >= 0) r.constant_integers(1, "the shape");
    const auto reasons = r.allow_where([&](Mode mode) {
        const std::vector<std::int64_t> from = item_shape(in, mode), to = item_shape(r.output(), mode);
        if (count_elements(from) != count_elements(to)) NodeReader::decline("it moves elements between items");
        const std::vector<std::int64_t>& all = r.output().shape;
        const auto unknown = std::count_if(all.begin(), all.end() - 1, [](std::int64_t size) { return size < 0; });
        if (mode == kRow && unknown > 1) NodeReader::decline("more than one size of its output is unknown");
    });
    if (reasons.size() == 2) NodeReader::decline(reasons.front());
    r.node.inputs = {r.input(0)};
    r.change_leading_dims();
}

}  // namespace edgeticket
