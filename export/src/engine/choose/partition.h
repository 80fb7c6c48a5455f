// Divides the claimed nodes into groups that can each be computed as one.
#pragma once

#include <vector>

#include "candidate.h"

namespace edgeticket {

// Candidates stand in topological order; claimed[i] says of candidate i whether it is to be computed here.
Selection partition(const std::vector<Candidate>& candidates, const std::vector<bool>& claimed);

}  // namespace edgeticket
