#include "import.h"

#include <stdexcept>
#include <unordered_map>

#include "operators.h"

namespace edgeticket {
namespace {

OnnxValue& at(OnnxGraph& graph, int index) { return graph.values[static_cast<std::size_t>(index)]; }

// Dimension 0 goes through every node that we take as one of images.
void pass_batch_on(OnnxGraph& graph, const Taken& taken) {
    if (taken.candidate.reason.empty() && (taken.candidate.modes & kImage) != 0) at(graph, taken.output).batch = taken.data[0];
}

class Builder {
   public:
    Builder(OnnxGraph& graph, Import& import) : graph_(graph), import_(import) {}

    int value(int onnx) {
        const auto [place, fresh] = index_.try_emplace(onnx, static_cast<int>(import_.region.values.size()));
        if (fresh) {
            import_.region.values.push_back({at(graph_, onnx).name, item_shape(at(graph_, onnx), import_.mode)});
            leads_.push_back(-1);
            declared_.push_back(at(graph_, onnx).shape);
        }
        return place->second;
    }

    void input(int onnx) {
        const int index = value(onnx);
        leads_[static_cast<std::size_t>(index)] = static_cast<int>(import_.region.inputs.size());
        import_.region.inputs.push_back(index);
        import_.inputs.push_back(at(graph_, onnx).shape);
    }

    void node(const Taken& taken) {
        Node node = taken.candidate.node;
        for (int onnx : taken.data) node.inputs.push_back(value(onnx));
        node.output = value(taken.output);
        const auto from = static_cast<std::size_t>(node.inputs[0]), to = static_cast<std::size_t>(node.output);
        fill_constants(graph_, taken, import_.region.values[from].shape, node);
        if (node.op == Op::Conv && taken.candidate.weight != nullptr) node.nonzeros = taken.candidate.nonzeros;
        leads_[to] = taken.keeps_leads ? leads_[from] : -1;
        if (taken.keeps_leads && leads_[from] < 0) {  // the leading sizes were known to a Reshape before
            const std::int64_t last = declared_[to].back();
            declared_[to] = declared_[from];
            declared_[to].back() = last;
        }
        import_.region.nodes.push_back(std::move(node));
    }

    void output(int onnx) {
        const auto index = static_cast<std::size_t>(value(onnx));
        import_.region.outputs.push_back(static_cast<int>(index));
        import_.outputs.push_back({declared_[index], import_.mode == kRow ? leads_[index] : -1});
    }

   private:
    OnnxGraph& graph_;
    Import& import_;
    std::unordered_map<int, int> index_;
    std::vector<int> leads_;
    std::vector<std::vector<std::int64_t>> declared_;
};

}  // namespace

std::vector<Candidate> candidates(OnnxGraph& graph) {
    std::vector<Candidate> found;
    std::unordered_map<int, int> producer;
    for (const OnnxNode& node : graph.nodes) {
        Taken taken = take(graph, node);
        pass_batch_on(graph, taken);
        taken.candidate.node.inputs = taken.data, taken.candidate.node.output = taken.output;
        for (const auto* list : {&node.inputs, &node.captured})
            for (int input : *list) {
                const auto place = producer.find(input);
                if (place != producer.end()) taken.candidate.producers.push_back(place->second);
            }
        for (int output : node.outputs)
            if (output >= 0) producer.emplace(output, static_cast<int>(found.size()));
        found.push_back(std::move(taken.candidate));
    }
    return found;
}

Import import_region(OnnxGraph& graph, const std::vector<std::string>& inputs, const std::vector<std::string>& outputs) {
    graph.part = true;
    std::vector<Taken> nodes;
    unsigned modes = kImage | kRow;
    for (const OnnxNode& node : graph.nodes) {
        nodes.push_back(take(graph, node));
        const Candidate& candidate = nodes.back().candidate;
        if (!candidate.reason.empty()) throw std::runtime_error("node " + node.name + " (" + node.op + "): " + candidate.reason);
        modes &= candidate.modes;
    }
    if (modes == 0) throw std::runtime_error("the nodes of a region see items differently");
    Import import;
    import.mode = (modes & kImage) != 0 ? kImage : kRow;
    Builder builder(graph, import);
    for (std::size_t position = 0; position < inputs.size(); ++position) {
        const auto place = graph.index.find(inputs[position]);
        if (place == graph.index.end() || at(graph, place->second).constant) continue;
        builder.input(place->second);
        import.positions.push_back(position);
    }
    for (const Taken& taken : nodes) builder.node(taken);
    for (const std::string& name : outputs) {
        const auto place = graph.index.find(name);
        if (place == graph.index.end()) throw std::runtime_error("the region has no value " + name);
        builder.output(place->second);
    }
    return import;
}

}  // namespace edgeticket
