#include <ballast/decode.hpp>

#include <algorithm>
#include <array>

#include "platform/instruction_set.hpp"

namespace ballast::BALLAST_DECODE {

Level best_level() noexcept {
  static const Level kBest = platform::has_avx2() ? Level::avx2 : Level::baseline;
  return kBest;
}

Decoder decoder(DType dtype, Level level) noexcept {
  for (const std::span<const Row> rows : {float_rows(), block_rows(), iq_rows()}) {
    for (const Row& row : rows) {
      if (row.dtype == dtype) return row.level[static_cast<std::size_t>(level)];
    }
  }
  return nullptr;
}

Decoder decoder(DType dtype) noexcept { return decoder(dtype, best_level()); }

namespace {

// Some of the floats of one block.
void decode_part(Decoder decoder, const std::byte* block, std::size_t skip,
                 std::span<float> out) noexcept {
  std::array<float, kMostFloats> whole;
  decoder(block, whole.data(), 1);
  std::copy_n(whole.begin() + static_cast<std::ptrdiff_t>(skip), out.size(), out.begin());
}

}  // namespace

void decode(DType dtype, Decoder decoder, const std::byte* blocks, std::uint64_t first,
            std::span<float> out) noexcept {
  const DTypeInfo& type = info(dtype);
  const std::size_t floats = type.block_elements * floats_per_element(dtype);
  blocks += first / floats * type.block_bytes;
  const auto skip = static_cast<std::size_t>(first % floats);
  if (skip != 0) {
    const std::size_t part = std::min(floats - skip, out.size());
    decode_part(decoder, blocks, skip, out.first(part));
    blocks += type.block_bytes;
    out = out.subspan(part);
  }
  const std::size_t whole = out.size() / floats;
  decoder(blocks, out.data(), whole);
  out = out.subspan(whole * floats);
  if (!out.empty()) decode_part(decoder, blocks + whole * type.block_bytes, 0, out);
}

}  // namespace ballast::BALLAST_DECODE
