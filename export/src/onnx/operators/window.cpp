#include "window.h"

#include <algorithm>

#include "engine/region/shape.h"

namespace edgeticket {
namespace {

// Of a kernel's extent, stride or padding: so small that no product of two of them overflows.
constexpr std::int64_t kLargest = std::int64_t{1} << 16;

// One spatial axis.
struct Axis {
    std::int64_t size;  // of the input
    std::int64_t kernel, stride, dilation;
    std::int64_t before, after;  // padding
    std::int64_t reach() const { return (kernel - 1) * dilation + 1; }

    void check() const {
        if (kernel <= 0 || stride <= 0 || dilation <= 0 || before < 0 || after < 0)
            NodeReader::decline("a kernel, stride, dilation or padding is senseless");
        for (const std::int64_t length : {kernel, stride, dilation, before, after, product(kernel, dilation)})
            if (length > kLargest) NodeReader::decline("a kernel, stride, dilation or padding is absurdly large");
    }

    // Each returns the output's size; the first two set the padding to what the window then needs.
    std::int64_t pad_same(bool upper) {
        const std::int64_t count = (size + stride - 1) / stride;
        const std::int64_t total = std::max<std::int64_t>(0, (count - 1) * stride + reach() - size);
        before = upper ? total / 2 : total - total / 2;
        after = total - before;
        return count;
    }
    // Runtimes differ in whether a window may begin in the padding, so what the graph declares holds.
    std::int64_t pad_to(std::int64_t declared, bool include_pad) {
        const std::int64_t least = (size + before + after - reach()) / stride + 1;
        if (declared < least || declared > least + 1)
            NodeReader::decline("the output's size does not follow from ceil_mode");
        const std::int64_t needed = (declared - 1) * stride + reach() - size - before;
        if (needed > after && include_pad) NodeReader::decline("ceil_mode and count_include_pad: runtimes disagree");
        after = std::max<std::int64_t>(needed, 0);
        return declared;
    }
    std::int64_t count() const {
        if (size + before + after < reach()) NodeReader::decline("the kernel is larger than the padded input");
        return (size + before + after - reach()) / stride + 1;
    }
};

}  // namespace

std::vector<std::int64_t> read_window(NodeReader& r, const std::vector<std::int64_t>& in,
                                      const std::vector<std::int64_t>& kernel) {
    const std::size_t spatial = kernel.size();
    const std::vector<std::int64_t> stride = r.integers("strides", spatial, 1);
    const std::vector<std::int64_t> dilation = r.integers("dilations", spatial, 1);
    std::vector<std::int64_t> pads = r.integers("pads", 2 * spatial, 0);
    const std::string automatic = r.text("auto_pad", "NOTSET");
    const bool same = automatic == "SAME_UPPER" || automatic == "SAME_LOWER";
    const bool ceil = r.integer("ceil_mode", 0) != 0;
    if (automatic == "VALID") std::fill(pads.begin(), pads.end(), 0);
    else if (!same && automatic != "NOTSET" && !automatic.empty())
        NodeReader::decline("auto_pad " + automatic + " is unknown");
    const std::vector<std::int64_t>& declared = r.output().shape;
    if (declared.size() != spatial + 2)
        NodeReader::decline("the output has " + std::to_string(declared.size()) + " dimensions");

    Window& w = r.node.window;
    std::vector<std::int64_t> out;
    for (std::size_t i = 0; i < spatial; ++i) {
        Axis axis{in[i + 1], kernel[i], stride[i], dilation[i], pads[i], pads[i + spatial]};
        axis.check();
        out.push_back(same   ? axis.pad_same(automatic == "SAME_UPPER")
                      : ceil ? axis.pad_to(declared[i + 2], r.node.count_include_pad)
                             : axis.count());
        const std::size_t at = i + 2 - spatial;
        w.kernel[at] = axis.kernel, w.stride[at] = axis.stride, w.dilation[at] = axis.dilation;
        w.pad_begin[at] = axis.before, w.pad_end[at] = axis.after;
    }
    return out;
}

}  // namespace edgeticket
