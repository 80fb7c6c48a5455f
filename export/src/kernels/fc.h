// Fully connected layers, y[N] = activation(W[N, K] x[K] + b + r), with W sparse or dense and r an optional residual.
//
// Two ways to compute them, over weights that fc_pack.h packs once:
//   one row at a time (batch 1 to about 4): weights stream past x. Plain pointers, any alignment, no padding.
//   many rows: rows become lanes. A panel holds `width` rows transposed, element-major: panel[element][width]; it is
//   aligned to 64 bytes. A chain of layers stays in panels: transpose once on the way in, once on the way out. Lanes
//   past the last row are padding.
//
// A weight that is zero need not read its input: NaN and infinity go through where they meet a nonzero weight.
// No function here allocates, throws or writes anything but y.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/activation.h"

namespace edgeticket {

enum class FcFormat : std::uint8_t {
    WindowNarrow,  // in-register gather from a window of one or more registers that slides along x, see FcGroup
    WindowWide,    // the same from a window twice as wide
    Csr16,         // rows of (column, weight), columns in 16 bits
    Csr32,
    DenseRow,    // [ceil(N / lanes)][K][lanes]
    DensePanel,  // [ceil(N / FC_DENSE_ROWS)][K][FC_DENSE_ROWS]
};

constexpr int FC_DENSE_ROWS = 4;  // outputs that the dense panel kernel holds in registers
constexpr int FC_MAX_SETS = 4;    // registers of outputs that share a window
constexpr int FC_MAX_WIDTHS = 4;
constexpr int FC_MAX_WIDTH = 64;  // rows of the widest panel

// Window formats: `sets` registers of outputs advance through their nonzeros together. In step i every output takes at
// most one nonzero, whose column lies in [starts[i], starts[i] + columns of the window). An output without one there
// takes a lane that holds 0, with weight 0. `word` indices of that many bits share 32 bits, low bits first.
struct FcGroup {
    std::int32_t first_row;  // in stored order
    std::int32_t sets;
    std::int32_t steps;
    std::int64_t first_step;   // into starts
    std::int64_t first_value;  // into values: [steps][sets][lanes]
    std::int64_t first_index;  // into indices: [ceil(steps / word)][sets][lanes]
};

// What a kernel reads. Owned by FcPack; arrays are aligned to 64 bytes.
struct FcWeights {
    FcFormat format = FcFormat::Csr32;
    std::int32_t inputs = 0;              // K
    std::int32_t outputs = 0;             // N
    std::int32_t units = 0;               // pieces that a caller may give to different threads
    const float* bias = nullptr;          // [N rounded up to a whole group], in stored order
    const std::int32_t* order = nullptr;  // stored row i is output order[i]; null: they are the same
    const float* values = nullptr;
    const FcGroup* groups = nullptr;          // window: [units]
    const std::int32_t* starts = nullptr;     // window
    const std::uint32_t* indices = nullptr;   // window
    const std::int64_t* row_begin = nullptr;  // CSR: [N + 1]
    const void* columns = nullptr;            // CSR: 16 or 32 bits each

    // How much of each there is, for whoever writes the weights out. No kernel reads more.
    struct Counts {
        std::size_t bias = 0, order = 0, values = 0, groups = 0, starts = 0, indices = 0, row_begin = 0, columns = 0;
    } counts;
};

// y[N] from x[K]; residual is [N] or null. Computes units [first, last) and writes their outputs only. y overlaps
// nothing else, except that it may be the residual itself.
typedef void (*FcRowFunction)(const FcWeights& weights, const float* x, const float* residual, const Epilogue& epilogue,
                              float* y, std::int32_t first, std::int32_t last);

// y[N][width] from x[K][width]; residual is [N][width] or null. Aligned to 64 bytes. width is one of FcKernels::widths.
typedef FcRowFunction FcPanelFunction;

struct FcKernel {
    const char* name;
    FcFormat format;
    bool panel;               // serves panels; else one row
    std::int32_t width;       // panels: rows held; else 1
    std::int32_t max_inputs;  // K up to here
    FcRowFunction run;
    // Window geometry; 0 for other formats.
    std::int32_t columns;  // that a window holds
    std::int32_t zero;     // the index that reads 0
    std::int32_t index_bits;
    // Measured costs; 1 is the time of one vector multiply-accumulate at the instruction set's peak.
    float cost_step;    // window: a step of one set; CSR: a nonzero; dense: a column of one block
    float cost_output;  // an output, all that comes once with it included
};

// Every kernel of one instruction set, the only way to reach one.
struct FcKernels {
    const char* isa;
    std::int32_t lanes;
    double peak_gmacs;  // of one core of the machine on which the costs were measured
    const FcKernel* kernels;
    std::int32_t count;
    float cost_transpose;                // of a float, there or back, in the unit of FcKernel's costs
    std::int32_t widths[FC_MAX_WIDTHS];  // of panels, ascending, 0 where there are fewer
    // rows[count][elements], row after row `stride` floats apart, to panel[elements][width] and back; count <= width.
    // The lanes past `count` are written as 0 on the way in and not read on the way out.
    void (*to_panel)(const float* rows, std::int64_t stride, std::int32_t count, std::int32_t elements, float* panel,
                     std::int32_t width);
    void (*from_panel)(const float* panel, std::int32_t width, float* rows, std::int64_t stride, std::int32_t count,
                       std::int32_t elements);
};

}  // namespace edgeticket
