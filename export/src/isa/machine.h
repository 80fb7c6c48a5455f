// What this machine's processor does, measured.
#pragma once

#include "isa.h"

namespace edgeticket {

// GMAC/s (10^9 fp32 multiply-accumulates a second) of one core with this instruction set, at most. Measured by the
// first call of a process, in less than a millisecond; 0 where this build or this processor has not got it.
double peak_gmacs(Isa isa);

// A core's second cache in bytes; 1 MiB where the system does not say.
double second_cache_bytes();

}  // namespace edgeticket
