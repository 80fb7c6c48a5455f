#include "place.h"

#include <algorithm>

#include "bytes.h"

namespace edgeticket {

std::size_t place(std::vector<Placed>& buffers) {
    std::vector<const Placed*> by_offset;
    std::vector<int> begins(buffers.size());  // the first step that this buffer or a later one is needed at
    for (std::size_t i = buffers.size(), next = i; i-- > 0; next = i)
        begins[i] = next < buffers.size() ? std::min(buffers[i].first, begins[next]) : buffers[i].first;
    std::size_t total = 0, tidied = 0;
    for (std::size_t i = 0; i < buffers.size(); ++i) {
        Placed& buffer = buffers[i];
        if (by_offset.size() > 2 * tidied + 16) {  // what no later buffer meets is in nobody's way
            const auto over = [&](const Placed* other) { return other->last < begins[i]; };
            by_offset.erase(std::remove_if(by_offset.begin(), by_offset.end(), over), by_offset.end());
            tidied = by_offset.size();
        }
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
