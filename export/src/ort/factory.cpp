// What ONNX Runtime finds in the library: two functions, CreateEpFactories and ReleaseEpFactory.
#include <cstdio>
#include <memory>

#include "abi.h"
#include "guard.h"
#include "options.h"
#include "provider.h"

#ifndef EDGETICKET_VERSION
#error "EDGETICKET_VERSION is given by the build"
#endif

namespace edgeticket {
namespace {

using namespace abi;

class Factory : public OrtEpFactory {
   public:
    explicit Factory(const OrtApi& api) : OrtEpFactory{}, api_(api) {
        version = kVersion;
        GetName = [](const OrtEpFactory*) { return kProviderName; };
        GetVendor = [](const OrtEpFactory*) { return "edgeticket"; };
        GetVendorId = [](const OrtEpFactory*) -> std::uint32_t { return 0; };
        GetVersion = [](const OrtEpFactory*) { return EDGETICKET_VERSION; };
        GetSupportedDevices = supported_devices;
        CreateEp = create_provider;
        ReleaseEp = [](OrtEpFactory*, OrtEp* provider) { delete static_cast<Provider*>(provider); };
        CreateAllocator = [](OrtEpFactory*, const OrtMemoryInfo*, const OrtKeyValuePairs*,
                             OrtAllocator** out) -> Status {
            *out = nullptr;  // the runtime's own
            return nullptr;
        };
        ReleaseAllocator = [](OrtEpFactory*, OrtAllocator*) {};
        CreateDataTransfer = [](OrtEpFactory*, void** out) -> Status {
            *out = nullptr;
            return nullptr;
        };
        IsStreamAware = [](const OrtEpFactory*) { return false; };
    }

   private:
    static Status supported_devices(OrtEpFactory* self, const OrtHardwareDevice* const* devices, std::size_t count,
                                    OrtEpDevice** out, std::size_t most, std::size_t* found) {
        const OrtApi& api = static_cast<Factory*>(self)->api_;
        *found = 0;
        for (std::size_t i = 0; i < count && *found < most; ++i) {
            if (api.HardwareDevice_Type(devices[i]) != kCpu) continue;
            Status status = api.GetEpApi()->CreateEpDevice(self, devices[i], nullptr, nullptr, &out[*found]);
            if (status != nullptr) return status;
            ++*found;
        }
        return nullptr;
    }

    static Status create_provider(OrtEpFactory* self, const OrtHardwareDevice* const*, const OrtKeyValuePairs* const*,
                                  std::size_t, const OrtSessionOptions* session, const OrtLogger*, OrtEp** out) {
        const OrtApi& api = static_cast<Factory*>(self)->api_;
        *out = nullptr;
        return guard(api, [&] { *out = std::make_unique<Provider>(api, read_options(api, session)).release(); });
    }

    const OrtApi& api_;
};

// An older runtime has no table for us, so the status comes from the oldest one it has.
Status too_old(const OrtApiBase* base) {
    char message[160];
    std::snprintf(message, sizeof message, "%s needs ONNX Runtime 1.23.1 or newer; this is %s", kProviderName,
                  base->GetVersionString());
    const OrtApi* oldest = base->GetApi(1);
    return oldest == nullptr ? nullptr : oldest->CreateStatus(kFail, message);
}

}  // namespace
}  // namespace edgeticket

extern "C" {

__attribute__((visibility("default"))) edgeticket::abi::Status CreateEpFactories(
    const char*, const edgeticket::abi::OrtApiBase* base, const edgeticket::abi::OrtLogger*,
    edgeticket::abi::OrtEpFactory** factories, std::size_t most, std::size_t* count) {
    using namespace edgeticket;
    *count = 0;
    const abi::OrtApi* api = base->GetApi(abi::kVersion);
    if (api == nullptr) return too_old(base);
    if (most == 0) return api->CreateStatus(abi::kInvalidArgument, "no room for a factory");
    return guard(*api, [&] {
        factories[0] = std::make_unique<Factory>(*api).release();
        *count = 1;
    });
}

__attribute__((visibility("default"))) edgeticket::abi::Status ReleaseEpFactory(
    edgeticket::abi::OrtEpFactory* factory) {
    delete static_cast<edgeticket::Factory*>(factory);
    return nullptr;
}
}
