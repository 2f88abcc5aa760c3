// The second module of the npm package: values and statistics of blocks that JavaScript puts in, a
// piece at a time. It has a small memory of its own that never grows, so it serves models in memory
// of any width, and tensors that were read without a model.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include <ballast/ballast.h>
#include <ballast/c_api_values.hpp>
#include <ballast/decode.hpp>
#include <ballast/dtype.hpp>
#include <ballast/small_float.hpp>
#include <ballast/statistics.hpp>

namespace {

using ballast::DType;

// The most values that are decoded at once, and room for their bytes, which begin inside a block.
constexpr std::size_t kPiece = 16384;
constexpr std::size_t kMostBytes = kPiece * 8 + 512;

// There is one thread. Statistics under way have an instance for themselves.
alignas(16) std::array<std::byte, kMostBytes> input;
alignas(16) std::array<float, kPiece> floats;
alignas(16) std::array<double, kPiece> doubles;
alignas(16) std::array<std::uint16_t, kPiece> halves;
ballast::StatisticsAccumulator accumulator;
ballast_statistics found;

std::span<float> decode(DType dtype, std::size_t first, std::size_t count) noexcept {
  const std::span out = std::span(floats).first(std::min(count, kPiece));
  ballast::decode::decode(dtype, ballast::decode::decoder(dtype), input.data(), first, out);
  return out;
}

template <std::uint16_t (*Convert)(float) noexcept>
void* convert(std::span<const float> from) noexcept {
  for (std::size_t i = 0; i < from.size(); ++i) halves[i] = Convert(from[i]);
  return halves.data();
}

std::uint16_t f16_of(float value) noexcept { return ballast::decode::to_f16_bits(value); }
std::uint16_t bf16_of(float value) noexcept { return ballast::decode::to_bf16_bits(value); }

}  // namespace

extern "C" {

// Where bytes are put: names of dtypes, blocks.
void* ballast_values_input() { return input.data(); }
std::size_t ballast_values_input_size() { return input.size(); }
std::size_t ballast_values_piece() { return kPiece; }

// The number of the dtype whose name is put in, with 256 added where float holds its values.
std::uint32_t ballast_values_dtype(std::size_t size) {
  const std::string_view name(reinterpret_cast<const char*>(input.data()), size);
  const DType dtype = ballast::c::dtype_named(name);
  const auto number = static_cast<std::uint32_t>(dtype);
  return ballast::decode::decoder(dtype) != nullptr ? number + 256 : number;
}

// Decodes `count` values of the blocks that are put in, from number `first` on, at most a piece,
// and answers where they are.
void* ballast_values_decode(std::uint32_t dtype, std::size_t first, std::size_t count, int as) {
  const std::span<const float> values = decode(static_cast<DType>(dtype), first, count);
  if (as == BALLAST_AS_F16) return convert<f16_of>(values);
  if (as == BALLAST_AS_BF16) return convert<bf16_of>(values);
  return floats.data();
}

void ballast_values_reset() { accumulator = {}; }

// Takes the same values into the statistics.
void ballast_values_add(std::uint32_t dtype, std::size_t first, std::size_t count) {
  const auto type = static_cast<DType>(dtype);
  if (const auto wide = ballast::decode::wide_decoder(type)) {
    const std::span out = std::span(doubles).first(std::min(count, kPiece));
    wide(input.data() + first * ballast::info(type).block_bytes, out.data(), out.size());
    accumulator.add(out);
  } else {
    accumulator.add(decode(type, first, count));
  }
}

const ballast_statistics* ballast_values_finish() {
  ballast::c::show(accumulator.finish(), found);
  return &found;
}

}  // extern "C"
