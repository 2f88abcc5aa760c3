// Statistics in one pass: the numbers are copied in pieces to the stack, where each piece is read
// three times: for what is not finite and the extremes, for the sums, and for the bins. Read in
// place they might change in between, as in a mapped file that a trainer saves to, and a number
// that grew would have no bin.
//
// Sums are kept in eight lanes, added up in one order: so the compiler may use vectors of any
// width, and the bits are the same. Pieces are joined as Chan, Golub and LeVeque do ("Updating
// formulae and a pairwise algorithm for computing sample variances", 1979), the sums of a piece
// being taken of the distances from the mean so far, so that a large mean costs no digits.
#include <ballast/statistics.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>

#include <ballast/fetch.hpp>

#include "platform/instruction_set.hpp"

namespace ballast {
namespace {

constexpr std::size_t kPiece = 2048;
constexpr std::size_t kLanes = 8;
constexpr int kLargest = 450;      // as a power of two: the square of it, often, is finite
constexpr int kLeastWidth = -100;  // as a power of two: its inverse is a float, too

// A floating-point number as the whole number of the same bits, which are in the same order.
template <class Float>
struct Bits;
template <>
struct Bits<float> {
  using Int = std::int32_t;
  static constexpr Int kInfinity = 0x7f800000;
};
template <>
struct Bits<double> {
  using Int = std::int64_t;
  static constexpr Int kInfinity = 0x7ff0000000000000;
};

// What one look at a piece finds. The extremes are bits, ordered as the numbers are.
template <class Float>
struct Look {
  using Int = typename Bits<Float>::Int;
  Int nan = 0;
  Int infinite = 0;
  Int negative_infinite = 0;
  Int zero = 0;
  Int min = std::numeric_limits<Int>::max();
  Int max = std::numeric_limits<Int>::min();

  [[nodiscard]] bool any_finite() const noexcept { return min <= max; }
};

template <class Float>
BALLAST_ALWAYS_INLINE Look<Float> look_at(const Float* values, std::size_t count) noexcept {
  using Int = typename Bits<Float>::Int;
  constexpr Int kInfinity = Bits<Float>::kInfinity;
  constexpr Int kMost = std::numeric_limits<Int>::max();
  constexpr Int kLeast = std::numeric_limits<Int>::min();
  // In variables of their own, and without a condition that leads to another: so it becomes
  // vectors.
  Int nan = 0;
  Int odd = 0;
  Int negative_infinite = 0;
  Int zero = 0;
  Int min = kMost;
  Int max = kLeast;
  for (std::size_t i = 0; i < count; ++i) {
    const auto bits = std::bit_cast<Int>(values[i]);
    const Int magnitude = bits & kMost;
    const Int order = bits ^ ((bits >> std::numeric_limits<Int>::digits) & kMost);
    const Int is_odd = -static_cast<Int>(magnitude >= kInfinity);
    nan += static_cast<Int>(magnitude > kInfinity);
    negative_infinite += static_cast<Int>(bits == (kInfinity | kLeast));
    zero += static_cast<Int>(magnitude == 0);
    odd -= is_odd;
    const Int low = (order & ~is_odd) | (kMost & is_odd);
    const Int high = (order & ~is_odd) | (kLeast & is_odd);
    min = low < min ? low : min;
    max = high > max ? high : max;
  }
  return {nan, odd - nan, negative_infinite, zero, min, max};
}

// The number whose order that is.
template <class Float, class Int>
double from_order(Int order) noexcept {
  const Int sign = order < 0 ? -1 : 0;
  return std::bit_cast<Float>(static_cast<Int>(order ^ (sign & std::numeric_limits<Int>::max())));
}

struct Sums {
  std::array<double, kLanes> first{};
  std::array<double, kLanes> second{};

  static double total(const std::array<double, kLanes>& lanes) noexcept {
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
           ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
  }
};

template <class Float>
BALLAST_ALWAYS_INLINE double distance_of(Float value, Float origin, double unit) noexcept {
  if constexpr (std::is_same_v<Float, double>) return value * unit - origin * unit;
  return static_cast<double>(value) - static_cast<double>(origin);
}

// Of floats in units of 1, of doubles in others: `unit` is the inverse.
template <class Float>
BALLAST_ALWAYS_INLINE Sums sum_up(const Float* values, std::size_t count, Float origin,
                                  double unit) noexcept {
  Sums sums;
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const double distance = distance_of(values[i + lane], origin, unit);
      sums.first[lane] += distance;
      sums.second[lane] += distance * distance;
    }
  }
  for (std::size_t lane = 0; i < count; ++i, ++lane) {
    const double distance = distance_of(values[i], origin, unit);
    sums.first[lane] += distance;
    sums.second[lane] += distance * distance;
  }
  return sums;
}

