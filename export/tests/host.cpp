// The plugin under a stand-in for ONNX Runtime: eight threads share one region, and runs that allocate are counted.
//
//   host PLUGIN [RUNS]     RUNS of every batch size a thread; exit status 1 where results differ from those of one
//   thread, or where a run allocates
//
// Built with -fsanitize=thread it is what ThreadSanitizer looks at.
#include <dlfcn.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <random>

#include "host.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__) || !defined(__GLIBC__)
#define COUNTS_ALLOCATIONS 0  // the sanitizers have an allocator of their own
#else
#define COUNTS_ALLOCATIONS 1
#endif

namespace {

thread_local bool counting = false;
std::atomic<long> allocations{0};

}  // namespace

#if COUNTS_ALLOCATIONS
// Every allocation of the process comes through here, the plugin's own operator new included.
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

static void count_one() {
    if (counting) allocations.fetch_add(1);
}
void* malloc(std::size_t size) { return count_one(), __libc_malloc(size); }
void* calloc(std::size_t count, std::size_t size) { return count_one(), __libc_calloc(count, size); }
void* realloc(void* memory, std::size_t size) { return count_one(), __libc_realloc(memory, size); }
void* memalign(std::size_t alignment, std::size_t size) { return count_one(), __libc_memalign(alignment, size); }
void* aligned_alloc(std::size_t alignment, std::size_t size) { return count_one(), __libc_memalign(alignment, size); }
int posix_memalign(void** out, std::size_t alignment, std::size_t size) {
    count_one();
    *out = __libc_memalign(alignment, size);
    return *out == nullptr ? ENOMEM : 0;
}
}
#endif

namespace edgeticket::host {
namespace {

constexpr int kChannels = 16, kSize = 12, kClasses = 10, kMostItems = 5, kThreads = 8;

OrtValue tensor(const std::vector<std::int64_t>& shape) {
    OrtValue made;
    made.info.shape = shape;
    std::size_t count = 1;
    for (const std::int64_t size : shape) count *= static_cast<std::size_t>(size);
    made.floats.resize(count);
    return made;
}

// Two convolutions with a residual, a mean and a classifier, nine of ten weights zero.
class Network {
   public:
    Network() {
        const std::vector<std::int64_t> map{-1, kChannels, kSize, kSize};
        const OrtOpAttr pads{"pads", kInts, {1, 1, 1, 1}}, transposed{"transB", kInt, {1}};
        const OrtValueInfo* x = value("x", map);
        graph.inputs.push_back(x);
        const OrtValueInfo* a = node("Conv", {x, weight("w1", {kChannels, kChannels, 3, 3})}, map, {pads});
        const OrtValueInfo* r = node("Relu", {a}, map, {});
        const OrtValueInfo* b = node("Conv", {r, weight("w2", {kChannels, kChannels, 3, 3})}, map, {pads});
        const OrtValueInfo* s = node("Add", {b, r}, map, {});
        const OrtValueInfo* m = node("GlobalAveragePool", {s}, {-1, kChannels, 1, 1}, {});
        const OrtValueInfo* f = node("Flatten", {m}, {-1, kChannels}, {});
        const OrtValueInfo* y = node("Gemm", {f, weight("w3", {kClasses, kChannels})}, {-1, kClasses}, {transposed});
        fused.name = "fused", fused.op = "Region", fused.inputs = {x}, fused.outputs = {y};
    }
    OrtGraph graph;
    OrtNode fused;

