#include "isa.h"

#include <iterator>
#include <stdexcept>

namespace edgeticket {
namespace {

constexpr bool rows_in_order() {
    for (std::size_t i = 0; i < std::size(kInstructionSets); ++i)
        if (kInstructionSets[i].isa != static_cast<Isa>(i)) return false;
    return true;
}
static_assert(rows_in_order(), "instruction_set() finds a row by its place");

const InstructionSet& required(Isa isa) {
    if (!has_isa(isa)) throw std::invalid_argument(std::string("this processor or this build has no ") + isa_name(isa));
    return instruction_set(isa);
}

}  // namespace

const InstructionSet* isa_named(const std::string& name) {
    for (const InstructionSet& set : kInstructionSets)
        if (name == set.name) return &set;
    return nullptr;
}

std::string isa_names() {
    std::string names;
    for (std::size_t i = std::size(kInstructionSets); i-- > 0;)
        names += kInstructionSets[i].name + std::string(i > 0 ? ", " : "");
    return names;
}

bool has_isa(Isa isa) {
    const InstructionSet& set = instruction_set(isa);
    return set.available != nullptr && set.available();
}

Isa best_isa() {
    for (std::size_t i = std::size(kInstructionSets); i-- > 0;)
        if (has_isa(kInstructionSets[i].isa)) return kInstructionSets[i].isa;
    return Isa::Portable;
}

const MapKernels& map_kernels_of(Isa isa) { return *required(isa).maps; }

MapFamily map_family_of(Isa isa) {
    const InstructionSet& set = required(isa);
    return {set.maps, set.small_maps};
}

const FcKernels& fc_kernels_of(Isa isa) { return *required(isa).layers; }

}  // namespace edgeticket
