#include "fc_step.h"

#include <stdexcept>

namespace edgeticket {

FcChoice choose_fc(const FcKernels& kernels, const Node& node, std::int32_t inputs, std::int32_t outputs, bool panel, std::int32_t width) {
    const FcNonzeros nonzeros(node.weight.data(), outputs, inputs);
    FcChoice best;
    for (std::int32_t i = 0; i < kernels.count; ++i) {
        const FcKernel& kernel = kernels.kernels[i];
        if (kernel.panel != panel || (panel && kernel.width != width) || inputs > kernel.max_inputs) continue;
        auto packed = std::make_unique<FcPacked>(node.weight.data(), nonzeros, node.bias.empty() ? nullptr : node.bias.data(), kernel, kernels.lanes);
        const double cost = static_cast<double>(kernel.cost_step) * static_cast<double>(packed->steps()) +
                            static_cast<double>(kernel.cost_output) * static_cast<double>(outputs);
        if (best.kernel == nullptr || cost < best.cost) best = {&kernel, std::move(packed), cost};
    }
    if (best.kernel == nullptr) throw std::invalid_argument("no kernel serves a layer of " + std::to_string(inputs) + " inputs");
    return best;
}

FcStep::FcStep(int node, const FcKernels& kernels, const Node& fc, const Epilogue& epilogue, int in, std::int32_t inputs, int out, std::int32_t outputs,
               int residual)
    : Step(node), choice_(choose_fc(kernels, fc, inputs, outputs, false, 1)), epilogue_(epilogue), in_(in), out_(out), residual_(residual) {}

void FcStep::run(const Frame& frame, const std::vector<Buffer>& buffers, int part, int parts) const {
    int first = 0, last = 0;
    share(choice_.packed->weights().units, part, parts, first, last);
    choice_.kernel->run(choice_.packed->weights(), buffers[static_cast<std::size_t>(in_)].at(frame),
                        residual_ < 0 ? nullptr : buffers[static_cast<std::size_t>(residual_)].at(frame), epilogue_,
                        buffers[static_cast<std::size_t>(out_)].at(frame), first, last);
}

}  // namespace edgeticket
