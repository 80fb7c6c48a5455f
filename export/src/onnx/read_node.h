// One ONNX node, understood: what the engine is to compute, or a sentence that says why not.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <vector>

#include "engine/choose/candidate.h"
#include "graph.h"

namespace edgeticket {

// Thrown by what reads a node; its message is the reason in the report.
struct Declined : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// A graph and what is known of it beside what it says, while its nodes are read one after the other.
struct GraphContext {
    const OnnxGraph& graph;
    bool judged;  // the nodes are some of a graph that was read as a whole before: what was proved then holds
    // For each value: the earliest one known to have the same dimension 0, since nodes pass it on; -1 where none is.
    std::vector<int> batch_origin;

    explicit GraphContext(const OnnxGraph& graph, bool judged)
        : graph(graph),
          judged(judged),
          batch_origin(graph.values.size(), -1) {}

    // The value whose dimension 0 says what that of this value is.
    int origin_of_batch(int value) const {
        const int origin = batch_origin[static_cast<std::size_t>(value)];
        return origin >= 0 && graph.value(value).shape[0] < 0 ? origin : value;
    }
};

// The values that hold a node's constants, -1 for none.
struct NodeConstants {
    int weight = -1, bias = -1, addend = -1;
    float weight_scale = 1, bias_scale = 1;  // alpha and beta of a Gemm
};

struct ReadNode {
    Candidate candidate;  // its producers are left to the caller; its node numbers values as the graph does
    NodeConstants constants;
    bool keeps_leading_dims = true;  // every dimension of the output but the last is as the input has it (for rows)
};

// Never throws for what a file says: candidate.reason is then not empty.
ReadNode read_node(const GraphContext& context, const OnnxNode& onnx);

// The shape of one item. Throws Declined where a size in it is unknown, 0 or absurd.
std::vector<std::int64_t> item_shape(const OnnxValue& value, Mode mode);

}  // namespace edgeticket
