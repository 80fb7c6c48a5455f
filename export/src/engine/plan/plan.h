// How a region is computed: packed weights, layouts, one buffer plan; built once, run by many threads at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/region/region.h"
#include "isa/isa.h"

namespace edgeticket {

struct Settings {
    Isa isa = best_isa();
    int threads = 1;  // that the caller's pool has; 1 makes a plan that never calls Pool::run
};

// The caller's thread pool. `run` calls task(argument, i) for each i in [0, count), on any threads, and returns when all are done.
struct Pool {
    void (*run)(void* pool, void (*task)(void* argument, std::size_t index), std::size_t count, void* argument) = nullptr;
    void* pool = nullptr;
};

// What is known of one node once the region is planned.
struct NodeReport {
    std::string name;
    std::string kernel;        // e.g. "conv_avx512_2x4_s1", "fc_window", "fused into CONV_NAME"
    double density = 1.0;      // nonzero share of the weights; 1 where there are none
    std::int64_t macs = 0;     // dense multiply-accumulates an item
    double predicted_us = 0;   // of this plan, an item
    double cpu_us = 0;         // predicted for ONNX Runtime's CPU provider, an item
};

class Plan {
   public:
    // Throws std::invalid_argument, with a sentence, for a region that it does not compute.
    static std::unique_ptr<Plan> build(const Region& region, const Settings& settings);
    virtual ~Plan() = default;

    // Floats of workspace that run() needs for this many items; the workspace is aligned to 64 bytes.
    virtual std::size_t workspace_floats(std::int64_t items) const = 0;

    // A pool without `run` has one thread. inputs[i] and outputs[i] hold items * (elements of an item) floats each and need no alignment. Re-entrant: everything
    // that is written lies in outputs and workspace. Neither allocates nor throws.
    virtual void run(const float* const* inputs, float* const* outputs, std::int64_t items, float* workspace, const Pool& pool) const = 0;

    virtual const std::vector<NodeReport>& reports() const = 0;   // one a node of the region, in its order
    virtual std::size_t packed_bytes() const = 0;                 // of weights and tables held
    // Times every node by running the plan on made-up data: microseconds an item, in the order of the nodes.
    virtual std::vector<double> measure(float* workspace) const = 0;
};

}  // namespace edgeticket
