// One ONNX node, understood: what the engine is to compute, or a sentence that says why not.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/choose/select.h"
#include "graph.h"

namespace edgeticket {

// Thrown by what reads a node; its message is the reason in the report.
struct Declined : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// A node of the graph with what a Region needs of it.
struct Taken {
    Candidate candidate;
    std::vector<int> data;  // values computed at run time, in the order of Node::inputs
    int output = -1;
    int weight = -1, bias = -1, constant = -1;  // values, -1 for none
    float weight_scale = 1, bias_scale = 1;     // alpha and beta of a Gemm
    bool keeps_leads = true;                    // every dimension but the last is as the input has it (rows)
};

// Never throws for what a file says: candidate.reason is then not empty. candidate.producers is left to the caller.
Taken take(const OnnxGraph& graph, const OnnxNode& node);

// The shape of one item. Throws Declined where a size in it is unknown, 0 or absurd.
std::vector<std::int64_t> item_shape(const OnnxValue& value, Mode mode);

// The constants as the engine wants them: weights of an Fc as {N, K}, a bias of all N, an addend of the whole item.
void fill_constants(const OnnxGraph& graph, const Taken& taken, const std::vector<std::int64_t>& item, Node& node);

}  // namespace edgeticket
