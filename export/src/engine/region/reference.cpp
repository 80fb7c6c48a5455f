#include "reference.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "index.h"
#include "shape.h"

namespace edgeticket {
namespace {

using Tensor = std::vector<double>;

struct Extent {  // of an image: a 1-d one has height 1, a row none of either
    std::int64_t channels, height, width;
};

Extent extent(const std::vector<std::int64_t>& shape) {
    const std::size_t rank = shape.size();
    return {shape.at(0), rank > 2 ? shape[1] : 1, rank > 1 ? shape[rank - 1] : 1};
}

struct NodeRun {
    const Region& region;
    const Node& node;
    Sum sum;
    double size(double x) const { return sum == Sum::Values ? x : std::abs(x); }
    const std::vector<std::int64_t>& in_shape() const { return region.shape(node.inputs[0]); }
    const std::vector<std::int64_t>& out_shape() const { return region.shape(node.output); }
};

// Calls visit(y, x, offset in the plane) for every cell of the window at output (row, column) that lies inside the
// image.
template <typename Visit>
void each_cell(const Window& w, const Extent& in, std::int64_t row, std::int64_t column, Visit visit) {
    for (std::int64_t ky = 0; ky < w.kernel[0]; ++ky) {
        const std::int64_t y = row * w.stride[0] + ky * w.dilation[0] - w.pad_begin[0];
        if (y < 0 || y >= in.height) continue;
        for (std::int64_t kx = 0; kx < w.kernel[1]; ++kx) {
            const std::int64_t x = column * w.stride[1] + kx * w.dilation[1] - w.pad_begin[1];
            if (x >= 0 && x < in.width) visit(ky, kx, y * in.width + x);
        }
    }
}

void conv(const NodeRun& s, const double* in, double* out) {
    const Extent from = extent(s.in_shape()), to = extent(s.out_shape());
    const Window& w = s.node.window;
    const std::int64_t area = w.kernel[0] * w.kernel[1], depth = from.channels / s.node.groups;
    for (std::int64_t m = 0; m < to.channels; ++m) {
        const std::int64_t first = m / (to.channels / s.node.groups) * depth;
        const float* weight = s.node.weight.data() + m * depth * area;
        for (std::int64_t row = 0; row < to.height; ++row)
            for (std::int64_t column = 0; column < to.width; ++column) {
                double total = s.node.bias.empty() ? 0.0 : s.size(static_cast<double>(at(s.node.bias, m)));
                for (std::int64_t c = 0; c < depth; ++c)
                    each_cell(w, from, row, column, [&](std::int64_t ky, std::int64_t kx, std::int64_t at) {
                        const float value = weight[c * area + ky * w.kernel[1] + kx];
                        if (value != 0.0F) total += s.size(value) * in[(first + c) * from.height * from.width + at];
                    });
                out[(m * to.height + row) * to.width + column] = total;
            }
    }
}

void fc(const NodeRun& s, const double* in, double* out) {
    const std::int64_t inputs = s.in_shape().at(0), outputs = s.out_shape().at(0);
    for (std::int64_t n = 0; n < outputs; ++n) {
        double total = s.node.bias.empty() ? 0.0 : s.size(static_cast<double>(at(s.node.bias, n)));
        for (std::int64_t k = 0; k < inputs; ++k) {
            const float value = at(s.node.weight, n * inputs + k);
            if (value != 0.0F) total += s.size(value) * in[k];
        }
        out[n] = total;
    }
}

void pool(const NodeRun& s, const double* in, double* out) {
    const Extent from = extent(s.in_shape()), to = extent(s.out_shape());
    const Window& w = s.node.window;
    const bool largest = s.node.op == Op::MaxPool;
    for (std::int64_t c = 0; c < to.channels; ++c, in += from.height * from.width)
        for (std::int64_t row = 0; row < to.height; ++row)
            for (std::int64_t column = 0; column < to.width; ++column) {
                double best = -std::numeric_limits<double>::infinity(), total = 0;
                std::int64_t cells = 0;
                each_cell(w, from, row, column, [&](std::int64_t, std::int64_t, std::int64_t at) {
                    best = in[at] > best || std::isnan(in[at]) ? in[at] : best;
                    total += in[at];
                    ++cells;
                });
                const auto divisor = s.node.count_include_pad ? w.kernel[0] * w.kernel[1] : cells;
                *out++ = largest ? best : total / static_cast<double>(divisor);
            }
}

void global_average(const NodeRun& s, const double* in, double* out) {
    const Extent from = extent(s.in_shape());
    const std::int64_t area = elements(s.in_shape()) / from.channels;
    for (std::int64_t c = 0; c < from.channels; ++c) {
        double total = 0;
        for (std::int64_t i = 0; i < area; ++i) total += in[c * area + i];
        out[c] = total / static_cast<double>(area);
    }
}

void add(const NodeRun& s, const double* a, const double* b, std::size_t count, double* out) {
    for (std::size_t i = 0; i < count; ++i) out[i] = a[i] + (b != nullptr ? b[i] : s.size(s.node.constant.at(i)));
}

Tensor apply(const NodeRun& s, const std::vector<Tensor>& values, std::int64_t items) {
    const Node& node = s.node;
    const auto in_size = static_cast<std::size_t>(elements(s.in_shape()));
    const auto out_size = static_cast<std::size_t>(elements(s.out_shape()));
    const Tensor& input = at(values, node.inputs[0]);
    Tensor output(out_size * static_cast<std::size_t>(items));
    for (std::size_t item = 0; item < static_cast<std::size_t>(items); ++item) {
        const double* in = input.data() + item * in_size;
        double* out = output.data() + item * out_size;
        switch (node.op) {
            case Op::Conv: conv(s, in, out); break;
            case Op::Fc: fc(s, in, out); break;
            case Op::MaxPool:
            case Op::AveragePool: pool(s, in, out); break;
            case Op::GlobalAveragePool: global_average(s, in, out); break;
            case Op::Add: {
                const bool two = node.inputs.size() == 2;
                const double* other = two ? at(values, node.inputs[1]).data() + item * in_size : nullptr;
                add(s, in, other, out_size, out);
                break;
            }
            default: {
                if (in_size != out_size)
                    throw std::invalid_argument(node.name + ": an element-wise node changes the size");
                const ActivationTraits& activation = node.traits().activation;
                const auto function = s.sum == Sum::Values ? activation.value : activation.magnitude;
                const Epilogue epilogue = node.epilogue();
                if (function == nullptr) std::copy(in, in + in_size, out);  // Reshape
                else std::transform(in, in + in_size, out, [&](double x) { return function(x, epilogue); });
            }
        }
    }
    return output;
}

}  // namespace

std::vector<std::vector<double>> run_reference(const Region& region, std::int64_t items, const float* const* inputs,
                                               Sum sum) {
    std::vector<Tensor> values(region.values.size());
    for (std::size_t i = 0; i < region.inputs.size(); ++i) {
        const auto index = static_cast<std::size_t>(region.inputs[i]);
        const auto count = static_cast<std::size_t>(elements(region.values[index].shape) * items);
        values[index].assign(inputs[i], inputs[i] + count);
        if (sum == Sum::Magnitudes)
            for (double& x : values[index]) x = std::abs(x);
    }
    for (const Node& node : region.nodes) at(values, node.output) = apply({region, node, sum}, values, items);
    std::vector<Tensor> outputs;
    for (int output : region.outputs) outputs.push_back(at(values, output));
    return outputs;
}

}  // namespace edgeticket
