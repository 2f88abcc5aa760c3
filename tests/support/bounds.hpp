// What it may cost to read the directory of any input, as numbers that tests and fuzz targets hold.
//
//     const Cost cost;
//     parse_whole(bytes);
//     cost.bytes() <= most_bytes(bytes.size());
//
// Of the memory everything counts that is taken with operator new, freed or not: what is in use at
// one time can only be less. Steps are regions of the source that run (steps.hpp).
#pragma once

#include <bit>
#include <cstdint>

#include "tests/support/allocations.hpp"
#include "tests/support/steps.hpp"

namespace ballast::test {

class Cost {
 public:
  [[nodiscard]] std::uint64_t bytes() const noexcept { return allocations_.bytes(); }
  [[nodiscard]] std::uint64_t steps() const noexcept { return steps_.count(); }

 private:
  Allocations allocations_;
  Steps steps_;
};

/// Bytes of heap for an input of `size` bytes: fewer than the 64 n + 16 MiB that are promised, so
/// that a small input shows it, too. The worst that is known takes 48 n: an index whose metadata
/// are members of five bytes, one more than a vector had room for that doubled. What a small file
/// takes more than 64 n for, its warnings and its refusal, is under 4 KiB.
inline constexpr std::uint64_t kFreeBytes = std::uint64_t{16} << 10;
[[nodiscard]] constexpr std::uint64_t most_bytes(std::uint64_t size) noexcept {
  return 64 * size + kFreeBytes;
}

/// Steps for an input of `size` bytes: kStepsPerUnit * n log2 n, and some for words. The worst that
/// is known takes 1.8 n log2 n (the same index; n is 4 KiB, and less as n grows). What a small file
/// takes more than 5 n log2 n for is under a thousand.
inline constexpr std::uint64_t kStepsPerUnit = 5;
inline constexpr std::uint64_t kFreeSteps = 4'000;
[[nodiscard]] constexpr std::uint64_t most_steps(std::uint64_t size) noexcept {
  return kStepsPerUnit * size * static_cast<std::uint64_t>(std::bit_width(size)) + kFreeSteps;
}

}  // namespace ballast::test
