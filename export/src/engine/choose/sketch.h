// A group of candidates as a region.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "candidate.h"
#include "engine/region/region.h"

namespace edgeticket {

// Who reads what a candidate computes, and who computes a value: looked up once for all groups of a graph.
struct Wiring {
    explicit Wiring(const std::vector<Candidate>& candidates);

    std::vector<std::vector<int>> readers;  // of each candidate
    std::unordered_map<int, int> writer;    // of a value of the graph: the candidate that computes it
};

struct Sketch {
    // Makes a region whose weights are counted but not there: it can be predicted, not run. Indices in `group` ascend.
    Sketch(const std::vector<Candidate>& candidates, const Wiring& wiring, const std::vector<int>& group,
           unsigned mode);

    // The region with its weights, and zeros where constants are added, so that it can be timed. Throws
    // std::invalid_argument where it can not be planned.
    Region whole(const std::vector<Candidate>& candidates) const;

    Region region;
    std::vector<int> members;    // candidate of each node
    std::vector<bool> computed;  // of each input of the region: whether another node computes it
    std::int64_t items = 1;

   private:
    int value(int id, const std::vector<std::int64_t>& shape);
    void find_border(const std::vector<Candidate>& candidates, const Wiring& wiring);

    std::unordered_map<int, int> index_;  // of the graph's values
    std::vector<bool> written_;
};

}  // namespace edgeticket
