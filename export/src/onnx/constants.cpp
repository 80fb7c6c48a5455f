#include "constants.h"

#include <utility>

#include "engine/region/shape.h"

namespace edgeticket {
namespace {

const float* floats(const OnnxValue& value) { return static_cast<const float*>(value.data); }

std::vector<float> transposed(const float* from, std::size_t rows, std::size_t columns) {
    std::vector<float> result(rows * columns);
    for (std::size_t n = 0; n < columns; ++n)
        for (std::size_t k = 0; k < rows; ++k) result[n * rows + k] = from[k * columns + n];
    return result;
}

Floats weight_of(const OnnxValue& weight, bool is_kn, float scale) {
    const auto count = static_cast<std::size_t>(elements(weight.shape));
    if (!is_kn && scale == 1) return Floats::view(floats(weight), count);
    std::vector<float> values(floats(weight), floats(weight) + count);
    if (is_kn) {
        const auto rows = static_cast<std::size_t>(weight.shape[0]),
                   columns = static_cast<std::size_t>(weight.shape[1]);
        values = transposed(floats(weight), rows, columns);
    }
    for (float& x : values) x *= scale;
    return values;
}

// A single number is that of every output.
std::vector<float> bias_of(const OnnxValue& bias, std::size_t outputs, float scale) {
    const bool one = elements(bias.shape) == 1;
    std::vector<float> values(outputs);
    for (std::size_t n = 0; n < outputs; ++n) values[n] = floats(bias)[one ? 0 : n] * scale;
    return values;
}

std::vector<float> expanded(const OnnxValue& addend, const std::vector<std::int64_t>& item) {
    std::vector<std::int64_t> shape = addend.shape;
    while (shape.size() > item.size()) shape.erase(shape.begin());  // ones, or it would not have been taken
    shape.insert(shape.begin(), item.size() - shape.size(), 1);
    std::vector<float> values(static_cast<std::size_t>(elements(item)));
    for (std::size_t i = 0; i < values.size(); ++i) {
        std::int64_t rest = static_cast<std::int64_t>(i), offset = 0, step = 1;
        for (std::size_t axis = item.size(); axis-- > 0; rest /= item[axis]) {
            if (shape[axis] != 1) offset += rest % item[axis] * step;
            step *= shape[axis];
        }
        values[i] = floats(addend)[offset];
    }
    return values;
}

}  // namespace

void fill_constants(const OnnxGraph& graph, const ReadNode& read, const std::vector<std::int64_t>& item, Node& node) {
    const NodeConstants& constants = read.constants;
    if (constants.weight >= 0)
        node.weight = weight_of(graph.value(constants.weight), read.candidate.weight_is_kn, constants.weight_scale);
    if (constants.bias >= 0) {
        const OnnxValue& bias = graph.value(constants.bias);
        const auto outputs = node.op == Op::Conv ? static_cast<std::size_t>(elements(bias.shape))
                                                 : node.weight.size() / static_cast<std::size_t>(item[0]);
        node.bias = bias_of(bias, outputs, constants.bias_scale);
    }
    if (constants.addend >= 0) node.constant = expanded(graph.value(constants.addend), item);
}

}  // namespace edgeticket
