// The part of ONNX Runtime's C API that the plugin calls, declared by ourselves: no package ships the header.
//
// The API is an append-only table of function pointers, so a slot keeps its index for ever. Slots not in use are gaps.
// Indices and signatures are of API version 23 (ONNX Runtime 1.23); test_abi.py calls each of them in the runtime at
// hand.
#pragma once

#include <cstddef>
#include <cstdint>

namespace edgeticket::abi {

constexpr std::uint32_t kVersion = 23;

// Opaque to us.
struct OrtAllocator;
struct OrtEpDevice;
struct OrtEpGraphSupportInfo;
struct OrtGraph;
struct OrtHardwareDevice;
struct OrtKernelContext;
struct OrtKeyValuePairs;
struct OrtLogger;
struct OrtNode;
struct OrtNodeComputeContext;
struct OrtOpAttr;
struct OrtSessionOptions;
struct OrtStatus;
struct OrtTensorTypeAndShapeInfo;
struct OrtTypeInfo;
struct OrtValue;
struct OrtValueInfo;
struct OrtEnv;
struct OrtSession;
struct OrtRunOptions;
struct OrtMemoryInfo;

// ORT_EP_FAIL (11) is never ours: Python answers it by building the session again on the CPU provider, in silence.
enum ErrorCode : int { kFail = 1, kInvalidArgument = 2 };
enum ElementCode : int { kFloat = 1, kInt64 = 7 };
enum AttributeType : int { kInt = 1, kInts = 2, kFloatAttribute = 3, kFloats = 4, kString = 5 };
enum DeviceType : int { kCpu = 0 };
enum LoggingLevel : int { kWarning = 2 };

using Status = OrtStatus*;  // null where all is well
using Gap = void (*)();

struct OrtEp;
struct OrtEpFactory;
struct OrtNodeComputeInfo;

struct OrtNodeFusionOptions {
    std::uint32_t version;
    bool drop_constant_initializers;
};

struct OrtEpApi {
    Status (*CreateEpDevice)(OrtEpFactory*, const OrtHardwareDevice*, const OrtKeyValuePairs* metadata,
                             const OrtKeyValuePairs* options, OrtEpDevice** out);
    Gap gap_1;
    Status (*EpGraphSupportInfo_AddNodesToFuse)(OrtEpGraphSupportInfo*, const OrtNode* const* nodes, std::size_t count,
                                                const OrtNodeFusionOptions*);
};

struct OrtApi {
    Status (*CreateStatus)(ErrorCode, const char* message);
    Gap gap_1;
    const char* (*GetErrorMessage)(const OrtStatus*);
    Status (*CreateEnv)(LoggingLevel, const char* name, OrtEnv** out);
    Gap gap_4_6[3];
    Status (*CreateSession)(const OrtEnv*, const char* path, const OrtSessionOptions*, OrtSession** out);
    Gap gap_8;
    Status (*Run)(OrtSession*, const OrtRunOptions*, const char* const* input_names, const OrtValue* const* inputs,
                  std::size_t input_count, const char* const* output_names, std::size_t output_count,
                  OrtValue** outputs);
    Status (*CreateSessionOptions)(OrtSessionOptions** out);
    Gap gap_11_48[38];
    Status (*CreateTensorWithDataAsOrtValue)(const OrtMemoryInfo*, void* data, std::size_t size_bytes,
                                             const std::int64_t* shape, std::size_t rank, ElementCode, OrtValue** out);
    Gap gap_50;
    Status (*GetTensorMutableData)(OrtValue*, void** out);
    Gap gap_52_54[3];
    Status (*CastTypeInfoToTensorInfo)(const OrtTypeInfo*, const OrtTensorTypeAndShapeInfo** out);
    Gap gap_56_59[4];
    Status (*GetTensorElementType)(const OrtTensorTypeAndShapeInfo*, ElementCode* out);
    Status (*GetDimensionsCount)(const OrtTensorTypeAndShapeInfo*, std::size_t* out);
    Status (*GetDimensions)(const OrtTensorTypeAndShapeInfo*, std::int64_t* out, std::size_t count);
    Status (*GetSymbolicDimensions)(const OrtTensorTypeAndShapeInfo*, const char** out, std::size_t count);
    Gap gap_64;
    Status (*GetTensorTypeAndShape)(const OrtValue*, OrtTensorTypeAndShapeInfo** out);
    Gap gap_66_68[3];
    Status (*CreateCpuMemoryInfo)(int allocator_type, int memory_type, OrtMemoryInfo** out);
    Gap gap_70_89[20];
    Status (*KernelContext_GetInput)(const OrtKernelContext*, std::size_t index, const OrtValue** out);
    Status (*KernelContext_GetOutput)(OrtKernelContext*, std::size_t index, const std::int64_t* shape, std::size_t rank,
                                      OrtValue** out);
    Gap gap_92;
    void (*ReleaseStatus)(OrtStatus*);
    Gap gap_94_98[5];
    void (*ReleaseTensorTypeAndShapeInfo)(OrtTensorTypeAndShapeInfo*);
    Gap gap_100_236[137];
    Status (*HasSessionConfigEntry)(const OrtSessionOptions*, const char* key, int* out);
    Status (*GetSessionConfigEntry)(const OrtSessionOptions*, const char* key, char* value, std::size_t* size);
    Gap gap_239_271[33];
    Status (*ReadOpAttr)(const OrtOpAttr*, AttributeType, void* data, std::size_t size_bytes, std::size_t* out);
    Gap gap_273;
    Status (*KernelContext_ParallelFor)(const OrtKernelContext*, void (*task)(void*, std::size_t), std::size_t total,
                                        std::size_t batches, void* argument);
    Gap gap_275_288[14];
    Status (*GetValueInfoName)(const OrtValueInfo*, const char** out);
    Status (*GetValueInfoTypeInfo)(const OrtValueInfo*, const OrtTypeInfo** out);
    Gap gap_291_300[10];
    Status (*RegisterExecutionProviderLibrary)(OrtEnv*, const char* name, const char* path);
    Gap gap_302;
    Status (*GetEpDevices)(const OrtEnv*, const OrtEpDevice* const** out, std::size_t* count);
    Status (*SessionOptionsAppendExecutionProvider_V2)(OrtSessionOptions*, OrtEnv*, const OrtEpDevice* const* devices,
                                                       std::size_t count, const char* const* keys,
                                                       const char* const* values, std::size_t options);
    Gap gap_305_306[2];
    DeviceType (*HardwareDevice_Type)(const OrtHardwareDevice*);
    Gap gap_308_311[4];
    const char* (*EpDevice_EpName)(const OrtEpDevice*);
    Gap gap_313_316[4];
    const OrtEpApi* (*GetEpApi)();
    Gap gap_318_325[8];
    Status (*ValueInfo_GetInitializerValue)(const OrtValueInfo*, const OrtValue** out);
    Gap gap_327_330[4];
    Status (*ValueInfo_IsConstantInitializer)(const OrtValueInfo*, bool* out);
    Gap gap_332_337[6];
    Status (*Graph_GetNumInputs)(const OrtGraph*, std::size_t* out);
    Status (*Graph_GetInputs)(const OrtGraph*, const OrtValueInfo** out, std::size_t count);
    Gap gap_340_343[4];
    Status (*Graph_GetNumNodes)(const OrtGraph*, std::size_t* out);
    Status (*Graph_GetNodes)(const OrtGraph*, const OrtNode** out, std::size_t count);
    Status (*Graph_GetParentNode)(const OrtGraph*, const OrtNode** out);
    Gap gap_347_348[2];
    Status (*Node_GetName)(const OrtNode*, const char** out);
    Status (*Node_GetOperatorType)(const OrtNode*, const char** out);
    Status (*Node_GetDomain)(const OrtNode*, const char** out);
    Status (*Node_GetSinceVersion)(const OrtNode*, int* out);
    Status (*Node_GetNumInputs)(const OrtNode*, std::size_t* out);
    Status (*Node_GetInputs)(const OrtNode*, const OrtValueInfo** out, std::size_t count);
    Status (*Node_GetNumOutputs)(const OrtNode*, std::size_t* out);
    Status (*Node_GetOutputs)(const OrtNode*, const OrtValueInfo** out, std::size_t count);
    Status (*Node_GetNumImplicitInputs)(const OrtNode*, std::size_t* out);
    Status (*Node_GetImplicitInputs)(const OrtNode*, const OrtValueInfo** out, std::size_t count);
    Status (*Node_GetNumAttributes)(const OrtNode*, std::size_t* out);
    Status (*Node_GetAttributes)(const OrtNode*, const OrtOpAttr** out, std::size_t count);
    Gap gap_361_362[2];
    Status (*OpAttr_GetType)(const OrtOpAttr*, AttributeType* out);
    Status (*OpAttr_GetName)(const OrtOpAttr*, const char** out);
};

struct OrtApiBase {
    const OrtApi* (*GetApi)(std::uint32_t version);  // null where the runtime is older
    const char* (*GetVersionString)();
};

// What we fill in; the runtime reads no further than the version says.
struct OrtEpFactory {
    std::uint32_t version;
    const char* (*GetName)(const OrtEpFactory*);
    const char* (*GetVendor)(const OrtEpFactory*);
    Status (*GetSupportedDevices)(OrtEpFactory*, const OrtHardwareDevice* const* devices, std::size_t count,
                                  OrtEpDevice** out, std::size_t max_out, std::size_t* out_count);
    Status (*CreateEp)(OrtEpFactory*, const OrtHardwareDevice* const* devices, const OrtKeyValuePairs* const* metadata,
                       std::size_t count, const OrtSessionOptions*, const OrtLogger*, OrtEp** out);
    void (*ReleaseEp)(OrtEpFactory*, OrtEp*);
    std::uint32_t (*GetVendorId)(const OrtEpFactory*);
    const char* (*GetVersion)(const OrtEpFactory*);
    Gap ValidateCompiledModelCompatibilityInfo;
    Status (*CreateAllocator)(OrtEpFactory*, const OrtMemoryInfo*, const OrtKeyValuePairs*, OrtAllocator** out);
    void (*ReleaseAllocator)(OrtEpFactory*, OrtAllocator*);
    Status (*CreateDataTransfer)(OrtEpFactory*, void** out);
    bool (*IsStreamAware)(const OrtEpFactory*);
    Gap CreateSyncStreamForDevice;
};

struct OrtEp {
    std::uint32_t version;
    const char* (*GetName)(const OrtEp*);
    Status (*GetCapability)(OrtEp*, const OrtGraph*, OrtEpGraphSupportInfo*);
    Status (*Compile)(OrtEp*, const OrtGraph** graphs, const OrtNode** fused, std::size_t count,
                      OrtNodeComputeInfo** out, OrtNode** context_nodes);
    void (*ReleaseNodeComputeInfos)(OrtEp*, OrtNodeComputeInfo** infos, std::size_t count);
    Gap unused[8];  // GetPreferredDataLayout to GetCompiledModelCompatibilityInfo: all optional
};

struct OrtNodeComputeInfo {
    std::uint32_t version;
    Status (*CreateState)(OrtNodeComputeInfo*, OrtNodeComputeContext*, void** state);
    Status (*Compute)(OrtNodeComputeInfo*, void* state, OrtKernelContext*);
    void (*ReleaseState)(OrtNodeComputeInfo*, void* state);
};

#define EDGETICKET_SLOT(table, name, index) \
    static_assert(offsetof(table, name) == (index) * sizeof(void*), #name " is not at its index")

EDGETICKET_SLOT(OrtEpApi, EpGraphSupportInfo_AddNodesToFuse, 2);
EDGETICKET_SLOT(OrtApi, GetErrorMessage, 2);
EDGETICKET_SLOT(OrtApi, CreateSession, 7);
EDGETICKET_SLOT(OrtApi, Run, 9);
EDGETICKET_SLOT(OrtApi, CreateTensorWithDataAsOrtValue, 49);
EDGETICKET_SLOT(OrtApi, GetTensorMutableData, 51);
EDGETICKET_SLOT(OrtApi, CastTypeInfoToTensorInfo, 55);
EDGETICKET_SLOT(OrtApi, GetTensorElementType, 60);
EDGETICKET_SLOT(OrtApi, GetSymbolicDimensions, 63);
EDGETICKET_SLOT(OrtApi, GetTensorTypeAndShape, 65);
EDGETICKET_SLOT(OrtApi, CreateCpuMemoryInfo, 69);
EDGETICKET_SLOT(OrtApi, KernelContext_GetInput, 90);
EDGETICKET_SLOT(OrtApi, KernelContext_GetOutput, 91);
EDGETICKET_SLOT(OrtApi, ReleaseStatus, 93);
EDGETICKET_SLOT(OrtApi, ReleaseTensorTypeAndShapeInfo, 99);
EDGETICKET_SLOT(OrtApi, HasSessionConfigEntry, 237);
EDGETICKET_SLOT(OrtApi, GetSessionConfigEntry, 238);
EDGETICKET_SLOT(OrtApi, ReadOpAttr, 272);
EDGETICKET_SLOT(OrtApi, KernelContext_ParallelFor, 274);
EDGETICKET_SLOT(OrtApi, GetValueInfoName, 289);
EDGETICKET_SLOT(OrtApi, RegisterExecutionProviderLibrary, 301);
EDGETICKET_SLOT(OrtApi, GetEpDevices, 303);
EDGETICKET_SLOT(OrtApi, SessionOptionsAppendExecutionProvider_V2, 304);
EDGETICKET_SLOT(OrtApi, HardwareDevice_Type, 307);
EDGETICKET_SLOT(OrtApi, EpDevice_EpName, 312);
EDGETICKET_SLOT(OrtApi, GetEpApi, 317);
EDGETICKET_SLOT(OrtApi, ValueInfo_GetInitializerValue, 326);
EDGETICKET_SLOT(OrtApi, ValueInfo_IsConstantInitializer, 331);
EDGETICKET_SLOT(OrtApi, Graph_GetNumInputs, 338);
EDGETICKET_SLOT(OrtApi, Graph_GetNumNodes, 344);
EDGETICKET_SLOT(OrtApi, Node_GetName, 349);
EDGETICKET_SLOT(OrtApi, Node_GetNumImplicitInputs, 357);
EDGETICKET_SLOT(OrtApi, Node_GetNumAttributes, 359);
EDGETICKET_SLOT(OrtApi, OpAttr_GetType, 363);
EDGETICKET_SLOT(OrtApi, OpAttr_GetName, 364);

#undef EDGETICKET_SLOT

}  // namespace edgeticket::abi
