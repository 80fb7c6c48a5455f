// One compiled region as ONNX Runtime calls it: shapes and pointers in, shapes and pointers out, the plan in between.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "abi.h"
#include "engine/plan/memory.h"
#include "engine/run/plan.h"
#include "onnx/import.h"

namespace edgeticket {

// What one run writes to; kept for the next run, since none may allocate once its batch size was seen.
struct Workspace {
    std::vector<const void*> inputs;
    std::vector<void*> outputs;
    std::vector<std::vector<std::int64_t>> shapes;  // of the inputs, then of the outputs
    Memory memory;
    std::thread::id owner;  // has let it grow to its largest batch
    void reserve(std::size_t bytes);  // what was there is lost
};

class CompiledRegion : public abi::OrtNodeComputeInfo {
   public:
    // trusted[i]: input i comes from the session's caller, whose shapes the runtime has checked against the declared ones.
    CompiledRegion(const abi::OrtApi& api, Import import, std::unique_ptr<Plan> plan, std::vector<bool> trusted, int threads,
                   bool threads_known);
    const Plan& plan() const { return *plan_; }
    std::vector<double> measure();

   private:
    friend struct Lease;
    void run(abi::OrtKernelContext* context);  // throws
    std::int64_t read_inputs(abi::OrtKernelContext* context, Workspace& workspace) const;
    void write_outputs(abi::OrtKernelContext* context, Workspace& workspace, std::int64_t items) const;
    void read_shape(const abi::OrtValue* value, std::vector<std::int64_t>& shape) const;
    std::int64_t items_of(std::size_t input, const std::vector<std::int64_t>& shape) const;
    void check(abi::Status status) const;
    std::unique_ptr<Workspace> take();
    void give(std::unique_ptr<Workspace> workspace);
    bool pool_is_parallel(abi::OrtKernelContext* context);

    const abi::OrtApi& api_;
    Import import_;
    std::unique_ptr<Plan> plan_;
    std::vector<bool> trusted_;
    int threads_;
    std::atomic<int> probes_left_;   // runs that still look whether the pool has a second thread
    std::atomic<bool> parallel_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<Workspace>> free_;  // the longest unused first; room for all that were ever made
    std::size_t made_ = 0;
};

}  // namespace edgeticket
