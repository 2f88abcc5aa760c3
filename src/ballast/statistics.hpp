// Statistics: what the numbers of a tensor are like, from one pass over them.
//
//     ballast::StatisticsAccumulator so_far;
//     so_far.add(std::span<const float>(values));
//     const ballast::Statistics all = so_far.finish();
//
// Those of a tensor in a model: values.hpp. Nothing here allocates; an accumulator is 24 KiB.
// Threads: one at a time per accumulator.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include <ballast/config.hpp>

namespace ballast {

/// How often numbers lie in bins of one width, on both sides of zero. The width is the smallest
/// power of two at which all of them fit (but not under 2^-100, so that what is smaller than that
/// is in the middle), so bins never have to be guessed, and the same numbers in another order give
/// the same bins.
struct Histogram {
  static constexpr std::size_t kBins = 1024;
  static constexpr std::size_t kMiddle = kBins / 2;

  /// Of every bin. 0 where nothing but zeros was counted: those are in the bin `kMiddle`.
  double bin_width = 0;
  /// Bin kMiddle + i has the numbers from i * bin_width up to but not (i + 1) * bin_width, zeros
  /// among them, and bin kMiddle - 1 - i those below zero of the same magnitudes.
  std::array<std::uint64_t, kBins> counts{};

  /// Where a bin begins; `bin` may be kBins, which is where the last one ends.
  [[nodiscard]] constexpr double lower(std::size_t bin) const noexcept {
    return (static_cast<double>(bin) - static_cast<double>(kMiddle)) * bin_width;
  }
};

/// What can be said of many numbers. NaN and infinities are counted, and take no part in the rest.
struct Statistics {
  std::uint64_t count = 0;  ///< of all numbers
  std::uint64_t nan = 0;
  std::uint64_t positive_infinity = 0;
  std::uint64_t negative_infinity = 0;
  std::uint64_t zero = 0;         ///< of both signs
  double min = 0;                 ///< of the finite ones; 0 where there are none
  double max = 0;                 ///< likewise
  double mean = 0;                ///< likewise
  double standard_deviation = 0;  ///< of the finite ones, as a whole population; likewise
  Histogram histogram;            ///< of the finite ones

  [[nodiscard]] constexpr std::uint64_t finite() const noexcept {
    return count - nan - positive_infinity - negative_infinity;
  }
};

/// Takes numbers, piece by piece. The same numbers in the same pieces give the same bits on every
/// processor; counts, extremes and histogram do not depend on the pieces either. Each number is
/// read once, so numbers in a mapped file may change meanwhile: each counts as it was when it was
/// read.
class BALLAST_API StatisticsAccumulator {
 public:
  StatisticsAccumulator() noexcept = default;

  void add(std::span<const float> values) noexcept;
  /// Integers of 64 bits are rounded to the nearest double before anything else.
  void add(std::span<const double> values) noexcept;

  [[nodiscard]] Statistics finish() const noexcept;

 private:
  friend struct StatisticsKernel;

  // Bins are counted in turns, so that many equal numbers do not wait for each other. Those of a
  // turn take a little more than a page: at the same place in their pages they would seem the same
  // to the processor for a moment.
  static constexpr std::size_t kTurns = 4;
  static constexpr std::size_t kTurnBins = Histogram::kBins + 16;
  static constexpr int kNoWidth = -10000;

  std::uint64_t count_ = 0;
  std::uint64_t nan_ = 0;
  std::uint64_t positive_infinity_ = 0;
  std::uint64_t negative_infinity_ = 0;
  std::uint64_t zero_ = 0;
  std::uint64_t finite_ = 0;
  double min_ = 0;
  double max_ = 0;
  double mean_ = 0;             // in units of 2^unit_
  double squares_ = 0;          // of the distances from the mean, summed, in squares of the unit
  int unit_ = 0;                // more than 0 where squares of doubles could become infinite
  int width_ = kNoWidth;        // of a bin, as a power of two
  std::uint32_t in_turns_ = 0;  // how many numbers `turns_` holds
  std::array<std::array<std::uint32_t, kTurnBins>, kTurns> turns_{};
  std::array<std::uint64_t, Histogram::kBins> counts_{};
};

}  // namespace ballast
