// Reads what ONNX Runtime says of a graph through its C API into plain data.
#pragma once

#include <string>
#include <vector>

#include "abi.h"
#include "onnx/graph.h"

namespace edgeticket {

// A graph as plain data and, beside it, the runtime's own handles. Both, and the constants' data, hold as long as the
// runtime's graph does: during the call that gave it.
struct RuntimeGraph {
    OnnxGraph graph;
    std::vector<const abi::OrtNode*> handles;  // one for each of graph.nodes
};

// Every member function throws std::runtime_error with the runtime's own message where a call fails.
class GraphReader {
   public:
    explicit GraphReader(const abi::OrtApi& api) : api_(api) {}
    RuntimeGraph read(const abi::OrtGraph* graph) const;
    std::string name(const abi::OrtNode* node) const;
    // The names of a node's inputs or outputs, in order; empty where one is left out.
    std::vector<std::string> input_names(const abi::OrtNode* node) const;
    std::vector<std::string> output_names(const abi::OrtNode* node) const;

   private:
    void check(abi::Status status) const;
    std::vector<std::string> names(const std::vector<const abi::OrtValueInfo*>& infos) const;
    template <typename Item, typename Owner, typename Count, typename Get>
    std::vector<const Item*> list(const Owner* owner, Count count, Get get) const;
    template <typename Item>
    std::vector<Item> attribute_items(const abi::OrtOpAttr* handle, abi::AttributeType type) const;

    OnnxNode node(const abi::OrtNode* handle, OnnxGraph& graph) const;
    int value(const abi::OrtValueInfo* info, OnnxGraph& graph) const;
    void read_type(const abi::OrtValueInfo* info, OnnxValue& value) const;
    void read_constant(const abi::OrtValueInfo* info, OnnxValue& value) const;
    void read_shape(const abi::OrtTensorTypeAndShapeInfo* info, OnnxValue& value) const;
    OnnxAttribute attribute(const abi::OrtOpAttr* handle) const;

    const abi::OrtApi& api_;
};

}  // namespace edgeticket
