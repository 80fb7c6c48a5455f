// A region, planned: packed weights, layouts, places of buffers; built once, run by many threads at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "engine/plan/maps/map_program.h"
#include "engine/plan/node_report.h"
#include "engine/plan/rows/row_program.h"
#include "engine/plan/settings.h"
#include "engine/region/region.h"
#include "pool.h"

namespace edgeticket {

// What a plan is made of: data that something else than Plan could run, or write out.
using Program = std::variant<MapProgram, RowProgram>;

class Plan {
   public:
    // Throws std::invalid_argument, with a sentence, for a region that it does not compute, and std::bad_alloc for one
    // that memory does not hold.
    static std::unique_ptr<Plan> build(const Region& region, const Settings& settings);
    explicit Plan(Program program) : program_(std::move(program)) {}

    // Of workspace that run() needs for this many items; the workspace is aligned to 64 bytes. Throws std::bad_alloc
    // where they are more than can be addressed.
    std::size_t workspace_bytes(std::int64_t items) const;

    // inputs[i] and outputs[i] hold `items` items of the region's inputs and outputs each, aligned to their elements.
    // Re-entrant: everything that is written lies in outputs and workspace. Neither allocates nor throws.
    void run(const void* const* inputs, void* const* outputs, std::int64_t items, void* workspace,
             const Pool& pool) const;

    const std::vector<NodeReport>& reports() const;  // one a node of the region, in its order
    std::size_t packed_bytes() const;                // of weights and tables held
    // Times every node by running the plan on made-up data: microseconds an item, in the order of the nodes.
    std::vector<double> measure(void* workspace) const;

    const Program& program() const { return program_; }

   private:
    Program program_;
};

}  // namespace edgeticket
