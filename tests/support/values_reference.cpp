#include "tests/support/values_reference.hpp"

#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>

#include <ballast/decode_grids.hpp>

namespace ballast::test {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

// The bytes of a block, read as what the formats call them.
struct Block {
  std::span<const std::byte> bytes;

  [[nodiscard]] unsigned u8(std::size_t at) const { return static_cast<unsigned>(bytes[at]); }
  [[nodiscard]] int i8(std::size_t at) const {
    return static_cast<int>(u8(at)) - (u8(at) > 127 ? 256 : 0);
  }
  [[nodiscard]] unsigned u16(std::size_t at) const { return u8(at) + 256 * u8(at + 1); }
  [[nodiscard]] std::uint32_t u32(std::size_t at) const { return u16(at) + 65536U * u16(at + 2); }
  [[nodiscard]] unsigned bit(std::size_t at, std::size_t number) const {
    return u8(at + number / 8) >> number % 8 & 1;
  }
  // Number `i` of codes of 4 bits, in the low halves of `half` bytes first and then in the high
  // ones.
  [[nodiscard]] unsigned nibble(std::size_t at, std::size_t i, std::size_t half) const {
    return i < half ? u8(at + i) & 15 : u8(at + i - half) >> 4;
  }
  template <class T>
  [[nodiscard]] T number(std::size_t at) const {
    T value{};
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
  }
};

// Sign, exponent, mantissa, as every definition has it.
double small(unsigned code, int exponent_bits, int mantissa_bits, int bias) {
  const unsigned mantissa = code & ((1U << mantissa_bits) - 1);
  const unsigned exponent = code >> mantissa_bits & ((1U << exponent_bits) - 1);
  const double sign = code >> (exponent_bits + mantissa_bits) != 0 ? -1 : 1;
  const double fraction = mantissa / std::exp2(mantissa_bits);
  if (exponent == 0) return sign * std::ldexp(fraction, 1 - bias);
  return sign * std::ldexp(1 + fraction, static_cast<int>(exponent) - bias);
}

double f16(unsigned code) {
  if ((code & 0x7c00) != 0x7c00) return small(code, 5, 10, 15);
  if ((code & 0x3ff) != 0) return kNan;
  return code == 0x7c00 ? kInf : -kInf;
}

double f8(DType dtype, unsigned code) {
  switch (dtype) {
    case DType::F8_E4M3:
      return (code & 127) == 127 ? kNan : small(code, 4, 3, 7);
    case DType::F8_E5M2:
      if ((code & 124) == 124) return (code & 3) != 0 ? kNan : code < 128 ? kInf : -kInf;
      return small(code, 5, 2, 15);
    case DType::F8_E4M3FNUZ:
      return code == 128 ? kNan : small(code, 4, 3, 8);
    case DType::F8_E5M2FNUZ:
      return code == 128 ? kNan : small(code, 5, 2, 16);
    default:
      return code == 255 ? kNan : std::ldexp(1.0, static_cast<int>(code) - 127);
  }
}

// The codes of E2M1, doubled; a negative zero is zero.
double e2m1_twice(unsigned code) {
  const double value = 2 * small(code, 2, 1, 1);
  return value == 0 ? 0 : value;
}

// ---- K types ------------------------------------------------------------------------------------

// Two bits of element i, where 32 bytes hold 128 of them.
unsigned crumb(const Block& b, std::size_t at, std::size_t i) {
  return b.u8(at + i / 128 * 32 + i % 32) >> 2 * (i % 128 / 32) & 3;
}

double q2_k(const Block& b, std::size_t i) {
  const unsigned both = b.u8(i / 16);
  return f16(b.u16(80)) * (both & 15) * crumb(b, 16, i) - f16(b.u16(82)) * (both >> 4);
}

double q3_k(const Block& b, std::size_t i) {
  const std::size_t sub = i / 16;
  const unsigned low = sub < 8 ? b.u8(96 + sub) & 15 : b.u8(96 + sub - 8) >> 4;
  const unsigned high = b.u8(104 + sub % 4) >> 2 * (sub / 4) & 3;
  const int scale = static_cast<int>(low + 16 * high) - 32;
  const unsigned top = b.u8(i % 32) >> i / 32 & 1;
  const int q = static_cast<int>(crumb(b, 32, i) + 4 * top) - 4;
  return f16(b.u16(108)) * scale * q;
}

double q4_or_5_k(const Block& b, std::size_t i, bool is_five) {
  const std::size_t sub = i / 32;
  unsigned scale = b.u8(4 + sub % 4) & 63;
  unsigned minimum = b.u8(8 + sub % 4) & 63;
  if (sub >= 4) {
    scale = (b.u8(8 + sub) & 15) + 16 * (b.u8(sub) >> 6);
    minimum = (b.u8(8 + sub) >> 4) + 16 * (b.u8(4 + sub) >> 6);
  }
  unsigned q = b.nibble((is_five ? 48U : 16U) + i / 64 * 32, i % 64, 32);
  if (is_five) q += 16 * (b.u8(16 + i % 32) >> sub & 1);
  return f16(b.u16(0)) * scale * q - f16(b.u16(2)) * minimum;
}

double q6_k(const Block& b, std::size_t i) {
  const std::size_t half = i / 128;
  const unsigned low = b.nibble(64 * half, i % 128, 64);
  const unsigned high = crumb(b, 128 + 32 * half, i % 128);
  return f16(b.u16(208)) * b.i8(192 + i / 16) * (static_cast<int>(low + 16 * high) - 32);
}

double tq1_0(const Block& b, std::size_t i) {
  std::size_t at = i % 32;
  std::size_t digit = i / 32;
  if (i >= 160) at = 32 + (i - 160) % 16, digit = (i - 160) / 16;
  if (i >= 240) at = 48 + (i - 240) % 4, digit = (i - 240) / 4;
  unsigned q = b.u8(at);
  for (; digit > 0; --digit) q = q * 3 % 256;
  return f16(b.u16(52)) * (static_cast<int>(q * 3 / 256) - 1);
}

// ---- IQ types -----------------------------------------------------------------------------------

constexpr std::array<double, 4> kIq2{8, 25, 43, 0};
constexpr std::array<double, 8> kIq3Xxs{4, 12, 20, 28, 36, 44, 52, 62};

template <class Codes>
double level(const Codes& codes, std::size_t row, std::size_t i, unsigned bits) {
  return codes[row] >> bits * i & ((1U << bits) - 1);
}

// The sign of element i of 8, where seven are written and the number of set ones is even.
double even_sign(unsigned seven, std::size_t i) {
  unsigned set = 0;
  for (unsigned k = 0; k < 7; ++k) set += seven >> k & 1;
  return ((i < 7 ? seven >> i & 1 : set & 1) != 0) ? -1 : 1;
}

double plain_sign(unsigned bits, std::size_t i) { return (bits >> i & 1) != 0 ? -1 : 1; }

double iq2_xxs(const Block& b, std::size_t i) {
  const std::size_t at = 2 + 8 * (i / 32);
  const std::uint32_t word = b.u32(at + 4);
  const std::size_t eight = i % 32 / 8;
  const double value =
      kIq2[static_cast<std::size_t>(level(decode::kIq2XxsCodes, b.u8(at + eight), i % 8, 2))];
  return f16(b.u16(0)) * (0.5 + (word >> 28)) / 4 *
         (value * even_sign(word >> 7 * eight & 127, i % 8));
}

double scale_2(const Block& b, std::size_t at, std::size_t i) {
  return f16(b.u16(0)) * (0.5 + (b.u8(at + i / 32) >> 4 * (i % 32 / 16) & 15)) / 4;
}

double iq2_xs(const Block& b, std::size_t i) {
  const unsigned code = b.u16(2 + 2 * (i / 8));
  const double value =
      kIq2[static_cast<std::size_t>(level(decode::kIq2XsCodes, code % 512, i % 8, 2))];
  return scale_2(b, 66, i) * (value * even_sign(code / 512, i % 8));
}

double iq2_s(const Block& b, std::size_t i) {
  const std::size_t eight = i / 8;
  const unsigned row = b.u8(2 + eight) + 256 * (b.u8(66 + i / 32) >> 2 * (eight % 4) & 3);
  const double value = kIq2[static_cast<std::size_t>(level(decode::kIq2SCodes, row, i % 8, 2))];
  return scale_2(b, 74, i) * (value * plain_sign(b.u8(34 + eight), i % 8));
}

double iq3_xxs(const Block& b, std::size_t i) {
  const std::uint32_t word = b.u32(66 + 4 * (i / 32));
  const double value =
      kIq3Xxs[static_cast<std::size_t>(level(decode::kIq3XxsCodes, b.u8(2 + i / 4), i % 4, 3))];
  return f16(b.u16(0)) * (0.5 + (word >> 28)) / 2 *
         (value * even_sign(word >> 7 * (i % 32 / 8) & 127, i % 8));
}

double iq3_s(const Block& b, std::size_t i) {
  const unsigned row = b.u8(2 + i / 4) + 256 * b.bit(66, i / 4);
  const double value = 2 * level(decode::kIq3SCodes, row, i % 4, 3) + 1;
  const unsigned scale = b.u8(106 + i / 64) >> 4 * (i / 32 % 2) & 15;
  return f16(b.u16(0)) * (1 + 2 * scale) * (value * plain_sign(b.u8(74 + i / 8), i % 8));
}

double iq1_s(const Block& b, std::size_t i) {
  const unsigned word = b.u16(34 + 2 * (i / 32));
  const unsigned row = b.u8(2 + i / 8) + 256 * (word >> 3 * (i % 32 / 8) & 7);
  const double value = level(decode::kIq1SCodes, row, i % 8, 2) - 1;
  const double delta = word >= 0x8000 ? -0.125 : 0.125;
  return f16(b.u16(0)) * (2 * (word >> 12 & 7) + 1) * (value + delta);
}

double iq1_m(const Block& b, std::size_t i) {
  unsigned scale = 0;
  for (unsigned k = 0; k < 4; ++k) scale += b.u16(48 + 2 * k) >> 12 << 4 * k;
  const unsigned s = b.u16(48 + 2 * (i / 64)) >> 3 * (i % 64 / 16) & 7;
  const unsigned high = b.u8(32 + i / 16) >> 4 * (i / 8 % 2) & 15;
  const double value = level(decode::kIq1SCodes, b.u8(i / 8) + 256 * (high & 7), i % 8, 2) - 1;
  return f16(scale) * (2 * s + 1) * (value + (high >= 8 ? -0.125 : 0.125));
}

constexpr std::array<int, 16> kIq4{-127, -104, -83, -65, -49, -35, -22, -10,
                                   1,    13,   25,  38,  53,  69,  89,  113};

double iq4_xs(const Block& b, std::size_t i) {
  const std::size_t sub = i / 32;
  const unsigned low = b.u8(4 + sub / 2) >> 4 * (sub % 2) & 15;
  const unsigned high = b.u16(2) >> 2 * sub & 3;
  const int scale = static_cast<int>(low + 16 * high) - 32;
  return f16(b.u16(0)) * scale * kIq4[b.nibble(8 + 16 * sub, i % 32, 16)];
}

// ---- All ----------------------------------------------------------------------------------------

double nvfp4(const Block& b, std::size_t i) {
  const std::size_t sub = i / 16;
  const unsigned code = b.u8(sub);
  const double scale = code == 127 ? 0 : small(code & 127, 4, 3, 7);
  return scale / 2 * e2m1_twice(b.nibble(4 + 8 * sub, i % 16, 8));
}

double plain(DType dtype, const Block& b) {
  switch (dtype) {
    case DType::F16:
      return f16(b.u16(0));
    case DType::F64:
      return b.number<double>(0);
    case DType::I8:
      return b.i8(0);
    case DType::I16:
      return b.number<std::int16_t>(0);
    case DType::U8:
      return b.u8(0);
    case DType::U16:
      return b.u16(0);
    case DType::BOOL:
      return b.u8(0) != 0 ? 1 : 0;
    default:
      return f8(dtype, b.u8(0));
  }
}

// Element i of codes of that many bits, one behind the other from the lowest bit on.
unsigned packed(const Block& b, std::size_t i, std::size_t bits) {
  unsigned code = 0;
  for (std::size_t k = 0; k < bits; ++k) code |= b.bit(0, i * bits + k) << k;
  return code;
}

double value(DType dtype, const Block& b, std::size_t i) {
  switch (dtype) {
    case DType::Q4_0:
      return f16(b.u16(0)) * (static_cast<int>(b.nibble(2, i, 16)) - 8);
    case DType::Q4_1:
      return f16(b.u16(0)) * b.nibble(4, i, 16) + f16(b.u16(2));
    case DType::Q5_0:
      return f16(b.u16(0)) * (static_cast<int>(b.nibble(6, i, 16) + 16 * b.bit(2, i)) - 16);
    case DType::Q5_1:
      return f16(b.u16(0)) * (b.nibble(8, i, 16) + 16 * b.bit(4, i)) + f16(b.u16(2));
    case DType::Q8_0:
      return f16(b.u16(0)) * b.i8(2 + i);
    case DType::Q8_1:
      return f16(b.u16(0)) * b.i8(4 + i);
    case DType::Q8_K:
      return static_cast<double>(b.number<float>(0)) * b.i8(4 + i);
    case DType::Q2_K:
      return q2_k(b, i);
    case DType::Q3_K:
      return q3_k(b, i);
    case DType::Q4_K:
    case DType::Q5_K:
      return q4_or_5_k(b, i, dtype == DType::Q5_K);
    case DType::Q6_K:
      return q6_k(b, i);
    case DType::TQ1_0:
      return tq1_0(b, i);
    case DType::TQ2_0:
      return f16(b.u16(64)) * (static_cast<int>(crumb(b, 0, i)) - 1);
    case DType::Q1_0:
      return f16(b.u16(0)) * (b.bit(2, i) != 0 ? 1 : -1);
    case DType::Q2_0:
      return f16(b.u16(0)) * (static_cast<int>(b.u8(2 + i / 4) >> 2 * (i % 4) & 3) - 1);
    case DType::MXFP4:
      return std::ldexp(e2m1_twice(b.nibble(1, i, 16)), static_cast<int>(b.u8(0)) - 128);
    case DType::NVFP4:
      return nvfp4(b, i);
    case DType::IQ2_XXS:
      return iq2_xxs(b, i);
    case DType::IQ2_XS:
      return iq2_xs(b, i);
    case DType::IQ2_S:
      return iq2_s(b, i);
    case DType::IQ3_XXS:
      return iq3_xxs(b, i);
    case DType::IQ3_S:
      return iq3_s(b, i);
    case DType::IQ1_S:
      return iq1_s(b, i);
    case DType::IQ1_M:
      return iq1_m(b, i);
    case DType::IQ4_NL:
      return f16(b.u16(0)) * kIq4[b.nibble(2, i, 16)];
    case DType::IQ4_XS:
      return iq4_xs(b, i);
    case DType::F4:
      return small(packed(b, i, 4), 2, 1, 1);
    case DType::F6_E2M3:
      return small(packed(b, i, 6), 2, 3, 1);
    case DType::F6_E3M2:
      return small(packed(b, i, 6), 3, 2, 3);
    default:
      return plain(dtype, b);
  }
}

}  // namespace

float reference_value(DType dtype, std::span<const std::byte> block, std::size_t i) {
  const Block b{block};
  if (dtype == DType::F32) return b.number<float>(0);
  if (dtype == DType::C64) return b.number<float>(4 * i);
  if (dtype == DType::BF16) {
    const std::uint32_t bits = b.u16(0) << 16;
    float value = 0;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }
  return static_cast<float>(value(dtype, b, i));
}

}  // namespace ballast::test
