#include "fc_pack.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <numeric>

namespace edgeticket {

FcNonzeros::FcNonzeros(const float* weight, std::int32_t outputs, std::int32_t inputs)
    : outputs(outputs),
      inputs(inputs) {
    row_begin.reserve(static_cast<std::size_t>(outputs) + 1);
    row_begin.push_back(0);
    std::vector<std::int32_t> row_columns(static_cast<std::size_t>(inputs));
    std::vector<float> row_values(static_cast<std::size_t>(inputs));
    for (std::int32_t row = 0; row < outputs; ++row) {
        const float* from = weight + static_cast<std::int64_t>(row) * inputs;
        std::int32_t count = 0;
        for (std::int32_t k = 0; k < inputs; ++k) {  // no branch: where the zeros are can not be predicted
            row_columns[count] = k;
            row_values[count] = from[k];
            count += from[k] != 0 ? 1 : 0;  // counts a NaN
        }
        columns.insert(columns.end(), row_columns.begin(), row_columns.begin() + count);
        values.insert(values.end(), row_values.begin(), row_values.begin() + count);
        row_begin.push_back(static_cast<std::int64_t>(values.size()));
    }
    order.resize(static_cast<std::size_t>(outputs));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
        return row_begin[a + 1] - row_begin[a] > row_begin[b + 1] - row_begin[b];
    });
}

double FcNonzeros::density() const {
    const double all = static_cast<double>(outputs) * inputs;
    return all > 0 ? static_cast<double>(values.size()) / all : 0;
}

void FcPacked::Free::operator()(void* p) const { std::free(p); }

template <class T>
T* FcPacked::hold(const std::vector<T>& values, std::size_t& count) {
    count = values.size();
    const std::size_t bytes = (std::max<std::size_t>(values.size() * sizeof(T), 1) + 63) / 64 * 64;
    void* memory = std::aligned_alloc(64, bytes);
    if (memory == nullptr) throw std::bad_alloc();
    held_.emplace_back(memory);
    if (!values.empty()) std::memcpy(memory, values.data(), values.size() * sizeof(T));
    bytes_ += bytes;
    return static_cast<T*>(memory);
}

FcPacked::FcPacked(const float* weight, const FcNonzeros& nonzeros, const float* bias, const FcKernel& kernel,
                   std::int32_t lanes) {
    view_.format = kernel.format;
    view_.inputs = nonzeros.inputs;
    view_.outputs = nonzeros.outputs;
    switch (kernel.format) {
        case FcFormat::WindowNarrow:
        case FcFormat::WindowWide: pack_window(nonzeros, kernel, lanes); break;
        case FcFormat::Csr16: pack_csr<std::uint16_t>(nonzeros, lanes); break;
        case FcFormat::Csr32: pack_csr<std::uint32_t>(nonzeros, lanes); break;
        case FcFormat::DenseRow: pack_dense(weight, lanes); break;
        case FcFormat::DensePanel: pack_dense(weight, FC_DENSE_ROWS); break;
    }
    pack_bias(bias, lanes);
    if (view_.groups == nullptr) weighted_steps_ = static_cast<double>(steps_);
}

