// What the readers of operators (operators*.cpp) share: attributes and constants with their defaults, and the sentences of a refusal.
#pragma once

#include <string>
#include <vector>

#include "engine/region/shape.h"
#include "operators.h"

namespace edgeticket {

struct Reading {
    const OnnxGraph& graph;
    const OnnxNode& onnx;
    Taken& taken;
    Node& node = taken.candidate.node;

    [[noreturn]] static void decline(const std::string& reason) { throw Declined(reason); }
    const OnnxValue& value(int index) const { return graph.values[static_cast<std::size_t>(index)]; }
    int input(std::size_t i) const { return i < onnx.inputs.size() ? onnx.inputs[i] : -1; }

    std::int64_t integer(const char* name, std::int64_t otherwise) const;
    float number(const char* name, float otherwise) const;
    std::string text(const char* name, const std::string& otherwise) const;
    std::vector<std::int64_t> integers(const char* name, std::size_t count, std::int64_t otherwise) const;

    const OnnxValue& data(std::size_t i) const;                          // an input computed at run time, of float32
    const OnnxValue& constant(std::size_t i, const char* what) const;    // a constant input of float32
    std::vector<std::int64_t> constant_integers(std::size_t i, const char* what) const;
    float scalar(std::size_t i, float otherwise, const char* what) const;
    const OnnxValue& output() const;
    void expect(Mode mode, const std::vector<std::int64_t>& shape) const;  // the output's items have this shape
    std::vector<std::int64_t> image(std::size_t spatial_least, std::size_t spatial_most) const;  // item of input 0: {C, spatial...}
    void allow(bool image, bool row) const;
};

std::string say(const std::vector<std::int64_t>& shape);

// operators_window.cpp
void read_conv(Reading& r);
void read_max_pool(Reading& r);
void read_average_pool(Reading& r);
void read_global_average_pool(Reading& r);
void read_reduce_mean(Reading& r);
// operators_rows.cpp
void read_gemm(Reading& r);
void read_matmul(Reading& r);
void read_add(Reading& r);
void read_relu(Reading& r);
void read_clip(Reading& r);
void read_leaky_relu(Reading& r);
void read_sigmoid(Reading& r);
void read_hard_swish(Reading& r);
void read_reshape(Reading& r);

}  // namespace edgeticket
