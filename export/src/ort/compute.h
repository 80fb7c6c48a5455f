// One compiled region as ONNX Runtime calls it: shapes and pointers in, shapes and pointers out, the plan in between.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "abi.h"
#include "engine/run/plan.h"
#include "onnx/import.h"
#include "workspaces.h"

namespace edgeticket {

class CompiledRegion : public abi::OrtNodeComputeInfo {
   public:
    // trusted[i]: input i comes from the session's caller, whose shapes the runtime has checked against the declared
    // ones.
    CompiledRegion(const abi::OrtApi& api, Import import, std::unique_ptr<Plan> plan, std::vector<bool> trusted,
                   int threads, bool threads_known);
    const Plan& plan() const { return *plan_; }
    std::vector<double> measure();

   private:
    void run(abi::OrtKernelContext* context);  // throws
    void read_inputs(abi::OrtKernelContext* context, Workspace& workspace) const;
    void make_outputs(abi::OrtKernelContext* context, Workspace& workspace) const;
    void read_shape(const abi::OrtValue* value, std::vector<std::int64_t>& shape) const;
    bool pool_is_parallel(abi::OrtKernelContext* context);

    const abi::OrtApi& api_;
    Import import_;
    std::unique_ptr<Plan> plan_;
    std::vector<bool> trusted_;
    int threads_;
    std::atomic<int> probes_left_;  // runs that still look whether the pool has a second thread
    std::atomic<bool> parallel_;
    Workspaces workspaces_;
};

}  // namespace edgeticket
