// Computes a region in double precision, with one plain loop for each operator. Every kernel and the provider are
// tested against it.
#pragma once

#include <cstdint>
#include <vector>

#include "region.h"

namespace edgeticket {

enum class Sum : std::uint8_t {
    Values,      // the region's outputs
    Magnitudes,  // the same sums of absolute values: an error of float32 is at most a small multiple of 2^-24 of these
};

// inputs[i] holds items * (elements of an item) floats; the result has one vector of as many doubles for each output.
// A weight of 0 does not read its input. Throws std::invalid_argument for a region whose shapes contradict one another.
std::vector<std::vector<double>> run_reference(const Region& region, std::int64_t items, const float* const* inputs,
                                               Sum sum = Sum::Values);

}  // namespace edgeticket
