// What a region is planned for.
#pragma once

#include "isa/isa.h"

namespace edgeticket {

struct Settings {
    Isa isa = best_isa();
    int threads = 1;  // that the caller's pool has; 1 makes a plan that never calls Pool::run
};

}  // namespace edgeticket
