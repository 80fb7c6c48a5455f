#include "graph.h"

#include <utility>

namespace edgeticket {

int OnnxGraph::add(OnnxValue value) {
    const int place = static_cast<int>(values.size());
    index.emplace(value.name, place);
    values.push_back(std::move(value));
    return place;
}

int OnnxGraph::find(const std::string& name) const {
    const auto found = index.find(name);
    return found == index.end() ? -1 : found->second;
}

}  // namespace edgeticket
