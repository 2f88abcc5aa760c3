// The values of blocks, one element at a time, straight from the definitions of the formats and in
// double precision: slow, and sharing nothing with the library but the codebooks of the IQ types.
#pragma once

#include <cstddef>
#include <span>

#include <ballast/dtype.hpp>

namespace ballast::test {

/// Value number `i` of a block of that dtype, rounded to float where the format's result is one. Of
/// C64 they alternate. The dtype is one that float holds.
[[nodiscard]] float reference_value(DType dtype, std::span<const std::byte> block, std::size_t i);

}  // namespace ballast::test
