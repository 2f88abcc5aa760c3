// Compressed files for tests: by each codec's own library, at every level, and in every way that
// its format allows.
//
//     Bytes file = compress(Compression::zstd, model, 19);
//     Bytes two = gzip_member(first, {.name = "model.gguf"});
//     append(two, gzip_member(second));
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <ballast/compression.hpp>

#include "tests/support/sample.hpp"

namespace ballast::test {

inline constexpr std::array kCompressions{Compression::gzip, Compression::zlib, Compression::bzip2,
                                          Compression::xz,   Compression::zstd, Compression::lz4};

/// The lowest level of a codec, its default one, and its highest, each once.
[[nodiscard]] std::vector<int> levels(Compression codec);

/// One member, stream or frame, with the checksum that the codec's own command writes.
[[nodiscard]] Bytes compress(Compression codec, std::span<const std::byte> bytes, int level);
/// The same at the default level.
[[nodiscard]] Bytes compress(Compression codec, std::span<const std::byte> bytes);

/// RFC 1952, with the optional fields of its header, and RFC 1950.
struct Deflated {
  int level = 6;
  int window_bits = 15;
  std::optional<Bytes> extra{};          // gzip's FEXTRA
  std::optional<std::string> name{};     // gzip's FNAME
  std::optional<std::string> comment{};  // gzip's FCOMMENT
  bool header_checksum = false;          // gzip's FHCRC
  std::optional<Bytes> dictionary{};     // zlib's preset dictionary
};
[[nodiscard]] Bytes gzip_member(std::span<const std::byte> bytes, const Deflated& options = {});
[[nodiscard]] Bytes zlib_stream(std::span<const std::byte> bytes, const Deflated& options = {});

/// Level 1 to 9: the size of a block in units of 100 kB.
[[nodiscard]] Bytes bzip2_stream(std::span<const std::byte> bytes, int level = 9);

/// The identifiers of the .xz file format, 2.1.1.2.
enum class XzCheck : std::uint8_t { none = 0, crc32 = 1, crc64 = 4, sha256 = 10 };

struct XzStream {
  int level = 6;
  XzCheck check = XzCheck::crc64;
  std::size_t block_bytes = 0;                // 0: one block
  std::optional<std::uint32_t> dictionary{};  // bytes of history; by default what the level has
  bool delta = false;                         // a filter before LZMA2
};
[[nodiscard]] Bytes xz_stream(std::span<const std::byte> bytes, const XzStream& options = {});

struct ZstdFrame {
  int level = 3;
  bool checksum = true;
  bool content_size = true;    // else compressed as a stream whose end nobody knows
  int window_log = 0;          // 0: what the level has
  bool long_distance = false;  // what `zstd --long` turns on
  std::optional<Bytes>
      dictionary{};  // content only, so that the frame does not say that it has one
};
[[nodiscard]] Bytes zstd_frame(std::span<const std::byte> bytes, const ZstdFrame& options = {});

/// A frame of raw blocks, byte by byte (RFC 8878, 3.1.1), whose header claims what it is told to.
struct ZstdHeader {
  std::optional<std::uint64_t> content_size{};
  std::optional<unsigned> window_log{17};  // nothing: a single segment
  std::optional<std::uint8_t> dictionary_id{};
  bool reserved_bit = false;
};
[[nodiscard]] Bytes raw_zstd_frame(std::span<const std::byte> bytes, const ZstdHeader& header);

struct Lz4Frame {
  int level = 0;
  bool linked = true;       // blocks refer to those before them
  unsigned block_log = 16;  // 16, 18, 20 or 22
  bool checksum = true;     // of the content
  bool block_checksums = false;
  bool content_size = false;
  std::optional<std::uint64_t> claimed_size{};  // a content size that is not that of the content
  std::uint32_t dictionary_id = 0;              // 0: none
};
[[nodiscard]] Bytes lz4_frame(std::span<const std::byte> bytes, const Lz4Frame& options = {});

/// A frame that holds no data, of zstd's or LZ4's: RFC 8878, 3.1.2. `kind` is 0 to 15.
[[nodiscard]] Bytes skippable_frame(std::span<const std::byte> content, unsigned kind = 0);

}  // namespace ballast::test
