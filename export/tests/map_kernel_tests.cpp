// Every kernel over feature maps against a plain double-precision loop, on buffers that end where the kernel may read
// or write last.
//
//   map_kernel_tests [COUNT [SEED]]     COUNT random tasks a kernel; exit status 1 if a value was wrong
//
// Tolerances as in fc_tests.cpp. What a kernel should not write has to stay as it was, bit for bit.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "epilogues.h"
#include "fenced.h"
#include "isa/isa.h"

using namespace edgeticket;

namespace {

std::mt19937 random_source;
int failures = 0, checks = 0;
bool at_end = false;  // where the next buffers lie between their fences

int number(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_source); }
bool chance(int percent) { return number(1, 100) <= percent; }
float real() { return std::normal_distribution<float>()(random_source); }

using Floats = Fenced;
using Masks = FencedArray<std::int32_t>;

void fill(Floats& floats, bool special) {
    constexpr float specials[] = {NAN, INFINITY, -INFINITY};
    for (float& x : floats) x = special && chance(3) ? specials[number(0, 2)] : real();
}

void fill(Masks& masks) {
    for (std::int32_t& mask : masks) mask = chance(70) ? -1 : 0;
}

Epilogue some_epilogue() {
    return epilogues()[static_cast<std::size_t>(number(0, static_cast<int>(epilogues().size()) - 1))];
}

struct Sum {
    double value = 0, size = 0;
    int terms = 8;
    void add(double x) { value += x, size += std::fabs(x), ++terms; }
};

void expect(const std::string& name, float found, const Sum& sum, const Epilogue& epilogue) {
    constexpr double unit = 1.0 / (1 << 24);
    const double wanted = activated(sum.value, epilogue), gamma = sum.terms * unit / (1 - sum.terms * unit);
    const double allowed = slope(epilogue) * gamma * sum.size + 16 * unit * std::fabs(wanted);
    const bool exact = !std::isfinite(wanted) || !std::isfinite(sum.size);
    const bool good = std::isnan(wanted) ? std::isnan(found)
                      : exact            ? static_cast<double>(found) == wanted
                                         : std::fabs(found - wanted) <= allowed;
    ++checks;
    if (!good && ++failures <= 20)
        std::printf("FAIL %s: %.9g, expected %.9g +- %.3g\n", name.c_str(), static_cast<double>(found), wanted,
                    allowed);
}

void expect_same(const std::string& name, float found, float wanted) {
    ++checks;
    if (std::memcmp(&found, &wanted, 4) != 0 && ++failures <= 20)
        std::printf("FAIL %s: %.9g where %.9g has to be, bit for bit\n", name.c_str(), static_cast<double>(found),
                    static_cast<double>(wanted));
}

// Where a kernel writes: planes with rows x columns vectors inside, and halos that copy some of these to free vectors.
struct Output {
    int lanes, rows, columns, planes;
    std::ptrdiff_t inside, pitch, plane;  // floats
    Floats floats;
    std::vector<float> before;
    std::vector<Halo> entries;
    std::vector<std::int32_t> permutations;

    static std::ptrdiff_t some_pitch(int columns, int lanes) { return std::ptrdiff_t{columns + number(0, 2)} * lanes; }

    Output(int lanes, int rows, int columns, int planes, std::ptrdiff_t pitch, int front, int behind, bool with_halos)
        : lanes(lanes),
          rows(rows),
          columns(columns),
          planes(planes),
          inside(std::ptrdiff_t{front} * lanes),
          pitch(pitch),
          plane(inside + (rows - 1) * pitch + std::ptrdiff_t{columns + behind} * lanes),
          floats(static_cast<std::size_t>(plane * planes), at_end) {
        fill(floats, false);
        before.assign(floats.begin(), floats.end());
        if (!with_halos) return;
        for (int i = 0; i < 3 * lanes; ++i) permutations.push_back(number(-1, lanes - 1));
        for (int to = 0; to < plane / lanes; ++to)
            if (!is_inside(std::ptrdiff_t{to} * lanes) && chance(50)) {
                const int row = number(0, rows - 1), column = number(0, columns - 1),
                          step = chance(50) ? 1 : static_cast<int>(pitch / lanes);
                const auto from = static_cast<std::uint32_t>((inside + row * pitch) / lanes + column);
                Halo line{static_cast<std::uint32_t>(to), from,
                          chance(30) ? NO_LANE : static_cast<std::uint32_t>(number(0, 2)), 1,
                          static_cast<std::uint16_t>(step)};
                const int most = step == 1 ? columns - column : rows - row;
                while (line.count < most && to + line.count * step < plane / lanes &&
                       !is_inside(std::ptrdiff_t{to + line.count * step} * lanes) && chance(70))
                    ++line.count;
                entries.push_back(line);
            }
    }
    bool is_inside(std::ptrdiff_t offset) const {
        const std::ptrdiff_t from = offset - inside;
        return from >= 0 && from / pitch < rows && from % pitch < std::ptrdiff_t{columns} * lanes;
    }
    Halos halos() const { return {entries.data(), entries.size(), permutations.data()}; }
    float& at(int channel, int row, int column, int lane) {
        return floats[static_cast<std::size_t>(channel * plane + inside + row * pitch + std::ptrdiff_t{column} * lanes +
                                               lane)];
    }
    float was(int channel, int row, int column, int lane) {
        return before[static_cast<std::size_t>(&at(channel, row, column, lane) - floats.data())];
    }

