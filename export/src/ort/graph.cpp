#include "graph.h"

#include <stdexcept>

namespace edgeticket {
namespace {

using namespace abi;

// The names behind an array of values that the runtime fills in.
std::vector<std::string> names(const Reader& reader, const OrtApi& api, const std::vector<const OrtValueInfo*>& infos) {
    std::vector<std::string> found;
    for (const OrtValueInfo* info : infos) {
        const char* name = "";
        if (info != nullptr) reader.check(api.GetValueInfoName(info, &name));
        found.emplace_back(name);
    }
    return found;
}

// What a pair of calls, one for the number and one for the items, has to say.
template <typename Item, typename Owner, typename Count, typename Get>
std::vector<const Item*> list(const Reader& reader, const Owner* owner, Count count, Get get) {
    std::size_t number = 0;
    reader.check(count(owner, &number));
    std::vector<const Item*> items(number, nullptr);
    if (number != 0) reader.check(get(owner, items.data(), number));
    return items;
}

template <typename Item>
std::vector<Item> read_list(const OrtApi& api, const OrtOpAttr* handle, AttributeType type) {
    std::size_t bytes = 0;
    Status probe = api.ReadOpAttr(handle, type, nullptr, 0, &bytes);  // says how many bytes it wants, as an error
    if (probe != nullptr) api.ReleaseStatus(probe);
    std::vector<Item> items(bytes / sizeof(Item));
    if (items.empty()) return items;
    Status status = api.ReadOpAttr(handle, type, items.data(), bytes, &bytes);
    if (status != nullptr) {
        api.ReleaseStatus(status);
        items.clear();
    }
    return items;
}

}  // namespace

void Reader::check(Status status) const {
    if (status == nullptr) return;
    const std::string message = api_.GetErrorMessage(status);
    api_.ReleaseStatus(status);
    throw std::runtime_error(message);
}

void Reader::shape(const OrtTensorTypeAndShapeInfo* info, OnnxValue& value) const {
    ElementType type{};
    check(api_.GetTensorElementType(info, &type));
    std::size_t rank = 0;
    check(api_.GetDimensionsCount(info, &rank));
    value.type = type;
    value.shape.assign(rank, -1);
    std::vector<const char*> symbols(rank, nullptr);
    if (rank != 0) check(api_.GetDimensions(info, value.shape.data(), rank));
    if (rank != 0) check(api_.GetSymbolicDimensions(info, symbols.data(), rank));
    for (const char* symbol : symbols) value.symbols.emplace_back(symbol == nullptr ? "" : symbol);
}

void Reader::type(const OrtValueInfo* info, OnnxValue& value) const {
    const OrtTypeInfo* type = nullptr;
    check(api_.GetValueInfoTypeInfo(info, &type));
    const OrtTensorTypeAndShapeInfo* tensor = nullptr;
    if (type != nullptr) check(api_.CastTypeInfoToTensorInfo(type, &tensor));
    if (tensor != nullptr) shape(tensor, value);
}

void Reader::constant(const OrtValueInfo* info, OnnxValue& value) const {
    check(api_.ValueInfo_IsConstantInitializer(info, &value.constant));
    if (!value.constant) return;
    const OrtValue* tensor = nullptr;
    check(api_.ValueInfo_GetInitializerValue(info, &tensor));
    value.constant = tensor != nullptr;
    if (tensor == nullptr) return;
    OrtTensorTypeAndShapeInfo* actual = nullptr;  // of the data itself: what the graph says of it may be wrong
    check(api_.GetTensorTypeAndShape(tensor, &actual));
    try {
        shape(actual, value);
    } catch (...) {
        api_.ReleaseTensorTypeAndShapeInfo(actual);
        throw;
    }
    api_.ReleaseTensorTypeAndShapeInfo(actual);
    if (value.type != kFloat && value.type != kInt64) return;
    void* data = nullptr;
    check(api_.GetTensorMutableData(const_cast<OrtValue*>(tensor), &data));
    value.data = data;
}

int Reader::value(const OrtValueInfo* info, OnnxGraph& graph) const {
    if (info == nullptr) return -1;
    const char* name = nullptr;
    check(api_.GetValueInfoName(info, &name));
    if (name == nullptr || *name == '\0') return -1;
    const auto [place, fresh] = graph.index.try_emplace(name, static_cast<int>(graph.values.size()));
    if (!fresh) return place->second;
    OnnxValue value;
    value.name = name;
    type(info, value);
    constant(info, value);
    graph.values.push_back(std::move(value));
    return place->second;
}

Attribute Reader::attribute(const OrtOpAttr* handle) const {
    Attribute attribute;
    check(api_.OpAttr_GetType(handle, &attribute.type));
    switch (attribute.type) {
        case kInt:
        case kInts: attribute.ints = read_list<std::int64_t>(api_, handle, attribute.type); break;
        case kFloatAttribute:
        case kFloats: attribute.floats = read_list<float>(api_, handle, attribute.type); break;
        case kString: {
            const std::vector<char> text = read_list<char>(api_, handle, kString);
            attribute.text.assign(text.begin(), text.end());
            attribute.text = attribute.text.c_str();  // up to the terminator, if it was counted
            break;
        }
        default: break;  // graphs, tensors: no operator that we take has one
    }
    return attribute;
}

OnnxNode Reader::node(const OrtNode* handle, OnnxGraph& graph) const {
    OnnxNode node;
    node.handle = handle;
    const char *name = "", *op = "", *domain = "";
    check(api_.Node_GetName(handle, &name));
    check(api_.Node_GetOperatorType(handle, &op));
    check(api_.Node_GetDomain(handle, &domain));
    check(api_.Node_GetSinceVersion(handle, &node.version));
    node.name = name, node.op = op, node.domain = domain;
    for (const auto* info : list<OrtValueInfo>(*this, handle, api_.Node_GetNumInputs, api_.Node_GetInputs))
        node.inputs.push_back(value(info, graph));
    for (const auto* info : list<OrtValueInfo>(*this, handle, api_.Node_GetNumOutputs, api_.Node_GetOutputs))
        node.outputs.push_back(value(info, graph));
    for (const auto* info : list<OrtValueInfo>(*this, handle, api_.Node_GetNumImplicitInputs, api_.Node_GetImplicitInputs))
        node.captured.push_back(value(info, graph));
    for (const auto* item : list<OrtOpAttr>(*this, handle, api_.Node_GetNumAttributes, api_.Node_GetAttributes)) {
        const char* key = "";
        check(api_.OpAttr_GetName(item, &key));
        node.attributes.emplace(key, attribute(item));
    }
    return node;
}

OnnxGraph Reader::read(const OrtGraph* handle) const {
    OnnxGraph graph;
    for (const auto* info : list<OrtValueInfo>(*this, handle, api_.Graph_GetNumInputs, api_.Graph_GetInputs))
        graph.inputs.push_back(value(info, graph));
    for (const auto* item : list<OrtNode>(*this, handle, api_.Graph_GetNumNodes, api_.Graph_GetNodes))
        graph.nodes.push_back(node(item, graph));
    return graph;
}

std::vector<std::string> Reader::input_names(const OrtNode* node) const {
    return names(*this, api_, list<OrtValueInfo>(*this, node, api_.Node_GetNumInputs, api_.Node_GetInputs));
}

std::vector<std::string> Reader::output_names(const OrtNode* node) const {
    return names(*this, api_, list<OrtValueInfo>(*this, node, api_.Node_GetNumOutputs, api_.Node_GetOutputs));
}

}  // namespace edgeticket
