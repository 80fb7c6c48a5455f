// Which nodes of a graph to take, and in which groups.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "candidate.h"
#include "engine/plan/settings.h"

namespace edgeticket {

enum class Claim : std::uint8_t { Auto, Timed, Always };

// Auto claims what is predicted to pay; Timed measures what the predictions leave open, on this machine, before it
// decides; Always claims every node that can be computed. Of the groups that Auto and Timed find, the `most` that save
// most are claimed.
Selection select(const std::vector<Candidate>& candidates, const Settings& settings, Claim claim,
                 std::size_t most = std::numeric_limits<std::size_t>::max());

}  // namespace edgeticket
