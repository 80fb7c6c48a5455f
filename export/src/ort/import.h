// From a graph of ONNX to candidates for the selection, and from a chosen group to the Region that the engine computes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/choose/select.h"
#include "graph.h"

namespace edgeticket {

// How the shape of a region's output follows from its inputs.
struct OutputShape {
    std::vector<std::int64_t> shape;  // as declared; -1 where a run decides
    int leads = -1;                   // rows: the input whose leading dimensions it has; -1: one size alone is open
};

struct Import {
    Region region;
    Mode mode = kImage;
    std::vector<OutputShape> outputs;                    // one for each of region.outputs
    std::vector<std::vector<std::int64_t>> inputs;       // as declared, one for each of region.inputs
    std::vector<std::size_t> positions;                  // of region.inputs among the names given
};

// Every node of the graph, in its order, each with a reason where we can not compute it. Fills in OnnxValue::batch.
std::vector<Candidate> candidates(OnnxGraph& graph);

// A whole graph as one region. `inputs` and `outputs` are the names that the runtime calls it with; constants among them are
// skipped. Throws std::runtime_error, with a sentence, where it can not be computed after all.
Import import_region(OnnxGraph& graph, const std::vector<std::string>& inputs, const std::vector<std::string>& outputs);

}  // namespace edgeticket
