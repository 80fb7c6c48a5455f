// Buffers whose ends are watched by the memory management unit.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>

namespace edgeticket {

// `count` elements between two pages that may not be read or written: right before the second, or right behind the
// first.
template <typename T>
class FencedArray {
   public:
    FencedArray(std::size_t count, bool at_end)
        : count_(count),
          page_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))) {
        const std::size_t bytes = count * sizeof(T);
        inner_ = std::max<std::size_t>((bytes + page_ - 1) / page_ * page_, page_);
        memory_ = static_cast<char*>(mmap(nullptr, inner_ + 2 * page_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        if (memory_ == MAP_FAILED || mprotect(memory_ + page_, inner_, PROT_READ | PROT_WRITE) != 0) {
            std::perror("fenced buffer: mmap");
            std::exit(2);
        }
        data_ = reinterpret_cast<T*>(memory_ + page_ + (at_end ? inner_ - bytes : 0));
    }
    ~FencedArray() { munmap(memory_, inner_ + 2 * page_); }
    FencedArray(const FencedArray&) = delete;
    FencedArray& operator=(const FencedArray&) = delete;
    T* data() { return data_; }
    T* begin() { return data_; }
    T* end() { return data_ + count_; }
    std::size_t size() const { return count_; }
    T& operator[](std::size_t i) { return data_[i]; }

   private:
    std::size_t count_, page_, inner_ = 0;
    char* memory_ = nullptr;
    T* data_ = nullptr;
};

using Fenced = FencedArray<float>;

}  // namespace edgeticket
