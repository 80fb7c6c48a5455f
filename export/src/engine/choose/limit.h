// Keeps the groups that save most, where more are worth claiming than a runtime can take.
#pragma once

#include <cstddef>
#include <vector>

#include "candidate.h"

namespace edgeticket {

// Leaves at most `most` groups in the selection; `saved_us` says of each candidate what claiming it saves. The nodes of
// the others get a reason. What stays is convex still: a group's paths do not depend on what else is claimed.
void keep_best(const std::vector<double>& saved_us, std::size_t most, Selection& selection);

}  // namespace edgeticket
