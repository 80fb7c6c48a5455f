#include "plan.h"

#include "engine/plan/maps/map_planner.h"
#include "run_maps.h"
#include "run_rows.h"

namespace edgeticket {
namespace {

std::size_t bytes_of(const Step& step) { return step.bytes; }
std::size_t bytes_of(const RowStep& step) {
    return step.constant.size() * sizeof(float) + (step.layer ? step.layer->packed_bytes() : 0);
}

}  // namespace

std::unique_ptr<Plan> Plan::build(const Region& region, const Settings& settings) {
    if (is_row_region(region)) return std::make_unique<Plan>(plan_rows(region, settings));
    return std::make_unique<Plan>(plan_maps(region, settings));
}

std::size_t Plan::workspace_bytes(std::int64_t items) const {
    if (const auto* const rows = std::get_if<RowProgram>(&program_)) return row_workspace_bytes(*rows, items);
    return std::get<MapProgram>(program_).workspace_bytes;
}

void Plan::run(const void* const* inputs, void* const* outputs, std::int64_t items, void* workspace,
               const Pool& pool) const {
    if (const auto* const rows = std::get_if<RowProgram>(&program_))
        run_rows(*rows, inputs, outputs, items, workspace, pool);
    else run_maps(std::get<MapProgram>(program_), inputs, outputs, items, workspace, pool);
}

const std::vector<NodeReport>& Plan::reports() const {
    return std::visit([](const auto& program) -> const std::vector<NodeReport>& { return program.reports; }, program_);
}

std::size_t Plan::packed_bytes() const {
    const auto total = [](const auto& program) {
        std::size_t bytes = 0;
        for (const auto& step : program.steps) bytes += bytes_of(step);
        return bytes;
    };
    return std::visit(total, program_);
}

std::vector<double> Plan::measure(void* workspace) const {
    if (const auto* const rows = std::get_if<RowProgram>(&program_)) return measure_rows(*rows, workspace);
    return measure_maps(std::get<MapProgram>(program_), workspace);
}

}  // namespace edgeticket
