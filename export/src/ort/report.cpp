#include "report.h"

#include <cmath>
#include <cstdio>
#include <stdexcept>

#include "onnx/import.h"

namespace edgeticket {
namespace {

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

}  // namespace

void Report::judged(const OnnxGraph& graph, const std::vector<Candidate>& candidates, const Selection& selection) {
    records_.clear();
    index_.clear();
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        const Candidate& candidate = candidates[i];
        NodeRecord record;
        record.name = candidate.name, record.op = candidate.op, record.reason = selection.reasons[i];
        if (candidate.weights > 0) {
            record.density = static_cast<double>(candidate.nonzeros) / static_cast<double>(candidate.weights);
            std::int64_t positions = 1;  // of the output, for each of which the whole weight is used once
            for (std::size_t axis = 1; axis < candidate.out_shape.size(); ++axis)
                positions *= candidate.out_shape[axis];
            record.macs = candidate.weights * positions;
        }
        const int output = graph.nodes[i].outputs.empty() ? -1 : graph.nodes[i].outputs[0];
        record.weight = weight_shape(graph, graph.nodes[i]);
        if (output >= 0) {
            record.output = graph.values[static_cast<std::size_t>(output)].shape;
            index_.emplace(graph.values[static_cast<std::size_t>(output)].name, i);
        }
        records_.push_back(std::move(record));
    }
}

void Report::compiled(const OnnxGraph& graph, const std::vector<NodeReport>& nodes,
                      const std::vector<Prediction>& predictions, const std::vector<double>& times) {
    if (!wanted()) return;
    for (std::size_t i = 0; i < graph.nodes.size() && i < nodes.size(); ++i) {
        const auto place = index_.find(graph.values[static_cast<std::size_t>(graph.nodes[i].outputs[0])].name);
        if (place == index_.end()) continue;
        NodeRecord& record = records_[place->second];
        record.kernel = nodes[i].kernel;
        record.density = nodes[i].density;
        record.macs = nodes[i].macs;
        record.predicted_us = predictions[i].own_us;
        record.cpu_us = predictions[i].cpu_us;
        if (i < times.size()) record.measured_us = times[i];
    }
}

void Report::write() const {
    if (!wanted()) return;
    std::string text = "[\n";
    for (std::size_t i = 0; i < records_.size(); ++i)
        text += line(records_[i]) + (i + 1 < records_.size() ? ",\n" : "\n");
    text += "]\n";
    std::FILE* file = std::fopen(path_.c_str(), "wb");
    const bool written = file != nullptr && std::fwrite(text.data(), 1, text.size(), file) == text.size();
    const bool closed = file != nullptr && std::fclose(file) == 0;
    if (!written || !closed) throw std::runtime_error("the report can not be written to " + path_);
}

}  // namespace edgeticket
