// What the tests of plans share: a region is planned and run on fenced buffers, its outputs are held against the
// reference.
//
// The tolerance of an output is derived: n rounded operations change a sum by at most n / (1 - n u) * u times the sum
// of magnitudes (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1), u = 2^-24; n counts the
// operations of the region's longest path.
#pragma once

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "engine/region/reference.h"
#include "engine/region/shape.h"
#include "engine/run/plan.h"
#include "fenced.h"
#include "isa/isa.h"

namespace edgeticket {

// A region, and how many rounded operations lie on its longest path.
struct RegionCase {
    Region region;
    double operations = 0;
};

class Chance {
   public:
    explicit Chance(unsigned seed) : random_(seed) {}
    int number(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }
    bool chance(int percent) { return number(1, 100) <= percent; }
    float real() { return std::normal_distribution<float>()(random_); }

    // Rows of random sparsity, some of them empty.
    std::vector<float> weights(std::int64_t rows, std::int64_t columns) {
        const int zero = chance(20) ? 0 : chance(20) ? 100 : number(1, 99);
        std::vector<float> w(static_cast<std::size_t>(rows * columns));
        for (std::int64_t r = 0; r < rows; ++r) {
            const int row_zero = chance(10) ? 100 : zero;
            for (std::int64_t c = 0; c < columns; ++c)
                w[static_cast<std::size_t>(r * columns + c)] = chance(row_zero) ? 0.0F : real();
        }
        return w;
    }

    std::vector<float> reals(std::int64_t count) {
        std::vector<float> values(static_cast<std::size_t>(count));
        for (float& value : values) value = real();
        return values;
    }

    void activation(Node& node) {
        std::vector<Op> activations;
        for (const OpTraits& row : kOps)
            if (row.is_activation()) activations.push_back(row.op);
        node.op = activations[static_cast<std::size_t>(number(0, static_cast<int>(activations.size()) - 1))];
        node.low = static_cast<float>(number(-2, 0)) * 0.5F;
        node.high = static_cast<float>(number(1, 12)) * 0.5F;
        node.alpha = 0.1F;
    }

   private:
    std::mt19937 random_;
};

inline int add_value(Region& region, const std::vector<std::int64_t>& shape) {
    region.values.push_back({"v" + std::to_string(region.values.size()), shape});
    return static_cast<int>(region.values.size()) - 1;
}

inline void describe(const Region& region) {
    for (const Node& node : region.nodes) {
        std::printf("    %s", node.traits().name);
        for (const std::int64_t s : region.values[static_cast<std::size_t>(node.inputs[0])].shape)
            std::printf(" %lld", static_cast<long long>(s));
        std::printf(" ->");
        for (const std::int64_t s : region.values[static_cast<std::size_t>(node.output)].shape)
            std::printf(" %lld", static_cast<long long>(s));
        const Window& w = node.window;
        std::printf("  k %lld %lld s %lld %lld d %lld %lld p %lld %lld %lld %lld g %lld\n",
                    static_cast<long long>(w.kernel[0]), static_cast<long long>(w.kernel[1]),
                    static_cast<long long>(w.stride[0]), static_cast<long long>(w.stride[1]),
                    static_cast<long long>(w.dilation[0]), static_cast<long long>(w.dilation[1]),
                    static_cast<long long>(w.pad_begin[0]), static_cast<long long>(w.pad_begin[1]),
                    static_cast<long long>(w.pad_end[0]), static_cast<long long>(w.pad_end[1]),
                    static_cast<long long>(node.groups));
    }
}

// The last task first: they may run in any order.
inline void run_inline(void*, void (*task)(void*, std::size_t), std::size_t count, void* argument) {
    for (std::size_t i = count; i-- > 0;) task(argument, i);
}

// All tasks at a time.
inline void run_threads(void*, void (*task)(void*, std::size_t), std::size_t count, void* argument) {
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < count; ++i) threads.emplace_back(task, argument, i);
    for (std::thread& thread : threads) thread.join();
}

// The worst error of all outputs as a multiple of what is allowed. Buffers end, or begin, at a page that may not be
// touched.
inline double worst(const RegionCase& test, const Settings& settings, std::int64_t items,
                    const std::vector<std::vector<float>>& inputs, bool at_end) {
    std::vector<std::unique_ptr<Fenced>> fenced;
    std::vector<const float*> in;
    std::vector<float*> out;
    for (const auto& input : inputs) {
        fenced.push_back(std::make_unique<Fenced>(input.size(), at_end));
        std::memcpy(fenced.back()->data(), input.data(), input.size() * 4);
        in.push_back(fenced.back()->data());
    }
    const auto values = run_reference(test.region, items, in.data());
    const auto magnitudes = run_reference(test.region, items, in.data(), Sum::Magnitudes);
    for (const auto& value : values) {
        fenced.push_back(std::make_unique<Fenced>(value.size(), at_end));
        out.push_back(fenced.back()->data());
        std::fill(out.back(), out.back() + value.size(), NAN);
    }
    const std::unique_ptr<Plan> plan = Plan::build(test.region, settings);
    // Aligned to 64 bytes at either end.
    const std::size_t whole = (plan->workspace_bytes(items) + 63) / 64 * 64 / sizeof(float);
    Fenced workspace(whole, at_end);
    std::fill(workspace.data(), workspace.data() + whole, NAN);  // what is read must have been written
    Pool pool;
    if (settings.threads > 1) pool.run = items % 2 == 0 ? run_inline : run_threads;
    const std::vector<const void*> from(in.begin(), in.end());
    const std::vector<void*> to(out.begin(), out.end());
    plan->run(from.data(), to.data(), items, workspace.data(), pool);
    const double gamma = test.operations / (1 << 24) / (1 - test.operations / (1 << 24));
    double most = 0;
    for (std::size_t o = 0; o < out.size(); ++o)
        for (std::size_t i = 0; i < values[o].size(); ++i) {
            const double allowed = gamma * magnitudes[o][i] + 1e-37;
            const double off = std::fabs(static_cast<double>(out[o][i]) - values[o][i]) / allowed;
            if (!(off <= most)) most = std::isnan(off) ? 1e30 : off;
        }
    return most;
}

// make(chance) gives a RegionCase; items and threads up to the given numbers.
template <class Make>
int test_regions(int count, unsigned first, int most_items, Make make) {
    int failed = 0, ran = 0;
    double closest = 0;
    for (const InstructionSet& set : kInstructionSets) {
        if (!has_isa(set.isa)) continue;
        for (int i = 0; i < count; ++i) {
            const unsigned seed = first + static_cast<unsigned>(i);
            Chance chance(seed);
            const RegionCase test = make(chance);
            const std::int64_t items = chance.number(1, chance.chance(30) ? 3 : most_items);
            std::vector<std::vector<float>> inputs;
            for (const int value : test.region.inputs)
                inputs.push_back(
                    chance.reals(items * elements(test.region.values[static_cast<std::size_t>(value)].shape)));
            Settings settings;
            settings.isa = set.isa;
            settings.threads = chance.number(1, 3);
            const double off = worst(test, settings, items, inputs, i % 2 == 0);
            closest = off > closest && off < 1e29 ? off : closest;
            ++ran;
            if (off <= 1) continue;
            ++failed;
            std::printf("%s, seed %u, %lld items, %d threads: %.3g times the allowed error\n", set.name, seed,
                        static_cast<long long>(items), settings.threads, off);
            if (failed <= 5) describe(test.region);
        }
    }
    std::printf("%d regions, %d failed; the largest error was %.2g of what is allowed\n", ran, failed, closest);
    return failed > 0;
}

}  // namespace edgeticket
