// An ONNX graph as plain data. Whoever has a graph (ONNX Runtime through its C API, a test by hand) fills it in; what
// is made of it (import.h) needs no runtime.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

namespace edgeticket {

// Of the types that ONNX has, those that an operator here reads.
enum class ElementType : std::uint8_t { NoTensor, Float32, Int64, Other };

// One list is filled in, that of the attribute's type, with a single entry for an attribute that is no list. All are
// empty for the types that no operator here reads: tensors, graphs, lists of strings.
struct OnnxAttribute {
    std::vector<std::int64_t> ints;
    std::vector<float> floats;
    std::string text;
};

struct OnnxValue {
    std::string name;
    ElementType type = ElementType::NoTensor;
    std::vector<std::int64_t> shape;   // -1 where unknown
    std::vector<std::string> symbols;  // one a dimension, empty where the dimension has no name
    bool constant = false;
    const void* data = nullptr;  // of a constant of Float32 or Int64: row-major, kept by whoever filled in the graph
};

struct OnnxNode {
    std::string name, op, domain;
    int version = 0;            // of the operator set that last changed the operator
    std::vector<int> inputs;    // indices into OnnxGraph::values; -1 for an input that is left out
    std::vector<int> outputs;   // likewise
    std::vector<int> captured;  // values that its subgraphs read
    std::map<std::string, OnnxAttribute> attributes;
};

struct OnnxGraph {
    std::vector<OnnxValue> values;
    std::vector<OnnxNode> nodes;  // in topological order
    std::vector<int> inputs;
    std::unordered_map<std::string, int> index;  // name -> value

    const OnnxValue& value(int i) const { return values[static_cast<std::size_t>(i)]; }
    // Both return an index into `values`: that of a new value, whose name is not there yet; that of a name, or -1.
    int add(OnnxValue value);
    int find(const std::string& name) const;
};

}  // namespace edgeticket
