// Values, nodes and buffers are named by signed numbers, with -1 for none; vectors are indexed by unsigned ones.
#pragma once

#include <cstddef>

namespace edgeticket {

template <class Sequence, class Index>
decltype(auto) at(Sequence& sequence, Index index) {
    return sequence[static_cast<std::size_t>(index)];
}

}  // namespace edgeticket
