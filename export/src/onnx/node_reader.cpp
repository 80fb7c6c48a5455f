#include "node_reader.h"

#include "engine/region/shape.h"

namespace edgeticket {

std::string to_text(const std::vector<std::int64_t>& shape) {
    std::string text;
    for (std::int64_t size : shape) text += (text.empty() ? "" : ", ") + std::to_string(size);
    return "[" + text + "]";
}

bool expands_to(std::vector<std::int64_t> constant, const std::vector<std::int64_t>& item) {
    while (constant.size() > item.size() && constant[0] == 1) constant.erase(constant.begin());
    if (constant.size() > item.size()) return false;
    const std::size_t missing = item.size() - constant.size();
    for (std::size_t i = 0; i < constant.size(); ++i)
        if (constant[i] != 1 && constant[i] != item[i + missing]) return false;
    return true;
}

std::int64_t NodeReader::integer(const char* attribute, std::int64_t otherwise) const {
    const auto found = onnx.attributes.find(attribute);
    if (found == onnx.attributes.end()) return otherwise;
    if (found->second.ints.size() != 1) decline(std::string(attribute) + " is not one integer");
    return found->second.ints[0];
}

float NodeReader::number(const char* attribute, float otherwise) const {
    const auto found = onnx.attributes.find(attribute);
    if (found == onnx.attributes.end()) return otherwise;
    if (found->second.floats.size() != 1) decline(std::string(attribute) + " is not one number");
    return found->second.floats[0];
}

std::string NodeReader::text(const char* attribute, const std::string& otherwise) const {
    const auto found = onnx.attributes.find(attribute);
    return found == onnx.attributes.end() ? otherwise : found->second.text;
}

std::vector<std::int64_t> NodeReader::integers(const char* attribute, std::size_t count, std::int64_t otherwise) const {
    const auto found = onnx.attributes.find(attribute);
    if (found == onnx.attributes.end()) return std::vector<std::int64_t>(count, otherwise);
    if (found->second.ints.size() != count)
        decline(std::string(attribute) + " has not " + std::to_string(count) + " entries");
    return found->second.ints;
}

const OnnxValue& NodeReader::data(std::size_t i) const {
    if (input(i) < 0) decline("input " + std::to_string(i) + " is missing");
    const OnnxValue& found = value(input(i));
    if (found.constant) decline(found.name + " is constant; the runtime folds this node where it optimises");
    if (found.type != ElementType::Float32) decline(found.name + " is not float32");
    return found;
}

const OnnxValue& NodeReader::constant(std::size_t i, const char* what) const {
    if (input(i) < 0) decline(std::string(what) + " is missing");
    const OnnxValue& found = value(input(i));
    if (!found.constant) decline(std::string(what) + " " + found.name + " is not constant");
    if (found.type != ElementType::Float32) decline(std::string(what) + " " + found.name + " is not float32");
    const std::int64_t count = count_elements(found.shape);
    if (count <= 0 || count > kMostElements || found.data == nullptr)
        decline(std::string(what) + " " + found.name + " is empty or too large: " + to_text(found.shape));
    return found;
}

std::vector<std::int64_t> NodeReader::constant_integers(std::size_t i, const char* what) const {
    const OnnxValue& found = value(input(i));
    const std::int64_t count = count_elements(found.shape);
    const bool held = count == 0 || found.data != nullptr;
    if (!found.constant || found.type != ElementType::Int64 || count < 0 || count > 64 || !held)
        decline(std::string(what) + " " + found.name + " is not a short constant of int64");
    const auto* first = static_cast<const std::int64_t*>(found.data);
    return count == 0 ? std::vector<std::int64_t>() : std::vector<std::int64_t>(first, first + count);
}

float NodeReader::scalar(std::size_t i, float otherwise, const char* what) const {
    if (input(i) < 0) return otherwise;
    const OnnxValue& found = constant(i, what);
    if (count_elements(found.shape) != 1) decline(std::string(what) + " is not one number");
    return *static_cast<const float*>(found.data);
}

const OnnxValue& NodeReader::output() const {
    if (node.output < 0) decline("it has no output");
    const OnnxValue& found = value(node.output);
    if (found.type != ElementType::Float32) decline(found.name + " is not float32");
    return found;
}

void NodeReader::expect(Mode mode, const std::vector<std::int64_t>& shape) const {
    const std::vector<std::int64_t> declared = item_shape(output(), mode);
    if (declared != shape)
        decline(output().name + " has items of " + to_text(declared) + " where " + to_text(shape) +
                " follows from the inputs");
}

std::vector<std::int64_t> NodeReader::image() const {
    const std::vector<std::int64_t> shape = item_shape(data(0), kImage);
    if (shape.size() < 2 || shape.size() > 3)
        decline(data(0).name + " has " + std::to_string(shape.size() + 1) + " dimensions");
    return shape;
}

void NodeReader::allow(bool image, bool row) { result_.candidate.modes = (image ? kImage : 0U) | (row ? kRow : 0U); }

void NodeReader::finish_image(std::int64_t channels, const std::vector<std::int64_t>& spatial) {
    std::vector<std::int64_t> shape{channels};
    shape.insert(shape.end(), spatial.begin(), spatial.end());
    expect(kImage, shape);
    allow(true, false);
    node.inputs = {input(0)};
    change_leading_dims();
}

}  // namespace edgeticket
