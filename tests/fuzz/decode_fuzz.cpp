// Blocks of any bytes through the decoders of a family of dtypes, or of all, and through the
// statistics.
//
// Every level gives the bits of the scalar build, a range of values is that part of all of them,
// nothing is read or written beyond its end (by the sanitizers), and a histogram holds every finite
// number. As with libFuzzer: the input is what it makes of it.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <numeric>
#include <span>
#include <string_view>
#include <vector>

#include <ballast/decode.hpp>
#include <ballast/statistics.hpp>
#include <ballast/values.hpp>

#include "platform/instruction_set.hpp"
#include "tests/fuzz/require.hpp"
#include "tests/fuzz/thorough.hpp"
#include "tests/support/scalar_decode.hpp"

namespace ballast::test {
namespace {

// Which dtypes: "float", "block", "k" or "iq"; all of them where the build does not say.
#ifndef BALLAST_FUZZ_FAMILY
#define BALLAST_FUZZ_FAMILY ""
#endif
constexpr std::string_view kFamily = BALLAST_FUZZ_FAMILY;

bool is_among(std::span<const decode::Row> rows, DType dtype) {
  return std::ranges::find(rows, dtype, &decode::Row::dtype) != rows.end();
}

std::string_view family_of(DType dtype) {
  if (is_among(decode::iq_rows(), dtype)) return "iq";
  if (is_among(decode::block_rows(), dtype)) return name(dtype).ends_with("_K") ? "k" : "block";
  return "float";
}

std::vector<DType> dtypes() {
  std::vector<DType> found;
  for (std::size_t i = 0; i < kDTypes.size(); ++i) {
    const auto dtype = static_cast<DType>(i);
    if (!info(dtype).has_size()) continue;
    if (kFamily.empty() || kFamily == family_of(dtype)) found.push_back(dtype);
  }
  return found;
}

void require(bool holds) { test::require(holds, "what a decoder promises"); }

bool same(std::span<const float> left, std::span<const float> right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(), [](float a, float b) {
    return (std::isnan(a) && std::isnan(b)) || std::memcmp(&a, &b, sizeof a) == 0;
  });
}

// Of exactly that size, so that one byte too many is seen.
template <class T>
struct Exact {
  explicit Exact(std::size_t count) : size(count), data(std::make_unique<T[]>(count)) {}  // NOLINT
  [[nodiscard]] std::span<T> span() const { return {data.get(), size}; }
  std::size_t size;
  std::unique_ptr<T[]> data;  // NOLINT(modernize-avoid-c-arrays)
};

// Of floats and of doubles.
template <class Float>
void check_statistics(std::span<const Float> values) {
  StatisticsAccumulator all;
  all.add(values.first(values.size() / 3));
  all.add(values.subspan(values.size() / 3));
  const Statistics found = all.finish();
  require(found.count == values.size());
  const auto& counts = found.histogram.counts;
  require(std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}) == found.finite());
  require(found.finite() == 0 || found.min <= found.max);
  require(found.finite() == 0 || (found.min <= found.mean && found.mean <= found.max));
  require(found.standard_deviation >= 0 && std::isfinite(found.standard_deviation));
  require(found.finite() == 0 || found.max < found.histogram.lower(Histogram::kBins) ||
          found.histogram.bin_width == 0);
}

void check_range(DType dtype, std::span<const std::byte> blocks, std::span<const float> all,
                 std::size_t first, std::size_t count) {
  first = std::min(first, all.size());
  const Exact<float> found(std::min(count, all.size() - first));
  decode::decode(dtype, decode::decoder(dtype), blocks.data(), first, found.span());
  require(same(found.span(), all.subspan(first, found.size)));
}

/// What else is made of the floats; most of the time goes here.
void check_uses(DType dtype, std::span<const std::byte> blocks, std::span<const float> floats,
                std::size_t first, std::size_t length) {
  const Exact<std::uint16_t> halves(floats.size());
  to_f16(dtype, blocks, halves.span());
  to_bf16(dtype, blocks, halves.span());
  check_range(dtype, blocks, floats, first, length);
  check_statistics<float>(floats);
}

/// Gives back the floats, which every level agrees on.
Exact<float> check_levels(DType dtype, std::span<const std::byte> blocks) {
  const std::size_t count = blocks.size() / info(dtype).block_bytes;
  const std::size_t floats = count * info(dtype).block_elements * decode::floats_per_element(dtype);
  Exact<float> expected(floats);
  scalar_decoder(dtype)(blocks.data(), expected.data.get(), count);
  const Exact<float> found(floats);
  decode::decoder(dtype, decode::Level::baseline)(blocks.data(), found.data.get(), count);
  require(same(found.span(), expected.span()));
  if (platform::has_avx2()) {
    decode::decoder(dtype, decode::Level::avx2)(blocks.data(), found.data.get(), count);
    require(same(found.span(), expected.span()));
  }
  return expected;
}

// What statistics are taken of as doubles.
void check_wide(DType dtype, std::span<const std::byte> elements) {
  const auto decoder = decode::wide_decoder(dtype);
  if (decoder == nullptr) return;
  const Exact<double> values(elements.size() / info(dtype).block_bytes);
  decoder(elements.data(), values.data.get(), values.size);
  check_statistics<double>(values.span());
}

}  // namespace
}  // namespace ballast::test

// The first bytes choose: a dtype, where a range begins, how long it is; blocks are the rest.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ballast;
  constexpr std::size_t kHead = 5;
  if (size < kHead) return 0;
  static const std::vector<DType> kChoice = test::dtypes();
  const DType dtype = kChoice[data[0] % kChoice.size()];
  const std::size_t first = data[1] + 256U * data[2];
  const std::size_t length = data[3] + 256U * data[4];
  const std::size_t block = info(dtype).block_bytes;
  const test::Exact<std::byte> blocks((size - kHead) / block * block);
  if (blocks.size != 0) std::memcpy(blocks.data.get(), data + kHead, blocks.size);
  const bool thorough = test::is_thorough({reinterpret_cast<const std::byte*>(data), size});
  if (thorough) test::check_wide(dtype, blocks.span());
  if (decode::decoder(dtype) == nullptr) return 0;
  const test::Exact<float> floats = test::check_levels(dtype, blocks.span());
  if (thorough) test::check_uses(dtype, blocks.span(), floats.span(), first, length);
  return 0;
}
