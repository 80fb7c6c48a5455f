#include "select.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <utility>

#include "choose.h"
#include "engine/plan/memory.h"
#include "engine/region/index.h"
#include "engine/run/plan.h"
#include "isa/isa.h"
#include "isa/machine.h"
#include "limit.h"
#include "partition.h"
#include "sketch.h"

namespace edgeticket {
namespace {

// claim=timed takes what a generous margin lets in, and times those spans whose predictions leave open whether they
// pay.
constexpr Margin kGenerous{1.1, 0.0};
constexpr double kSurely = 0.6;  // share of the CPU provider's time below which a span pays without being timed
// Of an item. Longer spans are not timed, for a session's creation waits for seven runs.
constexpr double kMostTimedUs = 25e3;

std::string reason_of(const Candidate& candidate, double cpu_us, double own_us) {
    char text[160];
    if (!std::isfinite(own_us)) return "its window, stride or padding asks for a packed layout that is too large";
    if (candidate.weights == 0) return "left to the CPU provider with the nodes around it";
    const double zeros = 100 * (1 - static_cast<double>(candidate.nonzeros) / static_cast<double>(candidate.weights));
    std::snprintf(text, sizeof text,
                  "%.4g %% of the weights are zero: the CPU provider is predicted to take %.3g µs, this engine %.3g",
                  zeros, cpu_us, own_us);
    return text;
}

class UnitSelector {
   public:
    UnitSelector(const std::vector<Candidate>& candidates, const Settings& settings)
        : candidates_(candidates),
          wiring_(candidates),
          settings_(settings),
          own_(own_machine(candidates, settings)),
          cpu_(cpu_machine(candidates, settings)) {}

    // Clears `claimed` for the members of a group that are left to the CPU provider, and says why in `reasons`; says of
    // the others in `saved_us` what they save.
    void select_in(const std::vector<int>& group, unsigned mode, Claim claim, std::vector<bool>& claimed,
                   std::vector<std::string>& reasons, std::vector<double>& saved_us) const {
        const Sketch sketch(candidates_, wiring_, group, mode);
        const std::vector<Fused> fused = fuse(sketch.region);
        const Arrangement arrangement = arrange(sketch.region, fused, map_family_of(settings_.isa));
        const Units units = units_of(sketch.region, fused, arrangement, own_, cpu_, sketch.items, sketch.computed);
        std::vector<bool> kept(fused.size(), false);
        const auto keep = [&](const Stretch& span) {
            std::fill(kept.begin() + static_cast<std::ptrdiff_t>(span.first),
                      kept.begin() + static_cast<std::ptrdiff_t>(span.second), true);
        };
        const std::vector<Stretch> predicted =
            claim == Claim::Always ? std::vector<Stretch>() : choose(units, Margin{});
        Span meter(units, 0);
        if (claim == Claim::Auto) std::for_each(predicted.begin(), predicted.end(), keep);
        if (claim == Claim::Always)
            for (std::size_t u = 0; u < fused.size(); ++u) kept[u] = std::isfinite(units.units[u].own_us);
        if (claim == Claim::Timed)
            for (const Stretch& span : choose(units, kGenerous)) {
                if (pays(units, meter, span, sketch, fused, mode)) {
                    keep(span);
                    continue;
                }
                auto part = std::lower_bound(predicted.begin(), predicted.end(), Stretch{span.first, 0});
                for (; part != predicted.end() && part->second <= span.second; ++part)
                    if (*part != span && pays(units, meter, *part, sketch, fused, mode)) keep(*part);
            }
        for (std::size_t u = 0; u < fused.size(); ++u) {
            if (kept[u]) {
                at(saved_us, at(sketch.members, fused[u].node)) = units.units[u].cpu_us - units.units[u].own_us;
                continue;
            }
            meter.restart(u);
            meter.extend();
            for (const int node : nodes_of(fused, {u, u + 1})) {
                const int member = at(sketch.members, node);
                at(claimed, member) = false;
                at(reasons, member) = reason_of(at(candidates_, member), units.units[u].cpu_us, meter.own_us());
            }
        }
    }

   private:
    using Stretch = std::pair<std::size_t, std::size_t>;

    static std::vector<int> nodes_of(const std::vector<Fused>& fused, const Stretch& span) {
        std::vector<int> nodes;
        for (std::size_t u = span.first; u < span.second; ++u) {
            nodes.push_back(fused[u].node);
            nodes.insert(nodes.end(), fused[u].followers.begin(), fused[u].followers.end());
        }
        std::sort(nodes.begin(), nodes.end());
        return nodes;
    }

    // Whether a span pays. Where its prediction leaves that open, a plan of it is run on made-up data.
    bool pays(const Units& units, Span& span, const Stretch& stretch, const Sketch& sketch,
              const std::vector<Fused>& fused, unsigned mode) const {
        span.restart(stretch.first);
        double cpu_us = 0;
        for (std::size_t u = stretch.first; u < stretch.second; ++u) span.extend(), cpu_us += units.units[u].cpu_us;
        const double own_us = span.own_us();
        if (own_us < kSurely * cpu_us) return true;
        if (own_us / static_cast<double>(sketch.items) > kMostTimedUs)
            return own_us / Margin{}.share + Margin{}.span_us + span.reorder_us() < cpu_us;
        std::vector<int> members;
        for (const int node : nodes_of(fused, stretch)) members.push_back(at(sketch.members, node));
        const std::unique_ptr<Plan> plan =
            Plan::build(Sketch(candidates_, wiring_, members, mode).whole(candidates_), settings_);
        const Memory workspace(plan->workspace_bytes(1));
        double measured = 0;
        for (const double us : plan->measure(workspace.data())) measured += us;
        measured *= static_cast<double>(sketch.items);
        return own_.shared_us(measured) / Margin{}.share + Margin{}.span_us + span.reorder_us() < cpu_us;
    }

    static OwnMachine own_machine(const std::vector<Candidate>& candidates, const Settings& settings) {
        double packed = 0;
        for (const Candidate& candidate : candidates)
            packed += packed_bytes(static_cast<double>(candidate.weights), static_cast<double>(candidate.nonzeros));
        return {settings.isa, peak_gmacs(settings.isa), packed, settings.threads};
    }
    static CpuMachine cpu_machine(const std::vector<Candidate>& candidates, const Settings& settings) {
        double bytes = 0;
        for (const Candidate& candidate : candidates) bytes += 4.0 * static_cast<double>(candidate.weights);
        return this_machine(bytes, settings.threads);
    }

    const std::vector<Candidate>& candidates_;
    const Wiring wiring_;
    Settings settings_;
    OwnCost own_;
    CpuCost cpu_;
};

}  // namespace

Selection select(const std::vector<Candidate>& candidates, const Settings& settings, Claim claim, std::size_t most) {
    std::vector<bool> claimed;
    for (const Candidate& candidate : candidates) claimed.push_back(candidate.reason.empty());
    const Selection all = partition(candidates, claimed);
    const UnitSelector selector(candidates, settings);
    std::vector<std::string> reasons(candidates.size());
    std::vector<double> saved_us(candidates.size(), 0);
    for (std::size_t g = 0; g < all.groups.size(); ++g)
        selector.select_in(all.groups[g], all.modes[g], claim, claimed, reasons, saved_us);
    Selection selection = partition(candidates, claimed);
    for (std::size_t i = 0; i < candidates.size(); ++i)
        if (!claimed[i] && selection.reasons[i].empty()) selection.reasons[i] = reasons[i];
    if (claim != Claim::Always) keep_best(saved_us, most, selection);
    return selection;
}

}  // namespace edgeticket
