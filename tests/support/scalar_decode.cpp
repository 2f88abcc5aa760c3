// The same sources under another name; CMake turns the vectorizers off for this file.
#define BALLAST_DECODE decode_scalar

#include "src/ballast/decode.cpp"        // NOLINT(bugprone-suspicious-include)
#include "src/ballast/decode_block.cpp"  // NOLINT(bugprone-suspicious-include)
#include "src/ballast/decode_float.cpp"  // NOLINT(bugprone-suspicious-include)
#include "src/ballast/decode_iq.cpp"     // NOLINT(bugprone-suspicious-include)

#include "tests/support/scalar_decode.hpp"

namespace ballast::test {

ScalarDecoder scalar_decoder(DType dtype) noexcept {
  return decode_scalar::decoder(dtype, decode_scalar::Level::baseline);
}

}  // namespace ballast::test
