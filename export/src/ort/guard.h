// Errors across the C boundary: a status that the runtime returns becomes an exception, and an exception becomes a
// status.
#pragma once

#include <exception>
#include <new>
#include <stdexcept>
#include <string>

#include "abi.h"

namespace edgeticket {

inline constexpr const char* kProviderName = "EdgeTicketExecutionProvider";

// Throws std::runtime_error with the runtime's message where a call failed; releases the status.
inline void check(const abi::OrtApi& api, abi::Status status) {
    if (status == nullptr) return;
    const std::string message = api.GetErrorMessage(status);
    api.ReleaseStatus(status);
    throw std::runtime_error(message);
}

// Runs work() and lets no exception pass: it becomes a status of code ORT_FAIL, which raises where the user called.
template <typename Work>
abi::Status guard(const abi::OrtApi& api, Work work) noexcept {
    try {
        work();
        return nullptr;
    } catch (const std::bad_alloc&) {
        return api.CreateStatus(abi::kFail, "EdgeTicketExecutionProvider: out of memory");
    } catch (const std::exception& error) {
        try {
            return api.CreateStatus(abi::kFail, (std::string(kProviderName) + ": " + error.what()).c_str());
        } catch (...) {
            return api.CreateStatus(abi::kFail, "EdgeTicketExecutionProvider: out of memory");
        }
    } catch (...) {
        return api.CreateStatus(abi::kFail, "EdgeTicketExecutionProvider: unknown error");
    }
}

}  // namespace edgeticket
