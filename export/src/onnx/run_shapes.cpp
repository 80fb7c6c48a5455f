#include "run_shapes.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "engine/region/shape.h"

namespace edgeticket {
namespace {

using Shape = std::vector<std::int64_t>;

std::int64_t items_of(const Import& import, std::size_t input, const Shape& shape) {
    const Value& value = import.region.values[static_cast<std::size_t>(import.region.inputs[input])];
    const std::size_t leading = shape.size() - value.shape.size();
    std::int64_t items = 1;
    for (std::size_t axis = 0; axis < leading; ++axis) items = product(items, shape[axis]);
    for (std::size_t axis = leading; axis < shape.size(); ++axis) {
        const std::int64_t expected = value.shape[axis - leading];
        if (shape[axis] != expected)
            throw std::runtime_error("input " + value.name + " has size " + std::to_string(shape[axis]) +
                                     " in dimension " + std::to_string(axis) + "; the model says " +
                                     std::to_string(expected));
    }
    if (items < 0) throw std::runtime_error("input " + value.name + " has more items than memory");
    return items;
}

bool same_leading_dims(const Shape& a, const Shape& b) {
    return a.size() != b.size() || std::equal(a.begin(), a.end() - 1, b.begin());
}

// Sets the size that `declared` leaves open, at most one, so that the leading dimensions hold `items`.
void set_open_size(const Shape& declared, std::size_t leading, std::int64_t items, Shape& shape) {
    std::int64_t known = 1;
    for (std::size_t axis = 0; axis < leading; ++axis)
        if (declared[axis] >= 0) known = product(known, declared[axis]);
    for (std::size_t axis = 0; axis < leading; ++axis)
        if (declared[axis] < 0 && known > 0 && items % known == 0) shape[axis] = items / known, known = items;
    if (known != items)
        throw std::runtime_error("an output's declared shape does not hold " + std::to_string(items) + " items");
}

}  // namespace

RunShapes::RunShapes(const Import& import) : inputs(import.inputs) {
    for (const OutputShape& output : import.outputs) outputs.push_back(output.shape);
}

std::int64_t RunShapes::items(const Import& import) const {
    std::int64_t items = -1;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        const std::int64_t here = items_of(import, i, inputs[i]);
        if (items >= 0 && here != items)
            throw std::runtime_error("the inputs of a fused region have " + std::to_string(items) + " and " +
                                     std::to_string(here) + " items");
        if (import.mode == kRow && i > 0 && !same_leading_dims(inputs[i - 1], inputs[i]))
            throw std::runtime_error("the inputs of a fused region have the same number of rows, " +
                                     std::to_string(here) + ", in different shapes");
        items = here;
    }
    return items;
}

void RunShapes::set_outputs(const Import& import, std::int64_t items) {
    for (std::size_t i = 0; i < outputs.size(); ++i) {
        const OutputShape& output = import.outputs[i];
        Shape& shape = outputs[i];
        if (output.leads_from >= 0) {
            const Shape& from = inputs[static_cast<std::size_t>(output.leads_from)];
            std::copy(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(shape.size()) - 1, shape.begin());
        } else {
            set_open_size(output.shape, import.mode == kImage ? 1 : shape.size() - 1, items, shape);
        }
    }
}

}  // namespace edgeticket
