// The instruction sets, a row each: kernels, whether they run here, and how they compare. To add one: a row here, its
// flags in CMakeLists.txt, the length of its vectors in simd/vec.h.
#pragma once

#include <cstdint>
#include <string>

#include "cpu.h"
#include "kernels/fc.h"
#include "kernels/maps.h"
#include "kernels/peak.h"

namespace edgeticket {

enum class Isa : std::uint8_t { Portable, Neon, Avx2, Avx512 };  // in the order of the rows below

struct InstructionSet {
    Isa isa;
    const char* name;
    bool (*available)() = nullptr;  // whether this processor has it; null where this build has no kernels of it
    const MapKernels* maps = nullptr;
    const MapKernels* small_maps = nullptr;  // of four lanes, for maps of a few pixels
    const FcKernels* layers = nullptr;
    const PeakKernel* peak = nullptr;
    // Cycles that its kernels take, as a share of those of AVX-512, whose vectors and gathers are the dearest: of
    // convolutions, and of every other step over maps.
    double conv_cycles = 1, other_cycles = 1;
};

#define EDGETICKET_KERNELS(name)         \
    namespace name {                     \
    extern const MapKernels map_kernels; \
    extern const FcKernels fc_kernels;   \
    extern const PeakKernel peak_kernel; \
    }
EDGETICKET_KERNELS(portable)
#ifdef EDGETICKET_HAS_NEON
EDGETICKET_KERNELS(neon)
#endif
#ifdef EDGETICKET_HAS_AVX2
EDGETICKET_KERNELS(avx2)
namespace fma4 {
extern const MapKernels map_kernels;  // four lanes with AVX2's instructions
}
#endif
#ifdef EDGETICKET_HAS_AVX512
EDGETICKET_KERNELS(avx512)
#endif
#undef EDGETICKET_KERNELS

// The best that a processor may have comes last.
inline constexpr InstructionSet kInstructionSets[] = {
    {Isa::Portable, "portable", [] { return true; }, &portable::map_kernels, &portable::map_kernels,
     &portable::fc_kernels, &portable::peak_kernel, 0.54, 0.3},
#ifdef EDGETICKET_HAS_NEON  // its cycles have not been measured
    {Isa::Neon, "neon", [] { return true; }, &neon::map_kernels, &neon::map_kernels, &neon::fc_kernels,
     &neon::peak_kernel},
#else
    {Isa::Neon, "neon"},
#endif
#ifdef EDGETICKET_HAS_AVX2
    {Isa::Avx2, "avx2", [] { return this_cpu().avx2; }, &avx2::map_kernels, &fma4::map_kernels, &avx2::fc_kernels,
     &avx2::peak_kernel, 0.82, 0.5},
#else
    {Isa::Avx2, "avx2"},
#endif
#ifdef EDGETICKET_HAS_AVX512
    {Isa::Avx512, "avx512", [] { return this_cpu().avx512; }, &avx512::map_kernels, &fma4::map_kernels,
     &avx512::fc_kernels, &avx512::peak_kernel},
#else
    {Isa::Avx512, "avx512"},
#endif
};

inline const InstructionSet& instruction_set(Isa isa) { return kInstructionSets[static_cast<int>(isa)]; }
inline const char* isa_name(Isa isa) { return instruction_set(isa).name; }

// The row of this name; null where there is none.
const InstructionSet* isa_named(const std::string& name);
std::string isa_names();  // "avx512, avx2, neon, portable"

// Whether this processor has it and this build holds its kernels.
bool has_isa(Isa isa);
// The best that has_isa() says yes to.
Isa best_isa();

// Kernels of one instruction set for vectors of several lengths.
struct MapFamily {
    const MapKernels* wide;
    const MapKernels* small;  // of four lanes; the same where `wide` has no more
    const MapKernels& of(std::int64_t lanes) const { return lanes == small->lanes ? *small : *wide; }
    // Lanes for an image: one of up to four pixels would leave most of a long vector empty.
    std::int64_t lanes_for(std::int64_t pixels) const { return pixels <= small->lanes ? small->lanes : wide->lanes; }
};

// Throw std::invalid_argument where has_isa() says no.
const MapKernels& map_kernels_of(Isa isa);
MapFamily map_family_of(Isa isa);
const FcKernels& fc_kernels_of(Isa isa);

}  // namespace edgeticket
