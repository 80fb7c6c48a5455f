// Convolutions and pools.
#include <algorithm>

#include "reading.h"

namespace edgeticket {
namespace {

using Shape = std::vector<std::int64_t>;

constexpr std::int64_t kLargest = std::int64_t{1} << 16;  // of a kernel's extent, stride or padding: no layout of theirs overflows

// Kernel, stride, dilation and padding of a node with `spatial` axes into the engine's two, and the output's spatial sizes.
Shape read_window(Reading& r, const Shape& in, const Shape& kernel) {
    const std::size_t spatial = kernel.size();
    const Shape stride = r.integers("strides", spatial, 1), dilation = r.integers("dilations", spatial, 1);
    Shape pads = r.integers("pads", 2 * spatial, 0);
    const std::string automatic = r.text("auto_pad", "NOTSET");
    const bool same = automatic == "SAME_UPPER" || automatic == "SAME_LOWER";
    const bool ceil = r.integer("ceil_mode", 0) != 0;
    if (automatic == "VALID") std::fill(pads.begin(), pads.end(), 0);
    else if (!same && automatic != "NOTSET" && !automatic.empty()) Reading::decline("auto_pad " + automatic + " is unknown");
    const Shape& declared = r.output().shape;
    if (declared.size() != spatial + 2) Reading::decline("the output has " + std::to_string(declared.size()) + " dimensions");

    Window& w = r.node.window;
    Shape out;
    for (std::size_t axis = 0; axis < spatial; ++axis) {
        const std::int64_t size = in[axis + 1], k = kernel[axis], s = stride[axis], d = dilation[axis];
        std::int64_t before = pads[axis], after = pads[axis + spatial];
        if (k <= 0 || s <= 0 || d <= 0 || before < 0 || after < 0) Reading::decline("a kernel, stride, dilation or padding is senseless");
        if (k > kLargest || s > kLargest || d > kLargest || before > kLargest || after > kLargest || product(k, d) > kLargest)
            Reading::decline("a kernel, stride, dilation or padding is absurdly large");
        const std::int64_t reach = (k - 1) * d + 1;
        std::int64_t count = 0;
        if (same) {
            count = (size + s - 1) / s;
            const std::int64_t total = std::max<std::int64_t>(0, (count - 1) * s + reach - size);
            before = automatic == "SAME_UPPER" ? total / 2 : total - total / 2;
            after = total - before;
        } else if (ceil) {
            count = declared[axis + 2];  // runtimes differ in whether a window may begin in the padding: theirs holds
            const std::int64_t least = (size + before + after - reach) / s + 1;
            if (count < least || count > least + 1) Reading::decline("the output's size does not follow from ceil_mode");
            const std::int64_t needed = (count - 1) * s + reach - size - before;
            if (needed > after && r.node.count_include_pad) Reading::decline("ceil_mode and count_include_pad: runtimes disagree");
            after = std::max<std::int64_t>(needed, 0);
        } else {
            if (size + before + after < reach) Reading::decline("the kernel is larger than the padded input");
            count = (size + before + after - reach) / s + 1;
        }
        out.push_back(count);
        const std::size_t at = axis + 2 - spatial;
        w.kernel[at] = k, w.stride[at] = s, w.dilation[at] = d, w.pad_begin[at] = before, w.pad_end[at] = after;
    }
    return out;
}

void finish(Reading& r, std::int64_t channels, const Shape& spatial) {
    Shape shape{channels};
    shape.insert(shape.end(), spatial.begin(), spatial.end());
    r.expect(kImage, shape);
    r.allow(true, false);
    r.taken.data = {r.input(0)};
    r.taken.keeps_leads = false;
}

void read_pool(Reading& r, Op op) {
    r.node.op = op;
    if (r.onnx.outputs.size() > 1 && r.onnx.outputs[1] >= 0) Reading::decline("the indices of the largest are asked for");
    const Shape in = r.image(1, 2);
    r.node.count_include_pad = r.integer("count_include_pad", 0) != 0;
    const std::size_t spatial = in.size() - 1;
    if (r.onnx.attributes.count("kernel_shape") == 0) Reading::decline("kernel_shape is missing");
    const Shape out = read_window(r, in, r.integers("kernel_shape", spatial, 1));
    const Window& w = r.node.window;
    for (std::size_t axis = 0; axis < spatial; ++axis) {  // a window that lies in the padding alone has no largest and no mean
        const std::size_t at = axis + 2 - spatial;
        for (const std::int64_t output : {std::int64_t{0}, out[axis] - 1}) {
            bool inside = false;
            for (std::int64_t k = 0; k < w.kernel[at] && !inside; ++k) {
                const std::int64_t place = output * w.stride[at] - w.pad_begin[at] + k * w.dilation[at];
                inside = place >= 0 && place < in[axis + 1];
            }
            if (!inside) Reading::decline("a window lies in the padding alone");
        }
    }
    finish(r, in[0], out);
}

}  // namespace

void read_conv(Reading& r) {
    r.node.op = Op::Conv;
    const Shape in = r.image(1, 2);
    const OnnxValue& weight = r.constant(1, "the weight");
    const std::int64_t groups = r.integer("group", 1);
    if (weight.shape.size() != in.size() + 1) Reading::decline("the weight " + weight.name + " is " + say(weight.shape));
    const std::int64_t channels = weight.shape[0];
    if (groups <= 0 || channels % groups != 0 || product(weight.shape[1], groups) != in[0])
        Reading::decline("weight " + say(weight.shape) + " in " + std::to_string(groups) + " groups does not fit " +
                         std::to_string(in[0]) + " channels");
    const Shape kernel(weight.shape.begin() + 2, weight.shape.end());
    if (r.onnx.attributes.count("kernel_shape") != 0 && r.integers("kernel_shape", kernel.size(), 1) != kernel)
        Reading::decline("kernel_shape is not that of the weight");
    if (r.input(2) >= 0) {
        if (r.constant(2, "the bias").shape != Shape{channels}) Reading::decline("the bias has not one number a channel");
        r.taken.bias = r.input(2);
    }
    r.taken.weight = r.input(1);
    r.node.groups = groups;
    finish(r, channels, read_window(r, in, kernel));
}

void read_max_pool(Reading& r) { read_pool(r, Op::MaxPool); }
void read_average_pool(Reading& r) { read_pool(r, Op::AveragePool); }

void read_global_average_pool(Reading& r) {
    r.node.op = Op::GlobalAveragePool;
    const Shape in = r.image(1, 2);
    finish(r, in[0], Shape(in.size() - 1, 1));
}

void read_reduce_mean(Reading& r) {
    r.node.op = Op::GlobalAveragePool;
    const Shape in = r.image(1, 2);
    const auto rank = static_cast<std::int64_t>(in.size()) + 1;
    Shape axes, wanted;
    const auto attribute = r.onnx.attributes.find("axes");
    if (attribute != r.onnx.attributes.end()) axes = attribute->second.ints;
    else if (r.input(1) >= 0) axes = r.constant_integers(1, "axes");
    for (std::int64_t& axis : axes)
        if (axis < 0) axis += rank;
    std::sort(axes.begin(), axes.end());
    for (std::int64_t axis = 2; axis < rank; ++axis) wanted.push_back(axis);
    if (axes != wanted) Reading::decline("the mean is over axes " + say(axes) + ", not over all of height and width");
    finish(r, in[0], Shape(r.integer("keepdims", 1) != 0 ? in.size() - 1 : 0, 1));
}

}  // namespace edgeticket
