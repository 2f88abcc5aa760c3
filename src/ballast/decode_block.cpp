// Quants under a scale: a block is a scale, or a few, and small integers.
//
// Every decoder does the same: it unpacks the integers into bytes, and multiplies. The products of
// a binary16 scale, a sub-scale and a quant have at most 24 bits, so they are exact, in whatever
// order; types with a minimum or an offset round once more when that is added.
//
// The drawings have one cell a field, in the order of the file, with the bytes it takes. "d" is the
// scale. A range of elements in a cell, or below it, says whose quants lie there.
//
// Source: ggml/src/ggml-common.h (block_*) and ggml/src/ggml-quants.c (dequantize_row_*) at
// d99724f2.
#include <array>

#include <ballast/decode_kernel.hpp>

// A block's quants stand in plain arrays: an access that is checked does not become a vector. Types
// are called what the formats call them.
// NOLINTBEGIN(modernize-avoid-c-arrays,readability-identifier-naming)

namespace ballast::BALLAST_DECODE {
namespace {

BALLAST_ALWAYS_INLINE int8_t quant(uint32_t value) noexcept { return static_cast<int8_t>(value); }

// The low halves of `Count` bytes, and behind them the high halves.
template <size_t Count>
BALLAST_ALWAYS_INLINE void nibbles(const byte* in, int8_t* __restrict out) noexcept {
  for (size_t i = 0; i < Count; ++i) out[i] = quant(u8(in + i) & 0xf);
  for (size_t i = 0; i < Count; ++i) out[Count + i] = quant(u8(in + i) >> 4);
}

// Q4_0, 32 elements, 18 bytes: (q - 8) * d
//
//     | d: f16, 2 | q: 4 bits each, 16                       |
//                 | low: element 0-15, high: element 16-31   |
struct Q4_0 : Block<DType::Q4_0, 32, 18> {
  BALLAST_ALWAYS_INLINE static void block(const byte* in, float* __restrict out) noexcept {
    const float d = f16(in);
    for (size_t i = 0; i < 16; i += 8) {
      const auto q = load<uint64_t>(in + 2 + i);
      scale(minus(low_nibbles(q), 8), d, out + i);
      scale(minus(high_nibbles(q), 8), d, out + 16 + i);
    }
  }
};

// Q4_1, 32 elements, 20 bytes: q * d + m
//
//     | d: f16, 2 | m: f16, 2 | q: as in Q4_0, 16 |
struct Q4_1 : Block<DType::Q4_1, 32, 20> {
  BALLAST_ALWAYS_INLINE static void block(const byte* in, float* __restrict out) noexcept {
    const float d = f16(in);
    const float m = f16(in + 2);
    for (size_t i = 0; i < 16; i += 8) {
      const auto q = load<uint64_t>(in + 4 + i);
      scale(low_nibbles(q), d, m, out + i);
      scale(high_nibbles(q), d, m, out + 16 + i);
    }
  }
};

// The fifth bits of eight quants, of which each has a bit in a byte.
BALLAST_ALWAYS_INLINE uint64_t fifth_bits(const byte* in) noexcept {
  return spread_bits(u8(in)) << 4;
}

// Q5_0, 32 elements, 22 bytes: (q - 16) * d
//
//     | d: f16, 2 | bit 4 of q: u32, 4 | bits 0-3 of q: as in Q4_0, 16 |
//                 | bit i: element i   |
struct Q5_0 : Block<DType::Q5_0, 32, 22> {
  BALLAST_ALWAYS_INLINE static void block(const byte* in, float* __restrict out) noexcept {
    const float d = f16(in);
    for (size_t i = 0; i < 2; ++i) {
      const auto q = load<uint64_t>(in + 6 + 8 * i);
      scale(minus(low_nibbles(q) | fifth_bits(in + 2 + i), 16), d, out + 8 * i);
      scale(minus(high_nibbles(q) | fifth_bits(in + 4 + i), 16), d, out + 16 + 8 * i);
    }
  }
};

// Q5_1, 32 elements, 24 bytes: q * d + m
//
//     | d: f16, 2 | m: f16, 2 | bit 4 of q: u32, 4 | bits 0-3 of q: as in Q4_0, 16 |
struct Q5_1 : Block<DType::Q5_1, 32, 24> {
  BALLAST_ALWAYS_INLINE static void block(const byte* in, float* __restrict out) noexcept {
    const float d = f16(in);
    const float m = f16(in + 2);
    for (size_t i = 0; i < 2; ++i) {
      const auto q = load<uint64_t>(in + 8 + 8 * i);
      scale(low_nibbles(q) | fifth_bits(in + 4 + i), d, m, out + 8 * i);
      scale(high_nibbles(q) | fifth_bits(in + 6 + i), d, m, out + 16 + 8 * i);
    }
  }
};

// Q8_0, 32 elements, 34 bytes: q * d
//
//     | d: f16, 2 | q: i8, 32 |
struct Q8_0 : Block<DType::Q8_0, 32, 34> {
  BALLAST_ALWAYS_INLINE static void block(const byte* in, float* __restrict out) noexcept {
    scale<32>(bytes_as_quants(in + 2), f16(in), out);
  }
};

// Q8_1, 32 elements, 36 bytes: q * d
//
//     | d: f16, 2 | d * sum of q: f16, 2 | q: i8, 32 |
struct Q8_1 : Block<DType::Q8_1, 32, 36> {
  BALLAST_ALWAYS_INLINE static void block(const byte* in, float* __restrict out) noexcept {
    scale<32>(bytes_as_quants(in + 4), f16(in), out);
  }
};

// Q8_K, 256 elements, 292 bytes: q * d
//
//     | d: f32, 4 | q: i8, 256 | sums of 16 q: i16, 32 |
struct Q8_K : Block<DType::Q8_K, 256, 292> {
  BALLAST_ALWAYS_INLINE static void block(const byte* in, float* __restrict out) noexcept {
    scale<256>(bytes_as_quants(in + 4), load<float>(in), out);
  }
};

// Two bits each of 32 bytes, four times: 128 quants, of which byte i holds number i in its lowest
// bits, then 32 + i, 64 + i and 96 + i.
BALLAST_ALWAYS_INLINE void crumbs(const byte* in, int8_t* __restrict out, uint32_t minus) noexcept {
  for (size_t part = 0; part < 4; ++part) {
    for (size_t i = 0; i < 32; ++i) {
      out[32 * part + i] = quant((u8(in + i) >> 2 * part & 3) - minus);
    }
  }
}

// Q2_K, 256 elements, 84 bytes: q * (d * s) - (m * t), for each 16 elements an s and a t
//
//     | s, t: 4 bits each, 16    | q: 2 bits each, 64          | d: f16, 2 | m: f16, 2 |
//     | byte i: elements 16i ... | 2 x 32 bytes, see crumbs()  |
//     | low: s, high: t          |
struct Q2_K : Block<DType::Q2_K, 256, 84> {
  BALLAST_ALWAYS_INLINE static void block(const byte* in, float* __restrict out) noexcept {
    const float d = f16(in + 80);
    const float m = f16(in + 82);
    int8_t q[256];
    crumbs(in + 16, q, 0);
    crumbs(in + 48, q + 128, 0);
    for (size_t i = 0; i < 16; ++i) {
      const float s = d * static_cast<float>(u8(in + i) & 0xf);
      const float t = m * static_cast<float>(u8(in + i) >> 4);
      scale<16>(q + 16 * i, s, -t, out + 16 * i);
    }
  }
};

// Q3_K, 256 elements, 110 bytes: (q - 4) * (d * (s - 32)), for each 16 elements an s
//
//     | bit 2 of q, 32                | bits 0, 1 of q, 64  | s: 6 bits each, 12 | d: f16, 2 |
//     | byte i, bit k: element 32k+i  | as in Q2_K          | see sub_scale()    |
struct Q3_K : Block<DType::Q3_K, 256, 110> {
  // Bits 0 to 3 of the sixteen lie as nibbles in bytes 0-7: low 0-7, high 8-15. Bits 4 and 5 lie in
  // bytes 8-11: byte i has those of i, 4 + i, 8 + i, 12 + i from its lowest bits on.
  BALLAST_ALWAYS_INLINE static int sub_scale(const byte* in, size_t i) noexcept {
    const uint32_t low = u8(in + i % 8) >> 4 * (i / 8) & 0xf;
    const uint32_t high = u8(in + 8 + i % 4) >> 2 * (i / 4) & 3;
    return static_cast<int>(low | high << 4) - 32;
  }
  BALLAST_ALWAYS_INLINE static void block(const byte* in, float* __restrict out) noexcept {
    const float d = f16(in + 108);
    int8_t q[256];
    crumbs(in + 32, q, 4);
    crumbs(in + 64, q + 128, 4);
    for (size_t bit = 0; bit < 8; ++bit) {
      for (size_t i = 0; i < 32; ++i) {
        const int8_t third = quant((u8(in + i) >> bit & 1) << 2);
        q[32 * bit + i] = static_cast<int8_t>(q[32 * bit + i] + third);
      }
    }
    for (size_t i = 0; i < 16; ++i) {
      const float s = d * static_cast<float>(sub_scale(in + 96, i));
      scale<16>(q + 16 * i, s, out + 16 * i);
    }
  }
};

// The scales s and minima t of Q4_K and Q5_K, 6 bits each, eight of both in 12 bytes:
//
//     | bytes 0-3: 0-5 s[i], 6-7 s[4+i] high | bytes 4-7: 0-5 t[i], 6-7 t[4+i] high |
//     | bytes 8-11: 0-3 s[4+i] low, 4-7 t[4+i] low                                  |
struct ScaleAndMinimum {
  BALLAST_ALWAYS_INLINE ScaleAndMinimum(const byte* in, size_t i) noexcept {
    if (i < 4) {
      s = u8(in + i) & 0x3f;
      t = u8(in + 4 + i) & 0x3f;
    } else {
      s = (u8(in + 4 + i) & 0xf) | u8(in + i - 4) >> 6 << 4;
      t = u8(in + 4 + i) >> 4 | u8(in + i) >> 6 << 4;
    }
  }
  uint32_t s;
  uint32_t t;
};

// The last step of both.
BALLAST_ALWAYS_INLINE void scale_eight(const byte* scales, const int8_t* q, float d, float m,
                                       float* __restrict out) noexcept {
  for (size_t i = 0; i < 8; ++i) {
    const ScaleAndMinimum sub(scales, i);
    scale<32>(q + 32 * i, d * static_cast<float>(sub.s), -(m * static_cast<float>(sub.t)),
              out + 32 * i);
  }
}

// Q4_K, 256 elements, 144 bytes: q * (d * s) - (m * t), for each 32 elements an s and a t
//
//     | d: f16, 2 | m: f16, 2 | s, t, 12 | q: 4 bits each, 4 x 32 bytes                     |
//                                        | each low: 32 elements, high: the next 32         |
struct Q4_K : Block<DType::Q4_K, 256, 144> {
  BALLAST_ALWAYS_INLINE static void block(const byte* in, float* __restrict out) noexcept {
    int8_t q[256];
    for (size_t i = 0; i < 4; ++i) nibbles<32>(in + 16 + 32 * i, q + 64 * i);
    scale_eight(in + 4, q, f16(in), f16(in + 2), out);
  }
};

// Q5_K, 256 elements, 176 bytes: as Q4_K
//
//     | d: f16, 2 | m: f16, 2 | s, t, 12 | bit 4 of q, 32               | bits 0-3, 128 |
//                                        | byte i, bit k: element 32k+i | as in Q4_K    |
struct Q5_K : Block<DType::Q5_K, 256, 176> {
  BALLAST_ALWAYS_INLINE static void block(const byte* in, float* __restrict out) noexcept {
    int8_t q[256];
    for (size_t i = 0; i < 4; ++i) nibbles<32>(in + 48 + 32 * i, q + 64 * i);
    for (size_t bit = 0; bit < 8; ++bit) {
      for (size_t i = 0; i < 32; ++i) {
        const int8_t fifth = quant((u8(in + 16 + i) >> bit & 1) << 4);
        q[32 * bit + i] = static_cast<int8_t>(q[32 * bit + i] | fifth);
      }
    }
    scale_eight(in + 4, q, f16(in), f16(in + 2), out);
  }
};

// Q6_K, 256 elements, 210 bytes: (q - 32) * (d * s), for each 16 elements an s
//
//     | bits 0-3 of q, 2 x 64     | bits 4, 5 of q, 2 x 32 | s: i8, 16 | d: f16, 2 |
//     | each 64: low 0-63,        | each 32: crumbs()      |
//     |          high 64-127      |                        |
struct Q6_K : Block<DType::Q6_K, 256, 210> {
  BALLAST_ALWAYS_INLINE static void block(const byte* in, float* __restrict out) noexcept {
    const float d = f16(in + 208);
    int8_t q[256];
    for (size_t half = 0; half < 2; ++half) {
      int8_t* quants = q + 128 * half;
      crumbs(in + 128 + 32 * half, quants, 2);
      int8_t low[128];
      nibbles<64>(in + 64 * half, low);
      for (size_t i = 0; i < 128; ++i) quants[i] = static_cast<int8_t>(quants[i] * 16 + low[i]);
    }
    for (size_t i = 0; i < 16; ++i) {
      const float s = d * static_cast<float>(bytes_as_quants(in + 192)[i]);
      scale<16>(q + 16 * i, s, out + 16 * i);
    }
  }
};

// One of the three in a byte that holds five (or four), as a fraction of 243: its leading digit is
// taken after a multiplication by a power of three, modulo 256.
template <size_t Count>
BALLAST_ALWAYS_INLINE void trits(const byte* in, uint32_t power, int8_t* __restrict out) noexcept {
  for (size_t i = 0; i < Count; ++i) out[i] = quant(((u8(in + i) * power & 0xff) * 3 >> 8) - 1);
}

// TQ1_0, 256 elements, 54 bytes: (q - 1) * d, q of {0, 1, 2}
//
//     | five q a byte, 48                                    | four q a byte, 4   | d: f16, 2 |
//     | bytes 0-31: digit k, byte i is element 32k+i         | element 240+4k+i   |
//     | bytes 32-47: digit k, byte i is element 160+16k+i    |                    |
struct TQ1_0 : Block<DType::TQ1_0, 256, 54> {
  BALLAST_ALWAYS_INLINE static void block(const byte* in, float* __restrict out) noexcept {
    constexpr std::array<uint32_t, 5> kPowers{1, 3, 9, 27, 81};
    int8_t q[256];
    for (size_t k = 0; k < 5; ++k) trits<32>(in, kPowers[k], q + 32 * k);
    for (size_t k = 0; k < 5; ++k) trits<16>(in + 32, kPowers[k], q + 160 + 16 * k);
    for (size_t k = 0; k < 4; ++k) trits<4>(in + 48, kPowers[k], q + 240 + 4 * k);
    scale<256>(q, f16(in + 52), out);
  }
};

// TQ2_0, 256 elements, 66 bytes: (q - 1) * d
//
//     | q: 2 bits each, 2 x 32 bytes, see crumbs(), 64 | d: f16, 2 |
struct TQ2_0 : Block<DType::TQ2_0, 256, 66> {
  BALLAST_ALWAYS_INLINE static void block(const byte* in, float* __restrict out) noexcept {
    int8_t q[256];
    crumbs(in, q, 1);
    crumbs(in + 32, q + 128, 1);
    scale<256>(q, f16(in + 64), out);
  }
};

// Q1_0, 128 elements, 18 bytes: d where the bit is set, else -d
//
//     | d: f16, 2 | bits, 16                     |
//                 | byte i, bit k: element 8i+k  |
struct Q1_0 : Block<DType::Q1_0, 128, 18> {
  BALLAST_ALWAYS_INLINE static void block(const byte* in, float* __restrict out) noexcept {
    const float d = f16(in);
    for (size_t i = 0; i < 16; ++i) {
      const uint64_t set = spread_bits(u8(in + 2 + i)) * 0xff;
      scale(~set | each(1), d, out + 8 * i);  // 1 where it is set, else -1
    }
  }
};

// Q2_0, 64 elements, 18 bytes: (q - 1) * d
//
//     | d: f16, 2 | q: 2 bits each, 16                                  |
//                 | byte i: elements 4i to 4i+3 from the lowest bits on |
struct Q2_0 : Block<DType::Q2_0, 64, 18> {
  BALLAST_ALWAYS_INLINE static void block(const byte* in, float* __restrict out) noexcept {
    int8_t q[64];
    for (size_t i = 0; i < 16; ++i) {
      for (uint32_t k = 0; k < 4; ++k) q[4 * i + k] = quant((u8(in + 2 + i) >> 2 * k & 3) - 1);
    }
    scale<64>(q, f16(in), out);
  }
};

// Eight codes of E2M1 as twice their values, which are whole: 0 1 2 3 4 6 8 12, and their
// negatives. (A negative zero is zero here.)
BALLAST_ALWAYS_INLINE uint64_t twice_e2m1(uint64_t codes) noexcept {
  const uint64_t magnitude = codes & each(7);
  const uint64_t from_5 = (magnitude + each(3)) >> 3 & each(1);
  const uint64_t from_6 = (magnitude + each(2)) >> 3 & each(1);
  const uint64_t from_7 = (magnitude + each(1)) >> 3 & each(1);
  const uint64_t value = magnitude + from_5 + from_6 + from_7 * 3;
  const uint64_t negative = codes >> 3 & each(1);
  return add_bytes(value ^ negative * 0xff, negative);
}

// MXFP4, 32 elements, 17 bytes: e2m1 * 2^(e - 127)
//
//     | e: u8, 1 | e2m1: 4 bits each, as in Q4_0, 16 |
//
// (OCP Microscaling Formats v1.0, but e = 255 is a power of two here, not NaN, and there is no -0.)
struct MXFP4 : Block<DType::MXFP4, 32, 17> {
  // 2^(e - 128), half of what is written, because the quants are twice as large.
  BALLAST_ALWAYS_INLINE static float half_scale(uint32_t e) noexcept {
    const uint32_t bits = e < 2 ? 0x00200000U << (e & 1) : (e - 1) << decode::kFloatMantissa;
    return std::bit_cast<float>(bits);
  }
  BALLAST_ALWAYS_INLINE static void block(const byte* in, float* __restrict out) noexcept {
    const float s = half_scale(u8(in));
    for (size_t i = 0; i < 16; i += 8) {
      const auto q = load<uint64_t>(in + 1 + i);
      scale(twice_e2m1(low_nibbles(q)), s, out + i);
      scale(twice_e2m1(high_nibbles(q)), s, out + 16 + i);
    }
  }
};

// NVFP4, 64 elements, 36 bytes: e2m1 * s, for each 16 elements an s, an E4M3 whose sign is ignored
//
//     | s: e4m3, 4 | e2m1: 4 bits each, 4 x 8 bytes          |
//                  | each low: 8 elements, high: the next 8  |
struct NVFP4 : Block<DType::NVFP4, 64, 36> {
  // Half of it, likewise. 0x7f, the NaN of E4M3, is 0, and 0xff is the number that follows 448.
  BALLAST_ALWAYS_INLINE static float half_scale(uint32_t code) noexcept {
    const float s = decode::small_float<4, 3, 7, decode::Special::none>(code & 0x7f) * 0.5F;
    return code != 0x7f ? s : 0.0F;
  }
  BALLAST_ALWAYS_INLINE static void block(const byte* in, float* __restrict out) noexcept {
    for (size_t i = 0; i < 4; ++i) {
      const float s = half_scale(u8(in + i));
      const auto q = load<uint64_t>(in + 4 + 8 * i);
      scale(twice_e2m1(low_nibbles(q)), s, out + 16 * i);
      scale(twice_e2m1(high_nibbles(q)), s, out + 16 * i + 8);
    }
  }
};

constexpr std::array kBlockRows{
    row<Q4_0>(),  row<Q4_1>(),  row<Q5_0>(),  row<Q5_1>(),  row<Q8_0>(), row<Q8_1>(),
    row<Q2_K>(),  row<Q3_K>(),  row<Q4_K>(),  row<Q5_K>(),  row<Q6_K>(), row<Q8_K>(),
    row<TQ1_0>(), row<TQ2_0>(), row<MXFP4>(), row<NVFP4>(), row<Q1_0>(), row<Q2_0>(),
};

}  // namespace

std::span<const Row> block_rows() noexcept { return kBlockRows; }

}  // namespace ballast::BALLAST_DECODE

// NOLINTEND(modernize-avoid-c-arrays,readability-identifier-naming)