    // What lies outside of the inside: copies in channels [first, last), all else untouched.
    void check_rest(const std::string& name, int first, int last, bool copies) {
        for (int channel = 0; channel < planes; ++channel) {
            const bool written = first <= channel && channel < last;
            float* const now = floats.data() + channel * plane;
            std::vector<float> wanted(before.begin() + channel * plane, before.begin() + (channel + 1) * plane);
            for (const Halo& halo : written&& copies ? entries : std::vector<Halo>())
                for (int i = 0; i < halo.count * lanes; ++i) {
                    const std::ptrdiff_t further = std::ptrdiff_t{i / lanes} * halo.step * lanes;
                    const std::int32_t from = halo.permutation == NO_LANE
                                                  ? -1
                                                  : permutations[static_cast<std::size_t>(halo.permutation) *
                                                                     static_cast<std::size_t>(lanes) +
                                                                 static_cast<std::size_t>(i % lanes)];
                    wanted[static_cast<std::size_t>(static_cast<std::ptrdiff_t>(halo.to) * lanes + further +
                                                    i % lanes)] =
                        from < 0 ? 0.0F : now[static_cast<std::ptrdiff_t>(halo.from) * lanes + further + from];
                }
            for (std::ptrdiff_t i = 0; i < plane; ++i)
                if (!written || !is_inside(i))
                    expect_same(name + " outside", now[i], wanted[static_cast<std::size_t>(i)]);
        }
    }
};

struct Operand {  // planes of rows x columns vectors, no longer than they have to be
    std::ptrdiff_t inside, pitch, plane;
    Floats floats;
    Operand(int lanes, int rows, int columns, int planes, bool special)
        : inside(number(0, 2) * lanes),
          pitch(Output::some_pitch(columns, lanes)),
          plane(inside + (rows - 1) * pitch + std::ptrdiff_t{columns} * lanes),
          floats(static_cast<std::size_t>(plane * planes), at_end) {
        fill(floats, special);
    }
    float at(std::ptrdiff_t channel, int row, int column, int lanes, int lane) {
        return floats[static_cast<std::size_t>(channel * plane + inside + row * pitch + std::ptrdiff_t{column} * lanes +
                                               lane)];
    }
};

template <typename Visit>
void each(int first, int last, int rows, int columns, int lanes, Visit visit) {
    for (int channel = first; channel < last; ++channel)
        for (int row = 0; row < rows; ++row)
            for (int column = 0; column < columns; ++column)
                for (int lane = 0; lane < lanes; ++lane) visit(channel, row, column, lane);
}

