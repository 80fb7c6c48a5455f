#include "place.h"

#include <algorithm>

namespace edgeticket {

std::size_t place(std::vector<Placed>& buffers) {
    std::vector<const Placed*> by_offset;
    std::size_t total = 0;
    for (Placed& buffer : buffers) {
        buffer.bytes = (buffer.bytes + kBufferAlignment - 1) / kBufferAlignment * kBufferAlignment;
        buffer.offset = 0;
        for (const Placed* other : by_offset) {
            if (other->last < buffer.first || other->first > buffer.last) continue;
            if (buffer.offset + buffer.bytes <= other->offset) break;
            buffer.offset = std::max(buffer.offset, other->offset + other->bytes);
        }
        const auto behind =
            std::upper_bound(by_offset.begin(), by_offset.end(), buffer.offset,
                             [](std::size_t offset, const Placed* other) { return offset < other->offset; });
        by_offset.insert(behind, &buffer);
        total = std::max(total, buffer.offset + buffer.bytes);
    }
    return total;
}

}  // namespace edgeticket
