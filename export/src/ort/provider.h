// The execution provider of one session: judges its graph, then compiles what was claimed.
#pragma once

#include <string>
#include <unordered_set>

#include "abi.h"
#include "onnx/fold.h"
#include "options.h"
#include "report.h"

namespace edgeticket {

class Provider : public abi::OrtEp {
   public:
    Provider(const abi::OrtApi& api, Options options);

   private:
    void judge(const abi::OrtGraph* graph, abi::OrtEpGraphSupportInfo* support);
    abi::OrtNodeComputeInfo* compile(const abi::OrtGraph* graph, const abi::OrtNode* fused);

    const abi::OrtApi& api_;
    Options options_;
    Report report_;
    FoldedConstants constants_;
    std::unordered_set<std::string> session_inputs_;  // of the model: the runtime checks their shapes at every run
};

}  // namespace edgeticket
