// What a row plan does, one after the other, and where the values lie meanwhile.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/fc_layer.h"
#include "kernels/maps.h"
#include "engine/region/fuse.h"
#include "engine/plan/plan.h"
#include "engine/region/region.h"

namespace edgeticket {

struct RowStep {
    int node = -1;                    // of the region
    std::unique_ptr<FcLayer> layer;   // else element by element: activation(a + b + constant)
    int a = -1, b = -1, out = -1;     // values; b is the layer's residual or the second summand, -1 for none
    std::vector<float> constant;      // [elements of out] or empty
    Epilogue epilogue;
    std::vector<int> loads, stores;   // indices of the region's inputs that this step reads first, of the outputs that it writes
};

struct RowValue {
    std::int64_t elements = 0;
    int input = -1, output = -1;      // of the region, the first that names it
    std::size_t as_row = 0, in_panel = 0;  // offset in the workspace: floats an item, floats a lane; multiples of 16
    bool in_workspace() const { return input < 0 && output < 0; }  // as rows; panels always are
};

// Steps in order; reshapes are resolved: a value is the one that holds its elements.
struct RowProgram {
    RowProgram(const Region& region, const FcKernels& kernels);

    std::vector<RowStep> steps;
    std::vector<RowValue> values;
    std::vector<int> held;                // of each value of the region: the one that holds its elements
    std::vector<int> inputs, outputs;     // of the region, resolved
    std::vector<NodeReport> reports;
    std::size_t row_floats = 0, panel_floats = 0;  // of workspace an item, a lane

   private:
    void add_step(const Region& region, const FcKernels& kernels, const Fused& group);
    void place();
    void report(const Region& region, const std::vector<Fused>& groups);
};

}  // namespace edgeticket
