#include "compute.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <stdexcept>
#include <string>
#include <thread>

#include "engine/region/shape.h"
#include "guard.h"

namespace edgeticket {
namespace {

using abi::OrtKernelContext;
using Shape = std::vector<std::int64_t>;

constexpr std::size_t kMostIdle = 16;  // workspaces; threads that come later take over the longest unused

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

struct Meeting {  // of two tasks: whether they ran at the same time
    std::atomic<int> arrived{0};
    std::chrono::steady_clock::time_point end = std::chrono::steady_clock::now() + std::chrono::milliseconds(2);
    static void attend(void* meeting, std::size_t) {
        auto& here = *static_cast<Meeting*>(meeting);
        if (here.arrived.fetch_add(1) != 0) return;
        while (here.arrived.load() < 2 && std::chrono::steady_clock::now() < here.end) std::this_thread::yield();
        if (here.arrived.load() < 2) here.arrived = 100;  // alone; who comes now comes after
    }
};

}  // namespace

void Workspace::reserve(std::size_t bytes) {
    if (bytes > memory.bytes()) memory = Memory(bytes);
}

// Gives a workspace back whatever happens.
struct Lease {
    explicit Lease(CompiledRegion& region) : region(region), workspace(region.take()) {}
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease() { region.give(std::move(workspace)); }
    CompiledRegion& region;
    std::unique_ptr<Workspace> workspace;
};

CompiledRegion::CompiledRegion(const abi::OrtApi& api, Import import, std::unique_ptr<Plan> plan, std::vector<bool> trusted,
                               int threads, bool threads_known)
    : api_(api), import_(std::move(import)), plan_(std::move(plan)), trusted_(std::move(trusted)), threads_(threads),
      probes_left_(threads_known ? 0 : 3), parallel_(threads_known && threads > 1) {
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

// A thread gets the workspace that it had before: another's may be too small, and growing it would allocate.
std::unique_ptr<Workspace> CompiledRegion::take() {
    const std::thread::id self = std::this_thread::get_id();
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        auto place = std::find_if(free_.rbegin(), free_.rend(), [self](const auto& idle) { return idle->owner == self; });
        if (place == free_.rend() && free_.size() >= kMostIdle) place = std::prev(free_.rend());
        if (place != free_.rend()) {
            std::unique_ptr<Workspace> workspace = std::move(*place);
            free_.erase(std::next(place).base());
            workspace->owner = self;
            return workspace;
        }
        free_.reserve(++made_);
    }
    auto workspace = std::make_unique<Workspace>();
    workspace->owner = self;
    workspace->inputs.resize(import_.inputs.size());
    workspace->outputs.resize(import_.outputs.size());
    workspace->shapes = import_.inputs;
    for (const OutputShape& output : import_.outputs) workspace->shapes.push_back(output.shape);
    return workspace;
}

void CompiledRegion::give(std::unique_ptr<Workspace> workspace) {
    if (workspace == nullptr) return;
    const std::lock_guard<std::mutex> lock(mutex_);
    free_.push_back(std::move(workspace));
}

void CompiledRegion::check(abi::Status status) const {
    if (status == nullptr) return;
    const std::string message = api_.GetErrorMessage(status);
    api_.ReleaseStatus(status);
    throw std::runtime_error(message);
}

void CompiledRegion::read_shape(const abi::OrtValue* value, Shape& shape) const {
    abi::OrtTensorTypeAndShapeInfo* info = nullptr;
    check(api_.GetTensorTypeAndShape(value, &info));
    std::size_t rank = 0;
    abi::Status status = api_.GetDimensionsCount(info, &rank);
    const bool fits = status == nullptr && rank == shape.size();
    if (fits) status = api_.GetDimensions(info, shape.data(), rank);
    api_.ReleaseTensorTypeAndShapeInfo(info);
    check(status);
    if (!fits) throw std::runtime_error("an input has " + std::to_string(rank) + " dimensions, expected " + std::to_string(shape.size()));
}

std::int64_t CompiledRegion::items_of(std::size_t input, const Shape& shape) const {
    const Value& value = import_.region.values[static_cast<std::size_t>(import_.region.inputs[input])];
    const std::size_t leading = shape.size() - value.shape.size();
    std::int64_t items = 1;
    for (std::size_t i = 0; i < leading; ++i) items = product(items, shape[i]);
    for (std::size_t i = leading; i < shape.size(); ++i)
        if (shape[i] != value.shape[i - leading])
            throw std::runtime_error("input " + value.name + " has size " + std::to_string(shape[i]) + " in dimension " + std::to_string(i) +
                                     "; the model says " + std::to_string(value.shape[i - leading]));
    if (items < 0) throw std::runtime_error("input " + value.name + " has more items than memory");
    return items;
}

std::int64_t CompiledRegion::read_inputs(OrtKernelContext* context, Workspace& workspace) const {
    std::int64_t items = -1;
    for (std::size_t i = 0; i < import_.inputs.size(); ++i) {
        const abi::OrtValue* value = nullptr;
        check(api_.KernelContext_GetInput(context, import_.positions[i], &value));
        if (value == nullptr) throw std::runtime_error("an input is missing");
        Shape& shape = workspace.shapes[i];
        if (!trusted_[i]) read_shape(value, shape);
        const std::int64_t here = items_of(i, shape);
        if (items >= 0 && here != items)
            throw std::runtime_error("the inputs of a fused region have " + std::to_string(items) + " and " + std::to_string(here) + " items");
        const Shape& before = workspace.shapes[i > 0 ? i - 1 : 0];
        if (before.size() == shape.size() && !std::equal(shape.begin(), shape.end() - 1, before.begin()) && import_.mode == kRow)
            throw std::runtime_error("the inputs of a fused region have the same number of rows, " + std::to_string(here) + ", in different shapes");
        items = here;
        void* data = nullptr;
        check(api_.GetTensorMutableData(const_cast<abi::OrtValue*>(value), &data));
        workspace.inputs[i] = data;
    }
    return items;
}

void CompiledRegion::write_outputs(OrtKernelContext* context, Workspace& workspace, std::int64_t items) const {
    for (std::size_t i = 0; i < import_.outputs.size(); ++i) {
        const OutputShape& output = import_.outputs[i];
        Shape& shape = workspace.shapes[import_.inputs.size() + i];
        if (output.leads_from >= 0) {
            const Shape& from = workspace.shapes[static_cast<std::size_t>(output.leads_from)];
            for (std::size_t axis = 0; axis + 1 < shape.size(); ++axis) shape[axis] = from[axis];
        } else {
            std::int64_t known = 1;
            const std::size_t leading = import_.mode == kImage ? 1 : shape.size() - 1;
            for (std::size_t axis = 0; axis < leading; ++axis)
                if (output.shape[axis] >= 0) known = product(known, output.shape[axis]);
            for (std::size_t axis = 0; axis < leading; ++axis)
                if (output.shape[axis] < 0 && known > 0 && items % known == 0) shape[axis] = items / known, known = items;  // one at most is open
            if (known != items) throw std::runtime_error("an output's declared shape does not hold " + std::to_string(items) + " items");
        }
        abi::OrtValue* value = nullptr;
        check(api_.KernelContext_GetOutput(context, i, shape.data(), shape.size(), &value));
        void* data = nullptr;
        check(api_.GetTensorMutableData(value, &data));
        workspace.outputs[i] = data;
    }
}

// No call of the C API says how many threads a session has. Two tasks that meet show a second one; the first runs look.
bool CompiledRegion::pool_is_parallel(OrtKernelContext* context) {
    if (probes_left_.load(std::memory_order_relaxed) > 0 && threads_ > 1 && probes_left_.fetch_sub(1) > 0) {
        Meeting meeting;
        check(api_.KernelContext_ParallelFor(context, &Meeting::attend, 2, 2, &meeting));
        if (meeting.arrived.load() == 2) {
            parallel_ = true;
            probes_left_ = 0;
        }
    }
    return parallel_.load(std::memory_order_relaxed);
}

void CompiledRegion::run(OrtKernelContext* context) {
    Lease lease(*this);
    Workspace& workspace = *lease.workspace;
    const std::int64_t items = read_inputs(context, workspace);
    write_outputs(context, workspace, items);
    if (items == 0) return;
    workspace.reserve(plan_->workspace_bytes(items));
    RuntimePool runtime{api_, context};
    const Pool pool{pool_is_parallel(context) ? run_in_pool : nullptr, &runtime};
    plan_->run(workspace.inputs.data(), workspace.outputs.data(), items, workspace.memory.data(), pool);
}

std::vector<double> CompiledRegion::measure() {
    Lease lease(*this);
    lease.workspace->reserve(plan_->workspace_bytes(1));
    return plan_->measure(lease.workspace->memory.data());
}

}  // namespace edgeticket
