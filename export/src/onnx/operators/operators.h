// The table of the ONNX operators that the engine computes. A new operator is a row here and, where no reader fits, a
// function in the file of its family; an activation without attributes is the row alone.
#pragma once

#include <string>

#include "engine/region/region.h"
#include "onnx/node_reader.h"

namespace edgeticket {

// What the readers below do: fill in what the engine needs to know of a node, or throw Declined.
using Read = void (*)(NodeReader&);

void read_add(NodeReader& r);                  // add.cpp
void read_clip(NodeReader& r);                 // activations.cpp
void read_conv(NodeReader& r);                 // conv.cpp
void read_elementwise(NodeReader& r);          // activations.cpp: any node that has one input and no attribute
void read_gemm(NodeReader& r);                 // gemm.cpp
void read_global_average_pool(NodeReader& r);  // pool.cpp
void read_leaky_relu(NodeReader& r);           // activations.cpp
void read_matmul(NodeReader& r);               // matmul.cpp
void read_pool(NodeReader& r);                 // pool.cpp
void read_reduce_mean(NodeReader& r);          // reduce.cpp
void read_reshape(NodeReader& r);              // reshape.cpp

struct Operator {
    const char* name;  // that ONNX has for it
    Op op;             // that computes it
    Read read;
    int weight = -1;  // the input that holds the weights, -1 for none
};

inline constexpr Operator kOperators[] = {
    {"Add", Op::Add, read_add},
    {"AveragePool", Op::AveragePool, read_pool},
    {"Clip", Op::Clip, read_clip},
    {"Conv", Op::Conv, read_conv, 1},
    {"Flatten", Op::Reshape, read_reshape},
    {"Gemm", Op::Fc, read_gemm, 1},
    {"GlobalAveragePool", Op::GlobalAveragePool, read_global_average_pool},
    {"HardSwish", Op::HardSwish, read_elementwise},
    {"LeakyRelu", Op::LeakyRelu, read_leaky_relu},
    {"MatMul", Op::Fc, read_matmul, 1},
    {"MaxPool", Op::MaxPool, read_pool},
    {"ReduceMean", Op::GlobalAveragePool, read_reduce_mean},
    {"Relu", Op::Relu, read_elementwise},
    {"Reshape", Op::Reshape, read_reshape},
    {"Sigmoid", Op::Sigmoid, read_elementwise},
    {"Squeeze", Op::Reshape, read_reshape},
    {"Unsqueeze", Op::Reshape, read_reshape},
};

// The row of that name, or null.
inline const Operator* find_operator(const std::string& name) {
    for (const Operator& row : kOperators)
        if (name == row.name) return &row;
    return nullptr;
}

}  // namespace edgeticket
