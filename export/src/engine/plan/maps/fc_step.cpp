#include "fc_step.h"

namespace edgeticket {

FcStep::FcStep(int node, const FcKernels& kernels, const Node& fc, const Epilogue& epilogue, int in, std::int32_t inputs, int out, std::int32_t outputs,
               int residual)
    : Step(node),
      layer_(kernels, fc.weight.data(), fc.bias.empty() ? nullptr : fc.bias.data(), outputs, inputs, false),
      cycles_(layer_.predict_us(1) * 1e3 * kernels.peak_gmacs / (2.0 * kernels.lanes)),  // two vector multiply-accumulates a cycle at the peak
      epilogue_(epilogue),
      in_(in),
      out_(out),
      residual_(residual) {}

void FcStep::run(const Frame& frame, const std::vector<Buffer>& buffers, int part, int parts) const {
    int first = 0, last = 0;
    share(layer_.row_units(), part, parts, first, last);
    layer_.run_row(buffers[static_cast<std::size_t>(in_)].at(frame),
                   residual_ < 0 ? nullptr : buffers[static_cast<std::size_t>(residual_)].at(frame), epilogue_,
                   buffers[static_cast<std::size_t>(out_)].at(frame), first, last);
}

}  // namespace edgeticket
