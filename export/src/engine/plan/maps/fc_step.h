// A fully connected layer over one item, with its residual and activation.
#pragma once

#include <vector>

#include "kernels/fc_layer.h"
#include "steps.h"

namespace edgeticket {

class FcStep final : public Step {
   public:
    FcStep(int node, const FcKernels& kernels, const Node& fc, const Epilogue& epilogue, int in, std::int32_t inputs, int out, std::int32_t outputs,
           int residual);
    void run(const Frame&, const std::vector<Buffer>&, int part, int parts) const override;
    double cycles() const override { return cycles_; }
    std::size_t bytes() const override { return layer_.packed_bytes(); }
    const char* kernel() const override { return layer_.row_kernel().name; }
    std::vector<int> reads() const override { return residual_ < 0 ? std::vector<int>{in_} : std::vector<int>{in_, residual_}; }
    int writes() const override { return out_; }

   private:
    FcLayer layer_;
    double cycles_;
    Epilogue epilogue_;
    int in_, out_, residual_;
};

}  // namespace edgeticket
