// Decompresses in one call, as each codec's own documentation shows it: an oracle.
#pragma once

#include <cstddef>
#include <span>

#include <ballast/compression.hpp>

#include "tests/support/sample.hpp"

namespace ballast::test {

/// One member, stream or frame that holds exactly `size` bytes; an exception where it does not.
[[nodiscard]] Bytes decompress(Compression codec, std::span<const std::byte> file,
                               std::size_t size);

}  // namespace ballast::test
