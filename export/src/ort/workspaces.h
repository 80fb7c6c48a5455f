// What the runs of one region write to, lent to one run at a time and kept for the next.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/plan/memory.h"
#include "onnx/run_shapes.h"

namespace edgeticket {

struct Workspace {
    explicit Workspace(const Import& import)
        : inputs(import.inputs.size()),
          outputs(import.outputs.size()),
          shapes(import) {}

    std::vector<const void*> inputs;
    std::vector<void*> outputs;
    RunShapes shapes;
    Memory memory;
    std::thread::id owner;  // has let it grow to its largest batch

    void reserve(std::size_t bytes);  // what was there is lost
};

class Workspaces {
   public:
    // A workspace for one run, given back when this goes out of scope.
    class Lease {
       public:
        Lease(Workspaces& from, const Import& import) : from_(from), workspace_(from.take(import)) {}
        Lease(const Lease&) = delete;
        Lease& operator=(const Lease&) = delete;
        ~Lease() { from_.give(std::move(workspace_)); }
        Workspace& operator*() const { return *workspace_; }

       private:
        Workspaces& from_;
        std::unique_ptr<Workspace> workspace_;
    };

   private:
    // A thread gets the workspace that it had before: another's may be too small, and growing it would allocate.
    std::unique_ptr<Workspace> take(const Import& import);
    void give(std::unique_ptr<Workspace> workspace);

    std::mutex mutex_;
    std::vector<std::unique_ptr<Workspace>> free_;  // the longest unused first; room for all that were ever made
    std::size_t made_ = 0;
};

}  // namespace edgeticket
