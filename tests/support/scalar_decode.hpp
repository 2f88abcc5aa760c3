// The library's decoders, compiled once more without vectors: what every level must agree with.
#pragma once

#include <cstddef>

#include <ballast/dtype.hpp>

namespace ballast::test {

using ScalarDecoder = void (*)(const std::byte* blocks, float* out, std::size_t count) noexcept;

/// The scalar decoder of a dtype, or null where the library has none either.
[[nodiscard]] ScalarDecoder scalar_decoder(DType dtype) noexcept;

}  // namespace ballast::test
