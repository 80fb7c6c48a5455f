#include "choose.h"

#include <algorithm>
#include <limits>

namespace edgeticket {
namespace {

constexpr std::size_t kLongest = 4000;  // units of a span; bounds the time that choosing takes on a hostile graph

}  // namespace

// least[j] is the least time of the first j units. from[j] is where the span that ends with unit j - 1 begins, or j
// where that unit is left to the CPU provider.
std::vector<std::pair<std::size_t, std::size_t>> choose(const Units& units, const Margin& margin) {
    const std::size_t count = units.units.size();
    std::vector<double> least(count + 1, std::numeric_limits<double>::infinity());
    std::vector<std::size_t> from(count + 1, 0);
    least[0] = 0;
    Span span(units, 0);
    for (std::size_t i = 0; i < count; ++i) {
        const double left = least[i] + units.units[i].cpu_us;
        if (left <= least[i + 1]) least[i + 1] = left, from[i + 1] = i + 1;
        // Two spans that touch are dearer than one in their place, by what it takes to enter the second.
        const bool touches = i > 0 && from[i] < i && margin.span_us > 0;
        if (touches && count - from[i] <= kLongest) continue;
        span.restart(i);
        bool weighted = false;  // a span without weights gains nothing that is not within the error of the predictions
        for (std::size_t j = i; j < std::min(count, i + kLongest); ++j) {
            span.extend();
            weighted = weighted || units.units[j].weighted;
            if (!weighted) continue;
            const double taken = least[i] + margin.span_us + span.own_us() / margin.share + span.reorder_us();
            if (taken < least[j + 1]) least[j + 1] = taken, from[j + 1] = i;
        }
    }
    std::vector<std::pair<std::size_t, std::size_t>> spans;
    for (std::size_t j = count; j > 0;) {
        if (from[j] == j) {
            --j;
            continue;
        }
        spans.emplace_back(from[j], j);
        j = from[j];
    }
    std::reverse(spans.begin(), spans.end());
    return spans;
}

}  // namespace edgeticket
