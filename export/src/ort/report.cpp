#include "report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <stdexcept>

#include "engine/region/floats.h"
#include "engine/region/shape.h"
#include "onnx/import.h"

namespace edgeticket {
namespace {

constexpr char kNotTaken[] =
    "chosen too late: ONNX Runtime had given it to the CPU provider, as it does before it "
    "inlines the functions of a graph";

constexpr char kBody[] = "in the body of an If, a Loop or a Scan";

std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        char escaped[8];
        if (c == '"' || c == '\\') out += {'\\', c};
        else if (static_cast<unsigned char>(c) < 0x20) {
            std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(static_cast<unsigned char>(c)));
            out += escaped;
        } else out += c;
    }
    return out + "\"";
}

std::string number(double value) {
    if (!std::isfinite(value) || value < 0) return "null";
    char text[32];
    std::snprintf(text, sizeof text, "%.9g", value);
    return text;
}

std::string list(const std::vector<std::int64_t>& sizes) {
    std::string out = "[";
    for (const std::int64_t size : sizes)
        out += (out.size() > 1 ? ", " : "") + (size < 0 ? "null" : std::to_string(size));
    return out + "]";
}

std::string line(const NodeRecord& r) {
    return "  {\"name\": " + quoted(r.name) + ", \"op\": " + quoted(r.op) +
           ", \"claimed\": " + (r.reason.empty() ? "true" : "false") + ", \"reason\": " + quoted(r.reason) +
           ", \"kernel\": " + quoted(r.kernel) + ", \"weight\": " + list(r.weight) + ", \"output\": " + list(r.output) +
           ", \"density\": " + number(r.density) + ", \"macs\": " + std::to_string(r.macs) +
           ", \"predicted_us\": " + number(r.predicted_us) + ", \"cpu_us\": " + number(r.cpu_us) +
           ", \"measured_us\": " + number(r.measured_us) + "}";
}

// Multiplications, whether or not the node can be claimed.
void count(const OnnxValue& weight, std::int64_t uses, NodeRecord& record) {
    const std::int64_t elements = count_elements(weight.shape);
    if (weight.type != ElementType::Float32 || weight.data == nullptr || elements <= 0 || elements > kMostElements)
        return;
    const auto nonzeros = count_nonzeros(static_cast<const float*>(weight.data), static_cast<std::size_t>(elements));
    record.density = static_cast<double>(nonzeros) / static_cast<double>(elements);
    record.macs = std::max<std::int64_t>(0, product(elements, uses));
}

NodeRecord record_of(const OnnxGraph& graph, const OnnxNode& node, const std::string& reason) {
    NodeRecord record;
    const int output = node.outputs.empty() ? -1 : node.outputs[0];
    record.name = node.name.empty() && output >= 0 ? graph.value(output).name : node.name;
    record.op = node.op, record.reason = reason, record.weight = weight_shape(graph, node);
    if (output >= 0) record.output = graph.value(output).shape;
    const OnnxValue* weight = weight_of(graph, node);
    if (weight != nullptr) count(*weight, weight_uses(graph, node), record);
    return record;
}

}  // namespace

void Report::judged(const OnnxGraph& graph, const std::vector<Candidate>& candidates, const Selection& selection) {
    records_.clear();
    index_.clear();
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        const OnnxNode& node = graph.nodes[i];
        const auto region = regions_.find(node.name);
        if (region != regions_.end()) {
            records_.insert(records_.end(), region->second.begin(), region->second.end());
            continue;
        }
        const std::string& chosen = selection.reasons[i];
        records_.push_back(record_of(graph, node, chosen.empty() ? kNotTaken : chosen));
        if (!node.outputs.empty() && node.outputs[0] >= 0)
            index_.emplace(graph.value(node.outputs[0]).name, records_.size() - 1);
    }
}

void Report::left_body(const std::string& parent, const OnnxGraph& graph) {
    if (graph.nodes.empty()) return;
    const OnnxNode& first = graph.nodes[0];
    const bool named = !first.outputs.empty() && first.outputs[0] >= 0;
    std::vector<NodeRecord>& body = bodies_[parent + "/" + (named ? graph.value(first.outputs[0]).name : "")];
    body.clear();
    for (const OnnxNode& node : graph.nodes) body.push_back(record_of(graph, node, kBody));
}

void Report::compiled(const std::string& name, const OnnxGraph& graph, const std::vector<NodeReport>& nodes,
                      const std::vector<Prediction>& predictions, const std::vector<double>& times) {
    if (!wanted()) return;
    std::vector<NodeRecord>& region = regions_[name];
    for (std::size_t i = 0; i < graph.nodes.size() && i < nodes.size(); ++i) {
        const auto place = index_.find(graph.value(graph.nodes[i].outputs[0]).name);
        if (place == index_.end()) continue;
        NodeRecord& record = records_[place->second];
        record.reason.clear();
        record.kernel = nodes[i].kernel;
        record.density = nodes[i].density;
        record.macs = nodes[i].macs;
        record.predicted_us = predictions[i].own_us;
        record.cpu_us = predictions[i].cpu_us;
        if (i < times.size()) record.measured_us = times[i];
        region.push_back(record);
    }
}

void Report::write() const {
    if (!wanted()) return;
    std::vector<NodeRecord> all = records_;
    for (const auto& body : bodies_) all.insert(all.end(), body.second.begin(), body.second.end());
    std::string text = "[\n";
    for (std::size_t i = 0; i < all.size(); ++i) text += line(all[i]) + (i + 1 < all.size() ? ",\n" : "\n");
    text += "]\n";
    std::FILE* file = std::fopen(path_.c_str(), "wb");
    const bool written = file != nullptr && std::fwrite(text.data(), 1, text.size(), file) == text.size();
    const bool closed = file != nullptr && std::fclose(file) == 0;
    if (!written || !closed) throw std::runtime_error("the report can not be written to " + path_);
}

}  // namespace edgeticket