void test_conv(const MapKernels& isa, const ConvKernel& kernel) {
    const bool dense = kernel.format == ConvFormat::Dense;
    const int together = dense ? DENSE_OUTPUTS : 1, blocks = number(1, dense ? 2 : 4),
              first_block = number(0, blocks - 1);
    const int lanes = isa.lanes, rows = kernel.rows, columns = kernel.columns, channels = blocks * together,
              reach = number(0, 40);
    const int first = first_block * together, last = number(first_block + 1, blocks) * together;
    const auto taps = static_cast<std::size_t>(number(0, 40));  // of a dense kernel: all of its channels have the same
    std::vector<ChannelRun> runs;                               // those of channels [first, last) in any order
    std::uint32_t entries = 0;
    for (int c = 0; c < channels; ++c) runs.push_back({0, static_cast<std::uint32_t>(c)});
    std::shuffle(runs.begin() + first, runs.begin() + last, random_source);
    for (ChannelRun& run : runs)
        run.begin = entries, entries += static_cast<std::uint32_t>(chance(20) ? 0 : number(0, 40));
    runs.push_back({entries, 0});
    FencedArray<std::uint16_t> offsets(dense ? taps : entries, at_end);
    Floats weights(dense ? taps * static_cast<std::size_t>(channels) : entries, at_end),
        bias(static_cast<std::size_t>(channels), at_end);
    for (std::uint16_t& offset : offsets)
        offset = static_cast<std::uint16_t>(chance(20) ? chance(50) ? reach : 0 : number(0, reach));
    fill(weights, false), fill(bias, false);
    const int stride = kernel.stride > 0 ? kernel.stride : number(1, 4);
    const std::ptrdiff_t in_step = std::ptrdiff_t{stride} * lanes,
                         in_pitch = (columns - 1) * in_step + std::ptrdiff_t{number(1, 5)} * lanes;
    Floats in(
        static_cast<std::size_t>(std::ptrdiff_t{reach + 1} * lanes + (rows - 1) * in_pitch + (columns - 1) * in_step),
        at_end);
    fill(in, chance(20));
    Output out(lanes, rows, columns, channels, Output::some_pitch(columns, lanes), number(0, 3), number(0, 3),
               chance(60));
    Operand residual(lanes, rows, columns, channels, false);
    Masks masks(static_cast<std::size_t>(rows * columns * lanes), at_end);
    fill(masks);
    ConvTask task{};
    task.in = in.data(), task.out = out.floats.data(), task.runs = dense ? nullptr : runs.data(), task.taps = taps,
    task.offsets = offsets.data(), task.weights = weights.data();
    task.residual = chance(50) ? residual.floats.data() : nullptr, task.bias = chance(70) ? bias.data() : nullptr,
    task.masks = chance(50) ? masks.data() : nullptr;
    task.halos = out.halos(), task.in_pitch = in_pitch, task.in_step = in_step;
    task.out_tile = out.inside, task.out_pitch = out.pitch, task.out_plane = out.plane;
    task.residual_tile = residual.inside, task.residual_pitch = residual.pitch, task.residual_plane = residual.plane;
    task.first = first, task.last = last, task.begins = chance(70), task.ends = chance(70),
    task.epilogue = some_epilogue();
    kernel.run(task);
    each(first, last, rows, columns, lanes, [&](int channel, int row, int column, int lane) {
        Sum sum;
        sum.add(task.begins ? task.bias != nullptr ? bias[static_cast<std::size_t>(channel)] : 0
                            : out.was(channel, row, column, lane));
        const auto c = static_cast<std::size_t>(channel);
        const auto term = [&](std::size_t weight, std::size_t offset) {
            const std::ptrdiff_t at =
                std::ptrdiff_t{offsets[offset]} * lanes + row * in_pitch + column * in_step + lane;
            sum.add(static_cast<double>(weights[weight]) * in[static_cast<std::size_t>(at)]);
        };
        if (dense)
            for (std::size_t k = 0; k < taps; ++k)
                term((c / DENSE_OUTPUTS * taps + k) * DENSE_OUTPUTS + c % DENSE_OUTPUTS, k);
        else
            for (auto run = runs.begin(); run + 1 != runs.end(); ++run)
                for (std::size_t k = run->begin; run->channel == c && k < run[1].begin; ++k) term(k, k);
        if (task.ends && task.residual != nullptr) sum.add(residual.at(channel, row, column, lanes, lane));
        const bool kept = !task.ends || task.masks == nullptr ||
                          masks[static_cast<std::size_t>((row * columns + column) * lanes + lane)] != 0;
        if (kept) expect(kernel.name, out.at(channel, row, column, lane), sum, task.ends ? task.epilogue : Epilogue{});
        else expect_same(kernel.name, out.at(channel, row, column, lane), 0);
    });
    out.check_rest(kernel.name, first, last, task.ends);
}

