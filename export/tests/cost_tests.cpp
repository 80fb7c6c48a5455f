// What is chosen by predicted times, and that choices are convex; the CPU provider's model against measured layers.
//
//   cost_tests [COUNT [SEED]]     COUNT random graphs; one line a failure; exit status 1 if there was any
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "engine/choose/choose.h"
#include "engine/choose/partition.h"
#include "engine/choose/select.h"
#include "engine/cost/cpu_cost.h"
#include "engine/region/index.h"
#include "engine/region/shape.h"
#include "isa/machine.h"

using namespace edgeticket;

namespace {

int failures = 0;

void expect(bool holds, const std::string& what) {
    if (holds) return;
    ++failures;
    std::printf("failed: %s\n", what.c_str());
}

// A graph of candidates: value 0 is the graph's input, value i + 1 is what candidate i computes.
class Graph {
   public:
    using Shape = std::vector<std::int64_t>;
    explicit Graph(const Shape& input) : shapes_{input} {}

    int conv(int x, std::int64_t outputs, std::int64_t kernel, double density, std::int64_t stride = 1) {
        const Shape in = shape(x);
        const std::int64_t pad = kernel / 2;
        Node node;
        node.op = Op::Conv;
        for (int d = 0; d < 2; ++d)
            node.window.kernel[d] = kernel, node.window.stride[d] = stride,
            node.window.pad_begin[d] = node.window.pad_end[d] = pad;
        const auto after = [&](std::int64_t size) { return (size + 2 * pad - kernel) / stride + 1; };
        return add("Conv", node, {x}, {outputs, after(in[1]), after(in[2])}, outputs * in[0] * kernel * kernel,
                   density);
    }
    int relu(int x) {
        Node node;
        node.op = Op::Relu;
        return add("Relu", node, {x}, shape(x));
    }
    int sum(int x, int y) {
        Node node;
        node.op = Op::Add;
        return add("Add", node, {x, y}, shape(x));
    }
    int mean(int x) {
        Node node;
        node.op = Op::GlobalAveragePool;
        return add("GlobalAveragePool", node, {x}, {shape(x)[0]});
    }
    int fc(int x, std::int64_t outputs, double density) {
        Node node;
        node.op = Op::Fc;
        return add("Gemm", node, {x}, {outputs}, outputs * shape(x)[0], density);
    }
    int unknown(int x) {
        const int result = add("Softplus", {}, {x}, shape(x));
        all.back().reason = "no kernel for this operator";
        return result;
    }
    const Shape& shape(int value) const { return at(shapes_, value); }

    std::vector<Candidate> all;

   private:
    int add(const char* op, Node node, const std::vector<int>& inputs, const Shape& out, std::int64_t weights = 0,
            double density = 0) {
        Candidate candidate;
        candidate.name = candidate.op = op;
        candidate.node = std::move(node);
        candidate.node.inputs = inputs;
        candidate.node.output = static_cast<int>(shapes_.size());
        for (const int input : inputs)
            if (input > 0) candidate.producers.push_back(input - 1);
        candidate.in_shape = shape(inputs[0]);
        candidate.out_shape = out;
        candidate.modes = out.size() == 3 || candidate.in_shape.size() == 3 ? kImage : kImage | kRow;
        candidate.weights = weights;
        candidate.nonzeros = static_cast<std::int64_t>(density * static_cast<double>(weights));
        all.push_back(std::move(candidate));
        shapes_.push_back(out);
        return candidate_value();
    }
    int candidate_value() const { return static_cast<int>(shapes_.size()) - 1; }