// The bins of a piece. What is not finite was replaced.
template <class Float>
BALLAST_ALWAYS_INLINE void find_bins(const Float* values, std::size_t count, Float per_width,
                                     std::int32_t* __restrict bins) noexcept {
  for (std::size_t i = 0; i < count; ++i) {
    const auto magnitude =
        static_cast<std::int32_t>((values[i] < 0 ? -values[i] : values[i]) * per_width);
    const std::int32_t below = values[i] < 0 ? -1 : 0;
    bins[i] = static_cast<std::int32_t>(Histogram::kMiddle) + (magnitude ^ below);
  }
}

}  // namespace

struct StatisticsKernel {
  StatisticsAccumulator& to;

  // Makes bins wider until that magnitude fits: pairs of bins become one, as often as it takes.
  void make_room(double magnitude) noexcept {
    if (magnitude == 0) return;
    int exponent = 0;
    static_cast<void>(std::frexp(magnitude, &exponent));  // magnitude < 2^exponent
    const int width = std::max(exponent - std::countr_zero(Histogram::kMiddle), kLeastWidth);
    if (to.width_ == StatisticsAccumulator::kNoWidth)
      to.width_ = width;  // zeros stay where they are
    if (width <= to.width_) return;
    flush();
    const int shift = std::min(width - to.width_, 31);
    to.width_ = width;
    for (std::size_t i = 0; i < Histogram::kMiddle; ++i) {
      move(Histogram::kMiddle + i, Histogram::kMiddle + (i >> shift));
      move(Histogram::kMiddle - 1 - i, Histogram::kMiddle - 1 - (i >> shift));
    }
  }
  void move(std::size_t from, std::size_t into) noexcept {
    if (from == into) return;
    to.counts_[into] += to.counts_[from];
    to.counts_[from] = 0;
  }

  void flush() noexcept {
    for (std::size_t bin = 0; bin < Histogram::kBins; ++bin) {
      for (auto& turn : to.turns_) to.counts_[bin] += std::exchange(turn[bin], 0U);
    }
    to.in_turns_ = 0;
  }

  // Makes the unit larger until squares of that magnitude can be summed up.
  void choose_unit(double magnitude) noexcept {
    int exponent = 0;
    static_cast<void>(std::frexp(magnitude, &exponent));
    const int unit = exponent - kLargest;
    if (unit <= to.unit_) return;
    const double factor = std::ldexp(1.0, to.unit_ - unit);
    to.mean_ *= factor;
    to.squares_ *= factor * factor;
    to.unit_ = unit;
  }

  // `factor` brings the sums into the unit, in which the origin is already.
  void join(const Sums& sums, double factor, std::uint64_t count, double origin) noexcept {
    if (count == 0) return;
    const auto n = static_cast<double>(count);
    const double first = Sums::total(sums.first) * factor;
    const double second = Sums::total(sums.second) * (factor * factor);
    const double mean = origin + first / n;
    const double squares = std::max(second - first * (first / n), 0.0);
    if (to.finite_ == 0) {
      to.mean_ = mean;
      to.squares_ = squares;
      to.finite_ = count;
      return;
    }
    const auto before = static_cast<double>(to.finite_);
    const double distance = mean - to.mean_;
    to.mean_ += distance * (n / (before + n));
    to.squares_ += squares + distance * distance * (before * n / (before + n));
    to.finite_ += count;
  }

  template <class Float>
  void note(const Look<Float>& look, std::size_t count) noexcept {
    to.count_ += count;
    to.nan_ += static_cast<std::uint64_t>(look.nan);
    to.positive_infinity_ += static_cast<std::uint64_t>(look.infinite - look.negative_infinite);
    to.negative_infinity_ += static_cast<std::uint64_t>(look.negative_infinite);
    to.zero_ += static_cast<std::uint64_t>(look.zero);
    if (!look.any_finite()) return;
    const double min = from_order<Float>(look.min);
    const double max = from_order<Float>(look.max);
    make_room(std::max(-min, max));
    choose_unit(std::max(-min, max));
    to.min_ = to.finite_ == 0 ? min : std::min(to.min_, min);
    to.max_ = to.finite_ == 0 ? max : std::max(to.max_, max);
  }

  // Replaces what is not finite in `values`.
  template <class Float>
  BALLAST_ALWAYS_INLINE void piece(Float* values, std::size_t count) noexcept {
    const Look<Float> look = look_at(values, count);
    note(look, count);
    if (!look.any_finite()) return;
    const auto odd = static_cast<std::size_t>(look.nan) + static_cast<std::size_t>(look.infinite);
    // Near the mean, between the extremes, and a number of their own type: what is replaced by it
    // adds nothing, and there is a bin for it.
    const auto origin = static_cast<Float>(std::clamp(
        std::ldexp(to.mean_, to.unit_), from_order<Float>(look.min), from_order<Float>(look.max)));
    const double unit = std::ldexp(1.0, -to.unit_);
    if (odd != 0) keep_finite(values, count, origin);
    const double factor = std::is_same_v<Float, double> ? 1.0 : unit;
    join(sum_up(values, count, origin, unit), factor, count - odd,
         static_cast<double>(origin) * unit);
    bin(values, count);
    if (odd != 0) take_back(origin, odd);
  }