void test_point(const MapKernels& isa) {
    const int lanes = isa.lanes, rows = number(1, 5), columns = number(1, 5), channels = number(1, 3),
              first = number(0, channels - 1), last = channels;
    Operand a(lanes, rows, columns, channels, chance(20)), b(lanes, rows, columns, channels, false);
    Floats constant(static_cast<std::size_t>(channels * rows * columns * lanes), at_end);
    Masks masks(static_cast<std::size_t>(rows * columns * lanes), at_end);
    fill(constant, false), fill(masks);
    Output out(lanes, rows, columns, channels, Output::some_pitch(columns, lanes), number(0, 3), number(0, 3),
               chance(60));
    PointTask task{};
    task.a = a.floats.data(), task.b = chance(50) ? b.floats.data() : nullptr,
    task.constant = chance(50) ? constant.data() : nullptr;
    task.out = out.floats.data(), task.masks = chance(50) ? masks.data() : nullptr, task.halos = out.halos();
    task.a_inside = a.inside, task.a_pitch = a.pitch, task.a_plane = a.plane, task.b_inside = b.inside,
    task.b_pitch = b.pitch, task.b_plane = b.plane;
    task.out_inside = out.inside, task.out_pitch = out.pitch, task.out_plane = out.plane;
    task.rows = rows, task.columns = columns, task.first = first, task.last = last, task.epilogue = some_epilogue();
    isa.point(task);
    each(first, last, rows, columns, lanes, [&](int channel, int row, int column, int lane) {
        const auto place = static_cast<std::size_t>((row * columns + column) * lanes + lane);
        Sum sum;
        sum.add(a.at(channel, row, column, lanes, lane));
        if (task.b != nullptr) sum.add(b.at(channel, row, column, lanes, lane));
        if (task.constant != nullptr)
            sum.add(constant[static_cast<std::size_t>(channel * rows * columns * lanes) + place]);
        if (task.masks == nullptr || masks[place] != 0)
            expect("point", out.at(channel, row, column, lane), sum, task.epilogue);
        else expect_same("point", out.at(channel, row, column, lane), 0);
    });
    out.check_rest("point", first, last, true);
}

void test_pool(const MapKernels& isa) {
    const int lanes = isa.lanes, rows = number(1, 5), columns = number(1, 5), channels = number(1, 3),
              first = number(0, channels - 1), last = channels;
    const int reach = number(0, 20), tap_count = number(1, 12);
    FencedArray<std::uint32_t> taps(static_cast<std::size_t>(tap_count), at_end);
    for (std::uint32_t& tap : taps) tap = static_cast<std::uint32_t>(chance(30) ? reach : number(0, reach));
    const std::ptrdiff_t step = std::ptrdiff_t{number(1, 3)} * lanes,
                         pitch = (columns - 1) * step + std::ptrdiff_t{number(1, 3)} * lanes;
    const std::ptrdiff_t plane = std::ptrdiff_t{reach + 1} * lanes + (rows - 1) * pitch + (columns - 1) * step;
    Floats in(static_cast<std::size_t>(plane * channels), at_end),
        scales(static_cast<std::size_t>(rows * columns * lanes), at_end);
    Masks masks(scales.size(), at_end);
    fill(in, chance(20)), fill(scales, false), fill(masks);
    Output out(lanes, rows, columns, channels, Output::some_pitch(columns, lanes), number(0, 3), number(0, 3),
               chance(60));
    PoolTask task{};
    task.in = in.data(), task.out = out.floats.data(), task.taps = taps.data(), task.tap_count = tap_count,
    task.average = chance(50), task.scale = 0.25F;
    task.scales = chance(50) ? scales.data() : nullptr, task.masks = chance(50) ? masks.data() : nullptr,
    task.halos = out.halos();
    task.in_pitch = pitch, task.in_step = step, task.in_plane = plane, task.out_inside = out.inside,
    task.out_pitch = out.pitch, task.out_plane = out.plane;
    task.rows = rows, task.columns = columns, task.first = first, task.last = last;
    isa.pool(task);
    const char* const name = task.average ? "average pool" : "max pool";
    each(first, last, rows, columns, lanes, [&](int channel, int row, int column, int lane) {
        const auto place = static_cast<std::size_t>((row * columns + column) * lanes + lane);
        const double scale = task.scales != nullptr ? scales[place] : task.scale;
        Sum sum, largest;
        largest.value = -INFINITY;
        for (const std::uint32_t tap : taps) {
            const float x = in[static_cast<std::size_t>(channel * plane + static_cast<std::ptrdiff_t>(tap) * lanes +
                                                        row * pitch + column * step + lane)];
            sum.add(scale * x);
            if (std::isnan(x) || x > largest.value) largest.value = x;
        }
        if (task.masks != nullptr && masks[place] == 0) expect_same(name, out.at(channel, row, column, lane), 0);
        else expect(name, out.at(channel, row, column, lane), task.average ? sum : largest, {});
    });
    out.check_rest(name, first, last, true);
}

