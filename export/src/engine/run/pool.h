// The caller's threads.
#pragma once

#include <cstddef>
#include <cstdint>

namespace edgeticket {

// `run` calls task(argument, i) for each i in [0, count), on any threads, and returns when all are done; without one,
// there is one thread.
struct Pool {
    void (*run)(void* pool, void (*task)(void* argument, std::size_t index), std::size_t count,
                void* argument) = nullptr;
    void* pool = nullptr;

    bool has_threads() const { return run != nullptr; }
    // task(i) for each i in [0, count), where has_threads().
    template <class Task>
    void parallel(int count, const Task& task) const {
        run(
            pool,
            [](void* argument, std::size_t index) { (*static_cast<const Task*>(argument))(static_cast<int>(index)); },
            static_cast<std::size_t>(count), const_cast<void*>(static_cast<const void*>(&task)));
    }
};

// A part of [0, count), one of `parts` of nearly equal size.
struct Share {
    int begin, end;
    Share(std::int64_t count, int part, int parts)
        : begin(static_cast<int>(count * part / parts)),
          end(static_cast<int>(count * (part + 1) / parts)) {}
};

}  // namespace edgeticket
