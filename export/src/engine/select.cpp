#include "select.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include "choose.h"
#include "kernels_of.h"
#include "machine.h"
#include "shape.h"

namespace edgeticket {
namespace {

std::size_t at(int index) { return static_cast<std::size_t>(index); }

// A group of candidates as a region that can be looked at, not run: weights are only counted.
struct Sketch {
    Region region;
    std::vector<int> members;        // candidate of each node
    std::vector<bool> computed;      // of each input of the region: whether another node computes it
    std::int64_t items = 1;

    Sketch(const std::vector<Candidate>& candidates, const std::vector<int>& group, unsigned mode) : members(group) {
        for (const int member : group) {
            const Candidate& candidate = candidates[at(member)];
            Node node = candidate.node;
            for (int& input : node.inputs) input = value(input, shape_of(candidate.in_shape, candidate, mode));
            node.output = value(node.output, shape_of(candidate.out_shape, candidate, mode));
            node.nonzeros = candidate.nonzeros;
            written_[at(node.output)] = true;
            region.nodes.push_back(std::move(node));
        }
        const Candidate& first = candidates[at(group[0])];
        items = first.items;
        if (mode == kRow && (first.modes & kImage) != 0)  // its shapes are those of an image, of which every line is an item
            for (std::size_t axis = 0; axis + 1 < first.in_shape.size(); ++axis) items *= first.in_shape[axis];
        find_border(candidates);
    }

   private:
    static std::vector<std::int64_t> shape_of(const std::vector<std::int64_t>& shape, const Candidate& candidate, unsigned mode) {
        return mode == kRow && (candidate.modes & kImage) != 0 ? std::vector<std::int64_t>{shape.back()} : shape;
    }

    int value(int id, const std::vector<std::int64_t>& shape) {
        const auto [place, fresh] = index_.try_emplace(id, static_cast<int>(region.values.size()));
        if (fresh) region.values.push_back({"", shape}), written_.push_back(false);
        return place->second;
    }

    void find_border(const std::vector<Candidate>& candidates) {
        std::vector<bool> read(region.values.size(), false), computed_by(region.values.size(), false), inside(candidates.size(), false);
        for (const int member : members) inside[at(member)] = true;
        std::vector<bool> leaves(region.values.size(), false);
        for (std::size_t i = 0; i < candidates.size(); ++i) {
            const auto own = index_.find(candidates[i].node.output);
            if (!inside[i] && candidates[i].reason.empty() && own != index_.end()) computed_by[at(own->second)] = true;
            for (const int producer : candidates[i].producers) {
                const auto output = index_.find(candidates[at(producer)].node.output);
                if (!inside[at(producer)] || output == index_.end()) continue;
                (inside[i] ? read : leaves)[at(output->second)] = true;
            }
        }
        for (std::size_t v = 0; v < region.values.size(); ++v) {
            if (!written_[v]) region.inputs.push_back(static_cast<int>(v)), computed.push_back(computed_by[v]);
            else if (leaves[v] || !read[v]) region.outputs.push_back(static_cast<int>(v));
        }
    }

    std::map<int, int> index_;  // of the graph's values
    std::vector<bool> written_;
};

std::string reason_of(const Candidate& candidate, double cpu_us, double own_us) {
    char text[160];
    if (candidate.weights == 0) return "left to the CPU provider with the nodes around it";
    const double zeros = 100 * (1 - static_cast<double>(candidate.nonzeros) / static_cast<double>(candidate.weights));
    std::snprintf(text, sizeof text, "%.4g %% of the weights are zero: the CPU provider is predicted to take %.3g µs, this engine %.3g", zeros, cpu_us, own_us);
    return text;
}

class Chooser {
   public:
    Chooser(const std::vector<Candidate>& candidates, const Settings& settings)
        : candidates_(candidates), settings_(settings), own_(own_machine(candidates, settings)), cpu_(cpu_machine(candidates, settings)) {}

    // Marks in `claimed` the members of a group that stay, and says of the others why not.
    void choose_in(const std::vector<int>& group, unsigned mode, std::vector<bool>& claimed, std::vector<std::string>& reasons) const {
        const Sketch sketch(candidates_, group, mode);
        const std::vector<Fused> fused = fuse(sketch.region);
        const Arrangement arrangement = arrange(sketch.region, fused, map_family_of(settings_.isa));
        const Units units = units_of(sketch.region, fused, arrangement, own_, cpu_, sketch.items, sketch.computed);
        std::vector<bool> kept(fused.size(), false);
        for (const auto& [first, last] : choose(units, Margin{})) std::fill(kept.begin() + static_cast<std::ptrdiff_t>(first), kept.begin() + static_cast<std::ptrdiff_t>(last), true);
        for (std::size_t u = 0; u < fused.size(); ++u) {
            if (kept[u]) continue;
            Span alone(units, u);
            alone.extend();
            std::vector<int> nodes = fused[u].followers;
            nodes.push_back(fused[u].node);
            for (const int node : nodes) {
                const int member = sketch.members[at(node)];
                claimed[at(member)] = false;
                reasons[at(member)] = reason_of(candidates_[at(member)], units.units[u].cpu_us, alone.own_us());
            }
        }
    }

   private:
    static OwnMachine own_machine(const std::vector<Candidate>& candidates, const Settings& settings) {
        double packed = 0;
        for (const Candidate& candidate : candidates) packed += kPackedBytes * static_cast<double>(candidate.nonzeros);
        return {settings.isa, peak_gmacs(settings.isa), packed, settings.threads};
    }
    static CpuMachine cpu_machine(const std::vector<Candidate>& candidates, const Settings& settings) {
        double bytes = 0;
        for (const Candidate& candidate : candidates) bytes += 4.0 * static_cast<double>(candidate.weights);
        return {best_isa(), peak_gmacs(best_isa()), bytes, settings.threads};
    }

    const std::vector<Candidate>& candidates_;
    Settings settings_;
    OwnCost own_;
    CpuCost cpu_;
};

}  // namespace

Selection select(const std::vector<Candidate>& candidates, const Settings& settings, Claim claim) {
    std::vector<bool> claimed;
    for (const Candidate& candidate : candidates) claimed.push_back(candidate.reason.empty());
    const Selection all = partition(candidates, claimed);
    if (claim == Claim::Always) return all;
    const Chooser chooser(candidates, settings);
    std::vector<std::string> reasons(candidates.size());
    for (std::size_t g = 0; g < all.groups.size(); ++g) chooser.choose_in(all.groups[g], all.modes[g], claimed, reasons);
    Selection selection = partition(candidates, claimed);
    for (std::size_t i = 0; i < candidates.size(); ++i)
        if (!claimed[i] && selection.reasons[i].empty()) selection.reasons[i] = reasons[i];
    return selection;
}

}  // namespace edgeticket
