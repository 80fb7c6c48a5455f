#include "compute.h"

#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "guard.h"

namespace edgeticket {
namespace {

using abi::OrtKernelContext;

struct RuntimePool {
    const abi::OrtApi& api;
    OrtKernelContext* context;
};

void run_in_pool(void* pool, void (*task)(void*, std::size_t), std::size_t count, void* argument) {
    const auto& runtime = *static_cast<RuntimePool*>(pool);
    abi::Status status = runtime.api.KernelContext_ParallelFor(runtime.context, task, count, count, argument);
    if (status == nullptr) return;
    runtime.api.ReleaseStatus(status);  // refused before it began
    for (std::size_t i = 0; i < count; ++i) task(argument, i);
}

// Finds out whether two tasks run at the same time: each attends, and waits for the other.
struct Meeting {
    std::atomic<int> arrived{0};
    std::chrono::steady_clock::time_point end = std::chrono::steady_clock::now() + std::chrono::milliseconds(2);
    static void attend(void* meeting, std::size_t) {
        auto& here = *static_cast<Meeting*>(meeting);
        if (here.arrived.fetch_add(1) != 0) return;
        while (here.arrived.load() < 2 && std::chrono::steady_clock::now() < here.end) std::this_thread::yield();
        if (here.arrived.load() < 2) here.arrived = 100;  // nobody came: a task that comes now ran after this one
    }
};

}  // namespace

CompiledRegion::CompiledRegion(const abi::OrtApi& api, Import import, std::unique_ptr<Plan> plan,
                               std::vector<bool> trusted, int threads, bool threads_known)
    : api_(api),
      import_(std::move(import)),
      plan_(std::move(plan)),
      trusted_(std::move(trusted)),
      threads_(threads),
      probes_left_(threads_known ? 0 : 3),
      parallel_(threads_known && threads > 1) {
    version = abi::kVersion;
    CreateState = [](OrtNodeComputeInfo*, abi::OrtNodeComputeContext*, void** state) -> abi::Status {
        *state = nullptr;  // all that a run needs lies in the region
        return nullptr;
    };
    ReleaseState = [](OrtNodeComputeInfo*, void*) {};
    Compute = [](OrtNodeComputeInfo* self, void*, OrtKernelContext* context) -> abi::Status {
        auto& region = *static_cast<CompiledRegion*>(self);
        return guard(region.api_, [&] { region.run(context); });
    };
}

void CompiledRegion::read_shape(const abi::OrtValue* value, std::vector<std::int64_t>& shape) const {
    abi::OrtTensorTypeAndShapeInfo* info = nullptr;
    check(api_, api_.GetTensorTypeAndShape(value, &info));
    std::size_t rank = 0;
    abi::Status status = api_.GetDimensionsCount(info, &rank);
    const bool fits = status == nullptr && rank == shape.size();
    if (fits) status = api_.GetDimensions(info, shape.data(), rank);
    api_.ReleaseTensorTypeAndShapeInfo(info);
    check(api_, status);
    if (!fits)
        throw std::runtime_error("an input has " + std::to_string(rank) + " dimensions, expected " +
                                 std::to_string(shape.size()));
}

void CompiledRegion::read_inputs(OrtKernelContext* context, Workspace& workspace) const {
    for (std::size_t i = 0; i < workspace.inputs.size(); ++i) {
        const abi::OrtValue* value = nullptr;
        check(api_, api_.KernelContext_GetInput(context, import_.positions[i], &value));
        if (value == nullptr) throw std::runtime_error("an input is missing");
        if (!trusted_[i]) read_shape(value, workspace.shapes.inputs[i]);
        void* data = nullptr;
        check(api_, api_.GetTensorMutableData(const_cast<abi::OrtValue*>(value), &data));
        workspace.inputs[i] = data;
    }
}

void CompiledRegion::make_outputs(OrtKernelContext* context, Workspace& workspace) const {
    for (std::size_t i = 0; i < workspace.outputs.size(); ++i) {
        const std::vector<std::int64_t>& shape = workspace.shapes.outputs[i];
        abi::OrtValue* value = nullptr;
        check(api_, api_.KernelContext_GetOutput(context, i, shape.data(), shape.size(), &value));
        void* data = nullptr;
        check(api_, api_.GetTensorMutableData(value, &data));
        workspace.outputs[i] = data;
    }
}

// No call of the C API says how many threads a session has. Two tasks that meet show a second one; the first runs look.
bool CompiledRegion::pool_is_parallel(OrtKernelContext* context) {
    if (probes_left_.load(std::memory_order_relaxed) > 0 && threads_ > 1 && probes_left_.fetch_sub(1) > 0) {
        Meeting meeting;
        check(api_, api_.KernelContext_ParallelFor(context, &Meeting::attend, 2, 2, &meeting));
        if (meeting.arrived.load() == 2) {
            parallel_ = true;
            probes_left_ = 0;
        }
    }
    return parallel_.load(std::memory_order_relaxed);
}

void CompiledRegion::run(OrtKernelContext* context) {
    const Workspaces::Lease lease(workspaces_, import_);
    Workspace& workspace = *lease;
    read_inputs(context, workspace);
    const std::int64_t items = workspace.shapes.items(import_);
    workspace.shapes.set_outputs(import_, items);
    make_outputs(context, workspace);
    if (items == 0) return;
    workspace.reserve(plan_->workspace_bytes(items));
    RuntimePool runtime{api_, context};
    const Pool pool{pool_is_parallel(context) ? run_in_pool : nullptr, &runtime};
    plan_->run(workspace.inputs.data(), workspace.outputs.data(), items, workspace.memory.data(), pool);
}

std::vector<double> CompiledRegion::measure() {
    const Workspaces::Lease lease(workspaces_, import_);
    Workspace& workspace = *lease;
    workspace.reserve(plan_->workspace_bytes(1));
    return plan_->measure(workspace.memory.data());
}

}  // namespace edgeticket
