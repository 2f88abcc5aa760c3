// (private) The decoders: blocks of one dtype in, floats out. No checks, no errors, no memory.
//
// One table says for each dtype which function decodes it, once for each instruction set that the
// library is compiled for. All of them are the same source and do the same operations of IEEE 754
// in the same order, none of them contracted, so that every one gives the same bits.
//
//     decode.cpp        the table, and pieces of it
//     decode_float.cpp  numbers as they are: floats of 4 to 64 bits, integers of 8 and 16
//     decode_block.cpp  quants under a scale: Q4_0 ... Q8_K, TQ1_0, TQ2_0, MXFP4, NVFP4
//     decode_iq.cpp     quants from a codebook: IQ1_S ... IQ4_XS
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <ballast/dtype.hpp>

// The tests compile the decoders once more, without vectors, under another name.
#ifndef BALLAST_DECODE
#define BALLAST_DECODE decode
#endif

namespace ballast::BALLAST_DECODE {

/// Decodes `count` blocks. Input and output do not overlap; the input need not be aligned.
using Decoder = void (*)(const std::byte* blocks, float* out, std::size_t count) noexcept;

/// What a decoder was compiled for.
enum class Level : std::uint8_t { baseline, avx2 };
inline constexpr std::size_t kLevels = 2;

/// The best that this processor has.
[[nodiscard]] Level best_level() noexcept;

/// The decoder of a dtype, or null for one whose numbers float does not hold: integers of 32 and 64
/// bits, and types that have no values.
[[nodiscard]] Decoder decoder(DType dtype, Level level) noexcept;
[[nodiscard]] Decoder decoder(DType dtype) noexcept;

/// A row of the table: a dtype and its decoders, those of a level that is not there null.
struct Row {
  DType dtype = DType::unknown;
  Decoder level[kLevels] = {};  // NOLINT(modernize-avoid-c-arrays): code, as plain as can be
};
[[nodiscard]] std::span<const Row> float_rows() noexcept;
[[nodiscard]] std::span<const Row> block_rows() noexcept;
[[nodiscard]] std::span<const Row> iq_rows() noexcept;

/// What float does not hold as exactly as statistics want it: F64, and integers of 32 and 64 bits,
/// as doubles. Null for every other dtype.
using WideDecoder = void (*)(const std::byte* elements, double* out, std::size_t count) noexcept;
[[nodiscard]] WideDecoder wide_decoder(DType dtype) noexcept;

/// How many floats come of one element: two of a complex number, else one.
[[nodiscard]] constexpr std::size_t floats_per_element(DType dtype) noexcept {
  return dtype == DType::C64 ? 2 : 1;
}

/// The most floats that one block holds.
inline constexpr std::size_t kMostFloats = 256;

/// Decodes out.size() floats from the `first` one on, wherever in a block that is.
void decode(DType dtype, Decoder decoder, const std::byte* blocks, std::uint64_t first,
            std::span<float> out) noexcept;

}  // namespace ballast::BALLAST_DECODE
