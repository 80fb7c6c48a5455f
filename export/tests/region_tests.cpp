// Plans of random regions, on every instruction set of this processor, against the double-precision reference.
//
//   region_tests [COUNT [SEED]]     one line a failure; exit status 1 if there was any
#include "region_cases.h"

using namespace edgeticket;

namespace {

class Maker {
   public:
    explicit Maker(Chance& chance) : chance_(chance) {}

    RegionCase make() {
        Region& region = test_.region;
        test_.operations = 4;
        const bool flat = chance_.chance(15);
        std::vector<std::int64_t> shape{chance_.number(1, 24)};
        if (!flat) {
            if (!chance_.chance(20)) shape.push_back(chance_.number(1, chance_.chance(20) ? 70 : 20));
            shape.push_back(chance_.number(1, chance_.chance(20) ? 70 : 20));
        }
        int value = add_value(region, shape);
        region.inputs.push_back(value);
        const int nodes = chance_.number(1, 6);
        for (int i = 0; i < nodes; ++i) value = add_node(value);
        region.outputs.push_back(value);
        if (nodes > 1 && chance_.chance(25) && region.nodes[0].output != value)
            region.outputs.push_back(region.nodes[0].output);
        return test_;
    }

   private:
    void window(Node& node, std::size_t rank, const std::vector<std::int64_t>& in, std::vector<std::int64_t>& out,
                bool pool) {
        for (int d = rank == 3 ? 0 : 1; d < 2; ++d) {
            const std::int64_t size = rank == 3 ? in[static_cast<std::size_t>(d) + 1] : in[1];
            Window& w = node.window;
            w.kernel[d] = chance_.number(1, chance_.chance(30) ? 7 : 3);
            w.stride[d] = chance_.number(1, chance_.chance(20) ? 3 : 2);
            w.dilation[d] = pool ? 1 : chance_.number(1, chance_.chance(20) ? 3 : 1);
            const int most = static_cast<int>(pool ? w.kernel[d] - 1 : w.kernel[d] + 1);
            w.pad_begin[d] = chance_.number(0, most);
            w.pad_end[d] = chance_.number(0, most);
            while (size + w.pad_begin[d] + w.pad_end[d] < (w.kernel[d] - 1) * w.dilation[d] + 1) {
                if (w.dilation[d] > 1) --w.dilation[d];
                else --w.kernel[d];
                if (pool) {
                    w.pad_begin[d] = std::min(w.pad_begin[d], w.kernel[d] - 1);
                    w.pad_end[d] = std::min(w.pad_end[d], w.kernel[d] - 1);
                }
            }
            out.push_back((size + w.pad_begin[d] + w.pad_end[d] - (w.kernel[d] - 1) * w.dilation[d] - 1) / w.stride[d] +
                          1);
        }
    }

    // In half of all cases one value a channel, which becomes part of a bias.
    std::vector<float> constant(const std::vector<std::int64_t>& shape) {
        std::vector<float> values = chance_.reals(elements(shape));
        const std::size_t plane = values.size() / static_cast<std::size_t>(shape[0]);
        if (chance_.chance(50))
            for (std::size_t i = 0; i < values.size(); ++i) values[i] = values[i / plane * plane];
        return values;
    }

    int add_node(int value) {
        const std::vector<std::int64_t> in = test_.region.values[static_cast<std::size_t>(value)].shape;
        Node node;
        node.name = "n" + std::to_string(test_.region.nodes.size());
        node.inputs = {value};
        std::vector<std::int64_t> out = in;
        const int kind = chance_.number(0, 99);
        if (in.size() >= 2 && kind < 45) {
            node.op = Op::Conv;
            node.groups = chance_.chance(25) ? in[0] : 1;
            const std::int64_t group_in = in[0] / node.groups,
                               group_out = node.groups > 1 ? chance_.number(1, 2) : chance_.number(1, 24);
            out = {group_out * node.groups};
            window(node, in.size(), in, out, false);
            const std::int64_t columns = group_in * node.window.kernel[0] * node.window.kernel[1];
            node.weight = chance_.weights(out[0], columns);
            if (chance_.chance(70)) node.bias = chance_.reals(out[0]);
            test_.operations += static_cast<double>(columns) + 2;
        } else if (in.size() >= 2 && kind < 58) {
            node.op = chance_.chance(50) ? Op::MaxPool : Op::AveragePool;
            node.count_include_pad = chance_.chance(50);
            out = {in[0]};
            window(node, in.size(), in, out, true);
            test_.operations += static_cast<double>(node.window.kernel[0] * node.window.kernel[1]) + 2;
        } else if (in.size() >= 2 && kind < 62) {
            node.op = Op::GlobalAveragePool;
            test_.operations += static_cast<double>(elements(in) / in[0]) + 2;
            out = {in[0]};
            for (std::size_t d = 1; d < in.size(); ++d) out.push_back(1);
            if (chance_.chance(50)) out = {in[0]};
        } else if (in.size() >= 2 && kind < 66) {
            node.op = Op::Reshape;
            out = {elements(in)};
        } else if (in.size() == 1 && kind < 70) {
            node.op = Op::Fc;
            out = {chance_.number(1, 70)};
            node.weight = chance_.weights(out[0], in[0]);
            if (chance_.chance(70)) node.bias = chance_.reals(out[0]);
            test_.operations += static_cast<double>(in[0]) + 2;
        } else if (kind < 80) {
            node.op = Op::Add;
            test_.operations += 1;
            std::vector<int> same;
            for (std::size_t v = 0; v < test_.region.values.size(); ++v)
                if (test_.region.values[v].shape == in) same.push_back(static_cast<int>(v));
            if (chance_.chance(70))
                node.inputs.push_back(
                    same[static_cast<std::size_t>(chance_.number(0, static_cast<int>(same.size()) - 1))]);
            else node.constant = constant(in);
        } else {
            chance_.activation(node);
            test_.operations += 8;
        }
        node.output = add_value(test_.region, out);
        test_.region.nodes.push_back(node);
        return node.output;
    }

    Chance& chance_;
    RegionCase test_;
};

}  // namespace

int main(int argc, char** argv) {
    const int count = argc > 1 ? std::atoi(argv[1]) : 500;
    const unsigned first = argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 1;
    return test_regions(count, first, 5, [](Chance& chance) { return Maker(chance).make(); });
}
