// Plans of random regions, on every instruction set of this processor, against the double-precision reference.
//
//   region_tests [COUNT [SEED]]     one line a failure; exit status 1 if there was any
//
// The tolerance of an output is derived: n rounded operations change a sum by at most n / (1 - n u) * u times the sum of magnitudes
// (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1), u = 2^-24; n counts the operations of the region's longest path.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "../src/engine/plan.h"
#include "../src/engine/kernels_of.h"
#include "../src/engine/reference.h"
#include "../src/engine/shape.h"

using namespace edgeticket;

namespace {

class Maker {
   public:
    explicit Maker(unsigned seed) : random_(seed) {}

    Region make() {
        Region region;
        operations_ = 0;
        const bool flat = chance(15);
        std::vector<std::int64_t> shape{number(1, 24)};
        if (!flat) {
            if (!chance(20)) shape.push_back(number(1, chance(20) ? 70 : 20));
            shape.push_back(number(1, chance(20) ? 70 : 20));
        }
        int value = add_value(region, shape);
        region.inputs.push_back(value);
        const int nodes = number(1, 6);
        for (int i = 0; i < nodes; ++i) value = add_node(region, value);
        region.outputs.push_back(value);
        if (nodes > 1 && chance(25) && region.nodes[0].output != value) region.outputs.push_back(region.nodes[0].output);
        return region;
    }

    double operations() const { return operations_; }
    int number(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }
    bool chance(int percent) { return number(1, 100) <= percent; }
    float real() { return std::normal_distribution<float>()(random_); }

   private:
    static int add_value(Region& region, const std::vector<std::int64_t>& shape) {
        region.values.push_back({"v" + std::to_string(region.values.size()), shape});
        return static_cast<int>(region.values.size()) - 1;
    }

    std::vector<float> weights(std::int64_t rows, std::int64_t columns) {
        const int zero = chance(20) ? 0 : chance(20) ? 100 : number(1, 99);
        std::vector<float> w(static_cast<std::size_t>(rows * columns));
        for (std::int64_t r = 0; r < rows; ++r) {
            const int row_zero = chance(10) ? 100 : zero;
            for (std::int64_t c = 0; c < columns; ++c) w[static_cast<std::size_t>(r * columns + c)] = chance(row_zero) ? 0.0F : real();
        }
        return w;
    }

    void window(Node& node, std::size_t rank, const std::vector<std::int64_t>& in, std::vector<std::int64_t>& out, bool pool) {
        for (int d = rank == 3 ? 0 : 1; d < 2; ++d) {
            const std::int64_t size = rank == 3 ? in[static_cast<std::size_t>(d) + 1] : in[1];
            Window& w = node.window;
            w.kernel[d] = number(1, chance(30) ? 7 : 3);
            w.stride[d] = number(1, chance(20) ? 3 : 2);
            w.dilation[d] = pool ? 1 : number(1, chance(20) ? 3 : 1);
            const int most = static_cast<int>(pool ? w.kernel[d] - 1 : w.kernel[d] + 1);
            w.pad_begin[d] = number(0, most);
            w.pad_end[d] = number(0, most);
            while (size + w.pad_begin[d] + w.pad_end[d] < (w.kernel[d] - 1) * w.dilation[d] + 1) {
                if (w.dilation[d] > 1) --w.dilation[d];
                else --w.kernel[d];
                if (pool) {
                    w.pad_begin[d] = std::min(w.pad_begin[d], w.kernel[d] - 1);
                    w.pad_end[d] = std::min(w.pad_end[d], w.kernel[d] - 1);
                }
            }
            out.push_back((size + w.pad_begin[d] + w.pad_end[d] - (w.kernel[d] - 1) * w.dilation[d] - 1) / w.stride[d] + 1);
        }
    }

