// How many items a run of an imported region has, and which shapes its outputs get, from the shapes of its inputs.
#pragma once

#include <cstdint>
#include <vector>

#include "import.h"

namespace edgeticket {

// Kept from run to run: once made, none of its functions allocates, unless it throws.
class RunShapes {
   public:
    explicit RunShapes(const Import& import);

    // By input and output of the region; as declared until a run says otherwise. A caller writes an input's sizes,
    // never its rank.
    std::vector<std::vector<std::int64_t>> inputs, outputs;

    // The items of the run. Throws std::runtime_error where an input has not the sizes that the region was made for, or
    // where two inputs differ in their items.
    std::int64_t items(const Import& import) const;
    // Sets the outputs' shapes. Throws std::runtime_error where a declared one does not hold that many items.
    void set_outputs(const Import& import, std::int64_t items);
};

}  // namespace edgeticket
