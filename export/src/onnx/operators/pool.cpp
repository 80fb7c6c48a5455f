// Pools: the largest or the mean of a window, and the mean of a whole image.
#include "operators.h"
#include "window.h"

namespace edgeticket {
namespace {

// A window that lies in the padding alone has no largest element and no mean. The first and the last one lie farthest
// out.
void require_pixels(const NodeReader& r, const std::vector<std::int64_t>& in, const std::vector<std::int64_t>& out) {
    const Window& w = r.node.window;
    for (std::size_t axis = 0; axis < out.size(); ++axis) {
        const std::size_t at = axis + 2 - out.size();
        for (const std::int64_t output : {std::int64_t{0}, out[axis] - 1}) {
            bool inside = false;
            for (std::int64_t k = 0; k < w.kernel[at] && !inside; ++k) {
                const std::int64_t place = output * w.stride[at] - w.pad_begin[at] + k * w.dilation[at];
                inside = place >= 0 && place < in[axis + 1];
            }
            if (!inside) NodeReader::decline("a window lies in the padding alone");
        }
    }
}

}  // namespace

void read_pool(NodeReader& r) {
    if (r.onnx.outputs.size() > 1 && r.onnx.outputs[1] >= 0)
        NodeReader::decline("the indices of the largest are asked for");
    const std::vector<std::int64_t> in = r.image();
    r.node.count_include_pad = r.integer("count_include_pad", 0) != 0;
    if (!r.has("kernel_shape")) NodeReader::decline("kernel_shape is missing");
    const std::vector<std::int64_t> out = read_window(r, in, r.integers("kernel_shape", in.size() - 1, 1));
    require_pixels(r, in, out);
    r.finish_image(in[0], out);
}

void read_global_average_pool(NodeReader& r) {
    const std::vector<std::int64_t> in = r.image();
    r.finish_image(in[0], std::vector<std::int64_t>(in.size() - 1, 1));
}

}  // namespace edgeticket
