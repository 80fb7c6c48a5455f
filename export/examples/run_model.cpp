// Runs a model in ONNX Runtime with the sparse engine, from C++ and without ONNX Runtime's headers.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "../src/ort/abi.h"
using namespace edgeticket::abi;

// clang-format off: the whole fits on a screen
int main(int argc, char** argv) {
    if (argc < 7) return std::fputs("usage: run_model libonnxruntime.so libedgeticket_ep.so MODEL.onnx INPUT OUTPUT "
                                    "SIZE...\nINPUT is all ones; the first number of OUTPUT is printed\n", stderr), 2;
    void* runtime = dlopen(argv[1], RTLD_NOW);
    void* entry = runtime == nullptr ? nullptr : dlsym(runtime, "OrtGetApiBase");
    if (entry == nullptr) return std::fprintf(stderr, "%s is not ONNX Runtime: %s\n", argv[1], dlerror()), 2;
    const OrtApi* api = reinterpret_cast<const OrtApiBase* (*)()>(entry)()->GetApi(kVersion);
    if (api == nullptr) return std::fprintf(stderr, "ONNX Runtime 1.23.1 or newer is needed\n"), 2;
    const auto ok = [&](Status s) { if (s != nullptr) std::fputs(api->GetErrorMessage(s), stderr), std::exit(1); };
    OrtEnv* env; OrtSessionOptions* options; OrtSession* session; OrtMemoryInfo* memory; OrtValue *in, *out = nullptr;
    ok(api->CreateEnv(kWarning, "model", &env)), ok(api->RegisterExecutionProviderLibrary(env, "edgeticket", argv[2]));
    const OrtEpDevice* const* devices; std::size_t count;
    ok(api->GetEpDevices(env, &devices, &count)), ok(api->CreateSessionOptions(&options));
    while (std::strcmp(api->EpDevice_EpName(*devices), "EdgeTicketExecutionProvider") != 0) ++devices;
    ok(api->SessionOptionsAppendExecutionProvider_V2(options, env, devices, 1, nullptr, nullptr, 0));
    ok(api->CreateSession(env, argv[3], options, &session));
    std::vector<std::int64_t> shape; std::size_t size = 1;
    for (int i = 6; i < argc; ++i) shape.push_back(std::atoll(argv[i])), size *= static_cast<std::size_t>(shape.back());
    if (((size - 1) >> 31) != 0) return std::fputs("SIZE...: give numbers above 0\n", stderr), 2;
    std::vector<float> ones(size, 1.0F);
    ok(api->CreateCpuMemoryInfo(0, 0, &memory));
    ok(api->CreateTensorWithDataAsOrtValue(memory, ones.data(), size * sizeof(float), shape.data(), shape.size(),
                                           kFloat, &in));
    ok(api->Run(session, nullptr, argv + 4, &in, 1, argv + 5, 1, &out));
    void* result;
    ok(api->GetTensorMutableData(out, &result));
    std::printf("%.9g\n", static_cast<double>(*static_cast<float*>(result)));
}
