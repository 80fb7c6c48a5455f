// The nodes of a graph among which the engine chooses, and what it chose.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/region/region.h"

namespace edgeticket {

// What an item is (see region.h). A node that allows both goes with its neighbours.
enum Mode : unsigned { kImage = 1, kRow = 2 };

// One node of the whole graph. A list of them is in topological order and holds those that the engine can not compute,
// too, since paths lead through them.
struct Candidate {
    std::string name;
    std::string op;              // as ONNX calls it
    std::string reason;          // why the engine can not compute it; empty where it can
    std::vector<int> producers;  // indices of the candidates that compute its inputs
    unsigned modes = kImage | kRow;
    // What follows is filled in where `reason` is empty.
    Node node;                           // without weight and bias; values are numbered as the whole graph's
    std::vector<std::int64_t> in_shape;  // of an item, in the first of its modes
    std::vector<std::int64_t> out_shape;
    std::int64_t items = 1;    // where known, else 1
    std::int64_t weights = 0;  // elements of the weight
    std::int64_t nonzeros = 0;
    const float* weight = nullptr;  // as in the file, valid during select(): {M, C/groups, kernel...},
                                    // {N, K} or {K, N}
    bool weight_is_kn = false;
};

struct Selection {
    std::vector<std::vector<int>> groups;  // each connected, convex and of one mode; indices in ascending order
    std::vector<unsigned> modes;           // of each group: kImage or kRow
    std::vector<std::string> reasons;      // one a candidate: why it is not in a group; empty where it is
};

}  // namespace edgeticket
