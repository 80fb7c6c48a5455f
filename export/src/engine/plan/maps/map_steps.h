// The steps of a map program but for convolutions, each made with its tables. Buffers and the node are the caller's to
// fill in.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/region/region.h"
#include "isa/isa.h"
#include "layout.h"
#include "map_program.h"

namespace edgeticket {

Step move_step(const MapKernels& kernels, std::int64_t channels, std::vector<std::int32_t> lanes,
               std::size_t from_plane, std::size_t to_plane, float fill);
// `constant` is row-major over the item, or empty.
Step point_step(const MapKernels& kernels, const Layout& in, const Layout& other, const Layout& out,
                std::int64_t channels, const std::vector<float>& constant, const Epilogue& epilogue);
Step pool_step(const MapKernels& kernels, const Node& pool, const Layout& in, const Layout& out, std::int64_t channels);
Step mean_step(const MapKernels& kernels, const Layout& in, std::int64_t channels);
Step flat_step(const MapKernels& kernels, std::int64_t elements, std::vector<float> constant, const Epilogue& epilogue);
Step product_step(const FcKernels& kernels, const Node& fc, std::int32_t inputs, std::int32_t outputs,
                  const Epilogue& epilogue);

}  // namespace edgeticket
