// The element types of tensors: all of GGUF's and all of safetensors', in one table.
//
// A dtype is stored in blocks: `block_elements` values that take `block_bytes` bytes together. For
// plain types a block is one element; quantized and sub-byte types pack several. The sizes are
// checked against the formats' own tables by static assertions in dtype.cpp.
//
// Sources: ggml/include/ggml.h (`enum ggml_type`) and ggml/src/ggml-common.h (block sizes) at
// d99724f2; safetensors/src/tensor.rs (`enum Dtype`) at 24b0b28.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include <ballast/config.hpp>

namespace ballast {

// X(name, GGUF type id or -1, in safetensors, elements per block, bytes per block). A block of zero
// bytes marks a type that GGUF has had and removed: files with it are listed, but have no values.
#define BALLAST_DTYPE_TABLE(X)   \
  X(F32, 0, true, 1, 4)          \
  X(F16, 1, true, 1, 2)          \
  X(Q4_0, 2, false, 32, 18)      \
  X(Q4_1, 3, false, 32, 20)      \
  X(Q4_2, 4, false, 0, 0)        \
  X(Q4_3, 5, false, 0, 0)        \
  X(Q5_0, 6, false, 32, 22)      \
  X(Q5_1, 7, false, 32, 24)      \
  X(Q8_0, 8, false, 32, 34)      \
  X(Q8_1, 9, false, 32, 36)      \
  X(Q2_K, 10, false, 256, 84)    \
  X(Q3_K, 11, false, 256, 110)   \
  X(Q4_K, 12, false, 256, 144)   \
  X(Q5_K, 13, false, 256, 176)   \
  X(Q6_K, 14, false, 256, 210)   \
  X(Q8_K, 15, false, 256, 292)   \
  X(IQ2_XXS, 16, false, 256, 66) \
  X(IQ2_XS, 17, false, 256, 74)  \
  X(IQ3_XXS, 18, false, 256, 98) \
  X(IQ1_S, 19, false, 256, 50)   \
  X(IQ4_NL, 20, false, 32, 18)   \
  X(IQ3_S, 21, false, 256, 110)  \
  X(IQ2_S, 22, false, 256, 82)   \
  X(IQ4_XS, 23, false, 256, 136) \
  X(I8, 24, true, 1, 1)          \
  X(I16, 25, true, 1, 2)         \
  X(I32, 26, true, 1, 4)         \
  X(I64, 27, true, 1, 8)         \
  X(F64, 28, true, 1, 8)         \
  X(IQ1_M, 29, false, 256, 56)   \
  X(BF16, 30, true, 1, 2)        \
  X(Q4_0_4_4, 31, false, 0, 0)   \
  X(Q4_0_4_8, 32, false, 0, 0)   \
  X(Q4_0_8_8, 33, false, 0, 0)   \
  X(TQ1_0, 34, false, 256, 54)   \
  X(TQ2_0, 35, false, 256, 66)   \
  X(IQ4_NL_4_4, 36, false, 0, 0) \
  X(IQ4_NL_4_8, 37, false, 0, 0) \
  X(IQ4_NL_8_8, 38, false, 0, 0) \
  X(MXFP4, 39, false, 32, 17)    \
  X(NVFP4, 40, false, 64, 36)    \
  X(Q1_0, 41, false, 128, 18)    \
  X(Q2_0, 42, false, 64, 18)     \
  X(BOOL, -1, true, 1, 1)        \
  X(F4, -1, true, 2, 1)          \
  X(F6_E2M3, -1, true, 4, 3)     \
  X(F6_E3M2, -1, true, 4, 3)     \
  X(U8, -1, true, 1, 1)          \
  X(F8_E5M2, -1, true, 1, 1)     \
  X(F8_E4M3, -1, true, 1, 1)     \
  X(F8_E8M0, -1, true, 1, 1)     \
  X(F8_E4M3FNUZ, -1, true, 1, 1) \
  X(F8_E5M2FNUZ, -1, true, 1, 1) \
  X(U16, -1, true, 1, 2)         \
  X(U32, -1, true, 1, 4)         \
  X(C64, -1, true, 1, 8)         \
  X(U64, -1, true, 1, 8)

/// An element type; `unknown` for one that is not in the table (`Tensor::dtype_name` then says what
/// the file says).
enum class DType : std::uint8_t {
#define BALLAST_DTYPE_ENUMERATOR(name, gguf_id, in_safetensors, elements, bytes) name,
  BALLAST_DTYPE_TABLE(BALLAST_DTYPE_ENUMERATOR)
#undef BALLAST_DTYPE_ENUMERATOR
      unknown,
};

/// A row of the table.
struct DTypeInfo {
  std::string_view name;  ///< the formats' own spelling, case-sensitive
  std::int16_t gguf_id;   ///< -1: not in GGUF
  bool in_safetensors;
  std::uint16_t block_elements;  ///< 0: removed from GGUF, has no size any more
  std::uint16_t block_bytes;     ///< 0: removed from GGUF, has no size any more

  /// Whether tensors of this type have values: false for those that GGUF has removed.
  [[nodiscard]] constexpr bool has_size() const noexcept { return block_bytes != 0; }
};

inline constexpr std::array kDTypes{
#define BALLAST_DTYPE_ROW(name, gguf_id, in_safetensors, elements, bytes) \
  DTypeInfo{#name, gguf_id, in_safetensors, elements, bytes},
    BALLAST_DTYPE_TABLE(BALLAST_DTYPE_ROW)
#undef BALLAST_DTYPE_ROW
        DTypeInfo{"unknown", -1, false, 0, 0},
};

/// How many type ids GGUF has given out, removed ones included; they are numbered from 0.
inline constexpr std::uint32_t kGgufTypeCount = 43;

[[nodiscard]] constexpr const DTypeInfo& info(DType dtype) noexcept {
  return kDTypes[static_cast<std::size_t>(dtype)];
}

[[nodiscard]] constexpr std::string_view name(DType dtype) noexcept { return info(dtype).name; }

/// The dtype with this GGUF type id; `unknown` where GGUF has given out no such id (yet).
[[nodiscard]] constexpr DType dtype_from_gguf(std::uint32_t id) noexcept {
  // GGUF's own types come first and in the order of their ids, so the id is the place in the table.
  return id < kGgufTypeCount ? static_cast<DType>(id) : DType::unknown;
}

/// The dtype with this safetensors name, case-sensitive; `unknown` where the format has none of
/// that name.
[[nodiscard]] BALLAST_API DType dtype_from_safetensors(std::string_view name) noexcept;

/// The bytes that `elements` values take when they are packed back to back. Empty where the dtype
/// has no size, the last block would be partial, or the result does not fit in 64 bits.
[[nodiscard]] BALLAST_API std::optional<std::uint64_t> packed_size(DType dtype,
                                                                   std::uint64_t elements) noexcept;

}  // namespace ballast
