// Buffers whose ends are watched by the memory management unit.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>

namespace edgeticket {

// Floats between two pages that may not be read or written: right before the second, or right behind the first.
class Fenced {
   public:
    Fenced(std::size_t floats, bool at_end) : page_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))) {
        const std::size_t bytes = floats * 4;
        inner_ = std::max<std::size_t>((bytes + page_ - 1) / page_ * page_, page_);
        memory_ = static_cast<char*>(mmap(nullptr, inner_ + 2 * page_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        if (memory_ == MAP_FAILED || mprotect(memory_ + page_, inner_, PROT_READ | PROT_WRITE) != 0) {
            std::perror("fenced buffer: mmap");
            std::exit(2);
        }
        data_ = reinterpret_cast<float*>(memory_ + page_ + (at_end ? inner_ - bytes : 0));
    }
    ~Fenced() { munmap(memory_, inner_ + 2 * page_); }
    Fenced(const Fenced&) = delete;
    Fenced& operator=(const Fenced&) = delete;
    float* data() { return data_; }

   private:
    std::size_t page_, inner_ = 0;
    char* memory_ = nullptr;
    float* data_ = nullptr;
};

}  // namespace edgeticket
