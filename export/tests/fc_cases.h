// What the tests and the benchmark of the fully connected kernels share: kernels that run here, made-up layers, fenced
// buffers.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "fenced.h"
#include "isa/isa.h"
#include "kernels/fc.h"
#include "kernels/fc_layer.h"
#include "kernels/fc_pack.h"

namespace edgeticket {

inline std::vector<const FcKernels*> present() {
    std::vector<const FcKernels*> found;
    for (const InstructionSet& set : kInstructionSets)
        if (has_isa(set.isa)) found.insert(found.begin(), set.layers);
    return found;
}

struct Case {
    std::int32_t outputs, inputs, items;
    double density;
    bool bias, residual;
    Epilogue epilogue;
    enum Special { Plain, EmptyRows, EmptyColumns, NotFinite } special;
};

struct Data {
    std::vector<float> weight, bias, x, residual;
};

inline std::mt19937 random_source(20261121);

inline double uniform() { return random_source() / 4294967296.0; }
inline float normal() { return static_cast<float>(std::normal_distribution<double>()(random_source)); }

inline Data make(const Case& c) {
    Data d;
    d.weight.resize(static_cast<std::size_t>(c.outputs) * c.inputs);
    std::vector<bool> row_empty(c.outputs), column_empty(c.inputs);
    if (c.special == Case::EmptyRows) std::generate(row_empty.begin(), row_empty.end(), [] { return uniform() < 0.5; });
    if (c.special == Case::EmptyColumns)
        std::generate(column_empty.begin(), column_empty.end(), [] { return uniform() < 0.5; });
    for (std::int32_t n = 0; n < c.outputs; ++n) {
        for (std::int32_t k = 0; k < c.inputs; ++k) {
            if (!row_empty[n] && !column_empty[k] && uniform() < c.density)
                d.weight[static_cast<std::size_t>(n) * c.inputs + k] = normal();
        }
    }
    d.x.resize(static_cast<std::size_t>(c.items) * c.inputs);
    for (float& v : d.x) v = normal();
    if (c.special == Case::NotFinite) {
        const float specials[] = {NAN, INFINITY, -INFINITY};
        for (float& v : d.x) {
            if (uniform() < 0.05) v = specials[random_source() % 3];
        }
    }
    if (c.bias) {
        d.bias.resize(c.outputs);
        for (float& v : d.bias) v = normal();
    }
    if (c.residual) {
        d.residual.resize(static_cast<std::size_t>(c.items) * c.outputs);
        for (float& v : d.residual) v = normal();
    }
    return d;
}

}  // namespace edgeticket
