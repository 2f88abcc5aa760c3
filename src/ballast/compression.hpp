// Compression: what a model file may be compressed with, and what of that this library decodes.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include <ballast/config.hpp>

namespace ballast {

enum class Compression : std::uint8_t {
  none,
  gzip,   ///< RFC 1952: any number of members, bgzip's among them
  zlib,   ///< RFC 1950: one stream
  bzip2,  ///< any number of streams
  xz,     ///< the .xz file format 1.1.0: any number of streams
  zstd,   ///< RFC 8878: any number of frames, skippable ones among them
  lz4,    ///< LZ4 frame format 1.6.2: any number of frames, skippable ones among them
};

/// "none", "gzip", "zlib", ...
[[nodiscard]] BALLAST_API std::string_view name(Compression compression) noexcept;

/// What bytes that are no model begin like: one of the codecs, whether it is built in or not, or
/// none. Two bytes may tell zlib, and eight tell everything. See also format.hpp.
[[nodiscard]] BALLAST_API Compression signature_of(std::span<const std::byte> bytes) noexcept;

/// What this library was built to decode; each codec is an option of the build.
[[nodiscard]] BALLAST_API std::span<const Compression> codecs() noexcept;

}  // namespace ballast
