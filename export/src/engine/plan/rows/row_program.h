// A region without maps, planned: fully connected layers and what is computed element by element. Items are rows of a
// matrix, run together: a few as rows, many as panels (kernels/fc.h) in which whole chains of layers stay. It is data
// alone: run/run_rows.h runs it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/plan/node_report.h"
#include "engine/plan/settings.h"
#include "engine/region/element.h"
#include "engine/region/region.h"
#include "kernels/fc_layer.h"
#include "kernels/maps.h"
#include "row_schedule.h"

namespace edgeticket {

struct RowStep {
    int node = -1;                   // of the region
    std::unique_ptr<FcLayer> layer;  // else element by element: activation(a + b + constant)
    int a = -1, b = -1, out = -1;    // values; b is the layer's residual or the second summand, -1 for none
    std::vector<float> constant;     // [elements of out] or empty
    Epilogue epilogue;
    // Indices of the region's inputs that this step reads first, and of the outputs that it writes.
    std::vector<int> loads, stores;
};

struct RowValue {
    Element element = Element::Float32;
    std::int64_t elements = 0;
    int input = -1, output = -1;           // of the region, the first that names it
    std::size_t as_row = 0, in_panel = 0;  // offset in the workspace: bytes an item, bytes a lane
    bool in_workspace() const { return input < 0 && output < 0; }  // as rows; panels always are
    std::int64_t bytes() const { return elements * static_cast<std::int64_t>(bytes_of(element)); }
};

// Steps in order; reshapes are resolved: a value is the one that holds its elements.
struct RowProgram {
    const FcKernels* layers = nullptr;
    const MapKernels* kernels = nullptr;
    int threads = 1;
    std::vector<RowStep> steps;
    std::vector<RowValue> values;
    std::vector<int> inputs, outputs;            // values, in the order of the region's inputs and outputs
    std::size_t row_bytes = 0, panel_bytes = 0;  // of workspace, an item or a lane
    RowSchedule alone, together;                 // on one thread; every long step on all threads
    std::vector<NodeReport> reports;             // one a node of the region, in its order
};

// Whether no node of the region needs a map.
bool is_row_region(const Region& region);

// Throws std::invalid_argument where one does.
RowProgram plan_rows(const Region& region, const Settings& settings);

}  // namespace edgeticket
