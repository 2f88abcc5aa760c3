// The inputs of the benchmarks of decompression: a model in the forms that models are compressed
// in, by the codecs' own libraries.
//
//     bench-compress FORM IN OUT
//
// FORM is gzip, zlib, bzip2, xz or zstd and a level behind a dash; or lz4, what its command makes
// by default. And those of many units: zstd-frames, whose frames say how large they are; pzstd,
// whose frames do not; xz-blocks; lz4-blocks, like lz4 but without a checksum of the whole, which
// takes one thread; bgzip.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

#include "tests/bench/codec_peers.hpp"
#include "tests/bench/input.hpp"
#include "tests/support/compress.hpp"

namespace {

using ballast::Compression;
using ballast::bench::unit_size;
using ballast::test::Bytes;
using View = std::span<const std::byte>;

/// Compresses a model piece by piece.
template <class Compress>
Bytes in_pieces(View in, std::size_t size, Compress compress) {
  Bytes out;
  while (!in.empty()) {
    const View piece = in.first(std::min(in.size(), size));
    ballast::test::append(out, compress(piece));
    in = in.subspan(piece.size());
  }
  return out;
}

Bytes zstd_frames(View in) {
  return in_pieces(in, unit_size(in.size()),
                   [](View piece) { return ballast::test::zstd_frame(piece); });
}

// Its SkippableFrame.h: before each frame one that says how large that is.
Bytes pzstd(View in) {
  return in_pieces(in, unit_size(in.size()), [](View piece) {
    const Bytes frame = ballast::test::zstd_frame(piece, {.content_size = false});
    Bytes size;
    ballast::test::append_number(size, frame.size(), 4);
    Bytes out = ballast::test::skippable_frame(size);
    ballast::test::append(out, frame);
    return out;
  });
}

// SAM specification, 4.1: members of less than 64 KiB with their size, less 1, in an extra field,
// and an empty one at the end.
Bytes bgzip_member(View piece) {
  constexpr std::size_t kSizeAt = 16;
  const Bytes extra{std::byte{'B'}, std::byte{'C'}, std::byte{2}, {}, {}, {}};
  Bytes member = ballast::test::gzip_member(piece, {.extra = extra});
  member[kSizeAt] = static_cast<std::byte>(member.size() - 1);
  member[kSizeAt + 1] = static_cast<std::byte>((member.size() - 1) >> 8);
  return member;
}

Bytes bgzip(View in) {
  constexpr std::size_t kMember = 65'280;
  Bytes out = in_pieces(in, kMember, bgzip_member);
  ballast::test::append(out, bgzip_member({}));
  return out;
}

Bytes with_level(std::string_view form, View in) {
  constexpr std::array kWithLevels{Compression::gzip, Compression::zlib, Compression::bzip2,
                                   Compression::xz, Compression::zstd};
  const std::size_t dash = std::min(form.find('-'), form.size() - 1);
  const int level = std::atoi(std::string(form.substr(dash + 1)).c_str());
  for (const Compression codec : kWithLevels) {
    if (form.substr(0, dash) == name(codec) && level > 0)
      return ballast::test::compress(codec, in, level);
  }
  ballast::bench::give_up("there is no such form");
}

Bytes compressed(std::string_view form, View in) {
  constexpr unsigned kLz4Block = 22;  // what its command makes: 4 MiB, which know nothing of others
  if (form == "lz4") return ballast::test::lz4_frame(in, {.linked = false, .block_log = kLz4Block});
  if (form == "lz4-blocks")
    return ballast::test::lz4_frame(in,
                                    {.linked = false, .block_log = kLz4Block, .checksum = false});
  if (form == "zstd-frames") return zstd_frames(in);
  if (form == "pzstd") return pzstd(in);
  if (form == "xz-blocks")
    return ballast::test::xz_stream(in, {.level = 1, .block_bytes = unit_size(in.size())});
  if (form == "bgzip") return bgzip(in);
  return with_level(form, in);
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 4) {
    std::fprintf(stderr, "usage: bench-compress FORM IN OUT\n");
    return 2;
  }
  const Bytes out = compressed(argv[1], ballast::bench::content_of(argv[2]));
  std::ofstream file(argv[3], std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(out.data()), static_cast<std::streamsize>(out.size()));
  file.close();
  ballast::bench::require(file.good(), "it cannot be written");
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "bench-compress: %s\n", error.what());
  return 1;
}
