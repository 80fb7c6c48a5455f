// From an ONNX graph to candidates for the selection, and from a chosen group of nodes to the Region that the engine
// computes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/choose/candidate.h"
#include "graph.h"

namespace edgeticket {

// How the shape of a region's output follows from its inputs.
struct OutputShape {
    std::vector<std::int64_t> shape;  // as declared; -1 where a run decides
    // The input whose leading dimensions it has (rows only). Where there is none, -1, one size of `shape` at most is
    // open.
    int leads_from = -1;
};

struct Import {
    Region region;
    Mode mode = kImage;
    std::vector<OutputShape> outputs;               // one for each of region.outputs
    std::vector<std::vector<std::int64_t>> inputs;  // as declared, one for each of region.inputs
    std::vector<std::size_t> positions;             // of region.inputs among the names given
};

// Every node of the graph, in its order, each with a reason where we can not compute it.
std::vector<Candidate> candidates(const OnnxGraph& graph);

// A graph as one region, made of nodes that candidates() took when it read them within their whole graph. `inputs` and
// `outputs` are the names of the values that a run is given and asked for; constants among the inputs are skipped. The
// region's weights may be views of the graph's data. Throws std::runtime_error, with a sentence, where it can not be
// computed after all.
Import import_region(const OnnxGraph& graph, const std::vector<std::string>& inputs,
                     const std::vector<std::string>& outputs);

// The constant that a node multiplies by; null where the operator has none or it is no constant.
const OnnxValue* weight_of(const OnnxGraph& graph, const OnnxNode& node);

// Its shape; empty where there is none.
std::vector<std::int64_t> weight_shape(const OnnxGraph& graph, const OnnxNode& node);

// The positions of an item's output at which a node uses its whole weight once; -1 where they are not known.
std::int64_t weight_uses(const OnnxGraph& graph, const OnnxNode& node);

}  // namespace edgeticket
