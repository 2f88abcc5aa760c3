// Numbers as they are: floats of 4 to 64 bits, and the integers that float holds exactly.
//
// All are little-endian. Layouts: safetensors' README ("Format") for the plain types; ONNX's
// definitions of float4 and float6 (onnx.ai/onnx/technical) for the packed ones.
#include <array>

#include <ballast/decode_kernel.hpp>

namespace ballast::BALLAST_DECODE {
namespace {

// One byte, through a function of its code.
template <DType Type, float (*Convert)(uint32_t) noexcept>
struct Byte {
  static constexpr DType kType = Type;
  static constexpr size_t kBytes = 1;
  static constexpr size_t kFloats = 1;
  BALLAST_ALWAYS_INLINE static void block(const byte* in, float* __restrict out) noexcept {
    *out = Convert(u8(in));
  }
};

// Two bytes, likewise.
template <DType Type, float (*Convert)(uint32_t) noexcept>
struct Word {
  static constexpr DType kType = Type;
  static constexpr size_t kBytes = 2;
  static constexpr size_t kFloats = 1;
  BALLAST_ALWAYS_INLINE static void block(const byte* in, float* __restrict out) noexcept {
    *out = Convert(u16(in));
  }
};

// F16. Nearly all that weights are is normal numbers, which are shifted and moved: as many as here
// are looked at first, and only where one of them is something else (a zero, subnormal, infinite or
// NaN) all take the longer way.
struct Halves : Block<DType::F16, 1, 2> {
  static constexpr size_t kStep = 64;

  BALLAST_ALWAYS_INLINE static bool are_normal(const byte* in) noexcept {
    constexpr uint32_t kFirst = 0x0400;
    constexpr uint32_t kCount = 0x7800;
    uint16_t largest = 0;
    for (size_t i = 0; i < kStep; ++i) {
      const auto from_first = static_cast<uint16_t>((u16(in + 2 * i) & 0x7fff) - kFirst);
      largest = from_first > largest ? from_first : largest;
    }
    return largest < kCount;
  }

  BALLAST_ALWAYS_INLINE static void all(const byte* in, float* __restrict out,
                                        size_t count) noexcept {
    for (; count >= kStep; count -= kStep, in += 2 * kStep, out += kStep) {
      if (are_normal(in)) {
        for (size_t i = 0; i < kStep; ++i) out[i] = decode::from_normal_f16(u16(in + 2 * i));
      } else {
        for (size_t i = 0; i < kStep; ++i) out[i] = decode::from_f16(u16(in + 2 * i));
      }
    }
    for (size_t i = 0; i < count; ++i) out[i] = decode::from_f16(u16(in + 2 * i));
  }
};

// A number that C++ has, converted as C++ does: exactly, or (F64) to the nearest float.
template <DType Type, class Number>
struct Native {
  static constexpr DType kType = Type;
  static constexpr size_t kBytes = sizeof(Number);
  static constexpr size_t kFloats = 1;
  BALLAST_ALWAYS_INLINE static void block(const byte* in, float* __restrict out) noexcept {
    *out = static_cast<float>(load<Number>(in));
  }
};

// Any byte but 0 is true.
BALLAST_ALWAYS_INLINE float from_bool(uint32_t code) noexcept { return code != 0 ? 1.0F : 0.0F; }

// F4: two elements a byte, the first in the low bits.
//
//     | 1 1 1 1 0 0 0 0 |
struct F4 {
  static constexpr DType kType = DType::F4;
  static constexpr size_t kBytes = 1;
  static constexpr size_t kFloats = 2;
  BALLAST_ALWAYS_INLINE static void block(const byte* in, float* __restrict out) noexcept {
    out[0] = decode::from_e2m1(u8(in) & 0xf);
    out[1] = decode::from_e2m1(u8(in) >> 4);
  }
};

// F6: four elements in three bytes, a stream of bits from the lowest on.
//
//     | 1 1 0 0 0 0 0 0 | 2 2 2 2 1 1 1 1 | 3 3 3 3 3 3 2 2 |
template <DType Type, float (*Convert)(uint32_t) noexcept>
struct F6 {
  static constexpr DType kType = Type;
  static constexpr size_t kBytes = 3;
  static constexpr size_t kFloats = 4;
  BALLAST_ALWAYS_INLINE static void block(const byte* in, float* __restrict out) noexcept {
    const uint32_t bits = u8(in) | u8(in + 1) << 8 | u8(in + 2) << 16;
    out[0] = Convert(bits & 0x3f);
    out[1] = Convert(bits >> 6 & 0x3f);
    out[2] = Convert(bits >> 12 & 0x3f);
    out[3] = Convert(bits >> 18);
  }
};

// What is float32 already (of C64, the real and the imaginary part) keeps every bit, those of NaN
// included.
template <DType Type>
void copy(const byte* in, float* out, size_t count) noexcept {
  if (count != 0) std::memcpy(out, in, count * info(Type).block_bytes);
}
template <DType Type>
constexpr Row copied() noexcept {
  return {Type, {copy<Type>, copy<Type>}};
}

constexpr std::array kFloatRows{
    copied<DType::F32>(),
    copied<DType::C64>(),
    row<Halves>(),
    row<Word<DType::BF16, decode::from_bf16>>(),
    row<Native<DType::F64, double>>(),
    row<Native<DType::I8, int8_t>>(),
    row<Native<DType::I16, std::int16_t>>(),
    row<Native<DType::U8, uint8_t>>(),
    row<Native<DType::U16, uint16_t>>(),
    row<Byte<DType::BOOL, from_bool>>(),
    row<Byte<DType::F8_E5M2, decode::from_e5m2>>(),
    row<Byte<DType::F8_E4M3, decode::from_e4m3>>(),
    row<Byte<DType::F8_E8M0, decode::from_e8m0>>(),
    row<Byte<DType::F8_E4M3FNUZ, decode::from_e4m3fnuz>>(),
    row<Byte<DType::F8_E5M2FNUZ, decode::from_e5m2fnuz>>(),
    row<F4>(),
    row<F6<DType::F6_E2M3, decode::from_e2m3>>(),
    row<F6<DType::F6_E3M2, decode::from_e3m2>>(),
};

template <class Number>
void widen(const byte* in, double* __restrict out, size_t count) noexcept {
  for (size_t i = 0; i < count; ++i) {
    out[i] = static_cast<double>(load<Number>(in + i * sizeof(Number)));
  }
}

}  // namespace

WideDecoder wide_decoder(DType dtype) noexcept {
  switch (dtype) {
    case DType::F64:
      return widen<double>;
    case DType::I32:
      return widen<std::int32_t>;
    case DType::U32:
      return widen<std::uint32_t>;
    case DType::I64:
      return widen<std::int64_t>;
    case DType::U64:
      return widen<std::uint64_t>;
    default:
      return nullptr;
  }
}

std::span<const Row> float_rows() noexcept { return kFloatRows; }

}  // namespace ballast::BALLAST_DECODE
