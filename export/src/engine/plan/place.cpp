#include "place.h"

#include <algorithm>

#include "bytes.h"

namespace edgeticket {

std::size_t place(std::vector<Placed>& buffers) {
    std::vector<const Placed*> by_offset;
    std::size_t total = 0;
    for (Placed& buffer : buffers) {
        buffer.bytes = whole_bytes(buffer.bytes, kBufferAlignment);
        buffer.offset = 0;
        for (const Placed* other : by_offset) {
            if (other->last < buffer.first || other->first > buffer.last) continue;
            if (sum_of_bytes(buffer.offset, buffer.bytes) <= other->offset) break;
            buffer.offset = std::max(buffer.offset, sum_of_bytes(other->offset, other->bytes));
        }
        const auto behind =
            std::upper_bound(by_offset.begin(), by_offset.end(), buffer.offset,
                             [](std::size_t offset, const Placed* other) { return offset < other->offset; });
        by_offset.insert(behind, &buffer);
        total = std::max(total, sum_of_bytes(buffer.offset, buffer.bytes));
    }
    return total;
}

}  // namespace edgeticket
