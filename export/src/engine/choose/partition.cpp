#include "select.h"

#include <algorithm>
#include <numeric>

namespace edgeticket {
namespace {

// Sets of nodes that grow together, each with the modes that all of its members allow.
class Groups {
   public:
    explicit Groups(const std::vector<Candidate>& candidates) : parent_(candidates.size()), modes_(candidates.size()) {
        std::iota(parent_.begin(), parent_.end(), 0);
        for (std::size_t i = 0; i < candidates.size(); ++i) modes_[i] = candidates[i].modes;
    }
    int find(int i) {
        while (parent_[at(i)] != i) i = parent_[at(i)] = parent_[at(parent_[at(i)])];
        return i;
    }
    unsigned modes(int i) { return modes_[at(find(i))]; }
    void join(int a, int b) {
        a = find(a), b = find(b);
        parent_[at(b)] = a;
        modes_[at(a)] &= modes_[at(b)];
    }

   private:
    static std::size_t at(int i) { return static_cast<std::size_t>(i); }
    std::vector<int> parent_;
    std::vector<unsigned> modes_;
};

}  // namespace

// A level never falls along a path and rises where a path comes back from a node that is not claimed, or would join nodes that see
// items differently. So no path leaves a level's group and returns to it: each is convex.
Selection partition(const std::vector<Candidate>& candidates, const std::vector<bool>& claimed) {
    Groups groups(candidates);
    std::vector<int> level(candidates.size(), 0);
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        const Candidate& here = candidates[i];
        for (int p : here.producers) {
            const auto producer = static_cast<std::size_t>(p);
            level[i] = std::max(level[i], level[producer] + (claimed[i] && !claimed[producer] ? 1 : 0));
        }
        if (!claimed[i]) continue;
        unsigned modes = here.modes;
        for (int p : here.producers)
            if (claimed[static_cast<std::size_t>(p)] && level[static_cast<std::size_t>(p)] == level[i]) modes &= groups.modes(p);
        if (modes == 0) {
            ++level[i];
            continue;
        }
        for (int p : here.producers)
            if (claimed[static_cast<std::size_t>(p)] && level[static_cast<std::size_t>(p)] == level[i])
                groups.join(p, static_cast<int>(i));
    }
    Selection selection;
    selection.reasons.resize(candidates.size());
    std::vector<int> index(candidates.size(), -1);
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        if (!claimed[i]) {
            selection.reasons[i] = candidates[i].reason;
            continue;
        }
        int& group = index[static_cast<std::size_t>(groups.find(static_cast<int>(i)))];
        if (group < 0) {
            group = static_cast<int>(selection.groups.size());
            selection.groups.emplace_back();
            selection.modes.push_back((groups.modes(static_cast<int>(i)) & kImage) != 0 ? kImage : kRow);
        }
        selection.groups[static_cast<std::size_t>(group)].push_back(static_cast<int>(i));
    }
    return selection;
}

}  // namespace edgeticket
