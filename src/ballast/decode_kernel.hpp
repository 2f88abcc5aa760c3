// (private) What the three files of decoders share: loads, the last step of every quantized type,
// and how a format becomes a row of the table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include <ballast/decode.hpp>
#include <ballast/small_float.hpp>

#include "platform/instruction_set.hpp"

namespace ballast::BALLAST_DECODE {

using std::byte;
using std::int8_t;
using std::size_t;
using std::uint16_t;
using std::uint32_t;
using std::uint64_t;
using std::uint8_t;

BALLAST_ALWAYS_INLINE uint32_t u8(const byte* at) noexcept { return static_cast<uint32_t>(*at); }
template <class T>
BALLAST_ALWAYS_INLINE T load(const byte* at) noexcept {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
BALLAST_ALWAYS_INLINE uint32_t u16(const byte* at) noexcept { return load<uint16_t>(at); }
BALLAST_ALWAYS_INLINE uint32_t u32(const byte* at) noexcept { return load<uint32_t>(at); }
BALLAST_ALWAYS_INLINE float f16(const byte* at) noexcept { return decode::from_f16(u16(at)); }

/// What every decoder says of its type, as a base of it.
template <DType Type, size_t Floats, size_t Bytes>
struct Block {
  static constexpr DType kType = Type;
  static constexpr size_t kFloats = Floats;
  static constexpr size_t kBytes = Bytes;
};

BALLAST_ALWAYS_INLINE const int8_t* bytes_as_quants(const byte* in) noexcept {
  return reinterpret_cast<const int8_t*>(in);
}

/// out[i] = quants[i] * factor
template <size_t Count>
BALLAST_ALWAYS_INLINE void scale(const int8_t* quants, float factor,
                                 float* __restrict out) noexcept {
  BALLAST_KEEP_LOOP
  for (size_t i = 0; i < Count; ++i) out[i] = static_cast<float>(quants[i]) * factor;
}

/// out[i] = quants[i] * factor + offset, rounded twice.
template <size_t Count>
BALLAST_ALWAYS_INLINE void scale(const int8_t* quants, float factor, float offset,
                                 float* __restrict out) noexcept {
  BALLAST_KEEP_LOOP
  for (size_t i = 0; i < Count; ++i) out[i] = static_cast<float>(quants[i]) * factor + offset;
}

// ---- Eight quants in a word, a byte each, the first one lowest ----------------------------------

/// The same byte eight times.
constexpr uint64_t each(uint64_t value) noexcept { return value * 0x0101010101010101U; }

/// Eight bits as eight bytes: 1 where the bit is set, else 0; lowest bit first.
BALLAST_ALWAYS_INLINE uint64_t spread_bits(uint32_t bits) noexcept {
  const uint64_t one_in_each = each(bits) & 0x8040201008040201U;
  return ((one_in_each + each(0x7f)) & each(0x80)) >> 7;
}

/// The sum of each two bytes, without a carry into the next.
BALLAST_ALWAYS_INLINE uint64_t add_bytes(uint64_t left, uint64_t right) noexcept {
  return ((left & each(0x7f)) + (right & each(0x7f))) ^ ((left ^ right) & each(0x80));
}

/// Each byte, at most 127, less a number that is at most 128.
BALLAST_ALWAYS_INLINE uint64_t minus(uint64_t eight, uint64_t number) noexcept {
  return ((eight | each(0x80)) - each(number)) ^ each(0x80);
}

BALLAST_ALWAYS_INLINE uint64_t low_nibbles(uint64_t eight) noexcept { return eight & each(0xf); }
BALLAST_ALWAYS_INLINE uint64_t high_nibbles(uint64_t eight) noexcept {
  return eight >> 4 & each(0xf);
}

BALLAST_ALWAYS_INLINE void store(int8_t* at, uint64_t eight) noexcept {
  std::memcpy(at, &eight, sizeof eight);
}

/// The last step for eight quants in a word.
BALLAST_ALWAYS_INLINE void scale(uint64_t eight, float factor, float* __restrict out) noexcept {
  int8_t quants[8];  // NOLINT(modernize-avoid-c-arrays): as in the decoders
  store(quants, eight);
  scale<8>(quants, factor, out);
}
BALLAST_ALWAYS_INLINE void scale(uint64_t eight, float factor, float offset,
                                 float* __restrict out) noexcept {
  int8_t quants[8];  // NOLINT(modernize-avoid-c-arrays): as in the decoders
  store(quants, eight);
  scale<8>(quants, factor, offset, out);
}

// ---- Formats ------------------------------------------------------------------------------------

/// Format::block(in, out) for block after block; or, of a format that has it, Format::all.
template <class Format>
BALLAST_ALWAYS_INLINE void all(const byte* in, float* __restrict out, size_t count) noexcept {
  if constexpr (requires { Format::all(in, out, count); }) {
    Format::all(in, out, count);
  } else {
    for (size_t i = 0; i < count; ++i, in += Format::kBytes, out += Format::kFloats) {
      Format::block(in, out);
    }
  }
}

template <class Format>
BALLAST_INLINE_ALL void run(const byte* in, float* out, size_t count) noexcept {
  all<Format>(in, out, count);
}
#if BALLAST_HAS_AVX2_PATH  // the same, where the compiler can compile for more than the build has
template <class Format>
BALLAST_FOR_AVX2 BALLAST_INLINE_ALL void run_avx2(const byte* in, float* out,
                                                  size_t count) noexcept {
  all<Format>(in, out, count);
}
#endif

template <class Format>
constexpr Row row() noexcept {
  static_assert(Format::kBytes == info(Format::kType).block_bytes);
  static_assert(Format::kFloats ==
                info(Format::kType).block_elements * floats_per_element(Format::kType));
#if BALLAST_HAS_AVX2_PATH  // see above
  return {Format::kType, {run<Format>, run_avx2<Format>}};
#else
  return {Format::kType, {run<Format>, nullptr}};
#endif
}

}  // namespace ballast::BALLAST_DECODE
