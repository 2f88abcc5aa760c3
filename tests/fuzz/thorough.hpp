// Which inputs have everything checked of them.
//
// Some checks take many times as long as the library takes for the input: reading it in other ways,
// and asking other libraries. In a long run most inputs go without them, so that there are many
// more inputs:
//
//     BALLAST_FUZZ_EVERY=16 fuzz-gguf CORPUS
//
// A hash of the input chooses, so that an input that was found is treated the same again. By
// default, as in the tests, all inputs have everything checked.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

namespace ballast::test {

/// FNV-1a (Fowler, Noll and Vo, 1991).
inline std::uint64_t hash_of(std::span<const std::byte> bytes) noexcept {
  std::uint64_t hash = 0xCBF29CE484222325U;
  for (const std::byte byte : bytes) {
    hash = (hash ^ std::to_integer<std::uint64_t>(byte)) * 0x100000001B3U;
  }
  return hash ^ hash >> 32U;
}

/// Of how many inputs one has everything checked.
inline std::uint64_t every_so_many() {
  const char* const text = std::getenv("BALLAST_FUZZ_EVERY");
  std::uint64_t every = 1;
  if (text != nullptr) {
    const std::string_view digits(text);
    std::from_chars(digits.data(), digits.data() + digits.size(), every);
  }
  return every == 0 ? 1 : every;
}

inline bool is_thorough(std::span<const std::byte> input) {
  static const std::uint64_t kEvery = every_so_many();
  return kEvery == 1 || hash_of(input) % kEvery == 0;
}

}  // namespace ballast::test
