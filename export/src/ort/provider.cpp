#include "provider.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "compute.h"
#include "engine/cost/predict.h"
#include "graph_reader.h"
#include "guard.h"
#include "onnx/import.h"

namespace edgeticket {

using namespace abi;

namespace {

// For each region that it fuses, ONNX Runtime sorts the whole graph, and for each node then walks along a list of all
// regions: their square times the nodes, in steps of some 5 ns. These are two seconds.
constexpr double kMostSteps = 3e8;

std::size_t most_regions(std::size_t nodes) {
    return static_cast<std::size_t>(std::sqrt(kMostSteps / static_cast<double>(std::max<std::size_t>(nodes, 1))));
}

}  // namespace

Provider::Provider(const OrtApi& api, Options options)
    : OrtEp{},
      api_(api),
      options_(std::move(options)),
      report_(options_.report) {
    version = kVersion;
    GetName = [](const OrtEp*) { return kProviderName; };
    GetCapability = [](OrtEp* self, const OrtGraph* graph, OrtEpGraphSupportInfo* support) {
        auto& provider = *static_cast<Provider*>(self);
        return guard(provider.api_, [&] { provider.judge(graph, support); });
    };
    Compile = [](OrtEp* self, const OrtGraph** graphs, const OrtNode** fused, std::size_t count,
                 OrtNodeComputeInfo** out, OrtNode**) {
        auto& provider = *static_cast<Provider*>(self);
        std::fill(out, out + count, nullptr);
        const Status status = guard(provider.api_, [&] {
            for (std::size_t i = 0; i < count; ++i) out[i] = provider.compile(graphs[i], fused[i]);
            provider.report_.write();
        });
        if (status != nullptr) provider.ReleaseNodeComputeInfos(self, out, count);
        return status;
    };
    ReleaseNodeComputeInfos = [](OrtEp*, OrtNodeComputeInfo** infos, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            delete static_cast<CompiledRegion*>(infos[i]);
            infos[i] = nullptr;
        }
    };
}

void Provider::judge(const OrtGraph* handle, OrtEpGraphSupportInfo* support) {
    const OrtNode* parent = nullptr;
    check(api_, api_.Graph_GetParentNode(handle, &parent));
    const GraphReader reader(api_);
    if (parent != nullptr) {  // the body of an If or a Loop: its weights may lie outside of it
        if (report_.wanted()) report_.left_body(reader.name(parent), reader.read(handle).graph);
        return;
    }
    RuntimeGraph read = reader.read(handle);
    constants_.fold(read.graph);
    for (const int input : read.graph.inputs) session_inputs_.insert(read.graph.value(input).name);
    const std::vector<Candidate> found = candidates(read.graph);
    const Selection selection = select(found, options_.settings, options_.claim, most_regions(found.size()));
    report_.judged(read.graph, found, selection);
    report_.write();
    const OrtNodeFusionOptions fusion{kVersion, true};  // the plan holds its own copy of the weights
    for (const auto& group : selection.groups) {
        std::vector<const OrtNode*> nodes;
        for (const int i : group) nodes.push_back(read.handles[static_cast<std::size_t>(i)]);
        check(api_, api_.GetEpApi()->EpGraphSupportInfo_AddNodesToFuse(support, nodes.data(), nodes.size(), &fusion));
    }
}

// The runtime gives each claimed group as a graph of its own, whose nodes are read again: what judge() read of them
// points to constants that it keeps during that call alone, and it may have judged another version of the graph since.
OrtNodeComputeInfo* Provider::compile(const OrtGraph* handle, const OrtNode* fused) {
    const GraphReader reader(api_);
    OnnxGraph graph = reader.read(handle).graph;
    constants_.mark(graph);
    Import import = import_region(graph, reader.input_names(fused), reader.output_names(fused));
    std::vector<bool> trusted;
    for (std::size_t i = 0; i < import.inputs.size(); ++i) {
        const std::string& name = import.region.values[static_cast<std::size_t>(import.region.inputs[i])].name;
        const auto& shape = import.inputs[i];
        const bool known = std::all_of(shape.begin(), shape.end(), [](std::int64_t size) { return size >= 0; });
        trusted.push_back(known && session_inputs_.count(name) != 0);
    }
    std::unique_ptr<Plan> plan = Plan::build(import.region, options_.settings);
    std::vector<Prediction> predictions;
    if (report_.wanted()) predictions = predict(import.region, *plan, options_.settings.isa);
    import.region.nodes.clear();  // the plan holds what it needs of the weights
    auto region = std::make_unique<CompiledRegion>(api_, std::move(import), std::move(plan), std::move(trusted),
                                                   options_.settings.threads, options_.threads_known);
    const std::vector<double> times = options_.measure ? region->measure() : std::vector<double>();
    report_.compiled(reader.name(fused), graph, region->plan().reports(), predictions, times);
    return region.release();
}

}  // namespace edgeticket
