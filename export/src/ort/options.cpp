#include "options.h"

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <thread>

#include "isa/isa.h"

namespace edgeticket {
namespace {

// The entry's value; empty where there is none.
std::string entry(const abi::OrtApi& api, const abi::OrtSessionOptions* session, const char* key) {
    const std::string full = std::string("ep.edgeticketexecutionprovider.") + key;
    int there = 0;
    abi::Status status = api.HasSessionConfigEntry(session, full.c_str(), &there);
    std::string value;
    std::size_t size = 0;
    if (status == nullptr && there != 0) status = api.GetSessionConfigEntry(session, full.c_str(), nullptr, &size);
    if (status == nullptr && size > 1) {
        value.resize(size);
        status = api.GetSessionConfigEntry(session, full.c_str(), value.data(), &size);
        value = value.c_str();  // up to the terminator, which was counted
    }
    if (status != nullptr) {
        const std::string message = api.GetErrorMessage(status);
        api.ReleaseStatus(status);
        throw std::invalid_argument("option " + full + ": " + message);
    }
    return value;
}

[[noreturn]] void refuse(const std::string& key, const std::string& value, const std::string& allowed) {
    throw std::invalid_argument("option " + key + "=" + value + ": " + allowed);
}

Isa isa(const std::string& value) {
    if (value.empty()) return best_isa();
    const InstructionSet* set = isa_named(value);
    if (set == nullptr) refuse("isa", value, "one of " + isa_names());
    if (!has_isa(set->isa)) refuse("isa", value, "this processor or this build has not got it");
    return set->isa;
}

}  // namespace

Options read_options(const abi::OrtApi& api, const abi::OrtSessionOptions* session) {
    Options options;
    const std::string claim = entry(api, session, "claim"), threads = entry(api, session, "threads");
    const std::string measure = entry(api, session, "measure");
    options.report = entry(api, session, "report");
    if (!options.report.empty()) {  // now: what fails while a graph is judged is logged by the runtime, not raised
        std::FILE* file = std::fopen(options.report.c_str(), "wb");
        if (file == nullptr) refuse("report", options.report, "the file can not be written");
        std::fclose(file);
    }
    options.settings.isa = isa(entry(api, session, "isa"));
    if (claim == "always") options.claim = Claim::Always;
    else if (claim == "timed") options.claim = Claim::Timed;
    else if (!claim.empty() && claim != "auto") refuse("claim", claim, "one of auto, timed, always");
    options.measure = measure == "1";
    if (!measure.empty() && measure != "0" && measure != "1") refuse("measure", measure, "0 or 1");
    char* end = nullptr;
    const long number = std::strtol(threads.c_str(), &end, 10);
    if (!threads.empty() && (*end != '\0' || number < 1 || number > 1024))
        refuse("threads", threads, "a number from 1 to 1024");
    options.threads_known = !threads.empty();
    const auto cores = static_cast<int>(std::thread::hardware_concurrency());
    options.settings.threads = options.threads_known ? static_cast<int>(number) : cores > 1 ? cores : 1;
    return options;
}

}  // namespace edgeticket
