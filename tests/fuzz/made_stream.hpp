// Compressed files as an input chooses them: valid in every way that a codec's format allows, and
// then damaged in a few places, so that what lies behind the checks of a header is reached, too.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include <ballast/compression.hpp>

#include "tests/fuzz/input.hpp"
#include "tests/support/compress.hpp"
#include "tests/support/sample.hpp"

namespace ballast::test {

/// A member of bgzip's (SAM specification, 4.1), which says in its extra field how long it is.
inline Bytes bgzip_member(std::span<const std::byte> bytes) {
  constexpr std::size_t kSizeField = 16;
  Bytes extra = bytes_of("BC");
  append_number(extra, 2, 2);
  append_number(extra, 0, 2);
  Bytes member = gzip_member(bytes, {.level = 1, .extra = extra});
  Bytes size;
  append_number(size, member.size() - 1, 2);
  std::ranges::copy(size, member.begin() + kSizeField);
  return member;
}

inline Bytes made_bgzip(std::span<const std::byte> content) {
  constexpr std::size_t kMost = 0xFF00;
  Bytes out;
  while (!content.empty()) {
    const auto part = content.first(std::min(kMost, content.size()));
    append(out, bgzip_member(part));
    content = content.subspan(part.size());
  }
  append(out, bgzip_member({}));
  return out;
}

inline Bytes made_gzip_member(FuzzInput& input, std::span<const std::byte> content) {
  const std::uint8_t fields = input.byte();
  Deflated options{.level = fields % 10, .window_bits = 9 + fields % 7};
  // What zlib 1.2.13 says that the largest output is does not hold for stored blocks of a small
  // window.
  if (options.level == 0) options.window_bits = 15;
  if ((fields & 16U) != 0) options.extra = Bytes(fields % 32, std::byte{fields});
  if ((fields & 32U) != 0) options.name = std::string(fields % 8, 'n');
  if ((fields & 64U) != 0) options.comment = "comment";
  options.header_checksum = (fields & 128U) != 0;
  return gzip_member(content, options);
}

inline Bytes made_xz_stream(FuzzInput& input, std::span<const std::byte> content) {
  constexpr std::array kChecks{XzCheck::none, XzCheck::crc32, XzCheck::crc64, XzCheck::sha256};
  const std::uint8_t kind = input.byte();
  const std::size_t block = (kind & 4U) != 0 ? content.size() / 3 + 1 : 0;
  return xz_stream(content, {.level = 0,
                             .check = kChecks[kind % kChecks.size()],
                             .block_bytes = block,
                             .dictionary = std::uint32_t{4096} << ((kind >> 4U) % 8),
                             .delta = (kind & 8U) != 0});
}

inline Bytes made_zstd_frame(FuzzInput& input, std::span<const std::byte> content) {
  const std::uint8_t kind = input.byte();
  if (kind % 8 == 7) return raw_zstd_frame(content, {.content_size = content.size()});
  return zstd_frame(content, {.level = 1 + kind % 4,
                              .checksum = (kind & 8U) != 0,
                              .content_size = (kind & 16U) != 0,
                              // The default is for files of unknown size, and takes a MiB.
                              .window_log = (kind & 32U) != 0 ? 10 + kind % 12 : 14});
}

inline Bytes made_lz4_frame(FuzzInput& input, std::span<const std::byte> content) {
  const std::uint8_t kind = input.byte();
  return lz4_frame(content, {.linked = (kind & 1U) != 0,
                             .block_log = 16 + 2 * ((kind >> 1U) % 4U),
                             .checksum = (kind & 8U) != 0,
                             .block_checksums = (kind & 16U) != 0,
                             .content_size = (kind & 32U) != 0});
}

/// One member, stream or frame.
inline Bytes made_member(Compression codec, FuzzInput& input, std::span<const std::byte> content) {
  switch (codec) {
    case Compression::gzip:
      return made_gzip_member(input, content);
    case Compression::bzip2:
      return bzip2_stream(content, 1);
    case Compression::xz:
      return made_xz_stream(input, content);
    case Compression::zstd:
      return made_zstd_frame(input, content);
    case Compression::lz4:
      return made_lz4_frame(input, content);
    default:
      return zlib_stream(content, {.level = input.byte() % 10});
  }
}

/// What a format allows between two of them, or behind the last.
inline Bytes made_filler(Compression codec, FuzzInput& input) {
  const std::uint8_t kind = input.byte();
  if (kind < 128) return {};
  const Bytes zeros(4 * (kind % 4U));
  if (codec == Compression::zstd || codec == Compression::lz4)
    return skippable_frame(zeros, kind % 16);
  return codec == Compression::xz ? zeros : Bytes{};
}

/// A valid file of one codec, of one to three members.
inline Bytes made_stream(Compression codec, FuzzInput& input, std::span<const std::byte> content) {
  const std::uint8_t kind = input.byte();
  if (codec == Compression::gzip && kind % 4 == 3) return made_bgzip(content);
  const std::size_t members = codec == Compression::zlib ? 1 : 1 + kind % 3;
  Bytes out;
  for (std::size_t i = 0; i < members; ++i) {
    const std::size_t begin = content.size() * i / members;
    const std::size_t end = content.size() * (i + 1) / members;
    append(out, made_member(codec, input, content.subspan(begin, end - begin)));
    append(out, made_filler(codec, input));
  }
  return out;
}

/// Changes up to three bytes, cuts the end off, or puts something behind it. Says whether it did.
inline bool damage(FuzzInput& input, Bytes& file) {
  const Bytes before = file;
  const std::uint8_t kind = input.byte();
  for (unsigned i = kind % 4; i > 0 && !file.empty(); --i) {
    const std::uint64_t place = input.number(3);
    const std::size_t at = static_cast<std::size_t>(place / 2 % file.size());
    file[place % 2 == 0 ? at : file.size() - 1 - at] ^= std::byte{input.byte()};
  }
  if (kind % 16 == 4) file.resize(file.size() - std::min<std::size_t>(file.size(), input.byte()));
  if (kind % 16 == 8) append(file, input.take(input.byte() % 16U));
  return file != before;
}

}  // namespace ballast::test
