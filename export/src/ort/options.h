// The provider's options: session entries `ep.edgeticketexecutionprovider.<key>`.
#pragma once

#include <string>

#include "abi.h"
#include "engine/choose/select.h"
#include "engine/plan/settings.h"

namespace edgeticket {

// A field for each key, with what the key takes.
struct Options {
    // claim: auto (what is predicted to pay), timed (open choices are measured), always (all that can be computed)
    Claim claim = Claim::Auto;
    Settings settings;           // isa: a name from the table in isa/isa.h; threads: of the session, 1 to 1024
    bool threads_known = false;  // whether `threads` was given; else the first runs look how many the pool has
    std::string report;          // report: a path; one record a node of the graph is written there as JSON
    bool measure = false;        // measure: 1 times every claimed node for the report
};

// Throws std::invalid_argument, naming key, value and what is allowed.
Options read_options(const abi::OrtApi& api, const abi::OrtSessionOptions* session);

}  // namespace edgeticket
