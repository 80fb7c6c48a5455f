// The provider's options: session entries `ep.edgeticketexecutionprovider.<key>`.
#pragma once

#include <string>

#include "engine/plan/settings.h"
#include "engine/choose/select.h"
#include "abi.h"

namespace edgeticket {

struct Options {
    Claim claim = Claim::Auto;     // claim: auto | timed (open choices are measured) | always (every node that can be computed)
    Settings settings;             // isa: avx512 | avx2 | neon | portable; threads: of the session, 1 to 1024
    bool threads_known = false;    // else Compute looks how many the pool has
    std::string report;            // report: a path; one record a node of the graph is written there as JSON
    bool measure = false;          // measure: 1 times every claimed node for the report
};

// Throws std::invalid_argument, naming key, value and what is allowed.
Options read_options(const abi::OrtApi& api, const abi::OrtSessionOptions* session);

}  // namespace edgeticket
