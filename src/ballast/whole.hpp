// Compressed files that are there as a whole: faster ways to decode them than a stream. Private.
//
//   * Members, frames or blocks that do not depend on each other are decoded on all cores: bgzip's
//     members, zstd's frames, xz's blocks, LZ4's independent blocks.
//   * zstd decodes a frame straight to where it stays, without a window of its own, while another
//     thread faults the pages in ahead of it.
//
// Each way has the same checks as the stream, and none explains itself: where something is odd, the
// file is decoded again as a stream, which knows what to say.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include <ballast/compression.hpp>
#include <ballast/model_data.hpp>

#include "platform/file.hpp"

namespace ballast {

/// Compressed bytes in a file that can be read anywhere.
struct WholeFile {
  const platform::File& file;
  std::uint64_t offset;  // of the first one
  std::uint64_t size;
};

enum class Whole : std::uint8_t {
  not_tried,  ///< not a file for any of these ways; `out` is as it was
  done,       ///< all of the file is decoded and verified, and fills `out` exactly
  failed,     ///< what is in `out` means nothing
};

/// Told now and then, on the calling thread, how many bytes are taken and given; throws to end it.
using WholeWatch = std::function<void(std::uint64_t input, std::uint64_t output)>;

/// Decodes the file into `out`, whose size its directory gives. Throws what `watch` throws.
[[nodiscard]] Whole decode_whole(Compression codec, const WholeFile& file, std::span<std::byte> out,
                                 const DecodeLimits& limits, const WholeWatch& watch);

}  // namespace ballast
