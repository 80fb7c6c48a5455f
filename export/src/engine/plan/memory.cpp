#include "memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <utility>

#include "bytes.h"

namespace edgeticket {
namespace {

constexpr std::size_t kLine = 64;
constexpr std::size_t kLargePage = std::size_t{2} << 20;
constexpr std::size_t kLeastChunk = std::size_t{64} << 10;
constexpr std::size_t kMostChunk = std::size_t{4} << 20;

// Mapped memory that begins at a large page; null where the system gives none.
void* map_large(std::size_t bytes) {
    void* const raw =
        mmap(nullptr, sum_of_bytes(bytes, kLargePage), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (raw == MAP_FAILED) return nullptr;
    const std::uintptr_t begin = reinterpret_cast<std::uintptr_t>(raw), aligned = whole_bytes(begin, kLargePage);
    if (aligned > begin) munmap(raw, aligned - begin);
    if (begin + kLargePage > aligned) munmap(reinterpret_cast<void*>(aligned + bytes), begin + kLargePage - aligned);
    void* const data = reinterpret_cast<void*>(aligned);
#ifdef MADV_HUGEPAGE
    madvise(data, bytes, MADV_HUGEPAGE);  // it is advice: where the system ignores it, the memory serves as well
#endif
    return data;
}

}  // namespace

Memory::Memory(std::size_t bytes) : bytes_(std::max(whole_bytes(bytes, kLine), kLine)) {
    if (bytes_ >= kLargePage / 2) {
        bytes_ = whole_bytes(bytes_, kLargePage);
        data_ = map_large(bytes_);
        mapped_ = data_ != nullptr;
    }
    if (data_ == nullptr) data_ = std::aligned_alloc(kLine, bytes_);
    if (data_ == nullptr) throw std::bad_alloc();
}

Memory::Memory(Memory&& other) noexcept { *this = std::move(other); }

Memory& Memory::operator=(Memory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    std::swap(mapped_, other.mapped_);
    return *this;
}

Memory::~Memory() {
    if (mapped_) munmap(data_, bytes_);
    else std::free(data_);
}

void* Arena::take(std::size_t bytes) {
    bytes = whole_bytes(bytes, kLine);
    if (bytes > free_ || chunks_.empty()) {
        const std::size_t last = chunks_.empty() ? kLeastChunk / 2 : chunks_.back().bytes();
        chunks_.emplace_back(std::max(bytes, std::min(last * 2, kMostChunk)));
        free_ = chunks_.back().bytes();
    }
    void* const at = static_cast<char*>(chunks_.back().data()) + chunks_.back().bytes() - free_;
    free_ -= bytes;
    used_ += bytes;
    return at;
}

}  // namespace edgeticket