// Outputs are taken in the order of falling counts, so that those of a group have about equally many nonzeros. The
// window starts at the leftmost column that any output of the group still needs; every output takes its next nonzero if
// it lies inside. No choice of starts needs fewer steps, since a later start than this would leave a nonzero behind.
void FcPacked::pack_window(const FcNonzeros& nonzeros, const FcKernel& kernel, std::int32_t lanes) {
    constexpr std::int32_t NONE = 1 << 30;
    const std::int32_t word = 32 / kernel.index_bits;
    const std::int32_t last_start = std::max(0, nonzeros.inputs - kernel.columns);
    std::vector<FcGroup> groups;
    std::vector<std::int32_t> starts;
    std::vector<std::uint32_t> indices;
    std::vector<float> values;
    values.reserve(nonzeros.values.size() * 3 / 2);
    std::vector<std::int64_t> next, end;
    std::int32_t row = 0;
    while (row < nonzeros.outputs) {
        const std::int32_t registers = (nonzeros.outputs - row + lanes - 1) / lanes;
        const std::int32_t sets = registers >= FC_MAX_SETS ? FC_MAX_SETS : registers >= 2 ? 2 : 1;
        const std::int32_t width = sets * lanes, present = std::min(width, nonzeros.outputs - row);
        FcGroup group{row,
                      sets,
                      0,
                      static_cast<std::int64_t>(starts.size()),
                      static_cast<std::int64_t>(values.size()),
                      static_cast<std::int64_t>(indices.size())};
        next.assign(static_cast<std::size_t>(present), 0);
        end.assign(static_cast<std::size_t>(present), 0);
        std::int32_t start = NONE;
        for (std::int32_t i = 0; i < present; ++i) {
            const std::int32_t from = nonzeros.order[row + i];
            next[i] = nonzeros.row_begin[from];
            end[i] = nonzeros.row_begin[from + 1];
            if (next[i] < end[i]) start = std::min(start, nonzeros.columns[next[i]]);
        }
        for (; start != NONE; ++group.steps) {
            const std::int32_t at = std::min(start, last_start), shift = group.steps % word * kernel.index_bits;
            starts.push_back(at);
            if (shift == 0) indices.resize(indices.size() + width, 0);
            values.resize(values.size() + width, 0);
            float* value = values.data() + values.size() - width;
            std::uint32_t* index = indices.data() + indices.size() - width;
            start = NONE;
            for (std::int32_t i = 0; i < width; ++i) {
                std::int32_t pick = kernel.zero;
                if (i < present && next[i] < end[i] && nonzeros.columns[next[i]] < at + kernel.columns) {
                    pick = nonzeros.columns[next[i]] - at;
                    value[i] = nonzeros.values[next[i]++];
                }
                if (i < present && next[i] < end[i]) start = std::min(start, nonzeros.columns[next[i]]);
                index[i] |= static_cast<std::uint32_t>(pick) << shift;
            }
        }
        steps_ += static_cast<std::int64_t>(group.steps) * sets;
        weighted_steps_ += group.steps * sets * (sets == 1 ? 1.45 : sets == 2 ? 1.12 : 1);
        groups.push_back(group);
        row += present;
    }
    view_.units = static_cast<std::int32_t>(groups.size());
    view_.groups = hold(groups, view_.counts.groups);
    view_.starts = hold(starts, view_.counts.starts);
    view_.indices = hold(indices, view_.counts.indices);
    view_.values = hold(values, view_.counts.values);
    view_.order = hold(nonzeros.order, view_.counts.order);
}

template <class Column>
void FcPacked::pack_csr(const FcNonzeros& nonzeros, std::int32_t lanes) {
    view_.units = (nonzeros.outputs + lanes - 1) / lanes;
    view_.columns = hold(std::vector<Column>(nonzeros.columns.begin(), nonzeros.columns.end()), view_.counts.columns);
    view_.row_begin = hold(nonzeros.row_begin, view_.counts.row_begin);
    view_.values = hold(nonzeros.values, view_.counts.values);
    steps_ = static_cast<std::int64_t>(nonzeros.values.size());
}

void FcPacked::pack_dense(const float* weight, std::int32_t block) {
    const std::int64_t inputs = view_.inputs, outputs = view_.outputs, blocks = (outputs + block - 1) / block;
    std::vector<float> values(static_cast<std::size_t>(blocks * block * inputs));
    for (std::int64_t row = 0; row < outputs; ++row) {
        float* to = values.data() + row / block * block * inputs + row % block;
        for (std::int64_t k = 0; k < inputs; ++k) to[k * block] = weight[row * inputs + k];
    }
    view_.values = hold(values, view_.counts.values);
    view_.units = static_cast<std::int32_t>(blocks);
    steps_ = blocks * inputs;
}

void FcPacked::pack_bias(const float* bias, std::int32_t multiple) {
    std::vector<float> stored(
        static_cast<std::size_t>((view_.outputs + multiple * FC_MAX_SETS - 1) / multiple * multiple), 0.0F);
    if (bias != nullptr) {
        for (std::int32_t i = 0; i < view_.outputs; ++i) stored[i] = bias[view_.order == nullptr ? i : view_.order[i]];
    }
    view_.bias = hold(stored, view_.counts.bias);
}

}  // namespace edgeticket
