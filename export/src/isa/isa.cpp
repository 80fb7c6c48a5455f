#include "isa.h"

#include <stdexcept>
#include <string>

#include "cpu.h"

namespace edgeticket {

#if defined(__x86_64__)
namespace {

// Asked once: in a virtual machine each question leaves it, and takes tens of microseconds.
const Cpu& cpu() {
    static const Cpu found = this_cpu();
    return found;
}

}  // namespace
#endif

bool has_isa(Isa isa) {
    switch (isa) {
        case Isa::Portable: return true;
#if defined(__x86_64__)
        case Isa::Avx512: return cpu().avx512;
        case Isa::Avx2: return cpu().avx2;
#elif defined(__ARM_NEON)
        case Isa::Neon: return true;
#endif
        default: return false;
    }
}

Isa best_isa() {
    for (const Isa isa : {Isa::Avx512, Isa::Avx2, Isa::Neon})
        if (has_isa(isa)) return isa;
    return Isa::Portable;
}

const char* isa_name(Isa isa) {
    switch (isa) {
        case Isa::Avx512: return "avx512";
        case Isa::Avx2: return "avx2";
        case Isa::Neon: return "neon";
        case Isa::Portable: break;
    }
    return "portable";
}

namespace {

void require(Isa isa) {
    if (!has_isa(isa)) throw std::invalid_argument(std::string("this processor or this build has no ") + isa_name(isa));
}

}  // namespace

const MapKernels& map_kernels_of(Isa isa) {
    require(isa);
    switch (isa) {
#if defined(__x86_64__)
        case Isa::Avx512: return avx512::map_kernels;
        case Isa::Avx2: return avx2::map_kernels;
#elif defined(__ARM_NEON)
        case Isa::Neon: return neon::map_kernels;
#endif
        default: return portable::map_kernels;
    }
}

MapFamily map_family_of(Isa isa) {
    const MapKernels& wide = map_kernels_of(isa);
#if defined(__x86_64__)
    if (isa == Isa::Avx512 || isa == Isa::Avx2) return {&wide, &fma4::map_kernels};
#endif
    return {&wide, &wide};
}

const FcKernels& fc_kernels_of(Isa isa) {
    require(isa);
    switch (isa) {
#if defined(__x86_64__)
        case Isa::Avx512: return avx512::fc_kernels;
        case Isa::Avx2: return avx2::fc_kernels;
#elif defined(__ARM_NEON)
        case Isa::Neon: return neon::fc_kernels;
#endif
        default: return portable::fc_kernels;
    }
}

}  // namespace edgeticket
