// A fully connected layer over one item, with its residual and activation.
#pragma once

#include <memory>
#include <vector>

#include "../kernels/fc.h"
#include "../kernels/fc_pack.h"
#include "steps.h"

namespace edgeticket {

// The row kernel that takes the least time for these weights, by its measured costs, with the weights packed for it.
struct FcChoice {
    const FcKernel* kernel = nullptr;
    std::unique_ptr<FcPacked> packed;
    double cost = 0;  // vector multiply-accumulates at the peak rate
};
FcChoice choose_fc(const FcKernels& kernels, const Node& node, std::int32_t inputs, std::int32_t outputs, bool panel, std::int32_t width);

class FcStep final : public Step {
   public:
    FcStep(int node, const FcKernels& kernels, const Node& fc, const Epilogue& epilogue, int in, std::int32_t inputs, int out, std::int32_t outputs,
           int residual);
    void run(const Frame&, const std::vector<Buffer>&, int part, int parts) const override;
    double cycles() const override { return choice_.cost; }
    std::size_t bytes() const override { return choice_.packed->bytes(); }
    const char* kernel() const override { return choice_.kernel->name; }
    std::vector<int> reads() const override { return residual_ < 0 ? std::vector<int>{in_} : std::vector<int>{in_, residual_}; }
    int writes() const override { return out_; }

   private:
    FcChoice choice_;
    Epilogue epilogue_;
    int in_, out_, residual_;
};

}  // namespace edgeticket
