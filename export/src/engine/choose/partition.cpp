#include "partition.h"

#include <algorithm>
#include <numeric>

#include "engine/region/index.h"

namespace edgeticket {
namespace {

// A union-find over nodes. A set knows the modes that all of its members allow.
class Groups {
   public:
    explicit Groups(const std::vector<Candidate>& candidates) : parent_(candidates.size()), modes_(candidates.size()) {
        std::iota(parent_.begin(), parent_.end(), 0);
        for (std::size_t i = 0; i < candidates.size(); ++i) modes_[i] = candidates[i].modes;
    }
    int find(int i) {
        while (at(parent_, i) != i) i = at(parent_, i) = at(parent_, at(parent_, i));
        return i;
    }
    unsigned modes(int i) { return at(modes_, find(i)); }
    void join(int a, int b) {
        a = find(a), b = find(b);
        at(parent_, b) = a;
        at(modes_, a) &= at(modes_, b);
    }

   private:
    std::vector<int> parent_;
    std::vector<unsigned> modes_;
};

}  // namespace

// Every candidate has a level, which never falls along a path. It rises where a path comes back from a node that is not
// claimed, and where it would join nodes that see items differently. So no path leaves a group and returns to it: each
// group is convex.
Selection partition(const std::vector<Candidate>& candidates, const std::vector<bool>& claimed) {
    Groups groups(candidates);
    std::vector<int> level(candidates.size(), 0);
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        const Candidate& here = candidates[i];
        for (const int producer : here.producers)
            level[i] = std::max(level[i], at(level, producer) + (claimed[i] && !at(claimed, producer) ? 1 : 0));
        if (!claimed[i]) continue;
        const auto joins = [&](int producer) { return at(claimed, producer) && at(level, producer) == level[i]; };
        unsigned modes = here.modes;
        for (const int producer : here.producers)
            if (joins(producer)) modes &= groups.modes(producer);
        if (modes == 0) {
            ++level[i];
            continue;
        }
        for (const int producer : here.producers)
            if (joins(producer)) groups.join(producer, static_cast<int>(i));
    }
    Selection selection;
    selection.reasons.resize(candidates.size());
    std::vector<int> index(candidates.size(), -1);
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        if (!claimed[i]) {
            selection.reasons[i] = candidates[i].reason;
            continue;
        }
        int& group = at(index, groups.find(static_cast<int>(i)));
        if (group < 0) {
            group = static_cast<int>(selection.groups.size());
            selection.groups.emplace_back();
            selection.modes.push_back((groups.modes(static_cast<int>(i)) & kImage) != 0 ? kImage : kRow);
        }
        at(selection.groups, group).push_back(static_cast<int>(i));
    }
    return selection;
}

}  // namespace edgeticket