   private:
    const OrtValueInfo* value(const std::string& name, const std::vector<std::int64_t>& shape) {
        values_.push_back(std::make_unique<OrtValueInfo>(OrtValueInfo{name, {{kFloat, shape}}, nullptr}));
        return values_.back().get();
    }
    const OrtValueInfo* weight(const std::string& name, const std::vector<std::int64_t>& shape) {
        tensors_.push_back(std::make_unique<OrtValue>(tensor(shape)));
        for (float& x : tensors_.back()->floats)
            if (random_() % 10 == 0) x = static_cast<float>(random_() % 2001) / 1000 - 1;
        values_.push_back(std::make_unique<OrtValueInfo>(OrtValueInfo{name, {{kFloat, shape}}, tensors_.back().get()}));
        return values_.back().get();
    }
    const OrtValueInfo* node(const char* op, std::vector<const OrtValueInfo*> inputs,
                             const std::vector<std::int64_t>& shape, std::vector<OrtOpAttr> attributes) {
        const std::string name = "v" + std::to_string(nodes_.size());
        nodes_.push_back(std::make_unique<OrtNode>(
            OrtNode{name, op, std::move(inputs), {value(name, shape)}, std::move(attributes)}));
        graph.nodes.push_back(nodes_.back().get());
        return nodes_.back()->outputs[0];
    }
    std::mt19937 random_{1};
    std::vector<std::unique_ptr<OrtValueInfo>> values_;
    std::vector<std::unique_ptr<OrtValue>> tensors_;
    std::vector<std::unique_ptr<OrtNode>> nodes_;
};

void check(Status status) {
    if (status == nullptr) return;
    std::printf("FAIL %s\n", status->message.c_str());
    std::exit(1);
}

OrtKernelContext context(int items, int pool) {
    OrtKernelContext made;
    std::mt19937 random(static_cast<unsigned>(items));
    made.inputs.push_back(tensor({items, kChannels, kSize, kSize}));
    for (float& x : made.inputs[0].floats) x = static_cast<float>(random() % 2001) / 1000 - 1;
    made.outputs.push_back(tensor({items, kClasses}));
    made.threads = pool;
    made.around = [](void (*task)(void*, std::size_t), void* argument, std::size_t index) {
        counting = true;
        task(argument, index);
        counting = false;
    };
    made.pause = [](bool paused) { counting = !paused; };
    return made;
}

long run(OrtNodeComputeInfo* region, void* state, OrtKernelContext& with) {
    const long before = allocations.load();
    counting = true;
    const Status status = region->Compute(region, state, &with);
    counting = false;
    check(status);
    return allocations.load() - before;
}

// Eight threads at once on one region, with batches of one to five; what each gets is what one thread alone got.
int share(OrtNodeComputeInfo* region, void* state, int pool, int runs) {
    std::vector<std::vector<float>> alone;
    long first = 0;
    for (int items = 1; items <= kMostItems; ++items) {
        OrtKernelContext with = context(items, pool);
        first += run(region, state, with);
        alone.push_back(with.outputs[0].floats);
    }
    std::atomic<int> wrong{0}, ready{0}, meeting{kThreads};
    std::atomic<long> warm{0};
    std::mutex turn;
    const auto work = [&](int thread) {
        std::vector<OrtKernelContext> contexts;
        for (int items = 1; items <= kMostItems; ++items) contexts.push_back(context(items, pool));
        const auto all = [&](int start) {
            for (int i = 0; i < runs * kMostItems; ++i) {
                const auto which = static_cast<std::size_t>((start + thread + i) % kMostItems);
                run(region, state, contexts[which]);
                if (contexts[which].outputs[0].floats != alone[which]) ++wrong;
            }
        };
        {
            const std::lock_guard<std::mutex> mine(turn);  // one after another, and nothing may be new when they meet
            all(0);
        }
        ++ready;
        while (ready.load() < kThreads) std::this_thread::yield();
        if (ready.fetch_add(1) == kThreads) warm = allocations.load();
        while (ready.load() < 2 * kThreads) std::this_thread::yield();
        contexts[0].meeting = &meeting;
        run(region, state, contexts[0]);
        contexts[0].meeting = nullptr;
        all(1);
    };
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) threads.emplace_back(work, t);
    for (std::thread& thread : threads) thread.join();
    const long later = allocations.load() - warm.load();
    std::printf("%d threads, pool of %d: %d runs, %d with other results; ", kThreads, pool,
                2 * kThreads * runs * kMostItems, wrong.load());
    if (COUNTS_ALLOCATIONS) std::printf("%ld allocations in the first runs, %ld once all were warm\n", first, later);
    else std::printf("allocations not counted\n");
    return wrong.load() > 0 || (COUNTS_ALLOCATIONS && (later != 0 || first == 0));
}

int all(const char* plugin, int runs) {
    void* const library = dlopen(plugin, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return std::printf("FAIL %s\n", dlerror()), 1;
    using Create =
        Status (*)(const char*, const OrtApiBase*, const OrtLogger*, OrtEpFactory**, std::size_t, std::size_t*);
    const auto create = reinterpret_cast<Create>(dlsym(library, "CreateEpFactories"));
    const auto release = reinterpret_cast<Status (*)(OrtEpFactory*)>(dlsym(library, "ReleaseEpFactory"));
    const OrtApiBase base{[](std::uint32_t version) { return version <= kVersion ? api() : nullptr; },
                          [] { return "1.23.1"; }};
    OrtEpFactory* factory = nullptr;
    std::size_t count = 0;
    check(create("edgeticket", &base, nullptr, &factory, 1, &count));
    int failed = 0;
    for (const int pool : {1, 2, 3}) {
        const Network network;
        OrtSessionOptions options;
        const std::string prefix = "ep.edgeticketexecutionprovider.";
        options.entries[prefix + "claim"] = "always";
        if (pool != 2) options.entries[prefix + "threads"] = std::to_string(pool);  // else the first runs find out
        OrtEp* provider = nullptr;
        check(factory->CreateEp(factory, nullptr, nullptr, 0, &options, nullptr, &provider));
        OrtEpGraphSupportInfo support;
        check(provider->GetCapability(provider, &network.graph, &support));
        if (support.groups.size() != 1 || support.groups[0] != network.graph.nodes)
            return std::printf("FAIL not claimed as one region\n"), 1;
        const OrtGraph* graph = &network.graph;
        const OrtNode* fused = &network.fused;
        OrtNodeComputeInfo* region = nullptr;
        OrtNode* context_node = nullptr;
        check(provider->Compile(provider, &graph, &fused, 1, &region, &context_node));
        void* state = nullptr;
        check(region->CreateState(region, nullptr, &state));
        failed |= share(region, state, pool, runs);
        region->ReleaseState(region, state);
        provider->ReleaseNodeComputeInfos(provider, &region, 1);
        factory->ReleaseEp(factory, provider);
    }
    check(release(factory));
    dlclose(library);
    return failed;
}

}  // namespace
}  // namespace edgeticket::host

int main(int argc, char** argv) {
    if (argc < 2) return std::printf("usage: host PLUGIN [RUNS]\n"), 2;
    return edgeticket::host::all(argv[1], argc > 2 ? std::atoi(argv[2]) : 10);
}