    int add_node(Region& region, int value) {
        const std::vector<std::int64_t> in = region.values[static_cast<std::size_t>(value)].shape;
        Node node;
        node.name = "n" + std::to_string(region.nodes.size());
        node.inputs = {value};
        std::vector<std::int64_t> out = in;
        const int kind = number(0, 99);
        if (in.size() >= 2 && kind < 45) {
            node.op = Op::Conv;
            node.groups = chance(25) ? in[0] : 1;
            const std::int64_t group_in = in[0] / node.groups, group_out = node.groups > 1 ? number(1, 2) : number(1, 24);
            out = {group_out * node.groups};
            window(node, in.size(), in, out, false);
            const std::int64_t columns = group_in * node.window.kernel[0] * node.window.kernel[1];
            node.weight = weights(out[0], columns);
            if (chance(70))
                for (std::int64_t i = 0; i < out[0]; ++i) node.bias.push_back(real());
            operations_ += static_cast<double>(columns) + 2;
        } else if (in.size() >= 2 && kind < 58) {
            node.op = chance(50) ? Op::MaxPool : Op::AveragePool;
            node.count_include_pad = chance(50);
            out = {in[0]};
            window(node, in.size(), in, out, true);
            operations_ += static_cast<double>(node.window.kernel[0] * node.window.kernel[1]) + 2;
        } else if (in.size() >= 2 && kind < 62) {
            node.op = Op::GlobalAveragePool;
            operations_ += static_cast<double>(elements(in) / in[0]) + 2;
            out = {in[0]};
            for (std::size_t d = 1; d < in.size(); ++d) out.push_back(1);
            if (chance(50)) out = {in[0]};
        } else if (in.size() >= 2 && kind < 66) {
            node.op = Op::Reshape;
            out = {elements(in)};
        } else if (in.size() == 1 && kind < 70) {
            node.op = Op::Fc;
            out = {number(1, 70)};
            node.weight = weights(out[0], in[0]);
            if (chance(70))
                for (std::int64_t i = 0; i < out[0]; ++i) node.bias.push_back(real());
            operations_ += static_cast<double>(in[0]) + 2;
        } else if (kind < 80) {
            node.op = Op::Add;
            operations_ += 1;
            std::vector<int> same;
            for (std::size_t v = 0; v < region.values.size(); ++v)
                if (region.values[v].shape == in) same.push_back(static_cast<int>(v));
            if (chance(70)) node.inputs.push_back(same[static_cast<std::size_t>(number(0, static_cast<int>(same.size()) - 1))]);
            else
                for (std::int64_t i = 0; i < elements(in); ++i) node.constant.push_back(real());
        } else {
            constexpr Op activations[] = {Op::Relu, Op::Clip, Op::LeakyRelu, Op::Sigmoid, Op::HardSwish};
            node.op = activations[number(0, 4)];
            node.low = static_cast<float>(number(-2, 0)) * 0.5F;
            node.high = static_cast<float>(number(1, 12)) * 0.5F;
            node.alpha = 0.1F;
            operations_ += 8;
        }
        node.output = add_value(region, out);
        region.nodes.push_back(node);
        return node.output;
    }

