#include "graph_reader.h"

#include <utility>

#include "guard.h"

namespace edgeticket {

using namespace abi;

namespace {

ElementType element_type(ElementCode code) {
    switch (code) {
        case kFloat: return ElementType::Float32;
        case kInt64: return ElementType::Int64;
    }
    return ElementType::Other;
}

}  // namespace

void GraphReader::check(Status status) const { edgeticket::check(api_, status); }

// The items behind a pair of calls, one for their number and one for themselves.
template <typename Item, typename Owner, typename Count, typename Get>
std::vector<const Item*> GraphReader::list(const Owner* owner, Count count, Get get) const {
    std::size_t number = 0;
    check(count(owner, &number));
    std::vector<const Item*> items(number, nullptr);
    if (number != 0) check(get(owner, items.data(), number));
    return items;
}

// Empty where the runtime can not read the attribute.
template <typename Item>
std::vector<Item> GraphReader::attribute_items(const OrtOpAttr* handle, AttributeType type) const {
    std::size_t bytes = 0;
    Status probe = api_.ReadOpAttr(handle, type, nullptr, 0, &bytes);  // an error that says how many bytes it wants
    if (probe != nullptr) api_.ReleaseStatus(probe);
    std::vector<Item> items(bytes / sizeof(Item));
    if (items.empty()) return items;
    Status status = api_.ReadOpAttr(handle, type, items.data(), bytes, &bytes);
    if (status != nullptr) {
        api_.ReleaseStatus(status);
        items.clear();
    }
    return items;
}

std::vector<std::string> GraphReader::names(const std::vector<const OrtValueInfo*>& infos) const {
    std::vector<std::string> found;
    for (const OrtValueInfo* info : infos) {
        const char* name = "";
        if (info != nullptr) check(api_.GetValueInfoName(info, &name));
        found.emplace_back(name);
    }
    return found;
}

void GraphReader::read_shape(const OrtTensorTypeAndShapeInfo* info, OnnxValue& value) const {
    ElementCode code{};
    check(api_.GetTensorElementType(info, &code));
    std::size_t rank = 0;
    check(api_.GetDimensionsCount(info, &rank));
    value.type = element_type(code);
    value.shape.assign(rank, -1);
    std::vector<const char*> symbols(rank, nullptr);
    if (rank != 0) check(api_.GetDimensions(info, value.shape.data(), rank));
    if (rank != 0) check(api_.GetSymbolicDimensions(info, symbols.data(), rank));
    value.symbols.clear();
    for (const char* symbol : symbols) value.symbols.emplace_back(symbol == nullptr ? "" : symbol);
}

void GraphReader::read_type(const OrtValueInfo* info, OnnxValue& value) const {
    const OrtTypeInfo* type = nullptr;
    check(api_.GetValueInfoTypeInfo(info, &type));
    const OrtTensorTypeAndShapeInfo* tensor = nullptr;
    if (type != nullptr) check(api_.CastTypeInfoToTensorInfo(type, &tensor));
    if (tensor != nullptr) read_shape(tensor, value);
}

void GraphReader::read_constant(const OrtValueInfo* info, OnnxValue& value) const {
    check(api_.ValueInfo_IsConstantInitializer(info, &value.constant));
    if (!value.constant) return;
    const OrtValue* tensor = nullptr;
    check(api_.ValueInfo_GetInitializerValue(info, &tensor));
    value.constant = tensor != nullptr;
    if (tensor == nullptr) return;
    OrtTensorTypeAndShapeInfo* actual = nullptr;  // of the data itself: what the graph says of it may be wrong
    check(api_.GetTensorTypeAndShape(tensor, &actual));
    try {
        read_shape(actual, value);
    } catch (...) {
        api_.ReleaseTensorTypeAndShapeInfo(actual);
        throw;
    }
    api_.ReleaseTensorTypeAndShapeInfo(actual);
    if (value.type != ElementType::Float32 && value.type != ElementType::Int64) return;
    void* data = nullptr;
    check(api_.GetTensorMutableData(const_cast<OrtValue*>(tensor), &data));
    value.data = data;
}

// The graph's index of a value, which is added where it is new; -1 for one that is left out.
int GraphReader::value(const OrtValueInfo* info, OnnxGraph& graph) const {
    if (info == nullptr) return -1;
    OnnxValue value;
    const char* name = nullptr;
    check(api_.GetValueInfoName(info, &name));
    if (name == nullptr || *name == '\0') return -1;
    value.name = name;
    const int known = graph.find(value.name);
    if (known >= 0) return known;
    read_type(info, value);
    read_constant(info, value);
    return graph.add(std::move(value));
}

OnnxAttribute GraphReader::attribute(const OrtOpAttr* handle) const {
    OnnxAttribute attribute;
    AttributeType type{};
    check(api_.OpAttr_GetType(handle, &type));
    switch (type) {
        case kInt:
        case kInts: attribute.ints = attribute_items<std::int64_t>(handle, type); break;
        case kFloatAttribute:
        case kFloats: attribute.floats = attribute_items<float>(handle, type); break;
        case kString: {
            const std::vector<char> text = attribute_items<char>(handle, type);
            attribute.text.assign(text.begin(), text.end());
            attribute.text = attribute.text.c_str();  // up to the terminator, if it was counted
            break;
        }
        default: break;  // graphs, tensors: no operator that we take has one
    }
    return attribute;
}

OnnxNode GraphReader::node(const OrtNode* handle, OnnxGraph& graph) const {
    OnnxNode node;
    const char *name = "", *op = "", *domain = "";
    check(api_.Node_GetName(handle, &name));
    check(api_.Node_GetOperatorType(handle, &op));
    check(api_.Node_GetDomain(handle, &domain));
    check(api_.Node_GetSinceVersion(handle, &node.version));
    node.name = name, node.op = op, node.domain = domain;
    for (const auto* info : list<OrtValueInfo>(handle, api_.Node_GetNumInputs, api_.Node_GetInputs))
        node.inputs.push_back(value(info, graph));
    for (const auto* info : list<OrtValueInfo>(handle, api_.Node_GetNumOutputs, api_.Node_GetOutputs))
        node.outputs.push_back(value(info, graph));
    for (const auto* info : list<OrtValueInfo>(handle, api_.Node_GetNumImplicitInputs, api_.Node_GetImplicitInputs))
        node.captured.push_back(value(info, graph));
    for (const auto* item : list<OrtOpAttr>(handle, api_.Node_GetNumAttributes, api_.Node_GetAttributes)) {
        const char* key = "";
        check(api_.OpAttr_GetName(item, &key));
        node.attributes.emplace(key, attribute(item));
    }
    return node;
}

RuntimeGraph GraphReader::read(const OrtGraph* handle) const {
    RuntimeGraph read;
    for (const auto* info : list<OrtValueInfo>(handle, api_.Graph_GetNumInputs, api_.Graph_GetInputs))
        read.graph.inputs.push_back(value(info, read.graph));
    read.handles = list<OrtNode>(handle, api_.Graph_GetNumNodes, api_.Graph_GetNodes);
    for (const OrtNode* item : read.handles) read.graph.nodes.push_back(node(item, read.graph));
    return read;
}

std::string GraphReader::name(const OrtNode* node) const {
    const char* found = "";
    check(api_.Node_GetName(node, &found));
    return found;
}

std::vector<std::string> GraphReader::input_names(const OrtNode* node) const {
    return names(list<OrtValueInfo>(node, api_.Node_GetNumInputs, api_.Node_GetInputs));
}

std::vector<std::string> GraphReader::output_names(const OrtNode* node) const {
    return names(list<OrtValueInfo>(node, api_.Node_GetNumOutputs, api_.Node_GetOutputs));
}

}  // namespace edgeticket