    std::vector<Shape> shapes_;
};

int residual(Graph& g, int x, std::int64_t channels, std::int64_t stride, double density) {
    const int y = g.conv(g.relu(g.conv(x, channels, 3, density, stride)), channels, 3, density);
    const int shortcut = stride == 1 ? x : g.conv(x, channels, 1, density, stride);
    return g.relu(g.sum(y, shortcut));
}

Graph resnet(double density) {
    Graph g({3, 32, 32});
    int x = g.relu(g.conv(0, 16, 3, 1.0));
    for (const std::int64_t channels : {16, 16, 32, 32, 64, 64})
        x = residual(g, x, channels, g.shape(x)[0] == channels ? 1 : 2, density);
    g.fc(g.mean(x), 10, density);
    return g;
}

std::size_t claimed(const Selection& selection) {
    std::size_t count = 0;
    for (const auto& group : selection.groups) count += group.size();
    return count;
}

void decisions() {
    const Settings settings;
    Graph dense({64, 28, 28});
    int x = 0;
    for (int i = 0; i < 6; ++i) x = dense.relu(dense.conv(x, 64, 3, 1.0));
    dense.fc(dense.mean(x), 10, 1.0);
    const Selection none = select(dense.all, settings, Claim::Auto);
    expect(none.groups.empty(), "a dense network is left alone");
    for (std::size_t i = 0; i < dense.all.size(); ++i) expect(!none.reasons[i].empty(), "what is left has a reason");
    expect(none.reasons[0].find("0 % of the weights are zero: the CPU provider is predicted to take") == 0,
           "the reason says both times: " + none.reasons[0]);

    for (const double density : {0.1, 0.02}) {
        const Graph sparse = resnet(density);
        const Selection all = select(sparse.all, settings, Claim::Auto);
        expect(all.groups.size() == 1 && claimed(all) == sparse.all.size(),
               "a network with nine weights in ten zero is one group");
    }

    Graph light({64, 28, 28});  // nothing to gain but what predictions are wrong by
    light.relu(light.mean(light.relu(light.relu(0))));
    expect(claimed(select(light.all, settings, Claim::Auto)) == 0, "a group without weights is left alone");

    Graph tail({64, 28, 28});
    x = 0;
    for (int i = 0; i < 4; ++i) x = tail.relu(tail.conv(x, 64, 3, 1.0));
    for (int i = 0; i < 4; ++i) x = tail.relu(tail.conv(x, 64, 3, 0.02));
    const Selection last = select(tail.all, settings, Claim::Auto);
    expect(last.groups.size() == 1 && last.groups[0].size() == 8 && last.groups[0][0] == 8,
           "of a network with a sparse tail the tail is taken");

    Graph between({64, 28, 28});  // leaving a dense layer between sparse ones alone would move the map out and in
    between.relu(
        between.conv(between.relu(between.conv(between.relu(between.conv(0, 64, 3, 0.02)), 64, 1, 1.0)), 64, 3, 0.02));
    expect(claimed(select(between.all, settings, Claim::Auto)) == between.all.size(),
           "a short dense layer between sparse ones stays with them");
    expect(claimed(select(between.all, {settings.isa, 2}, Claim::Auto)) == between.all.size(),
           "... on two threads, too");

    const Selection always = select(dense.all, settings, Claim::Always);
    expect(claimed(always) == dense.all.size(), "claim=always takes what can be computed");
}

// Where more groups pay than may be claimed, those that save most are.
void fewer_groups() {
    const Settings settings;
    Graph many({64, 28, 28});
    int x = 0;
    for (int i = 0; i < 6; ++i) x = many.unknown(many.conv(x, 64, 3, i < 3 ? 0.03 : 0.01));
    const Selection all = select(many.all, settings, Claim::Auto), two = select(many.all, settings, Claim::Auto, 2);
    expect(all.groups.size() == 6, "six groups pay");
    expect(select(many.all, settings, Claim::Auto, 6).groups == all.groups, "six of six groups are all of them");
    expect(two.groups.size() == 2 && two.modes.size() == 2, "two groups are claimed where two may be");
    for (const auto& group : two.groups) expect(group[0] >= 6, "the groups with fewer weights save most");
    expect(two.reasons[0].find("of 6 regions that pay, the 2 that save most are taken") == 0,
           "the reason says how many pay: " + two.reasons[0]);
    expect(select(many.all, settings, Claim::Always, 2).groups.size() == 6, "claim=always takes what can be computed");
}

// No path leaves a group and comes back; every group's nodes are claimable and hang together.
void check_groups(const std::vector<Candidate>& candidates, const Selection& selection, const std::string& name) {
    std::vector<int> group_of(candidates.size(), -1);
    for (std::size_t g = 0; g < selection.groups.size(); ++g)
        for (const int i : selection.groups[g]) {
            expect(at(group_of, i) < 0, name + ": a node lies in one group at most");
            at(group_of, i) = static_cast<int>(g);
            expect(at(candidates, i).reason.empty(), name + ": what can not be computed is not claimed");
            expect((at(candidates, i).modes & selection.modes[g]) != 0, name + ": a group's nodes see items alike");
        }
    for (std::size_t g = 0; g < selection.groups.size(); ++g) {
        std::vector<bool> returns(candidates.size(), false);  // reached from the group by a path through others
        bool convex = true;
        for (std::size_t i = 0; i < candidates.size(); ++i) {
            const bool inside = group_of[i] == static_cast<int>(g);
            for (const int p : candidates[i].producers) {
                const bool from = at(group_of, p) == static_cast<int>(g);
                if (inside && at(returns, p)) convex = false;
                if (!inside && (from || at(returns, p))) returns[i] = true;
            }
        }
        expect(convex, name + ": a group is convex");
    }
    for (std::size_t i = 0; i < candidates.size(); ++i)
        expect((group_of[i] < 0) == !selection.reasons[i].empty(),
               name + ": what is left has a reason, what is taken none");
}

void random_graphs(int count, unsigned seed) {
    std::mt19937 random(seed);
    const auto number = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
    for (int i = 0; i < count; ++i) {
        Graph g({16, 12, 12});
        std::vector<int> values{0};
        for (int n = number(3, 25); n > 0; --n) {
            const int x = at(
                values, number(std::max(0, static_cast<int>(values.size()) - 5), static_cast<int>(values.size()) - 1));
            const int y = at(values, number(0, static_cast<int>(values.size()) - 1));
            const int kind = number(0, 9);
            if (kind < 5) values.push_back(g.conv(x, 16, number(0, 1) ? 3 : 1, number(0, 1) ? 1.0 : 0.03));
            else if (kind < 7) values.push_back(g.sum(x, y));
            else if (kind < 9) values.push_back(g.relu(x));
            else values.push_back(g.unknown(x));
        }
        const std::string name = "graph " + std::to_string(i) + " of seed " + std::to_string(seed);
        for (const Claim claim : {Claim::Auto, Claim::Always}) check_groups(g.all, select(g.all, {}, claim), name);
        check_groups(g.all, select(g.all, {}, Claim::Auto, 1), name);
        std::vector<bool> some;
        for (std::size_t c = 0; c < g.all.size(); ++c) some.push_back(g.all[c].reason.empty() && number(0, 2) > 0);
        const Selection parts = partition(g.all, some);
        for (const auto& group : parts.groups) expect(!group.empty(), name + ": no empty group");
    }
}

double cost_of(const Units& units, const std::vector<bool>& here, const Margin& margin) {
    double total = 0;
    for (std::size_t u = 0; u < here.size();) {
        if (!here[u]) {
            total += units.units[u++].cpu_us;
            continue;
        }
        Span span(units, u);
        bool weighted = false;
        for (; u < here.size() && here[u]; ++u) span.extend(), weighted = weighted || units.units[u].weighted;
        if (!weighted) return 1e30;
        total += margin.span_us + span.own_us() / margin.share + span.reorder_us();
    }
    return total;
}

// The choice is as cheap as the cheapest of all there are.
void least(int count, unsigned seed) {
    std::mt19937 random(seed);
    const auto real = [&] { return std::uniform_real_distribution<double>(0, 10)(random); };
    for (int i = 0; i < count; ++i) {
        Units units;
        const int length = 1 + static_cast<int>(random() % 9);
        units.values.resize(static_cast<std::size_t>(length) + 1);
        units.values[0].is_map = false, units.values[0].move_us = real() / 4;
        for (int u = 0; u < length; ++u) {
            Unit unit;
            unit.own_us = real(), unit.cpu_us = real(), unit.output = u + 1, unit.weighted = random() % 4 > 0;
            const int from = static_cast<int>(random() % static_cast<unsigned>(u + 1));
            for (const int read : {u, from}) {
                unit.reads.push_back({read, random() % 4 > 0});
                ++at(units.values, read).readers;
            }
            UnitValue& value = at(units.values, u + 1);
            value.is_map = random() % 4 > 0, value.move_us = real() / 4, value.reorder_us = real() / 8, value.unit = u;
            units.units.push_back(unit);
        }
        const Margin margin;
        std::vector<bool> chosen(static_cast<std::size_t>(length), false);
        for (const auto& [first, last] : choose(units, margin))
            for (std::size_t u = first; u < last; ++u) chosen[u] = true;
        double best = 1e30;
        for (unsigned set = 0; set < 1U << length; ++set) {
            std::vector<bool> here;
            for (int u = 0; u < length; ++u) here.push_back((set >> u & 1U) != 0);
            best = std::min(best, cost_of(units, here, margin));
        }
        expect(cost_of(units, chosen, margin) <= best + 1e-9,
               "sequence " + std::to_string(i) + ": a cheaper choice exists");
    }
}

struct Measured {
    Isa isa;
    std::int64_t in, out, kernel, size;
    double us;  // with ONNX Runtime 1.31, one thread, at a peak of 118 (AVX-512) and 65 (AVX2) GMAC/s
    bool depthwise = false;
};

// The model against layers that were measured; a third is the largest error of the fit.
void model() {
    const Measured layers[] = {
        {Isa::Avx512, 16, 16, 3, 32, 33.1},
        {Isa::Avx512, 64, 64, 3, 32, 397.5},
        {Isa::Avx512, 64, 64, 3, 8, 26.1},
        {Isa::Avx512, 128, 128, 3, 28, 1275.6},
        {Isa::Avx512, 512, 512, 3, 4, 826.8},
        {Isa::Avx512, 128, 128, 1, 56, 593.2},
        {Isa::Avx512, 64, 64, 1, 8, 3.46},
        {Isa::Avx512, 3, 64, 3, 32, 25.1},
        {Isa::Avx512, 100, 100, 3, 14, 245.8},
        {Isa::Avx512, 17, 33, 3, 16, 35.0},
        {Isa::Avx512, 128, 128, 3, 56, 105.8, true},
        {Isa::Avx512, 33, 33, 3, 20, 30.0, true},
        {Isa::Avx2, 16, 16, 3, 32, 57.2},
        {Isa::Avx2, 64, 64, 3, 32, 656.0},
        {Isa::Avx2, 128, 128, 1, 56, 924.8},
        {Isa::Avx2, 24, 40, 3, 20, 64.0},
    };
    for (const Measured& m : layers) {
        const double peak = m.isa == Isa::Avx512 ? 118.0 : 65.0;
        const double weights =
            m.depthwise
                ? 0
                : 5 * 4.0 * static_cast<double>(m.in * m.out * m.kernel * m.kernel);  // two and eight copies in turn
        const CpuCost cost({m.isa, peak, weights, 1});
        Node node;
        node.op = Op::Conv;
        node.groups = m.depthwise ? m.in : 1;
        for (int d = 0; d < 2; ++d)
            node.window.kernel[d] = m.kernel, node.window.pad_begin[d] = node.window.pad_end[d] = m.kernel / 2;
        const double us = cost.node_us(node, {m.in, m.size, m.size}, {m.out, m.size, m.size}, 1);
        char text[128];
        std::snprintf(text, sizeof text, "%s %ld -> %ld, %ld x %ld, %ld pixels: %.1f predicted, %.1f measured",
                      isa_name(m.isa), static_cast<long>(m.in), static_cast<long>(m.out), static_cast<long>(m.kernel),
                      static_cast<long>(m.kernel), static_cast<long>(m.size), us, m.us);
        expect(std::fabs(std::log(us / m.us)) < std::log(1.35), text);
        const CpuCost twice({m.isa, peak, weights, 2});
        const double shared = twice.node_us(node, {m.in, m.size, m.size}, {m.out, m.size, m.size}, 1);
        expect(shared <= us && shared >= us / 2 - 1e-9, std::string(text) + ": two threads are at most twice as fast");
    }
}

// On such a machine wide vectors gain nothing, and loads feed every multiplication in time.
void halved_vectors() {
    Node node;
    node.op = Op::Conv;
    for (int d = 0; d < 2; ++d) node.window.kernel[d] = 3, node.window.pad_begin[d] = node.window.pad_end[d] = 1;
    const auto dense_us = [&](bool fast_wide) {
        return CpuCost({Isa::Avx512, 55, 0, 1, fast_wide}).node_us(node, {64, 28, 28}, {64, 28, 28}, 1);
    };
    expect(dense_us(false) < 0.9 * dense_us(true),
           "dense kernels come closer to the peak of a machine whose wide vectors take two turns");
}

}  // namespace

int main(int count, char** arguments) {
    const int graphs = count > 1 ? std::atoi(arguments[1]) : 300;
    const unsigned seed = count > 2 ? static_cast<unsigned>(std::atoi(arguments[2])) : 1U;
    expect(peak_gmacs(best_isa()) > 0.01 && peak_gmacs(best_isa()) == peak_gmacs(best_isa()),
           "the peak is measured once");
    decisions();
    fewer_groups();
    random_graphs(graphs, seed);
    least(graphs, seed);
    model();
    halved_vectors();
    std::printf("%d graphs and %d sequences, %d failed; peak %.1f GMAC/s on %s\n", graphs, graphs, failures,
                peak_gmacs(best_isa()), isa_name(best_isa()));
    return failures == 0 ? 0 : 1;
}
