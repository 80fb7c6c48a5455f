// What the elements of a value are.
#pragma once

#include <cstddef>
#include <cstdint>

namespace edgeticket {

enum class Element : std::uint8_t { Float32 };

constexpr std::size_t bytes_of(Element element) {
    switch (element) {
        case Element::Float32: return 4;
    }
    return 0;
}

}  // namespace edgeticket