    std::mt19937 random_;
    double operations_ = 0;
};

const char* op_name(Op op) {
    constexpr const char* names[] = {"Conv", "Fc", "Add", "Relu", "Clip", "LeakyRelu", "Sigmoid", "HardSwish", "MaxPool", "AveragePool", "GlobalAveragePool", "Reshape"};
    return names[static_cast<int>(op)];
}

void describe(const Region& region) {
    for (const Node& node : region.nodes) {
        std::printf("    %s", op_name(node.op));
        for (const std::int64_t s : region.values[static_cast<std::size_t>(node.inputs[0])].shape) std::printf(" %lld", static_cast<long long>(s));
        std::printf(" ->");
        for (const std::int64_t s : region.values[static_cast<std::size_t>(node.output)].shape) std::printf(" %lld", static_cast<long long>(s));
        const Window& w = node.window;
        std::printf("  k %lld %lld s %lld %lld d %lld %lld p %lld %lld %lld %lld g %lld\n", static_cast<long long>(w.kernel[0]), static_cast<long long>(w.kernel[1]),
                    static_cast<long long>(w.stride[0]), static_cast<long long>(w.stride[1]), static_cast<long long>(w.dilation[0]), static_cast<long long>(w.dilation[1]),
                    static_cast<long long>(w.pad_begin[0]), static_cast<long long>(w.pad_begin[1]), static_cast<long long>(w.pad_end[0]),
                    static_cast<long long>(w.pad_end[1]), static_cast<long long>(node.groups));
    }
}

void run_inline(void*, void (*task)(void*, std::size_t), std::size_t count, void* argument) {
    for (std::size_t i = count; i-- > 0;) task(argument, i);
}

// The worst error of all outputs as a multiple of what is allowed.
double worst(const Region& region, const Settings& settings, std::int64_t items, double operations, const std::vector<std::vector<float>>& inputs) {
    std::vector<const float*> in;
    for (const auto& input : inputs) in.push_back(input.data());
    const auto values = run_reference(region, items, in.data());
    const auto magnitudes = run_reference(region, items, in.data(), Sum::Magnitudes);
    const std::unique_ptr<Plan> plan = Plan::build(region, settings);
    std::vector<std::vector<float>> outputs;
    std::vector<float*> out;
    for (const auto& value : values) {
        outputs.emplace_back(value.size(), NAN);
        out.push_back(outputs.back().data());
    }
    const std::size_t floats = plan->workspace_floats(items);
    float* const workspace = static_cast<float*>(std::aligned_alloc(64, (floats * 4 + 127) / 64 * 64));
    for (std::size_t i = 0; i < floats; ++i) workspace[i] = NAN;  // what is read must have been written
    Pool pool;
    pool.run = run_inline;
    plan->run(in.data(), out.data(), items, workspace, pool);
    std::free(workspace);
    constexpr double unit = 1.0 / (1 << 24);
    const double gamma = operations * unit / (1 - operations * unit);
    double most = 0;
    for (std::size_t o = 0; o < outputs.size(); ++o)
        for (std::size_t i = 0; i < values[o].size(); ++i) {
            const double allowed = gamma * magnitudes[o][i] + 1e-37;
            const double off = std::fabs(static_cast<double>(outputs[o][i]) - values[o][i]) / allowed;
            if (!(off <= most)) most = std::isnan(off) ? 1e30 : off;
        }
    return most;
}

}  // namespace

int main(int argc, char** argv) {
    const int count = argc > 1 ? std::atoi(argv[1]) : 500;
    const unsigned first = argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 1;
    int failed = 0, ran = 0;
    double closest = 0;
    for (const Isa isa : {Isa::Portable, Isa::Neon, Isa::Avx2, Isa::Avx512}) {
        if (!has_isa(isa)) continue;
        for (int i = 0; i < count; ++i) {
            Maker maker(first + static_cast<unsigned>(i));
            const Region region = maker.make();
            const std::int64_t items = maker.number(1, 5);
            std::vector<std::vector<float>> inputs;
            for (const int value : region.inputs) {
                inputs.emplace_back();
                const std::int64_t total = items * elements(region.values[static_cast<std::size_t>(value)].shape);
                for (std::int64_t k = 0; k < total; ++k) inputs.back().push_back(maker.real());
            }
            Settings settings;
            settings.isa = isa;
            settings.threads = maker.number(1, 3);
            const double off = worst(region, settings, items, maker.operations() + 4, inputs);
            closest = off > closest && off < 1e29 ? off : closest;
            ++ran;
            if (off <= 1) continue;
            ++failed;
            std::printf("%s, seed %u: %.3g times the allowed error\n", isa_name(isa), first + static_cast<unsigned>(i), off);
            if (failed <= 5) describe(region);
        }
    }
    std::printf("%d regions, %d failed; the largest error was %.2g of what is allowed\n", ran, failed, closest);
    return failed > 0;
}
