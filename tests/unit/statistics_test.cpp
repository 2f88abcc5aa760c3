// Statistics, against sums in long double and bins counted one by one.
#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/statistics.hpp>

#include "tests/support/random.hpp"

namespace ballast::test {
namespace {

template <class Float>
Statistics of(const std::vector<Float>& values, std::size_t piece = SIZE_MAX) {
  StatisticsAccumulator all;
  for (std::size_t at = 0; at < values.size(); at += std::min(piece, values.size())) {
    all.add(std::span<const Float>(values).subspan(at, std::min(piece, values.size() - at)));
  }
  return all.finish();
}

struct Truth {
  std::vector<long double> finite;
  long double mean = 0;
  long double deviation = 0;
};

template <class Float>
Truth truth_of(const std::vector<Float>& values) {
  Truth truth;
  for (const Float value : values) {
    if (std::isfinite(value)) truth.finite.push_back(value);
  }
  if (truth.finite.empty()) return truth;
  const auto count = static_cast<long double>(truth.finite.size());
  for (const long double value : truth.finite) truth.mean += value / count;
  for (const long double value : truth.finite) {
    truth.deviation += (value - truth.mean) * (value - truth.mean) / count;
  }
  truth.deviation = std::sqrt(truth.deviation);
  return truth;
}

bool near(double found, long double expected, long double scale) {
  return std::fabs(static_cast<long double>(found) - expected) <= 1e-12L * std::fabs(scale);
}

// Which bin a number belongs to, by the words of the header.
std::size_t bin_of(const Histogram& histogram, long double value) {
  if (histogram.bin_width == 0) return Histogram::kMiddle;
  const long double width = histogram.bin_width;
  const auto place = static_cast<std::size_t>(std::floor(std::fabs(value) / width));
  return value < 0 ? Histogram::kMiddle - 1 - place : Histogram::kMiddle + place;
}

template <class Float>
void check(const std::vector<Float>& values) {
  const Truth truth = truth_of(values);
  const Statistics found = of(values);
  CHECK(found.count == values.size());
  CHECK(found.finite() == truth.finite.size());
  CHECK(found.nan == static_cast<std::uint64_t>(
                         std::ranges::count_if(values, [](Float v) { return std::isnan(v); })));
  CHECK(found.zero == static_cast<std::uint64_t>(std::ranges::count(values, Float{0})));
  CHECK(found.positive_infinity == static_cast<std::uint64_t>(std::ranges::count(
                                       values, std::numeric_limits<Float>::infinity())));
  CHECK(found.negative_infinity == static_cast<std::uint64_t>(std::ranges::count(
                                       values, -std::numeric_limits<Float>::infinity())));
  std::vector<std::uint64_t> counts(Histogram::kBins);
  for (const long double value : truth.finite) ++counts.at(bin_of(found.histogram, value));
  CHECK(std::ranges::equal(found.histogram.counts, counts));
  if (truth.finite.empty()) return;
  const auto [min, max] = std::ranges::minmax(truth.finite);
  CHECK((found.min == min && found.max == max));
  const long double largest = std::max(std::fabs(min), std::fabs(max));
  CHECK(near(found.mean, truth.mean, largest));
  CHECK(
      near(found.standard_deviation, truth.deviation, std::max(truth.deviation, largest * 1e-3L)));
  CHECK((largest == 0 ||
         largest < (Histogram::kMiddle * static_cast<long double>(found.histogram.bin_width))));
  const bool is_narrowest =
      found.histogram.bin_width <= 0x1p-100 ||
      largest * 2 >= Histogram::kMiddle * static_cast<long double>(found.histogram.bin_width);
  CHECK(is_narrowest);
}

double uniform(Random& random) { return static_cast<double>(random.next() >> 11) * 0x1p-53; }

template <class Float>
std::vector<Float> made(std::size_t count, auto make) {
  std::vector<Float> values(count);
  for (Float& value : values) value = static_cast<Float>(make());
  return values;
}

TEST_CASE("statistics of ordinary numbers") {
  Random random(1);
  for (const std::size_t count :
       std::initializer_list<std::size_t>{1, 2, 7, 8, 9, 2047, 2048, 2049, 100'000}) {
    CAPTURE(count);
    check(made<float>(count, [&] { return uniform(random) - 0.5; }));
    check(made<double>(count, [&] { return uniform(random) * 3e5 - 1e5; }));
  }
}

TEST_CASE("statistics of numbers whose mean is large beside their distances") {
  Random random(2);
  check(made<float>(50'000, [&] { return 1000 + uniform(random); }));
  check(made<double>(50'000, [&] { return 1e9 + uniform(random); }));
  check(std::vector<float>(10'000, 0.1F));
  check(std::vector<double>(10'000, -1e300));
  CHECK(of(std::vector<float>(10'000, 0.1F)).standard_deviation == 0);
}

TEST_CASE("statistics of numbers of every magnitude") {
  Random random(3);
  check(made<float>(20'000, [&] {
    return std::ldexp(uniform(random) - 0.5, static_cast<int>(random.below(200)) - 100);
  }));
  check(made<double>(20'000, [&] {
    return std::ldexp(uniform(random) - 0.5, static_cast<int>(random.below(1200)) - 700);
  }));
  std::vector<float> growing;
  for (int exponent = -149; exponent < 128; ++exponent) {
    growing.insert(growing.end(), {std::ldexp(1.0F, exponent), -std::ldexp(1.0F, exponent)});
  }
  growing.insert(growing.end(), {FLT_MAX, -FLT_MAX});
  StatisticsAccumulator one_by_one;
  for (const float& value : growing) one_by_one.add(std::span(&value, 1));
  CHECK(one_by_one.finish().histogram.counts == of(growing).histogram.counts);
  CHECK(of(growing).max == FLT_MAX);
}

TEST_CASE("doubles whose sums and squares double does not hold have statistics all the same") {
  const double most = std::numeric_limits<double>::max();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  check(std::vector<double>{most, -most});
  check(std::vector<double>(5'000, most));
  check(std::vector<double>{1e300, 2e300, -3e300, nan, std::numeric_limits<double>::infinity()});
  std::vector<double> values(6'000, 1e-3);
  for (std::size_t i = 2'500; i < values.size(); ++i) values[i] = i % 2 == 0 ? most : -most / 2;
  for (std::size_t i = 0; i < values.size(); i += 7) values[i] = nan;
  check(values);
  std::ranges::reverse(values);
  check(values);
  Random random(test_seed(47));
  for (double& value : values) value = std::bit_cast<double>(random.next());  // NaN among them
  check(values);
}

TEST_CASE("floats before and behind large doubles are counted with them") {
  StatisticsAccumulator all;
  all.add(std::vector<float>{1.0F, 2.0F});
  all.add(std::vector<double>{1e300, std::numeric_limits<double>::quiet_NaN(), -1e300});
  all.add(std::vector<float>{-1.0F, 3e38F, std::numeric_limits<float>::infinity()});
  const Statistics found = all.finish();
  CHECK(found.finite() == 6);
  CHECK(near(found.mean, 0, 1e300L));
  CHECK(near(found.standard_deviation, 1e300L / std::sqrt(3.0L), 1e300L));
}

TEST_CASE("what is not finite is counted and takes no part") {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  check(std::vector<float>{1, kNan, -3, kInf, 0, -kInf, -0.0F, kNan});
  check(std::vector<float>(5000, kNan));
  check(std::vector<float>{kInf});
  check(std::vector<float>{});
  Random random(4);
  check(made<float>(30'000, [&] {
    if (random.one_in(50)) return kNan;
    if (random.one_in(50)) return random.one_in(2) ? kInf : -kInf;
    return static_cast<float>(uniform(random));
  }));
  std::vector<float> late(5000, kNan);  // whole pieces of them, then numbers
  late.insert(late.end(), {2, 4});
  check(late);
}

TEST_CASE("zeros of both signs are zeros, and lie in the middle") {
  check(std::vector<float>{0, -0.0F, 0});
  const Statistics zeros = of(std::vector<float>(3000, -0.0F));
  CHECK((zeros.zero == 3000 && zeros.histogram.bin_width == 0));
  CHECK(zeros.histogram.counts[Histogram::kMiddle] == 3000);
  std::vector<float> then(3000, 0.0F);
  then.push_back(-5);
  check(then);
}

TEST_CASE("counts, extremes and bins depend neither on the order nor on the pieces") {
  Random random(5);
  std::vector<float> values = made<float>(20'000, [&] {
    return std::ldexp(uniform(random) - 0.3, static_cast<int>(random.below(40)));
  });
  const Statistics first = of(values);
  std::ranges::reverse(values);
  for (const std::size_t piece : std::initializer_list<std::size_t>{1, 7, 2048, 5000}) {
    const Statistics other = of(values, piece);
    CHECK(other.histogram.counts == first.histogram.counts);
    CHECK((other.min == first.min && other.max == first.max && other.count == first.count));
    CHECK(near(other.mean, first.mean, first.max));
    CHECK(near(other.standard_deviation, first.standard_deviation, first.max));
  }
}

TEST_CASE("a histogram says where its bins begin and end") {
  const Statistics found = of(std::vector<float>{-1, 1, 0.25F});
  CHECK(found.histogram.bin_width == 0x1p-8);  // 1 is not below 512 bins of 2^-9
  CHECK(found.histogram.lower(Histogram::kMiddle) == 0);
  CHECK(found.histogram.lower(Histogram::kBins) == 2);
  CHECK(found.histogram.lower(0) == -2);
}

}  // namespace
}  // namespace ballast::test