void test_mean(const MapKernels& isa) {
    const int lanes = isa.lanes, rows = number(1, 5), columns = number(1, 5), channels = number(1, 3),
              first = number(0, channels - 1), last = channels;
    Operand in(lanes, rows, columns, channels, chance(20));
    Masks masks(static_cast<std::size_t>(rows * columns * lanes), at_end);
    fill(masks);
    Floats out(static_cast<std::size_t>(channels), at_end);
    fill(out, false);
    const std::vector<float> before(out.begin(), out.end());
    const bool with_masks = chance(50);
    isa.mean({in.floats.data(), out.data(), with_masks ? masks.data() : nullptr, in.inside, in.pitch, in.plane, rows,
              columns, first, last, 0.125F});
    for (int channel = 0; channel < channels; ++channel) {
        const auto place = static_cast<std::size_t>(channel);
        Sum sum;
        each(channel, channel + 1, rows, columns, lanes, [&](int c, int row, int column, int lane) {
            if (!with_masks || masks[static_cast<std::size_t>((row * columns + column) * lanes + lane)] != 0)
                sum.add(0.125 * in.at(c, row, column, lanes, lane));
        });
        if (channel >= first) expect("mean", out[place], sum, {});
        else expect_same("mean outside", out[place], before[place]);
    }
}

void test_move(const MapKernels& isa) {
    const int channels = number(1, 3), first = number(0, channels - 1), last = number(first + 1, channels),
              from_plane = number(1, 70), count = number(1, 150);
    FencedArray<std::int32_t> lanes(static_cast<std::size_t>(count), at_end);
    for (std::int32_t& lane : lanes) lane = chance(20) ? -1 : chance(20) ? from_plane - 1 : number(0, from_plane - 1);
    Floats from(static_cast<std::size_t>(channels * from_plane), at_end),
        to(static_cast<std::size_t>(channels * count), at_end);
    fill(from, true), fill(to, false);
    const std::vector<float> before(to.begin(), to.end());
    const float otherwise = chance(50) ? 0.0F : -INFINITY;
    isa.move({from.data(), to.data(), lanes.data(), lanes.size(), from_plane, count, first, last, otherwise});
    for (int channel = 0; channel < channels; ++channel)
        for (int i = 0; i < count; ++i) {
            const auto place = static_cast<std::size_t>(channel * count + i);
            const std::int32_t lane = lanes[static_cast<std::size_t>(i)];
            const float moved = lane < 0 ? otherwise : from[static_cast<std::size_t>(channel * from_plane + lane)];
            expect_same("move", to[place], first <= channel && channel < last ? moved : before[place]);
        }
}

void test_flat(const MapKernels& isa) {
    const auto count = static_cast<std::size_t>(number(1, 100));
    Floats a(count, at_end), b(count, at_end), y(count, at_end);
    fill(a, chance(20)), fill(b, false);
    const bool two = chance(50);
    const Epilogue epilogue = some_epilogue();
    isa.flat(a.data(), two ? b.data() : nullptr, y.data(), count, epilogue);
    for (std::size_t i = 0; i < count; ++i) {
        Sum sum;
        sum.add(a[i]);
        if (two) sum.add(b[i]);
        expect("flat", y[i], sum, epilogue);
    }
}

std::vector<const MapKernels*> tables() {
    std::vector<const MapKernels*> found;
    for (const InstructionSet& set : kInstructionSets)
        if (has_isa(set.isa))
            for (const MapKernels* kernels : {set.maps, set.small_maps})
                if (std::find(found.begin(), found.end(), kernels) == found.end()) found.push_back(kernels);
    return found;
}

template <typename Test>
void repeat(const std::string& name, int count, unsigned seed, Test test) {
    const int before = failures;
    random_source.seed(seed);
    for (int i = 0; i < 2 * count; ++i) {
        at_end = i % 2 == 0;
        test();
    }
    std::printf("%s %s\n", failures == before ? "ok  " : "FAIL", name.c_str());
}

}  // namespace

int main(int argc, char** argv) {
    const int count = argc > 1 ? std::atoi(argv[1]) : 60;
    const unsigned seed = argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 1;
    for (const MapKernels* table : tables()) {
        const MapKernels& kernels = *table;
        const std::string name = std::string(kernels.isa) + " ";
        for (std::size_t i = 0; i < kernels.conv_count; ++i)
            repeat(kernels.convs[i].name, count, seed, [&] { test_conv(kernels, kernels.convs[i]); });
        repeat(name + "point", count, seed, [&] { test_point(kernels); });
        repeat(name + "pool", count, seed, [&] { test_pool(kernels); });
        repeat(name + "mean", count, seed, [&] { test_mean(kernels); });
        repeat(name + "move", count, seed, [&] { test_move(kernels); });
        repeat(name + "flat", count, seed, [&] { test_flat(kernels); });
    }
    std::printf("%d values compared, %d wrong\n", checks, failures);
    return failures > 0;
}
