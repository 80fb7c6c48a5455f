// No exception crosses the C boundary: it becomes a status of code ORT_FAIL, which raises where the user called.
#pragma once

#include <exception>
#include <new>
#include <string>

#include "abi.h"
#include "options.h"

namespace edgeticket {

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
