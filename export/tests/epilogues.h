// What the tests of kernels share: an epilogue of every activation that there is, and what comes out of it in double
// precision.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/region/op_traits.h"

namespace edgeticket {

inline const std::vector<Epilogue>& epilogues() {
    static const std::vector<Epilogue> all = [] {
        std::vector<Epilogue> found{{}};
        for (const OpTraits& row : kOps)
            if (row.is_activation()) found.push_back(row.activation.epilogue(-0.5F, 1.5F, 0.1F));
        return found;
    }();
    return all;
}

inline double activated(double x, const Epilogue& epilogue) {
    const ActivationTraits* const traits = traits_of(epilogue.activation);
    return traits == nullptr ? x : traits->value(x, epilogue);
}

// By how much an error of x may grow.
inline double slope(const Epilogue& epilogue) {
    const ActivationTraits* const traits = traits_of(epilogue.activation);
    return traits == nullptr ? 1.5 : std::max(1.5, traits->slope);
}

}  // namespace edgeticket
