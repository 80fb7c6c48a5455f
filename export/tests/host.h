// A stand-in for ONNX Runtime: the slots of its C API that the plugin calls, filled by plain functions over plain
// structures.
//
// ONNX Runtime is not built with ThreadSanitizer and allocates as it likes; this is, and does not while a kernel runs.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "ort/abi.h"

namespace edgeticket::abi {

struct OrtStatus {
    std::string message;
};
struct OrtTensorTypeAndShapeInfo {
    ElementCode type = kFloat;
    std::vector<std::int64_t> shape;
};
struct OrtTypeInfo {
    OrtTensorTypeAndShapeInfo tensor;
};
struct OrtValue {
    OrtTensorTypeAndShapeInfo info;
    std::vector<float> floats;
};
struct OrtValueInfo {
    std::string name;
    OrtTypeInfo type;
    const OrtValue* constant = nullptr;
};
struct OrtOpAttr {
    std::string name;
    AttributeType type;
    std::vector<std::int64_t> ints;
};
struct OrtNode {
    std::string name, op;
    std::vector<const OrtValueInfo*> inputs, outputs;
    std::vector<OrtOpAttr> attributes;
};
struct OrtGraph {
    std::vector<const OrtValueInfo*> inputs;
    std::vector<const OrtNode*> nodes;
};
struct OrtEpGraphSupportInfo {
    std::vector<std::vector<const OrtNode*>> groups;
};
struct OrtSessionOptions {
    std::map<std::string, std::string> entries;
};
struct OrtKernelContext {
    std::vector<OrtValue> inputs, outputs;
    int threads = 1;                                                             // of ParallelFor
    void (*around)(void (*)(void*, std::size_t), void*, std::size_t) = nullptr;  // runs a task on a thread of the pool
    void (*pause)(bool) = nullptr;        // told before and behind what the host does for itself
    std::atomic<int>* meeting = nullptr;  // runs wait for one another here, each in the middle of its own
};

}  // namespace edgeticket::abi

namespace edgeticket::host {

using namespace abi;

inline Status fail(ErrorCode, const char* message) { return new OrtStatus{message}; }

template <typename Item>
void copy(const std::vector<const Item*>& from, const Item** to, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) to[i] = from[i];
}

inline Status read_attribute(const OrtOpAttr* attribute, AttributeType type, void* data, std::size_t size,
                             std::size_t* out) {
    *out = attribute->ints.size() * sizeof(std::int64_t);
    if (type != attribute->type || size < *out) return fail(kInvalidArgument, "the attribute takes more room");
    std::memcpy(data, attribute->ints.data(), *out);
    return nullptr;
}

// A static division over std::thread: the tasks of one call run at the same time, as in the runtime's pool.
inline Status parallel_for(const OrtKernelContext* context, void (*task)(void*, std::size_t), std::size_t total,
                           std::size_t, void* argument) {
    if (context->pause != nullptr) context->pause(true);
    const std::size_t threads =
        static_cast<std::size_t>(context->threads) < total ? static_cast<std::size_t>(context->threads) : total;
    std::vector<std::thread> pool;
    for (std::size_t t = 0; t < threads; ++t)
        pool.emplace_back([=] {
            for (std::size_t i = t; i < total; i += threads) {
                if (context->around != nullptr) context->around(task, argument, i);
                else task(argument, i);
            }
        });
    for (std::thread& thread : pool) thread.join();
    if (context->pause != nullptr) context->pause(false);
    return nullptr;
}

inline Status fuse(OrtEpGraphSupportInfo* support, const OrtNode* const* nodes, std::size_t count,
                   const OrtNodeFusionOptions*) {
    support->groups.emplace_back(nodes, nodes + count);
    return nullptr;
}

inline const OrtEpApi* ep_api() {
    static const OrtEpApi table{nullptr, nullptr, fuse};
    return &table;
}

inline Status config_entry(const OrtSessionOptions* options, const char* key, char* value, std::size_t* size) {
    const std::string& text = options->entries.at(key);
    if (value != nullptr) std::memcpy(value, text.c_str(), text.size() + 1);
    *size = text.size() + 1;
    return nullptr;
}

// The output of a run: the host knows its size before, so that nothing is allocated here.
inline Status output(OrtKernelContext* context, std::size_t index, const std::int64_t* shape, std::size_t rank,
                     OrtValue** out) {
    OrtValue& value = context->outputs.at(index);
    const std::vector<std::int64_t>& expected = value.info.shape;
    if (rank != expected.size() || !std::equal(expected.begin(), expected.end(), shape))
        return fail(kFail, "an output has another shape than the host expects");
    *out = &value;
    if (context->meeting != nullptr) context->meeting->fetch_sub(1);
    while (context->meeting != nullptr && context->meeting->load() > 0) std::this_thread::yield();
    return nullptr;
}

