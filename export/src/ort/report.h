// What became of every node of a model: claimed and by which kernel, or left and why. Written as JSON where option
// `report` says.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/choose/candidate.h"
#include "engine/cost/predict.h"
#include "engine/plan/node_report.h"
#include "onnx/graph.h"

namespace edgeticket {

struct NodeRecord {
    std::string name, op, kernel;
    std::string reason;                // empty where it was claimed and compiled
    std::vector<std::int64_t> weight;  // shape as in the file; empty where it is no constant
    std::vector<std::int64_t> output;  // shape; -1 where unknown
    double density = 1;                // nonzero share of the weights
    std::int64_t macs = 0;             // an item
    double predicted_us = -1;          // an item; below 0: not known
    double cpu_us = -1;
    double measured_us = -1;
};

class Report {
   public:
    explicit Report(std::string path) : path_(std::move(path)) {}
    bool wanted() const { return !path_.empty(); }
    // Begins anew, with a record for each node of the graph. What was compiled before, of an earlier version of the
    // graph, stands in it as one node, and keeps its records. What is chosen now is claimed once it is compiled: of
    // nodes that the runtime has given to another provider it takes none back.
    void judged(const OnnxGraph& graph, const std::vector<Candidate>& candidates, const Selection& selection);
    // The body of an If, a Loop or a Scan, of which nothing is taken; a later version of the same body replaces it.
    void left_body(const std::string& parent, const OnnxGraph& graph);
    // `name` is that of the node that stands for the region from now on. `nodes` and `predictions` have an entry for
    // each node of the region, in its order; `times` too, or it is empty.
    void compiled(const std::string& name, const OnnxGraph& graph, const std::vector<NodeReport>& nodes,
                  const std::vector<Prediction>& predictions, const std::vector<double>& times);
    void write() const;  // Throws std::runtime_error where the file can not be written.

   private:
    std::string path_;
    std::vector<NodeRecord> records_;
    std::map<std::string, std::vector<NodeRecord>> bodies_;   // by the parent and the first output
    std::map<std::string, std::size_t> index_;                // a node's first output -> its record
    std::map<std::string, std::vector<NodeRecord>> regions_;  // a compiled node -> the records of what it stands for
};

}  // namespace edgeticket
