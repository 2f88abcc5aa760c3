// (private) Floats of 4 to 16 bits as the float32 of the same value, and back, by their bits.
//
// No branches and no tables: loops over these functions become vector instructions. Nothing depends
// on subnormal arithmetic, so that a program that has turned it off reads the same numbers.
//
// Sources: IEEE 754-2019 section 3.4 (binary16); OCP 8-bit Floating Point v1.0 (E4M3, E5M2) and
// arXiv:2206.02915 (the FNUZ kinds); OCP Microscaling Formats v1.0 section 5.3 (E2M1, E2M3, E3M2)
// and 5.4.1 (E8M0).
#pragma once

#include <bit>
#include <cstdint>

#include "platform/instruction_set.hpp"

namespace ballast::decode {

inline constexpr std::uint32_t kQuietNan = 0x7fc00000;
inline constexpr std::uint32_t kInfinity = 0x7f800000;
inline constexpr int kFloatMantissa = 23;  // bits of a float32's mantissa
inline constexpr int kFloatBias = 127;

/// What the largest codes of a small float stand for.
enum class Special : std::uint8_t {
  none,               ///< numbers like all others (E2M1, E2M3, E3M2)
  ieee,               ///< an exponent of ones: infinity, or NaN (binary16, E5M2)
  nan_at_end,         ///< all ones but the sign: NaN; there is no infinity (E4M3)
  nan_is_minus_zero,  ///< the code of -0 is the one NaN; there is no infinity (FNUZ)
};

/// 2 to the power of `exponent`, a normal number.
constexpr float power_of_two(int exponent) noexcept {
  return std::bit_cast<float>(static_cast<std::uint32_t>(exponent + kFloatBias) << kFloatMantissa);
}

/// The float32 of a code with one sign, `Exponent` and `Mantissa` bits, in the lowest bits of
/// `code` (the others are zero). Exact. NaN keep their sign and, at the top, their payload.
template <int Exponent, int Mantissa, int Bias, Special Kind>
BALLAST_ALWAYS_INLINE float small_float(std::uint32_t code) noexcept {
  constexpr std::uint32_t kSign = 1U << (Exponent + Mantissa);
  constexpr std::uint32_t kFirstNormal = 1U << Mantissa;
  constexpr std::uint32_t kTopExponent = ((1U << Exponent) - 1) << Mantissa;
  const std::uint32_t magnitude = code & (kSign - 1);
  const std::uint32_t sign = (code & kSign) << (31 - Exponent - Mantissa);
  // Below the first normal number the mantissa counts multiples of the smallest one.
  const auto subnormal = std::bit_cast<std::uint32_t>(
      static_cast<float>(static_cast<std::int32_t>(magnitude)) * power_of_two(1 - Bias - Mantissa));
  const std::uint32_t shifted = magnitude << (kFloatMantissa - Mantissa);
  std::uint32_t bits =  // NOLINT(misc-const-correctness): what follows depends on the kind
      magnitude < kFirstNormal
          ? subnormal
          : shifted + (static_cast<std::uint32_t>(kFloatBias - Bias) << kFloatMantissa);
  if constexpr (Kind == Special::ieee) bits = magnitude < kTopExponent ? bits : shifted | kInfinity;
  if constexpr (Kind == Special::nan_at_end) bits = magnitude < kSign - 1 ? bits : kQuietNan;
  if constexpr (Kind == Special::nan_is_minus_zero) bits = code != kSign ? bits : kQuietNan;
  return std::bit_cast<float>(bits | sign);
}

BALLAST_ALWAYS_INLINE float from_f16(std::uint32_t code) noexcept {
  return small_float<5, 10, 15, Special::ieee>(code);
}
/// The same of a normal number, in a third of the operations.
BALLAST_ALWAYS_INLINE float from_normal_f16(std::uint32_t code) noexcept {
  constexpr int kShift = kFloatMantissa - 10;
  constexpr std::uint32_t kRebias = static_cast<std::uint32_t>(kFloatBias - 15) << kFloatMantissa;
  const std::uint32_t size = ((code & 0x7fff) << kShift) + kRebias;
  return std::bit_cast<float>(size | (code & 0x8000) << 16);
}
BALLAST_ALWAYS_INLINE float from_bf16(std::uint32_t code) noexcept {
  return std::bit_cast<float>(code << 16U);
}
BALLAST_ALWAYS_INLINE float from_e4m3(std::uint32_t code) noexcept {
  return small_float<4, 3, 7, Special::nan_at_end>(code);
}
BALLAST_ALWAYS_INLINE float from_e5m2(std::uint32_t code) noexcept {
  return small_float<5, 2, 15, Special::ieee>(code);
}
BALLAST_ALWAYS_INLINE float from_e4m3fnuz(std::uint32_t code) noexcept {
  return small_float<4, 3, 8, Special::nan_is_minus_zero>(code);
}
BALLAST_ALWAYS_INLINE float from_e5m2fnuz(std::uint32_t code) noexcept {
  return small_float<5, 2, 16, Special::nan_is_minus_zero>(code);
}
BALLAST_ALWAYS_INLINE float from_e2m1(std::uint32_t code) noexcept {
  return small_float<2, 1, 1, Special::none>(code);
}
BALLAST_ALWAYS_INLINE float from_e2m3(std::uint32_t code) noexcept {
  return small_float<2, 3, 1, Special::none>(code);
}
BALLAST_ALWAYS_INLINE float from_e3m2(std::uint32_t code) noexcept {
  return small_float<3, 2, 3, Special::none>(code);
}

/// A power of two from 2^-127, which is subnormal, to 2^127, and a NaN. No sign, no zero.
BALLAST_ALWAYS_INLINE float from_e8m0(std::uint32_t code) noexcept {
  const std::uint32_t power = code != 0 ? code << kFloatMantissa : 1U << (kFloatMantissa - 1);
  return std::bit_cast<float>(code != 0xff ? power : kQuietNan);
}

/// The nearest binary16, ties to the even one; too large is infinity, and NaN stay NaN.
BALLAST_ALWAYS_INLINE std::uint16_t to_f16_bits(float value) noexcept {
  constexpr int kDropped = kFloatMantissa - 10;
  constexpr std::uint32_t kRebias = 112U << kFloatMantissa;       // from 127 to 15
  constexpr std::uint32_t kTooLarge = 143U << kFloatMantissa;     // 2^16
  constexpr std::uint32_t kFirstNormal = 113U << kFloatMantissa;  // 2^-14
  constexpr std::uint32_t kHalf = 126U << kFloatMantissa;         // 0.5, whose last bit is 2^-24
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t magnitude = bits & 0x7fffffff;
  const std::uint32_t odd = (magnitude >> kDropped) & 1;
  const std::uint32_t normal = (magnitude - kRebias + 0xfff + odd) >> kDropped;
  // The addition rounds to multiples of the smallest binary16.
  const std::uint32_t subnormal =
      std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5F) - kHalf;
  std::uint32_t half = magnitude < kFirstNormal ? subnormal : normal;
  half = magnitude < kTooLarge ? half : 0x7c00;
  half = magnitude <= kInfinity ? half : 0x7e00 | (magnitude >> kDropped & 0x3ff);
  return static_cast<std::uint16_t>(half | (bits >> 16 & 0x8000));
}

/// The nearest bfloat16, ties to the even one; NaN stay NaN.
BALLAST_ALWAYS_INLINE std::uint16_t to_bf16_bits(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  const std::uint32_t quiet = bits >> 16 | 0x40;
  return static_cast<std::uint16_t>((bits & 0x7fffffff) <= kInfinity ? rounded : quiet);
}

}  // namespace ballast::decode
