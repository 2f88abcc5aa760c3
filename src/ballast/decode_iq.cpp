// Quants from a codebook: a number names a row of 4 or 8 magnitudes, and a bit each gives the
// signs.
//
// The last step is that of decode_block.cpp. The codebooks stand in decode_grids.hpp.
//
// Source: ggml/src/ggml-common.h (block_iq*) and ggml/src/ggml-quants.c (dequantize_row_iq*) at
// d99724f2.
#include <array>

#include <ballast/decode_grids.hpp>
#include <ballast/decode_kernel.hpp>

// A block's quants stand in plain arrays: an access that is checked does not become a vector. Types
// are called what the formats call them.
// NOLINTBEGIN(modernize-avoid-c-arrays,readability-identifier-naming)

namespace ballast::BALLAST_DECODE {
namespace {

// ---- Codebooks ----------------------------------------------------------------------------------

// A row of a codebook in one word, a byte for each value, the first one lowest.
template <class Row, size_t Bits, size_t Rows, size_t Levels>
constexpr auto unpack(const std::array<uint16_t, Rows>& codes,
                      const std::array<uint8_t, Levels>& levels) {
  std::array<Row, Rows> rows{};
  for (size_t row = 0; row < Rows; ++row) {
    for (size_t i = 0; i < sizeof(Row); ++i) {
      const size_t level = static_cast<size_t>(codes[row]) >> Bits * i & (Levels - 1);
      rows[row] |= static_cast<Row>(Row{levels[level]} << 8 * i);
    }
  }
  return rows;
}

constexpr std::array<uint8_t, 4> kIq2Levels{8, 25, 43, 0};
constexpr std::array<uint8_t, 8> kIq3XxsLevels{4, 12, 20, 28, 36, 44, 52, 62};
constexpr std::array<uint8_t, 8> kIq3SLevels{1, 3, 5, 7, 9, 11, 13, 15};
// Eight times -1, 0 and 1.
constexpr std::array<uint8_t, 4> kIq1Levels{0xf8, 0, 8, 0};

constexpr auto kIq2Xxs = unpack<uint64_t, 2>(decode::kIq2XxsCodes, kIq2Levels);
constexpr auto kIq2Xs = unpack<uint64_t, 2>(decode::kIq2XsCodes, kIq2Levels);
constexpr auto kIq2S = unpack<uint64_t, 2>(decode::kIq2SCodes, kIq2Levels);
constexpr auto kIq3Xxs = unpack<uint32_t, 3>(decode::kIq3XxsCodes, kIq3XxsLevels);
constexpr auto kIq3S = unpack<uint32_t, 3>(decode::kIq3SCodes, kIq3SLevels);
constexpr auto kIq1 = unpack<uint64_t, 2>(decode::kIq1SCodes, kIq1Levels);

// Two rows of 4 as one of 8.
BALLAST_ALWAYS_INLINE uint64_t both(uint32_t low, uint32_t high) noexcept {
  return low | static_cast<uint64_t>(high) << 32;
}

// The bytes of a row, negated where the bit is set. No byte of a row is 0, so no carry leaves one.
BALLAST_ALWAYS_INLINE uint64_t with_signs(uint64_t row, uint32_t bits) noexcept {
  const uint64_t set = spread_bits(bits);
  return (row ^ set * 0xff) + set;
}

// Seven signs, and an eighth that makes the number of set ones even.
BALLAST_ALWAYS_INLINE uint32_t even_signs(uint32_t seven) noexcept {
  uint32_t parity = seven ^ seven >> 4;
  parity ^= parity >> 2;
  parity ^= parity >> 1;
  return seven | (parity & 1) << 7;
}

// ---- Two bits -----------------------------------------------------------------------------------

// IQ2_XXS, 256 elements, 66 bytes: q * d * (s + 1/2) / 4, for each 32 elements an s
//
//     | d: f16, 2 | 8 x 32 elements, 8 bytes each                                  |
//                 | 4 rows: u8, 4 | u32: 4 x 7 signs, lowest first; s: 4 bits, top |
struct IQ2_XXS : Block<DType::IQ2_XXS, 256, 66> {
  BALLAST_ALWAYS_INLINE static void block(const byte* in, float* __restrict out) noexcept {
    const float d = f16(in);
    for (size_t i = 0; i < 8; ++i) {
      const byte* part = in + 2 + 8 * i;
      const uint32_t signs = u32(part + 4);
      const float s = d * (0.5F + static_cast<float>(static_cast<int>(signs >> 28))) * 0.25F;
      for (size_t k = 0; k < 4; ++k) {
        const uint64_t row = kIq2Xxs[u8(part + k)];
        scale(with_signs(row, even_signs(signs >> 7 * k & 0x7f)), s, out + 32 * i + 8 * k);
      }
    }
  }
};

// The scale of 16 elements where four bits each lie in bytes, the lower ones first.
BALLAST_ALWAYS_INLINE float scale_of_16(float d, const byte* scales, size_t i) noexcept {
  const uint32_t s = u8(scales + i / 2) >> 4 * (i % 2) & 0xf;
  return d * (0.5F + static_cast<float>(s)) * 0.25F;
}

// IQ2_XS, 256 elements, 74 bytes: q * d * (s + 1/2) / 4, for each 16 elements an s
//
//     | d: f16, 2 | 32 x 8 elements, u16 each, 64  | s: 4 bits each, 8               |
//                 | row: 9 bits | 7 signs: 7 bits  | byte i: elements 32i, 32i+16 ... |
struct IQ2_XS : Block<DType::IQ2_XS, 256, 74> {
  BALLAST_ALWAYS_INLINE static void block(const byte* in, float* __restrict out) noexcept {
    const float d = f16(in);
    for (size_t i = 0; i < 16; ++i) {
      const float s = scale_of_16(d, in + 66, i);
      for (size_t k = 0; k < 2; ++k) {
        const uint32_t code = u16(in + 2 + 4 * i + 2 * k);
        const uint64_t row = kIq2Xs[code & 0x1ff];
        scale(with_signs(row, even_signs(code >> 9)), s, out + 16 * i + 8 * k);
      }
    }
  }
};

// IQ2_S, 256 elements, 82 bytes: q * d * (s + 1/2) / 4, for each 16 elements an s
//
//     | d: f16, 2 | bits 0-7 of 32 rows, 32 | 8 signs each, 32 | bits 8, 9, 8          | s, 8 |
//                 |                         |                  | byte i: rows 4i-4i+3  | as IQ2_XS
//                 |
struct IQ2_S : Block<DType::IQ2_S, 256, 82> {
  BALLAST_ALWAYS_INLINE static void block(const byte* in, float* __restrict out) noexcept {
    const float d = f16(in);
    for (size_t i = 0; i < 16; ++i) {
      const float s = scale_of_16(d, in + 74, i);
      for (size_t k = 0; k < 2; ++k) {
        const size_t at = 2 * i + k;
        const uint32_t row = u8(in + 2 + at) | (u8(in + 66 + at / 4) >> 2 * (at % 4) & 3) << 8;
        scale(with_signs(kIq2S[row], u8(in + 34 + at)), s, out + 8 * at);
      }
    }
  }
};

// ---- Three bits ---------------------------------------------------------------------------------

// IQ3_XXS, 256 elements, 98 bytes: q * d * (s + 1/2) / 2, for each 32 elements an s
//
//     | d: f16, 2 | 64 rows: u8, 64 | 8 x u32, each as in IQ2_XXS, 32 |
struct IQ3_XXS : Block<DType::IQ3_XXS, 256, 98> {
  BALLAST_ALWAYS_INLINE static void block(const byte* in, float* __restrict out) noexcept {
    const float d = f16(in);
    for (size_t i = 0; i < 8; ++i) {
      const byte* rows = in + 2 + 8 * i;
      const uint32_t signs = u32(in + 66 + 4 * i);
      const float s = d * (0.5F + static_cast<float>(static_cast<int>(signs >> 28))) * 0.5F;
      for (size_t k = 0; k < 4; ++k) {
        const uint64_t row = both(kIq3Xxs[u8(rows + 2 * k)], kIq3Xxs[u8(rows + 2 * k + 1)]);
        scale(with_signs(row, even_signs(signs >> 7 * k & 0x7f)), s, out + 32 * i + 8 * k);
      }
    }
  }
};

// IQ3_S, 256 elements, 110 bytes: q * d * (2s + 1), for each 32 elements an s
//
//     | d: f16, 2 | bits 0-7 of 64 rows, 64 | bit 8, 8             | signs, 32     | s: 4 bits, 4 |
//                 |                         | byte i: rows 8i-8i+7 | 8 elements ea |              |
struct IQ3_S : Block<DType::IQ3_S, 256, 110> {
  BALLAST_ALWAYS_INLINE static void block(const byte* in, float* __restrict out) noexcept {
    const float d = f16(in);
    for (size_t i = 0; i < 8; ++i) {
      const byte* rows = in + 2 + 8 * i;
      const uint32_t high = u8(in + 66 + i);
      const uint32_t code = u8(in + 106 + i / 2) >> 4 * (i % 2) & 0xf;
      const float s = d * static_cast<float>(static_cast<int>(2 * code + 1));
      for (size_t k = 0; k < 4; ++k) {
        const uint32_t low_row = u8(rows + 2 * k) | (high >> 2 * k & 1) << 8;
        const uint32_t high_row = u8(rows + 2 * k + 1) | (high >> (2 * k + 1) & 1) << 8;
        const uint64_t row = both(kIq3S[low_row], kIq3S[high_row]);
        scale(with_signs(row, u8(in + 74 + 4 * i + k)), s, out + 32 * i + 8 * k);
      }
    }
  }
};

// ---- One bit and a half -------------------------------------------------------------------------

// The row of -8, 0 and 8 plus or minus one: eight times what ggml writes as row + 0.125.
BALLAST_ALWAYS_INLINE uint64_t shifted_row(uint32_t number, uint32_t negative) noexcept {
  return add_bytes(kIq1[number], negative != 0 ? each(0xff) : each(1));
}

// IQ1_S, 256 elements, 50 bytes: (q + or - 1/8) * d * (2s + 1), for each 32 elements an s and a
// sign
//
//     | d: f16, 2 | bits 0-7 of 32 rows, 32 | 8 x u16, 16                                        |
//                                           | 4 x bits 8-10, lowest first | s: 3 bits | sign: top |
struct IQ1_S : Block<DType::IQ1_S, 256, 50> {
  BALLAST_ALWAYS_INLINE static void block(const byte* in, float* __restrict out) noexcept {
    const float d = f16(in);
    for (size_t i = 0; i < 8; ++i) {
      const uint32_t high = u16(in + 34 + 2 * i);
      const float s = d * static_cast<float>(static_cast<int>(2 * (high >> 12 & 7) + 1)) * 0.125F;
      for (size_t k = 0; k < 4; ++k) {
        const uint32_t row = u8(in + 2 + 4 * i + k) | (high >> 3 * k & 7) << 8;
        scale(shifted_row(row, high & 0x8000), s, out + 32 * i + 8 * k);
      }
    }
  }
};

// IQ1_M, 256 elements, 56 bytes: as IQ1_S, for each 16 elements an s, for each 8 a sign
//
//     | bits 0-7 of 32 rows, 32 | 4 bits for each row, 16           | 4 x u16, 8               |
//                               | bits 8-10, sign; the first lowest | 4 x s: 3 bits | of d: top |
//
// The four top nibbles are the binary16 d, its lowest ones first.
struct IQ1_M : Block<DType::IQ1_M, 256, 56> {
  BALLAST_ALWAYS_INLINE static float spread_scale(const byte* in) noexcept {
    return decode::from_f16(u16(in) >> 12 | (u16(in + 2) >> 8 & 0xf0) | (u16(in + 4) >> 4 & 0xf00) |
                            (u16(in + 6) & 0xf000));
  }
  BALLAST_ALWAYS_INLINE static void block(const byte* in, float* __restrict out) noexcept {
    const float d = spread_scale(in + 48);
    for (size_t i = 0; i < 16; ++i) {
      const uint32_t code = u16(in + 48 + 2 * (i / 4)) >> 3 * (i % 4) & 7;
      const float s = d * static_cast<float>(static_cast<int>(2 * code + 1)) * 0.125F;
      for (size_t k = 0; k < 2; ++k) {
        const uint32_t high = u8(in + 32 + i) >> 4 * k;
        const uint32_t row = u8(in + 2 * i + k) | (high & 7) << 8;
        scale(shifted_row(row, high & 8), s, out + 16 * i + 8 * k);
      }
    }
  }
};

// ---- Four bits ----------------------------------------------------------------------------------

// What a code of four bits stands for in IQ4_NL and IQ4_XS (ggml's kvalues_iq4nl).
constexpr std::array<int8_t, 16> kIq4Values{-127, -104, -83, -65, -49, -35, -22, -10,
                                            1,    13,   25,  38,  53,  69,  89,  113};

// Both values of a byte, that of the low half lowest.
constexpr std::array<uint16_t, 256> kIq4Pairs = [] {
  std::array<uint16_t, 256> pairs{};
  for (size_t code = 0; code < pairs.size(); ++code) {
    const auto low = static_cast<uint8_t>(kIq4Values[code & 0xf]);
    const auto high = static_cast<uint8_t>(kIq4Values[code >> 4]);
    pairs[code] = static_cast<uint16_t>(low | high << 8);
  }
  return pairs;
}();

// The low halves of 16 bytes, and behind them the high halves.
BALLAST_ALWAYS_INLINE void iq4_values(const byte* in, int8_t* __restrict out) noexcept {
  for (size_t i = 0; i < 16; ++i) {
    const uint32_t pair = kIq4Pairs[u8(in + i)];
    out[i] = static_cast<int8_t>(pair & 0xff);
    out[16 + i] = static_cast<int8_t>(pair >> 8);
  }
}

// IQ4_NL, 32 elements, 18 bytes: value(q) * d
//
//     | d: f16, 2 | q: as in Q4_0, 16 |
struct IQ4_NL : Block<DType::IQ4_NL, 32, 18> {
  BALLAST_ALWAYS_INLINE static void block(const byte* in, float* __restrict out) noexcept {
    int8_t q[32];
    iq4_values(in + 2, q);
    scale<32>(q, f16(in), out);
  }
};

// IQ4_XS, 256 elements, 136 bytes: value(q) * d * (s - 32), for each 32 elements an s
//
//     | d: f16, 2 | bits 4, 5 of s: 2 bits each, 2 | bits 0-3 of s: 4 bits each, 4 | q, 8 x 16    |
//                                                                                  | as in Q4_0   |
struct IQ4_XS : Block<DType::IQ4_XS, 256, 136> {
  BALLAST_ALWAYS_INLINE static void block(const byte* in, float* __restrict out) noexcept {
    const float d = f16(in);
    for (size_t i = 0; i < 8; ++i) {
      const uint32_t low = u8(in + 4 + i / 2) >> 4 * (i % 2) & 0xf;
      const uint32_t high = u16(in + 2) >> 2 * i & 3;
      int8_t q[32];
      iq4_values(in + 8 + 16 * i, q);
      scale<32>(q, d * static_cast<float>(static_cast<int>(low | high << 4) - 32), out + 32 * i);
    }
  }
};

constexpr std::array kIqRows{
    row<IQ2_XXS>(), row<IQ2_XS>(), row<IQ2_S>(),  row<IQ3_XXS>(), row<IQ3_S>(),
    row<IQ1_S>(),   row<IQ1_M>(),  row<IQ4_NL>(), row<IQ4_XS>(),
};

}  // namespace

std::span<const Row> iq_rows() noexcept { return kIqRows; }

}  // namespace ballast::BALLAST_DECODE

// NOLINTEND(modernize-avoid-c-arrays,readability-identifier-naming)
