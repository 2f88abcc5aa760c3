// Values: the numbers in a tensor, of whatever dtype, as floats.
//
//     const ballast::Tensor& tensor = model.at("blk.0.attn_q.weight");
//     std::vector<float> rows(10 * ballast::row_elements(model, tensor));
//     ballast::read_floats(model, tensor, {0, 10}, rows);           // the first ten rows
//     ballast::Statistics all = ballast::statistics(model, tensor);
//
// A row is a run along the dimension whose elements lie side by side: GGUF's first, safetensors'
// last. A tensor without dimensions is one row of one element.
//
// What comes out is what the format defines, bit for bit, on every processor and with every
// compiler: quantized types as ggml decodes them, small floats as their specifications say. Any NaN
// may stand for another. Float holds the values of every type that weights have, F64 rounded to the
// nearest; and BOOL, I8, I16, U8 and U16. Integers of 32 and 64 bits it does not hold:
// Model::values<T> has those as they are.
//
// Nothing here allocates. Not in builds without BALLAST_VALUES.
// Threads: all functions may be called from any number of threads at the same time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <ballast/config.hpp>
#include <ballast/dtype.hpp>
#include <ballast/model.hpp>
#include <ballast/model_data.hpp>
#include <ballast/statistics.hpp>
#include <ballast/tensor.hpp>

namespace ballast {

// ---- Blocks -------------------------------------------------------------------------------------

/// Whether float holds the values of a dtype, so that the functions below decode it.
[[nodiscard]] BALLAST_API bool is_float_dtype(DType dtype) noexcept;

/// Decodes whole blocks, packed back to back: `blocks` has the bytes of out.size() values
/// (packed_size), and `out` takes one float for each, two (real, imaginary) for C64. `blocks` need
/// not be aligned; the two do not overlap. Throws Error: unknown_dtype, wrong_type
/// (is_float_dtype), and wrong_length where the last block is partial or the two sizes do not
/// belong together.
BALLAST_API void to_float(DType dtype, std::span<const std::byte> blocks, std::span<float> out);
/// The same as IEEE binary16, in bits: each float rounded to the nearest, ties to even; too large
/// for it is infinity. F16 itself keeps its bits.
BALLAST_API void to_f16(DType dtype, std::span<const std::byte> blocks,
                        std::span<std::uint16_t> out);
/// The same as bfloat16. BF16 itself keeps its bits.
BALLAST_API void to_bf16(DType dtype, std::span<const std::byte> blocks,
                         std::span<std::uint16_t> out);

// ---- Tensors ------------------------------------------------------------------------------------

/// Rows of a tensor, counted from 0: from `begin` up to but not `end`. By default, all.
struct Rows {
  static constexpr std::uint64_t kToTheEnd = UINT64_MAX;

  std::uint64_t begin = 0;
  std::uint64_t end = kToTheEnd;
};

/// How many elements a row of the tensor has, and how many rows there are.
[[nodiscard]] BALLAST_API std::uint64_t row_elements(const Model& model,
                                                     const Tensor& tensor) noexcept;
[[nodiscard]] BALLAST_API std::uint64_t row_count(const Model& model,
                                                  const Tensor& tensor) noexcept;

/// The values of some rows, row after row. `out` has room for exactly these: rows times
/// row_elements() floats, twice as many for C64. Throws Error: rows_outside, wrong_length for
/// another size of `out`, unknown_dtype, wrong_type, what Model::bytes throws, and, where the fault
/// guard is on, what ModelData::require_undamaged throws: zeros that stand for lost pages are no
/// result.
BALLAST_API void read_floats(const Model& model, const Tensor& tensor, Rows rows,
                             std::span<float> out);
/// The same as binary16 and as bfloat16; see to_f16 and to_bf16.
BALLAST_API void read_f16(const Model& model, const Tensor& tensor, Rows rows,
                          std::span<std::uint16_t> out);
BALLAST_API void read_bf16(const Model& model, const Tensor& tensor, Rows rows,
                           std::span<std::uint16_t> out);

/// What the values of some rows are like. Of every dtype that has values: integers of 32 and 64
/// bits and F64 count as doubles, and the two parts of a C64 as two numbers. `options` gives
/// progress (in bytes of the tensor) and cancellation. Throws Error: rows_outside, unknown_dtype,
/// cancelled, and what Model::bytes and ModelData::require_undamaged throw.
[[nodiscard]] BALLAST_API Statistics statistics(const Model& model, const Tensor& tensor,
                                                Rows rows = {}, const OpenOptions& options = {});

}  // namespace ballast
