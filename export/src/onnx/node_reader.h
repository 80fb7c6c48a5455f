// What the readers of operators (operators/) share: a node's attributes and constants with their defaults, the checks
// of shapes, and the sentences of a refusal. Every member function but allow() throws Declined where the node is not as
// it asks.
#pragma once

#include <string>
#include <vector>

#include "read_node.h"

namespace edgeticket {

class NodeReader {
   public:
    NodeReader(const GraphContext& context, const OnnxNode& onnx, ReadNode& result)
        : context(context),
          onnx(onnx),
          node(result.candidate.node),
          constants(result.constants),
          result_(result) {}

    const GraphContext& context;
    const OnnxNode& onnx;  // what is read
    // What is filled in. The operator's row has set node.op, read_node() node.output.
    Node& node;
    NodeConstants& constants;

    [[noreturn]] static void decline(const std::string& reason) { throw Declined(reason); }
    const OnnxValue& value(int index) const { return context.graph.value(index); }
    int input(std::size_t i) const { return i < onnx.inputs.size() ? onnx.inputs[i] : -1; }

    bool has(const char* attribute) const { return onnx.attributes.count(attribute) != 0; }
    std::int64_t integer(const char* attribute, std::int64_t otherwise) const;
    float number(const char* attribute, float otherwise) const;
    std::string text(const char* attribute, const std::string& otherwise) const;
    std::vector<std::int64_t> integers(const char* attribute, std::size_t count, std::int64_t otherwise) const;

    const OnnxValue& data(std::size_t i) const;                        // an input computed at run time, of float32
    const OnnxValue& constant(std::size_t i, const char* what) const;  // a constant input of float32
    std::vector<std::int64_t> constant_integers(std::size_t i, const char* what) const;
    float scalar(std::size_t i, float otherwise, const char* what) const;
    const OnnxValue& output() const;

    // The output's items have this shape.
    void expect(Mode mode, const std::vector<std::int64_t>& shape) const;
    // The shape of an item of input 0, {C, spatial...}, with one or two spatial axes.
    std::vector<std::int64_t> image() const;

    // Sets how items may be seen.
    void allow(bool image, bool row);
    // Allows those modes for which check(mode) does not decline. Throws nothing; returns the reasons of the others, at
    // most two.
    template <typename Check>
    std::vector<std::string> allow_where(Check check);
    // Sets that the output's leading dimensions are not the input's.
    void change_leading_dims() { result_.keeps_leading_dims = false; }
    void set_weight_is_kn() { result_.candidate.weight_is_kn = true; }
    // For an operator of images alone, whose items come out as {channels, spatial...}.
    void finish_image(std::int64_t channels, const std::vector<std::int64_t>& spatial);

   private:
    ReadNode& result_;
};

// "[1, 3, 8, 8]"
std::string to_text(const std::vector<std::int64_t>& shape);

// Whether a constant of this shape, expanded, is the same for every item and stays within it.
bool expands_to(std::vector<std::int64_t> constant, const std::vector<std::int64_t>& item);

template <typename Check>
std::vector<std::string> NodeReader::allow_where(Check check) {
    bool allowed[2] = {false, false};
    std::vector<std::string> reasons;
    for (const Mode mode : {kImage, kRow}) {
        try {
            check(mode);
            allowed[mode == kRow] = true;
        } catch (const Declined& declined) {
            reasons.emplace_back(declined.what());
        }
    }
    allow(allowed[0], allowed[1]);
    return reasons;
}

}  // namespace edgeticket
