#include "limit.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

#include "engine/region/index.h"

namespace edgeticket {

void keep_best(const std::vector<double>& saved_us, std::size_t most, Selection& selection) {
    const std::size_t count = selection.groups.size();
    if (count <= most) return;
    std::vector<double> saved(count, 0);
    for (std::size_t g = 0; g < count; ++g)
        for (const int node : selection.groups[g]) saved[g] += at(saved_us, node);
    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return saved[a] > saved[b]; });
    std::vector<bool> kept(count, false);
    for (std::size_t i = 0; i < most; ++i) kept[order[i]] = true;
    const std::string reason = "of " + std::to_string(count) + " regions that pay, the " + std::to_string(most) +
                               " that save most are taken: ONNX Runtime would fuse all of them too slowly";
    Selection best;
    best.reasons = std::move(selection.reasons);
    for (std::size_t g = 0; g < count; ++g) {
        if (!kept[g]) {
            for (const int node : selection.groups[g]) at(best.reasons, node) = reason;
            continue;
        }
        best.groups.push_back(std::move(selection.groups[g]));
        best.modes.push_back(selection.modes[g]);
    }
    selection = std::move(best);
}

}  // namespace edgeticket
