// Weights with the statistics of trained ones, for what depends on them: how well they compress,
// and how fast they decompress.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "tests/support/random.hpp"

namespace ballast::test {

/// A gaussian number but for its far tails, which end at 3.5 deviations: the sum of four uniform
/// ones. Only the last product rounds, in the same way everywhere.
inline float gaussian(Random& random, float deviation) noexcept {
  const std::uint64_t bits = random.next();
  std::int32_t sum = -2 * 65'535;
  for (int i = 0; i < 4; ++i) sum += static_cast<std::int32_t>(bits >> (16 * i) & 0xFFFF);
  constexpr float kDeviation = 37'837.3F;  // of the sum: 65,536 / sqrt(12) * sqrt(4)
  return static_cast<float>(sum) * (deviation / kDeviation);
}

/// The upper half of a float, rounded to the nearest.
inline std::uint16_t bf16(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return static_cast<std::uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

/// A half, of a number that is positive and normal as one; cut off.
inline std::uint16_t half(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return static_cast<std::uint16_t>((bits >> 13) - (std::uint32_t{127 - 15} << 10));
}

constexpr std::size_t kQ4KElements = 256;
using Q4K = std::array<std::byte, 144>;

/// A block of Q4_K of gaussian weights, by the plainest quantiser: eight times 32 weights from
/// their least to their greatest in 16 steps, and both ends in 64 (ggml-common.h, block_q4_K).
inline Q4K q4_k_block(Random& random, float deviation) noexcept {
  constexpr std::size_t kParts = 8;
  constexpr std::size_t kPart = 32;
  std::array<float, kQ4KElements> weights;
  for (float& weight : weights) weight = gaussian(random, deviation);
  std::array<float, kParts> scales;
  std::array<float, kParts> minima;  // how far they are below 0
  for (std::size_t i = 0; i < kParts; ++i) {
    const float* const part = weights.data() + i * kPart;
    const auto [least, greatest] = std::minmax_element(part, part + kPart);
    minima[i] = std::max(0.0F, -*least);
    scales[i] = (*greatest + minima[i]) / 15;
  }
  const float scale = *std::max_element(scales.begin(), scales.end()) / 63;
  const float minimum = *std::max_element(minima.begin(), minima.end()) / 63;
  Q4K block{};
  const auto put = [&](std::size_t at, unsigned bits) { block[at] |= std::byte(bits & 0xFFU); };
  put(0, half(scale));
  put(1, half(scale) >> 8U);
  put(2, half(minimum));
  put(3, half(minimum) >> 8U);
  for (std::size_t i = 0; i < kParts; ++i) {
    const auto s = static_cast<unsigned>(std::lround(scales[i] / scale));
    const auto m = static_cast<unsigned>(std::lround(minima[i] / minimum));
    if (i < 4) {
      put(4 + i, s);
      put(8 + i, m);
    } else {
      put(8 + i, (s & 0xFU) | (m & 0xFU) << 4U);
      put(i, (s >> 4U) << 6U);
      put(4 + i, (m >> 4U) << 6U);
    }
    for (std::size_t j = 0; j < kPart; ++j) {
      const float steps = (weights[i * kPart + j] + minimum * static_cast<float>(m)) /
                          (scale * static_cast<float>(std::max(s, 1U)));
      const auto step = static_cast<unsigned>(std::clamp(std::lround(steps), 0L, 15L));
      put(16 + i / 2 * kPart + j, step << (i % 2 * 4U));
    }
  }
  return block;
}

}  // namespace ballast::test
