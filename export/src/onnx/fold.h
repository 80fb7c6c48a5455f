// Constants that a graph computes from constants, where ONNX Runtime has not done so before it asks a provider: it
// folds before it inlines the bodies of functions, and so whatever hangs on CastLike is left.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "graph.h"

namespace edgeticket {

class FoldedConstants {
   public:
    // Computes what Identity, Cast, CastLike, ConstantOfShape, Expand, Flatten, Reshape, Squeeze and Unsqueeze make of
    // constants of float32 and int64, and marks the results in the graph as constants, too. Their data are kept here.
    void fold(OnnxGraph& graph);
    // Marks those that are known by name, in a graph that holds a part of the one that was folded.
    void mark(OnnxGraph& graph) const;

   private:
    struct Constant {
        ElementType type = ElementType::Float32;
        std::vector<std::int64_t> shape;
        std::vector<float> floats;           // one of both holds the elements
        std::vector<std::int64_t> integers;  // row-major
        const void* data() const;
    };
    static bool computed(const OnnxGraph& graph, const OnnxNode& node, Constant& result);
    static void mark(OnnxValue& value, const Constant& constant);

    std::unordered_map<std::string, Constant> known_;
};

// Whether every output of a node is a constant, so that there is nothing to compute at run time.
bool is_constant(const OnnxGraph& graph, const OnnxNode& node);

}  // namespace edgeticket
