// A graph of ONNX as plain data, read from ONNX Runtime once; what is made of it (import.h) needs no runtime.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "abi.h"

namespace edgeticket {

struct Attribute {
    abi::AttributeType type = abi::kUndefined;
    std::vector<std::int64_t> ints;  // one for kInt
    std::vector<float> floats;       // one for kFloat
    std::string text;
};

struct OnnxValue {
    std::string name;
    int type = 0;                       // abi::ElementType; 0 where it is no tensor
    std::vector<std::int64_t> shape;    // -1 where unknown
    std::vector<std::string> symbols;   // one a dimension; empty where it has no name
    bool constant = false;
    const void* data = nullptr;         // of a constant, while the graph lives
    int batch = -1;                     // a value before it whose dimension 0 is this one's, where a node passes it on
};

struct OnnxNode {
    std::string name, op, domain;
    int version = 0;
    std::vector<int> inputs;    // indices into values; -1 for an input left out
    std::vector<int> outputs;
    std::vector<int> captured;  // what its subgraphs read
    std::map<std::string, Attribute> attributes;
    const abi::OrtNode* handle = nullptr;
};

struct OnnxGraph {
    std::vector<OnnxValue> values;
    std::vector<OnnxNode> nodes;  // in topological order
    std::vector<int> inputs;
    bool part = false;            // a region of a graph that was judged as a whole before
    std::unordered_map<std::string, int> index;  // name -> value
};

// Throws std::runtime_error with the runtime's own message, where a call fails.
class Reader {
   public:
    explicit Reader(const abi::OrtApi& api) : api_(api) {}
    OnnxGraph read(const abi::OrtGraph* graph) const;
    // The names of a node's inputs or outputs, in order; empty where one is left out.
    std::vector<std::string> input_names(const abi::OrtNode* node) const;
    std::vector<std::string> output_names(const abi::OrtNode* node) const;
    void check(abi::Status status) const;

   private:
    OnnxNode node(const abi::OrtNode* handle, OnnxGraph& graph) const;
    int value(const abi::OrtValueInfo* info, OnnxGraph& graph) const;
    void type(const abi::OrtValueInfo* info, OnnxValue& value) const;
    void constant(const abi::OrtValueInfo* info, OnnxValue& value) const;
    void shape(const abi::OrtTensorTypeAndShapeInfo* info, OnnxValue& value) const;
    Attribute attribute(const abi::OrtOpAttr* handle) const;
    const abi::OrtApi& api_;
};

}  // namespace edgeticket
