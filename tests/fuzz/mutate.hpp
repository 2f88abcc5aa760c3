// What the mutators of the formats share. Only libFuzzer's programs are linked with it: it gives
// LLVMFuzzerMutate, which changes any bytes.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "tests/support/random.hpp"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace ballast::test {

/// Numbers at which something changes: a width, a sign, a limit.
inline std::uint64_t interesting_number(Random& random, std::uint64_t old) {
  constexpr std::array<std::uint64_t, 14> kEdges{0,
                                                 1,
                                                 2,
                                                 4,
                                                 31,
                                                 32,
                                                 65536,
                                                 INT32_MAX,
                                                 UINT32_MAX,
                                                 std::uint64_t{1} << 32,
                                                 std::uint64_t{1} << 40,
                                                 INT64_MAX,
                                                 std::uint64_t{1} << 63,
                                                 UINT64_MAX};
  switch (random.below(6)) {
    case 0:
      return old + 1;
    case 1:
      return old - 1;
    case 2:
      return old ^ (std::uint64_t{1} << random.below(64));
    case 3:
      return random.below(64);
    default:
      return random.pick(kEdges);
  }
}

/// Puts text back where the fuzzer wants it, as much of it as has room.
inline std::size_t put_back(std::string_view text, std::uint8_t* data, std::size_t max_size) {
  const std::size_t size = std::min(text.size(), max_size);
  if (size != 0) std::memcpy(data, text.data(), size);
  return size;
}

}  // namespace ballast::test
