// Which nodes of a graph to take, and in which groups.
#pragma once

#include <cstdint>
#include <vector>

#include "candidate.h"
#include "engine/plan/settings.h"

namespace edgeticket {

enum class Claim : std::uint8_t { Auto, Timed, Always };

// Auto claims what is predicted to pay; Timed measures what the predictions leave open, on this machine, before it
// decides; Always claims every node that can be computed.
Selection select(const std::vector<Candidate>& candidates, const Settings& settings, Claim claim);

}  // namespace edgeticket
