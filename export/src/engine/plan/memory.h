// Memory that lives as long as a plan or a session: aligned to a cache line, in large pages where there is much of it.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <vector>

namespace edgeticket {

// One piece of memory. Large ones begin at a large page and ask the system for such pages: a network that walks through
// megabytes of weights and maps spends up to a tenth of its time looking up small ones.
class Memory {
   public:
    Memory() = default;
    explicit Memory(std::size_t bytes);  // throws std::bad_alloc
    Memory(Memory&& other) noexcept;
    Memory& operator=(Memory&& other) noexcept;
    ~Memory();

    void* data() const { return data_; }
    std::size_t bytes() const { return bytes_; }

   private:
    void* data_ = nullptr;
    std::size_t bytes_ = 0;
    bool mapped_ = false;
};

// An array that an Arena holds.
template <class T>
struct Kept {
    const T* data = nullptr;
    std::size_t count = 0;
};

// Arrays that are packed one after the other and freed together.
class Arena {
   public:
    template <class T>
    Kept<T> keep(const std::vector<T>& values) {
        void* const to = take(values.size() * sizeof(T));
        if (!values.empty()) std::memcpy(to, values.data(), values.size() * sizeof(T));
        return {static_cast<const T*>(to), values.size()};
    }
    std::size_t bytes() const { return used_; }

   private:
    void* take(std::size_t bytes);

    std::vector<Memory> chunks_;
    std::size_t free_ = 0;  // bytes at the end of the last chunk
    std::size_t used_ = 0;
};

}  // namespace edgeticket
