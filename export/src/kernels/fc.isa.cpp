// The table of fully connected kernels, once per instruction set: a kernel without a row here can not be reached.
//
// Costs are those of fc.h, measured with `fc_bench kernels` on one core of an Intel server processor with AVX-512 (AMX
// generation) for avx512, avx2 and portable. Those of neon are not measured: they suppose TBL of four registers every
// two cycles.
#include "fc_panels.h"
#include "fc_rows.h"

namespace edgeticket::ISA_NS {
namespace {

constexpr std::int32_t ANY = 1 << 30;
constexpr double PEAK_GMACS = VL == 16 ? 117.0 : VL == 8 ? 63.0 : 21.0;

#define ET_WINDOW(label, format, window, step, output) \
    {label, format, false, 1, ANY, window_row<window>, window::COLUMNS, window::ZERO, window::BITS, step, output}
#define ET_ROW(label, format, inputs, function, step, output) \
    {label, format, false, 1, inputs, function, 0, 0, 0, step, output}
#define ET_PANEL(label, format, t, inputs, function, step, output) \
    {label, format, true, (t) * VL, inputs, function, 0, 0, 0, step, output}
#define ET_PANELS(t, csr, dense)                                                                           \
    ET_PANEL("fc_panel" #t "_csr16", FcFormat::Csr16, t, 65536, (csr_panel<t, std::uint16_t>), csr, 10),   \
        ET_PANEL("fc_panel" #t "_csr32", FcFormat::Csr32, t, ANY, (csr_panel<t, std::uint32_t>), csr, 10), \
        ET_PANEL("fc_panel" #t "_dense", FcFormat::DensePanel, t, ANY, dense_panel<t>, dense, 5)

constexpr FcKernel kernels[] = {
#if defined(__AVX512F__)
    ET_WINDOW("fc_window", FcFormat::WindowNarrow, WindowNarrow, 5.4F, 2.0F),
    ET_ROW("fc_csr16", FcFormat::Csr16, 65536, csr_row<std::uint16_t>, 2.3F, 13.0F),
    ET_ROW("fc_csr32", FcFormat::Csr32, ANY, csr_row<std::uint32_t>, 2.3F, 13.0F),
    ET_ROW("fc_dense", FcFormat::DenseRow, ANY, dense_row, 2.9F, 1.0F),
    ET_PANELS(1, 3.6F, 8.1F),
    ET_PANELS(2, 5.8F, 12.1F),
    ET_PANELS(4, 12.3F, 21.5F),
#elif defined(__AVX2__)
    ET_WINDOW("fc_window", FcFormat::WindowNarrow, WindowNarrow, 3.5F, 4.0F),
    ET_WINDOW("fc_window_wide", FcFormat::WindowWide, WindowWide, 6.7F, 4.0F),
    ET_ROW("fc_csr16", FcFormat::Csr16, 65536, csr_row<std::uint16_t>, 2.5F, 13.0F),
    ET_ROW("fc_csr32", FcFormat::Csr32, ANY, csr_row<std::uint32_t>, 2.5F, 13.0F),
    ET_ROW("fc_dense", FcFormat::DenseRow, ANY, dense_row, 2.1F, 1.0F),
    ET_PANELS(1, 3.2F, 8.8F),
    ET_PANELS(2, 4.9F, 10.7F),
    ET_PANELS(4, 9.4F, 21.4F),
    ET_PANELS(8, 18.0F, 42.0F),
#else
#if defined(__aarch64__)
    ET_WINDOW("fc_window", FcFormat::WindowNarrow, WindowNarrow, 4.0F, 4.0F),
#endif
    ET_ROW("fc_csr16", FcFormat::Csr16, 65536, csr_row<std::uint16_t>, 1.7F, 8.0F),
    ET_ROW("fc_csr32", FcFormat::Csr32, ANY, csr_row<std::uint32_t>, 1.7F, 8.0F),
    ET_ROW("fc_dense", FcFormat::DenseRow, ANY, dense_row, 1.3F, 1.0F),
    ET_PANELS(1, 1.9F, 5.0F),
    ET_PANELS(2, 2.9F, 9.0F),
    ET_PANELS(4, 5.5F, 18.0F),
    ET_PANELS(8, 11.0F, 36.0F),
#endif
};

#define ET_TEXT2(x) #x
#define ET_TEXT(x) ET_TEXT2(x)

}  // namespace

extern const FcKernels fc_kernels;  // declared in isa/isa.h for everyone else
const FcKernels fc_kernels = {
    ET_TEXT(ISA_NS),
    VL,
    PEAK_GMACS,
    kernels,
    sizeof kernels / sizeof kernels[0],
    VL == 16 ? 1.2F : 2.0F,
    {VL, 2 * VL, 4 * VL, 8 * VL <= FC_MAX_WIDTH ? 8 * VL : 0},
    to_panel,
    from_panel,
};

}  // namespace edgeticket::ISA_NS
