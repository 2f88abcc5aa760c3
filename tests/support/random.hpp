// Randomness that repeats: the same seed gives the same numbers on every machine and with every
// standard library, which the distributions of <random> do not promise.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>

namespace ballast::test {

/// SplitMix64 (Steele, Lea and Flood, 2014): 64 bits of state, passes BigCrush, six lines.
class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : state_(seed) {}

  std::uint64_t next() noexcept {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }

  /// A number below `bound`, which must not be 0. The bias of the remainder is of no concern for
  /// small bounds.
  std::uint64_t below(std::uint64_t bound) noexcept { return next() % bound; }

  /// A number from `low` to `high`, both included.
  std::uint64_t between(std::uint64_t low, std::uint64_t high) noexcept {
    return low + below(high - low + 1);
  }

  /// True once in `n` times.
  bool one_in(std::uint64_t n) noexcept { return below(n) == 0; }

  /// One of the items of an array or vector, which must not be empty.
  template <class Range>
  const auto& pick(const Range& items) noexcept {
    return std::data(items)[static_cast<std::size_t>(below(std::size(items)))];
  }

 private:
  std::uint64_t state_;
};

/// The seed of this run: the environment's BALLAST_TEST_SEED, else `fallback`. Tests that use it
/// print it.
[[nodiscard]] std::uint64_t test_seed(std::uint64_t fallback);

}  // namespace ballast::test