inline const OrtApi* api() {
    static const OrtApi table = [] {
        OrtApi t{};
        t.CreateStatus = fail;
        t.GetErrorMessage = [](const OrtStatus* s) { return s->message.c_str(); };
        t.ReleaseStatus = [](OrtStatus* s) { delete s; };
        t.GetTensorMutableData = [](OrtValue* v, void** out) -> Status { return *out = v->floats.data(), nullptr; };
        t.CastTypeInfoToTensorInfo = [](const OrtTypeInfo* i, const OrtTensorTypeAndShapeInfo** out) -> Status {
            return *out = &i->tensor, nullptr;
        };
        t.GetTensorElementType = [](const OrtTensorTypeAndShapeInfo* i, ElementCode* out) -> Status {
            return *out = i->type, nullptr;
        };
        t.GetDimensionsCount = [](const OrtTensorTypeAndShapeInfo* i, std::size_t* out) -> Status {
            return *out = i->shape.size(), nullptr;
        };
        t.GetDimensions = [](const OrtTensorTypeAndShapeInfo* i, std::int64_t* out, std::size_t count) -> Status {
            return std::memcpy(out, i->shape.data(), count * sizeof *out), nullptr;
        };
        t.GetSymbolicDimensions = [](const OrtTensorTypeAndShapeInfo* i, const char** out,
                                     std::size_t count) -> Status {
            for (std::size_t axis = 0; axis < count; ++axis) out[axis] = i->shape[axis] < 0 ? "N" : "";
            return nullptr;
        };
        t.GetTensorTypeAndShape = [](const OrtValue* v, OrtTensorTypeAndShapeInfo** out) -> Status {
            return *out = const_cast<OrtTensorTypeAndShapeInfo*>(&v->info), nullptr;
        };
        t.ReleaseTensorTypeAndShapeInfo = [](OrtTensorTypeAndShapeInfo*) {};
        t.KernelContext_GetInput = [](const OrtKernelContext* c, std::size_t i, const OrtValue** out) -> Status {
            return *out = &c->inputs.at(i), nullptr;
        };
        t.KernelContext_GetOutput = output;
        t.KernelContext_ParallelFor = parallel_for;
        t.HasSessionConfigEntry = [](const OrtSessionOptions* o, const char* key, int* out) -> Status {
            return *out = o->entries.count(key) != 0, nullptr;
        };
        t.GetSessionConfigEntry = config_entry;
        t.ReadOpAttr = read_attribute;
        t.GetValueInfoName = [](const OrtValueInfo* v, const char** out) -> Status {
            return *out = v->name.c_str(), nullptr;
        };
        t.GetValueInfoTypeInfo = [](const OrtValueInfo* v, const OrtTypeInfo** out) -> Status {
            return *out = &v->type, nullptr;
        };
        t.ValueInfo_GetInitializerValue = [](const OrtValueInfo* v, const OrtValue** out) -> Status {
            return *out = v->constant, nullptr;
        };
        t.ValueInfo_IsConstantInitializer = [](const OrtValueInfo* v, bool* out) -> Status {
            return *out = v->constant != nullptr, nullptr;
        };
        t.GetEpApi = ep_api;
        t.Graph_GetNumInputs = [](const OrtGraph* g, std::size_t* out) -> Status {
            return *out = g->inputs.size(), nullptr;
        };
        t.Graph_GetInputs = [](const OrtGraph* g, const OrtValueInfo** out, std::size_t n) -> Status {
            return copy(g->inputs, out, n), nullptr;
        };
        t.Graph_GetNumNodes = [](const OrtGraph* g, std::size_t* out) -> Status {
            return *out = g->nodes.size(), nullptr;
        };
        t.Graph_GetNodes = [](const OrtGraph* g, const OrtNode** out, std::size_t n) -> Status {
            return copy(g->nodes, out, n), nullptr;
        };
        t.Graph_GetParentNode = [](const OrtGraph*, const OrtNode** out) -> Status { return *out = nullptr, nullptr; };
        t.Node_GetName = [](const OrtNode* n, const char** out) -> Status { return *out = n->name.c_str(), nullptr; };
        t.Node_GetOperatorType = [](const OrtNode* n, const char** out) -> Status {
            return *out = n->op.c_str(), nullptr;
        };
        t.Node_GetDomain = [](const OrtNode*, const char** out) -> Status { return *out = "", nullptr; };
        t.Node_GetSinceVersion = [](const OrtNode*, int* out) -> Status { return *out = 13, nullptr; };
        t.Node_GetNumInputs = [](const OrtNode* n, std::size_t* out) -> Status {
            return *out = n->inputs.size(), nullptr;
        };
        t.Node_GetInputs = [](const OrtNode* n, const OrtValueInfo** out, std::size_t c) -> Status {
            return copy(n->inputs, out, c), nullptr;
        };
        t.Node_GetNumOutputs = [](const OrtNode* n, std::size_t* out) -> Status {
            return *out = n->outputs.size(), nullptr;
        };
        t.Node_GetOutputs = [](const OrtNode* n, const OrtValueInfo** out, std::size_t c) -> Status {
            return copy(n->outputs, out, c), nullptr;
        };
        t.Node_GetNumImplicitInputs = [](const OrtNode*, std::size_t* out) -> Status { return *out = 0, nullptr; };
        t.Node_GetImplicitInputs = [](const OrtNode*, const OrtValueInfo**, std::size_t) -> Status { return nullptr; };
        t.Node_GetNumAttributes = [](const OrtNode* n, std::size_t* out) -> Status {
            return *out = n->attributes.size(), nullptr;
        };
        t.Node_GetAttributes = [](const OrtNode* n, const OrtOpAttr** out, std::size_t c) -> Status {
            for (std::size_t i = 0; i < c; ++i) out[i] = &n->attributes[i];
            return nullptr;
        };
        t.OpAttr_GetType = [](const OrtOpAttr* a, AttributeType* out) -> Status { return *out = a->type, nullptr; };
        t.OpAttr_GetName = [](const OrtOpAttr* a, const char** out) -> Status {
            return *out = a->name.c_str(), nullptr;
        };
        return t;
    }();
    return &table;
}

}  // namespace edgeticket::host
