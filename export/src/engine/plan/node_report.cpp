#include "node_report.h"

#include "engine/region/index.h"
#include "engine/region/shape.h"

namespace edgeticket {

std::vector<NodeReport> node_reports(const Region& region, const std::vector<Fused>& groups) {
    std::vector<NodeReport> reports;
    for (const Node& node : region.nodes) {
        NodeReport report;
        report.name = node.name;
        report.kernel = "none: the same memory";
        if (!node.weight.empty()) {
            const auto weights = static_cast<std::int64_t>(node.weight.size());
            const std::vector<std::int64_t>& shape = region.shape(node.output);
            if (node.nonzeros >= 0) report.density = static_cast<double>(node.nonzeros) / static_cast<double>(weights);
            const std::int64_t positions = node.op == Op::Conv ? elements(shape) / shape[0] : 1;
            report.macs = weights * positions;
        }
        reports.push_back(std::move(report));
    }
    for (const Fused& group : groups)
        for (const int follower : group.followers)
            at(reports, follower).kernel = "fused into " + region.node(group.node).name;
    return reports;
}

}  // namespace edgeticket
