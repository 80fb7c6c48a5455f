#include "import.h"

#include <stdexcept>
#include <unordered_map>

#include "constants.h"
#include "engine/region/shape.h"
#include "operators/operators.h"
#include "read_node.h"

namespace edgeticket {
namespace {

class Builder {
   public:
    Builder(const OnnxGraph& graph, Import& import) : graph_(graph), import_(import) {}

    void input(int onnx) {
        const int index = value(onnx);
        leads_from_[static_cast<std::size_t>(index)] = static_cast<int>(import_.region.inputs.size());
        import_.region.inputs.push_back(index);
        import_.inputs.push_back(graph_.value(onnx).shape);
    }

    void node(const ReadNode& read) {
        Node node = read.candidate.node;
        for (int& input : node.inputs) input = value(input);
        node.output = value(node.output);
        const auto from = static_cast<std::size_t>(node.inputs[0]), to = static_cast<std::size_t>(node.output);
        fill_constants(graph_, read, import_.region.values[from].shape, node);
        leads_from_[to] = read.keeps_leading_dims ? leads_from_[from] : -1;
        if (read.keeps_leading_dims && leads_from_[from] < 0) {  // the leading sizes were known to a Reshape before
            const std::int64_t last = declared_[to].back();
            declared_[to] = declared_[from];
            declared_[to].back() = last;
        }
        import_.region.nodes.push_back(std::move(node));
    }

    void output(int onnx) {
        const auto index = static_cast<std::size_t>(value(onnx));
        import_.region.outputs.push_back(static_cast<int>(index));
        import_.outputs.push_back({declared_[index], import_.mode == kRow ? leads_from_[index] : -1});
    }

   private:
    // The region's index of a value of the graph.
    int value(int onnx) {
        const auto [place, fresh] = index_.try_emplace(onnx, static_cast<int>(import_.region.values.size()));
        if (fresh) {
            const OnnxValue& from = graph_.value(onnx);
            import_.region.values.push_back({from.name, item_shape(from, import_.mode)});
            leads_from_.push_back(-1);
            declared_.push_back(from.shape);
        }
        return place->second;
    }

    const OnnxGraph& graph_;
    Import& import_;
    std::unordered_map<int, int> index_;
    std::vector<int> leads_from_;
    std::vector<std::vector<std::int64_t>> declared_;
};

}  // namespace

std::vector<Candidate> candidates(const OnnxGraph& graph) {
    std::vector<Candidate> found;
    GraphContext context(graph, false);
    std::unordered_map<int, int> producer;
    for (const OnnxNode& onnx : graph.nodes) {
        Candidate candidate = read_node(context, onnx).candidate;
        const Node& node = candidate.node;
        if (candidate.reason.empty() && (candidate.modes & kImage) != 0)  // dimension 0 goes through
            context.batch_origin[static_cast<std::size_t>(node.output)] = context.origin_of_batch(node.inputs[0]);
        for (const auto* list : {&onnx.inputs, &onnx.captured})
            for (const int input : *list) {
                const auto place = producer.find(input);
                if (place != producer.end()) candidate.producers.push_back(place->second);
            }
        for (const int output : onnx.outputs)
            if (output >= 0) producer.emplace(output, static_cast<int>(found.size()));
        found.push_back(std::move(candidate));
    }
    return found;
}

Import import_region(const OnnxGraph& graph, const std::vector<std::string>& inputs,
                     const std::vector<std::string>& outputs) {
    const GraphContext context(graph, true);
    std::vector<ReadNode> nodes;
    unsigned modes = kImage | kRow;
    for (const OnnxNode& onnx : graph.nodes) {
        nodes.push_back(read_node(context, onnx));
        const Candidate& candidate = nodes.back().candidate;
        if (!candidate.reason.empty())
            throw std::runtime_error("node " + onnx.name + " (" + onnx.op + "): " + candidate.reason);
        modes &= candidate.modes;
    }
    if (modes == 0) throw std::runtime_error("the nodes of a region see items differently");
    Import import;
    import.mode = (modes & kImage) != 0 ? kImage : kRow;
    Builder builder(graph, import);
    for (std::size_t position = 0; position < inputs.size(); ++position) {
        const int value = graph.find(inputs[position]);
        if (value < 0 || graph.value(value).constant) continue;
        builder.input(value);
        import.positions.push_back(position);
    }
    for (const ReadNode& read : nodes) builder.node(read);
    for (const std::string& name : outputs) {
        const int value = graph.find(name);
        if (value < 0) throw std::runtime_error("the region has no value " + name);
        builder.output(value);
    }
    return import;
}

const OnnxValue* weight_of(const OnnxGraph& graph, const OnnxNode& node) {
    const bool standard = node.domain.empty() || node.domain == "ai.onnx";
    const Operator* row = standard ? find_operator(node.op) : nullptr;
    if (row == nullptr || row->weight < 0 || row->weight >= static_cast<int>(node.inputs.size())) return nullptr;
    const int input = node.inputs[static_cast<std::size_t>(row->weight)];
    return input < 0 || !graph.value(input).constant ? nullptr : &graph.value(input);
}

std::vector<std::int64_t> weight_shape(const OnnxGraph& graph, const OnnxNode& node) {
    const OnnxValue* weight = weight_of(graph, node);
    return weight == nullptr ? std::vector<std::int64_t>() : weight->shape;
}

std::int64_t weight_uses(const OnnxGraph& graph, const OnnxNode& node) {
    const Operator* row = find_operator(node.op);
    if (row == nullptr || node.outputs.empty() || node.outputs[0] < 0) return -1;
    if (row->op != Op::Conv) return 1;  // an item is a row
    const std::vector<std::int64_t>& shape = graph.value(node.outputs[0]).shape;
    return shape.size() < 3 ? -1 : count_elements({shape.begin() + 2, shape.end()});
}

}  // namespace edgeticket