  template <class Float>
  BALLAST_ALWAYS_INLINE static void keep_finite(Float* values, std::size_t count,
                                                Float origin) noexcept {
    for (std::size_t i = 0; i < count; ++i) {
      const auto bits = std::bit_cast<typename Bits<Float>::Int>(values[i]);
      const bool is_finite =
          (bits & std::numeric_limits<typename Bits<Float>::Int>::max()) < Bits<Float>::kInfinity;
      values[i] = is_finite ? values[i] : origin;
    }
  }

  template <class Float>
  [[nodiscard]] Float per_width() const noexcept {
    return to.width_ == StatisticsAccumulator::kNoWidth
               ? Float{0}
               : static_cast<Float>(std::ldexp(1.0, -to.width_));
  }

  template <class Float>
  BALLAST_ALWAYS_INLINE void bin(const Float* values, std::size_t count) noexcept {
    std::array<std::int32_t, kPiece> bins;
    find_bins(values, count, per_width<Float>(), bins.data());
    if (to.in_turns_ > std::numeric_limits<std::uint32_t>::max() - kPiece) flush();
    std::size_t i = 0;
    for (; i + StatisticsAccumulator::kTurns <= count; i += StatisticsAccumulator::kTurns) {
      ++to.turns_[0][static_cast<std::uint32_t>(bins[i])];
      ++to.turns_[1][static_cast<std::uint32_t>(bins[i + 1])];
      ++to.turns_[2][static_cast<std::uint32_t>(bins[i + 2])];
      ++to.turns_[3][static_cast<std::uint32_t>(bins[i + 3])];
    }
    for (; i < count; ++i) ++to.turns_[0][static_cast<std::uint32_t>(bins[i])];
    to.in_turns_ += static_cast<std::uint32_t>(count);
  }

  // Counts what stood in for what is not finite out again.
  template <class Float>
  void take_back(Float origin, std::size_t odd) noexcept {
    std::int32_t where = 0;
    find_bins(&origin, 1, per_width<Float>(), &where);
    flush();
    to.counts_[static_cast<std::size_t>(where)] -= odd;
  }

  template <class Float>
  BALLAST_ALWAYS_INLINE void all(std::span<const Float> values) noexcept {
    std::array<Float, kPiece> copy;
    while (!values.empty()) {
      const std::size_t count = std::min(kPiece, values.size());
      fetch(std::as_bytes(values.first(count)), copy.data());
      piece(copy.data(), count);
      values = values.subspan(count);
    }
  }
};

namespace {

template <class Float>
BALLAST_INLINE_ALL void add_all(StatisticsAccumulator& to, std::span<const Float> values) noexcept {
  StatisticsKernel{to}.all(values);
}

#if BALLAST_HAS_AVX2_PATH  // the same, where the compiler can compile for more than the build has
template <class Float>
BALLAST_FOR_AVX2 BALLAST_INLINE_ALL void add_all_avx2(StatisticsAccumulator& to,
                                                      std::span<const Float> values) noexcept {
  StatisticsKernel{to}.all(values);
}
#else
template <class Float>
void add_all_avx2(StatisticsAccumulator& to, std::span<const Float> values) noexcept {
  add_all(to, values);
}
#endif

template <class Float>
void add_best(StatisticsAccumulator& to, std::span<const Float> values) noexcept {
  static const bool kHasAvx2 = platform::has_avx2();
  return kHasAvx2 ? add_all_avx2(to, values) : add_all(to, values);
}

}  // namespace

void StatisticsAccumulator::add(std::span<const float> values) noexcept { add_best(*this, values); }
void StatisticsAccumulator::add(std::span<const double> values) noexcept {
  add_best(*this, values);
}

Statistics StatisticsAccumulator::finish() const noexcept {
  Statistics all;
  all.count = count_;
  all.nan = nan_;
  all.positive_infinity = positive_infinity_;
  all.negative_infinity = negative_infinity_;
  all.zero = zero_;
  all.min = min_;
  all.max = max_;
  // Rounded, they could be infinite or beyond the extremes.
  all.mean = std::clamp(std::ldexp(mean_, unit_), min_, max_);
  if (finite_ != 0) {
    all.standard_deviation =
        std::min(std::ldexp(std::sqrt(squares_ / static_cast<double>(finite_)), unit_),
                 std::numeric_limits<double>::max());
  }
  all.histogram.bin_width = width_ == kNoWidth ? 0 : std::ldexp(1.0, width_);
  for (std::size_t bin = 0; bin < Histogram::kBins; ++bin) {
    all.histogram.counts[bin] = counts_[bin];
    for (const auto& turn : turns_) all.histogram.counts[bin] += turn[bin];
  }
  return all;
}

}  // namespace ballast
