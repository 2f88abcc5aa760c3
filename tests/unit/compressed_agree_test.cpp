// A file that is there as a whole may be decoded in faster ways than a stream is. Whatever is wrong
// with it, the refusal is the one that the stream gives.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <ballast/format.hpp>

#include "tests/support/random.hpp"
#include "tests/unit/compressed.hpp"

namespace ballast::test {
namespace {

struct File {
  std::string what;
  Bytes bytes;
};

// Large enough for every fast way, and mostly of what takes no time.
const Bytes& plain() {
  static const Bytes kPlain =
      GgufBuilder()
          .entry("general.architecture", "llama")
          .tensor({.name = "a", .dims = {50'000}, .data = noise(200'000, 1)})
          .tensor({.name = "b", .dims = {300'000}, .data = Bytes(1'200'000, std::byte{9})})
          .tensor({.name = "c", .dims = {25'000}, .data = noise(100'000, 2)})
          .build()
          .bytes();
  return kPlain;
}

template <class Compress>
Bytes in_parts(Compress compress_part) {
  constexpr std::size_t kPart = 300'000;
  Bytes out;
  for (std::size_t at = 0; at < plain().size(); at += kPart) {
    append(out,
           compress_part(std::span(plain()).subspan(at, std::min(kPart, plain().size() - at))));
  }
  return out;
}

// A member of bgzip's: its extra field says how long it is (the SAM specification, 4.1).
Bytes bgzip_member(std::span<const std::byte> bytes) {
  Bytes extra = bytes_of("BC");
  append_number(extra, 2, 2);
  append_number(extra, 0, 2);
  Bytes member = gzip_member(bytes, {.level = 1, .extra = extra});
  Bytes size;
  append_number(size, member.size() - 1, 2);
  std::ranges::copy(size, member.begin() + 16);
  return member;
}

Bytes bgzip_file() {
  constexpr std::size_t kPart = 0xFF00;
  Bytes out;
  for (std::size_t at = 0; at < plain().size(); at += kPart)
    append(out, bgzip_member(std::span(plain()).subspan(at, std::min(kPart, plain().size() - at))));
  append(out, bgzip_member({}));
  return out;
}

std::vector<File> files() {
  return {
      {"gzip", gzip_member(plain(), {.level = 1})},
      {"gzip in members", in_parts([](auto part) { return gzip_member(part, {.level = 1}); })},
      {"bgzip", bgzip_file()},
      {"zlib", zlib_stream(plain(), {.level = 1})},
      {"bzip2", bzip2_stream(plain(), 1)},
      {"xz", xz_stream(plain(), {.level = 0})},
      {"xz in blocks", xz_stream(plain(), {.level = 0, .block_bytes = 300'000})},
      {"xz in streams", in_parts([](auto part) { return xz_stream(part, {.level = 0}); })},
      {"zstd", zstd_frame(plain(), {.level = 1})},
      {"zstd of unknown size", zstd_frame(plain(), {.level = 1, .content_size = false})},
      {"zstd in frames", in_parts([](auto part) { return zstd_frame(part, {.level = 1}); })},
      {"LZ4, linked", lz4_frame(plain())},
      {"LZ4, independent", lz4_frame(plain(), {.linked = false, .content_size = true})},
      {"LZ4 with every checksum",
       lz4_frame(plain(), {.linked = false, .block_log = 18, .block_checksums = true})},
      {"LZ4 in frames", in_parts([](auto part) { return lz4_frame(part); })},
  };
}

std::string verdict(Way way, const Bytes& bytes) {
  try {
    const ModelData data = load(way, bytes);
    return is_same(data, plain()) ? "the model" : "another model";
  } catch (const Error& error) {
    // Not with its places: how far a codec's library was when it found out depends on how much it
    // was given at a time.
    return error.message();
  }
}

TEST_CASE("a file that is well formed is the model, however it is decoded") {
  for (const File& file : files()) {
    INFO(file.what);
    for (const Way way : kWays) CHECK(verdict(way, file.bytes) == "the model");
  }
}

TEST_CASE("a file that is damaged, cut or goes on is refused as the stream refuses it") {
  const std::uint64_t seed = test_seed(20261124);
  CAPTURE(seed);
  Random random(seed);
  for (const File& file : files()) {
    int refused = 0;
    for (int i = 0; i < 24; ++i) {
      Bytes bytes = file.bytes;
      // Near the ends, where the headers and the checksums are, as often as anywhere.
      std::uint64_t at = random.below(bytes.size());
      if (i % 3 == 1) at = random.below(40);
      if (i % 3 == 2) at = bytes.size() - 1 - random.below(40);
      const auto place = static_cast<std::size_t>(at);
      std::string change = "a bit flipped";
      if (i < 16) {
        bytes[place] ^= static_cast<std::byte>(1U << random.below(8));
      } else if (i < 21) {
        change = "cut";
        bytes.resize(place);
      } else {
        change = "one byte more";
        bytes.push_back(static_cast<std::byte>(random.next()));
      }
      INFO(file.what << ", " << change << " at " << place << " of " << file.bytes.size());
      if (compression_of(bytes) == Compression::none) continue;  // nothing to be decoded any more
      const std::string due = verdict(Way::push, bytes);
      CHECK(due != "another model");
      CHECK(verdict(Way::open, bytes) == due);
      refused += due != "the model" ? 1 : 0;
    }
    CHECK(refused > 12);
  }
}

}  // namespace
}  // namespace ballast::test
