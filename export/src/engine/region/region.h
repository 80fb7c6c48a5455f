// What is to be computed: the sparse region of a network, free of ONNX and of ONNX Runtime.
//
// A region is computed item by item. An item is an image (dimension 0 of every tensor is the batch) or, in regions made
// of Gemm, MatMul and element-wise nodes alone, a row (every dimension but the last is batch). Shapes here are those of
// one item: {C, H, W}, {C, L} or {K}, row-major, float32. The number of items is known when the region runs.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "element.h"
#include "floats.h"
#include "index.h"
#include "op_traits.h"

namespace edgeticket {

// Spatial attributes with two entries, height then width; a 1-d node has height 1, kernel 1, no padding in entry 0.
struct Window {
    std::int64_t kernel[2] = {1, 1};
    std::int64_t stride[2] = {1, 1};
    std::int64_t dilation[2] = {1, 1};
    std::int64_t pad_begin[2] = {0, 0};
    std::int64_t pad_end[2] = {0, 0};  // with ceil_mode already turned into what the output shape says
};

struct Node {
    Op op = Op::Reshape;
    std::string name;         // of the ONNX node, for reports
    std::vector<int> inputs;  // indices into Region::values
    int output = -1;
    Window window;                                        // Conv, MaxPool, AveragePool
    std::int64_t groups = 1;                              // Conv
    Floats weight;                                        // Conv, Fc
    std::int64_t nonzeros = -1;                           // of the weight, where they have been counted
    std::vector<float> bias;                              // Conv, Fc
    std::vector<float> constant;                          // Add with one value
    float alpha = 0.01F;                                  // LeakyRelu
    float low = -std::numeric_limits<float>::infinity();  // Clip
    float high = std::numeric_limits<float>::infinity();  // Clip
    bool count_include_pad = false;                       // AveragePool

    const OpTraits& traits() const { return traits_of(op); }
    // What kernels make of an activation; no activation of any other operator.
    Epilogue epilogue() const {
        return traits().is_activation() ? traits().activation.epilogue(low, high, alpha) : Epilogue{};
    }
};

// Nonzero weights of the node, counted where that has not been done.
inline std::int64_t nonzeros_of(const Node& node) {
    return node.nonzeros >= 0 ? node.nonzeros : count_nonzeros(node.weight.data(), node.weight.size());
}

struct Value {
    std::string name;
    std::vector<std::int64_t> shape;  // of one item, all positive
    Element element = Element::Float32;
};

struct Region {
    std::vector<Value> values;
    std::vector<Node> nodes;   // in topological order
    std::vector<int> inputs;   // indices into values
    std::vector<int> outputs;  // indices into values; a value may be both an output and read inside

    const Value& value(int index) const { return at(values, index); }
    const std::vector<std::int64_t>& shape(int value) const { return at(values, value).shape; }
    const Node& node(int index) const { return at(nodes, index); }
    Node& node(int index) { return at(nodes, index); }
};

}  // namespace edgeticket
