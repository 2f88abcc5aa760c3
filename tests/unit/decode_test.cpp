// The decoders, each for every instruction set that this processor has: the values that the formats
// define, bit for bit.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/decode.hpp>
#include <ballast/decode_grids.hpp>
#include <ballast/small_float.hpp>

#include "platform/instruction_set.hpp"
#include "tests/support/random.hpp"
#include "tests/support/sample.hpp"
#include "tests/support/scalar_decode.hpp"
#include "tests/support/values_reference.hpp"

namespace ballast::test {
namespace {

std::vector<DType> decoded_dtypes() {
  std::vector<DType> found;
  for (std::size_t i = 0; i < kDTypes.size(); ++i) {
    const auto dtype = static_cast<DType>(i);
    if (decode::decoder(dtype, decode::Level::baseline) != nullptr) found.push_back(dtype);
  }
  return found;
}

std::vector<decode::Level> levels() {
  std::vector<decode::Level> found{decode::Level::baseline};
  if (platform::has_avx2()) found.push_back(decode::Level::avx2);
  return found;
}

std::size_t floats_in_block(DType dtype) {
  return info(dtype).block_elements * decode::floats_per_element(dtype);
}

// The same bits; any NaN is as good as any other.
bool same(float left, float right) {
  if (std::isnan(left) && std::isnan(right)) return true;
  return std::bit_cast<std::uint32_t>(left) == std::bit_cast<std::uint32_t>(right);
}

// Where two lists differ, or the size of both.
std::size_t difference(std::span<const float> left, std::span<const float> right) {
  const auto differs = [](float a, float b) { return !same(a, b); };
  for (std::size_t i = 0; i < std::min(left.size(), right.size()); ++i) {
    if (differs(left[i], right[i])) return i;
  }
  return std::max(left.size(), right.size());
}

// Bytes of any value; now and then two are a binary16 (or the top of a float) that is special.
Bytes random_blocks(Random& random, DType dtype, std::size_t count) {
  static constexpr std::array<std::uint16_t, 12> kSpecial{0x0000, 0x8000, 0x0001, 0x83ff,
                                                          0x0400, 0x7bff, 0x7c00, 0xfc00,
                                                          0x7c01, 0x7e00, 0xffff, 0x3c00};
  Bytes blocks(count * info(dtype).block_bytes);
  for (std::byte& each : blocks) each = static_cast<std::byte>(random.next());
  for (std::size_t at = 0; at + 2 <= blocks.size(); at += 2) {
    if (!random.one_in(24)) continue;
    const std::uint16_t special = random.pick(kSpecial);
    std::memcpy(blocks.data() + at, &special, sizeof special);
  }
  return blocks;
}

std::vector<float> reference(DType dtype, std::span<const std::byte> blocks) {
  const std::size_t size = info(dtype).block_bytes;
  std::vector<float> values;
  for (std::size_t at = 0; at < blocks.size(); at += size) {
    for (std::size_t i = 0; i < floats_in_block(dtype); ++i) {
      values.push_back(reference_value(dtype, blocks.subspan(at, size), i));
    }
  }
  return values;
}

TEST_CASE("every dtype that float holds has a decoder, for every level and in the scalar build") {
  CHECK(decoded_dtypes().size() == 45);
  for (std::size_t i = 0; i < kDTypes.size(); ++i) {
    const auto dtype = static_cast<DType>(i);
    CAPTURE(name(dtype));
    const bool is_wide = decode::wide_decoder(dtype) != nullptr;
    const bool has_decoder = decode::decoder(dtype) != nullptr;
    CHECK((has_decoder || is_wide) == info(dtype).has_size());
    CHECK((scalar_decoder(dtype) != nullptr) == has_decoder);
    for (const decode::Level level : levels()) {
      CHECK((decode::decoder(dtype, level) != nullptr) == has_decoder);
    }
  }
}

TEST_CASE("blocks of any bytes become what the format defines, on every level") {
  const std::uint64_t seed = test_seed(20261128);
  CAPTURE(seed);
  Random random(seed);
  for (const DType dtype : decoded_dtypes()) {
    CAPTURE(name(dtype));
    const std::size_t count = 6000 / floats_in_block(dtype);
    const Bytes blocks = random_blocks(random, dtype, count);
    const std::vector<float> expected = reference(dtype, blocks);
    std::vector<float> found(expected.size());
    for (const decode::Level level : levels()) {
      CAPTURE(static_cast<int>(level));
      decode::decoder(dtype, level)(blocks.data(), found.data(), count);
      CHECK(difference(found, expected) == expected.size());
    }
    scalar_decoder(dtype)(blocks.data(), found.data(), count);
    CHECK(difference(found, expected) == expected.size());
  }
}

TEST_CASE("any number of blocks at any address leaves what lies behind alone") {
  Random random(7);
  for (const DType dtype : decoded_dtypes()) {
    CAPTURE(name(dtype));
    for (const std::size_t count : std::initializer_list<std::size_t>{0, 1, 2, 3, 7, 8, 9, 33}) {
      const Bytes blocks = random_blocks(random, dtype, count);
      for (std::size_t shift = 0; shift < 3; ++shift) {
        Bytes moved(shift, std::byte{});
        moved.insert(moved.end(), blocks.begin(), blocks.end());
        std::vector<float> expected(count * floats_in_block(dtype) + 2, 42.0F);
        std::vector<float> found = expected;
        scalar_decoder(dtype)(blocks.data(), expected.data() + 1, count);
        for (const decode::Level level : levels()) {
          decode::decoder(dtype, level)(moved.data() + shift, found.data() + 1, count);
          CHECK(difference(found, expected) == expected.size());
        }
      }
    }
  }
}

TEST_CASE("every code of a float or integer of at most 16 bits") {
  for (const DType dtype : decoded_dtypes()) {
    const DTypeInfo& type = info(dtype);
    if (type.block_bytes > 2) continue;
    CAPTURE(name(dtype));
    const std::size_t codes = std::size_t{1} << 8 * type.block_bytes;
    Bytes blocks(codes * type.block_bytes);
    for (std::size_t code = 0; code < codes; ++code) {
      std::memcpy(blocks.data() + code * type.block_bytes, &code, type.block_bytes);
    }
    const std::vector<float> expected = reference(dtype, blocks);
    std::vector<float> found(expected.size());
    for (const decode::Level level : levels()) {
      decode::decoder(dtype, level)(blocks.data(), found.data(), codes);
      CHECK(difference(found, expected) == expected.size());
    }
  }
}

TEST_CASE("F32, BF16 and C64 keep every bit, those of NaN too") {
  const std::array<std::uint32_t, 4> bits{0x7f800001, 0xffc12345, 0x00000001, 0x80000000};
  std::array<std::uint32_t, 4> found{};
  for (const DType dtype : {DType::F32, DType::C64}) {
    decode::decoder(dtype)(reinterpret_cast<const std::byte*>(bits.data()),
                           reinterpret_cast<float*>(found.data()), dtype == DType::F32 ? 4 : 2);
    CHECK(found == bits);
  }
}

TEST_CASE("values from anywhere in a block to anywhere in another") {
  Random random(3);
  for (const DType dtype : decoded_dtypes()) {
    CAPTURE(name(dtype));
    const std::size_t in_block = floats_in_block(dtype);
    const Bytes blocks = random_blocks(random, dtype, 5);
    std::vector<float> all(5 * in_block);
    scalar_decoder(dtype)(blocks.data(), all.data(), 5);
    const std::size_t step = in_block > 32 ? 17 : 1;
    for (std::size_t first = 0; first <= all.size(); first += step) {
      for (std::size_t end = first; end <= all.size(); end += step) {
        std::vector<float> found(end - first);
        decode::decode(dtype, decode::decoder(dtype), blocks.data(), first, found);
        const std::span expected = std::span(all).subspan(first, end - first);
        if (difference(found, expected) != found.size()) FAIL(first << " to " << end);
      }
    }
  }
}

TEST_CASE("what float does not hold becomes double, exactly where that can be") {
  const std::array<std::int64_t, 3> longs{INT64_MIN, -1, (std::int64_t{1} << 53) - 1};
  std::array<double, 3> found{};
  const auto* bytes = reinterpret_cast<const std::byte*>(longs.data());
  decode::wide_decoder(DType::I64)(bytes, found.data(), 3);
  CHECK(found == std::array<double, 3>{-0x1p63, -1, 0x1p53 - 1});
  decode::wide_decoder(DType::U64)(bytes, found.data(), 2);
  CHECK((found[0] == 0x1p63 && found[1] == 0x1p64));
  const std::array<std::uint32_t, 2> words{UINT32_MAX, 5};
  bytes = reinterpret_cast<const std::byte*>(words.data());
  decode::wide_decoder(DType::U32)(bytes, found.data(), 2);
  CHECK((found[0] == UINT32_MAX && found[1] == 5));
  decode::wide_decoder(DType::I32)(bytes, found.data(), 2);
  CHECK((found[0] == -1 && found[1] == 5));
}

// ---- Rounding -----------------------------------------------------------------------------------

// The half nearest to a number, found among all: the lower neighbour or the next one, and of two
// that are as near the one whose last bit is 0.
std::uint16_t nearest_f16(double number) {
  const double size = std::fabs(number);
  const auto value = [](std::uint32_t code) {
    return code >= 0x7c00 ? 65536.0 : static_cast<double>(decode::from_f16(code));
  };
  std::uint32_t low = 0;
  for (std::uint32_t step = 0x4000; step > 0; step /= 2) {
    if (low + step <= 0x7c00 && value(low + step) <= size) low += step;
  }
  const double below = size - value(low);
  const double above = value(low + 1) - size;
  const bool up = low < 0x7c00 && (above < below || (above == below && low % 2 == 1));
  return static_cast<std::uint16_t>(low + (up ? 1 : 0) + (std::signbit(number) ? 0x8000 : 0));
}

TEST_CASE("binary16 is the nearest one, ties to even") {
  for (std::uint32_t code = 0; code < 0x7c00; ++code) {
    const double here = decode::from_f16(code);
    const double next = code + 1 < 0x7c00 ? decode::from_f16(code + 1) : 65536.0;
    const auto middle = static_cast<float>((here + next) / 2);  // exact: one bit more
    for (const float number : {static_cast<float>(here), middle, std::nextafter(middle, 0.0F),
                               std::nextafter(middle, 1e6F)}) {
      REQUIRE(decode::to_f16_bits(number) == nearest_f16(number));
      REQUIRE(decode::to_f16_bits(-number) == nearest_f16(-static_cast<double>(number)));
    }
  }
  constexpr float kInf = std::numeric_limits<float>::infinity();
  CHECK(decode::to_f16_bits(kInf) == 0x7c00);
  CHECK(decode::to_f16_bits(-kInf) == 0xfc00);
  CHECK(decode::to_f16_bits(3e38F) == 0x7c00);
  CHECK(decode::to_f16_bits(std::numeric_limits<float>::denorm_min()) == 0);
  for (const std::uint32_t nan : {0x7f800001U, 0xffffffffU, 0x7fc00000U}) {
    const std::uint16_t found = decode::to_f16_bits(std::bit_cast<float>(nan));
    CHECK((found & 0x7fff) > 0x7c00);
    CHECK((found >> 15) == (nan >> 31));
  }
}

TEST_CASE("bfloat16 is the nearest one, ties to even") {
  const auto to = [](std::uint32_t bits) {
    return decode::to_bf16_bits(std::bit_cast<float>(bits));
  };
  CHECK(to(0x3f800000) == 0x3f80);
  CHECK(to(0x3f808000) == 0x3f80);
  CHECK(to(0x3f808001) == 0x3f81);
  CHECK(to(0x3f818000) == 0x3f82);
  CHECK(to(0x3f817fff) == 0x3f81);
  CHECK(to(0x80000001) == 0x8000);
  CHECK(to(0x7f7fffff) == 0x7f80);
  CHECK(to(0xff800000) == 0xff80);
  CHECK((to(0x7f800001) & 0x7fff) > 0x7f80);
  CHECK((to(0xffffffff) & 0x7fff) > 0x7f80);
}

// ---- Codebooks ----------------------------------------------------------------------------------

template <class Codes>
std::uint64_t checksum(const Codes& codes) {
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const std::uint16_t code : codes) {
    for (const unsigned byte : {code & 0xffU, static_cast<unsigned>(code) >> 8}) {
      hash = (hash ^ byte) * 0x100000001b3;
    }
  }
  return hash;
}

TEST_CASE("the codebooks are those that blocks of every row were decoded with") {
  CHECK(checksum(decode::kIq2XxsCodes) == 0x6fca17f5c451905d);
  CHECK(checksum(decode::kIq2XsCodes) == 0x29d6ac8e0e6b14e3);
  CHECK(checksum(decode::kIq2SCodes) == 0x641f9aa3fbd98694);
  CHECK(checksum(decode::kIq3XxsCodes) == 0x79d733576d562547);
  CHECK(checksum(decode::kIq3SCodes) == 0x55b224116d1e5ca2);
  CHECK(checksum(decode::kIq1SCodes) == 0x03f1880817eeffa4);
}

}  // namespace
}  // namespace ballast::test
