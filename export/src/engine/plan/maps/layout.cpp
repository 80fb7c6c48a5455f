#include "layout.h"

#include <algorithm>
#include <map>

namespace edgeticket {
namespace {

constexpr std::int64_t kLineBytes = 64;

// The image's pixel in lane `lane` of vector (i, j), as an index into its row-major plane; -1 where there is none.
std::int64_t pixel(const Layout& layout, std::int64_t lane, std::int64_t i, std::int64_t j) {
    const std::int64_t y = lane / layout.grid[1] * layout.block[0] + i;
    const std::int64_t x = lane % layout.grid[1] * layout.block[1] + j;
    return y < 0 || y >= layout.size[0] || x < 0 || x >= layout.size[1] ? -1 : y * layout.size[1] + x;
}

template <class Index>
std::vector<std::int32_t> of_each_lane(const Layout& layout, Index index) {
    const std::int64_t lanes = layout.lanes();
    std::vector<std::int32_t> table(static_cast<std::size_t>(layout.plane() * lanes), -1);
    for (std::int64_t row = 0; row < layout.rows(); ++row)
        for (std::int64_t column = 0; column < layout.pitch(); ++column)
            for (std::int64_t lane = 0; lane < lanes; ++lane) {
                const std::int64_t source = pixel(layout, lane, row - layout.before[0], column - layout.before[1]);
                if (source >= 0)
                    table[static_cast<std::size_t>((row * layout.pitch() + column) * lanes + lane)] = index(source);
            }
    return table;
}

std::int64_t floor_divide(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

}  // namespace

std::int64_t Layout::plane() const {
    std::int64_t vectors = rows() * pitch();
    // The number of cache lines is odd, so that a tile's vectors in one channel after another fall into all sets of a
    // cache, not into half of them or fewer.
    while (vectors * lanes() * 4 > kLineBytes && vectors * lanes() * 4 / kLineBytes % 2 == 0) ++vectors;
    return vectors;
}

bool Layout::aligned(const Layout& other) const {
    for (int d = 0; d < 2; ++d)
        if (size[d] != other.size[d] || grid[d] != other.grid[d] || block[d] != other.block[d]) return false;
    return true;
}

std::vector<std::int32_t> from_row_major(const Layout& layout) {
    return of_each_lane(layout, [](std::int64_t source) { return static_cast<std::int32_t>(source); });
}

std::vector<std::int32_t> to_row_major(const Layout& layout) {
    std::vector<std::int32_t> table;
    table.reserve(static_cast<std::size_t>(layout.size[0] * layout.size[1]));
    for (std::int64_t y = 0; y < layout.size[0]; ++y)
        for (std::int64_t x = 0; x < layout.size[1]; ++x) {
            const std::int64_t lane = y / layout.block[0] * layout.grid[1] + x / layout.block[1];
            const std::int64_t vector = layout.inside() + y % layout.block[0] * layout.pitch() + x % layout.block[1];
            table.push_back(static_cast<std::int32_t>(vector * layout.lanes() + lane));
        }
    return table;
}

std::vector<std::int32_t> between(const Layout& from, const Layout& to) {
    const std::vector<std::int32_t> places = to_row_major(from);
    return of_each_lane(to, [&](std::int64_t source) { return places[static_cast<std::size_t>(source)]; });
}

std::vector<std::int32_t> masks(const Layout& layout) {
    std::vector<std::int32_t> table;
    if (layout.whole()) return table;
    for (std::int64_t i = 0; i < layout.block[0]; ++i)
        for (std::int64_t j = 0; j < layout.block[1]; ++j)
            for (std::int64_t lane = 0; lane < layout.lanes(); ++lane)
                table.push_back(pixel(layout, lane, i, j) < 0 ? 0 : -1);
    return table;
}

HaloTable halo_table(const Layout& layout) {
    HaloTable table;
    std::map<std::vector<std::int32_t>, std::uint32_t> known;
    for (std::int64_t i = -layout.before[0]; i < layout.block[0] + layout.after[0]; ++i)
        for (std::int64_t j = -layout.before[1]; j < layout.block[1] + layout.after[1]; ++j) {
            // Position i of one lane is position `row` of the lane `down` blocks further.
            const std::int64_t down = floor_divide(i, layout.block[0]), right = floor_divide(j, layout.block[1]);
            if (down == 0 && right == 0) continue;
            const std::int64_t row = i - down * layout.block[0], column = j - right * layout.block[1];
            std::vector<std::int32_t> lanes;
            for (std::int64_t y = 0; y < layout.grid[0]; ++y)
                for (std::int64_t x = 0; x < layout.grid[1]; ++x) {
                    const bool there =
                        y + down >= 0 && y + down < layout.grid[0] && x + right >= 0 && x + right < layout.grid[1];
                    lanes.push_back(there ? static_cast<std::int32_t>((y + down) * layout.grid[1] + x + right) : -1);
                }
            std::uint32_t permutation = NO_LANE;
            if (std::any_of(lanes.begin(), lanes.end(), [](std::int32_t lane) { return lane >= 0; })) {
                const auto [found, added] = known.try_emplace(lanes, static_cast<std::uint32_t>(known.size()));
                if (added) table.lanes.insert(table.lanes.end(), lanes.begin(), lanes.end());
                permutation = found->second;
            }
            const auto at = [&](std::int64_t y, std::int64_t x) {
                return static_cast<std::uint32_t>(layout.inside() + y * layout.pitch() + x);
            };
            table.entries.push_back({at(i, j), at(row, column), permutation, 1, 0});
        }
    return table;
}

std::vector<Halo> HaloTable::of_tile(std::int64_t row, std::int64_t column, std::int64_t rows, std::int64_t columns,
                                     const Layout& layout) const {
    std::map<std::uint32_t, Halo> left;  // by where they go
    for (const Halo& halo : entries) {
        const std::int64_t at = static_cast<std::int64_t>(halo.from) - layout.inside();
        const std::int64_t y = at / layout.pitch(), x = at % layout.pitch();
        if (y >= row && y < row + rows && x >= column && x < column + columns) left.emplace(halo.to, halo);
    }
    std::vector<Halo> lines;
    const auto follows = [&](const Halo& first, std::uint32_t distance) {
        const auto found = left.find(first.to + distance);
        return found != left.end() && found->second.permutation == first.permutation &&
               (first.permutation == NO_LANE || found->second.from == first.from + distance);
    };
    while (!left.empty()) {
        Halo line = left.begin()->second;
        for (const std::uint32_t step : {std::uint32_t{1}, static_cast<std::uint32_t>(layout.pitch())}) {
            std::uint16_t count = 1;
            while (step <= UINT16_MAX && count < UINT16_MAX && follows(left.begin()->second, count * step)) ++count;
            if (count > line.count) line.count = count, line.step = static_cast<std::uint16_t>(step);
        }
        for (std::uint32_t n = 0; n < line.count; ++n) left.erase(line.to + n * line.step);
        lines.push_back(line);
    }
    return lines;
}

}  // namespace edgeticket
