// What the compressed formats allow and what they do not: several members, padding, frames to be
// skipped, fields of headers, checks, filters, dictionaries, windows.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "tests/unit/compressed.hpp"

namespace ballast::test {
namespace {

Bytes joined(const std::vector<Bytes>& parts) {
  Bytes out;
  for (const Bytes& part : parts) append(out, part);
  return out;
}

struct Row {
  std::string fact;
  Bytes file;
  Errc refusal = Errc::ok;
};

// Each row is of the same model, by a file and pushed, in large pieces and byte by byte.
void check(const std::vector<Row>& rows) {
  const Bytes model = small_model().bytes();
  for (const Row& row : rows) {
    INFO(row.fact);
    CHECK(outcome(Way::open, row.file) == row.refusal);
    CHECK(outcome(Way::push, row.file) == row.refusal);
    if (row.refusal != Errc::ok) continue;
    CHECK(is_same(load(Way::open, row.file), model));
    CHECK(is_same(push(row.file, {}, 1), model));
    CHECK(push(row.file).compressed_size() == row.file.size());
  }
}

TEST_CASE("gzip files are what RFC 1952 allows") {
  const Bytes model = small_model().bytes();
  const std::span<const std::byte> all(model);
  const Bytes whole = gzip_member(model);
  const Bytes half = gzip_member(all.first(1234));
  const Bytes rest = gzip_member(all.subspan(1234), {.level = 9, .name = "rest"});
  const Bytes empty = gzip_member({});
  check({
      {"two members are one model", joined({half, rest})},
      {"members may be empty", joined({empty, half, empty, rest, empty})},
      {"a header may have an extra field",
       gzip_member(model, {.extra = bytes_of(std::string("BC\2\0\0\0", 6))})},
      {"a header may have a name and a comment",
       gzip_member(model, {.name = "model.gguf", .comment = "made for a test"})},
      {"a header may have a checksum", gzip_member(model, {.header_checksum = true})},
      {"a header may have all of it and be long",
       gzip_member(model, {.extra = noise(60'000, 1),
                           .name = std::string(5'000, 'n'),
                           .comment = std::string(5'000, 'c'),
                           .header_checksum = true})},
      {"the window may be small", gzip_member(model, {.window_bits = 9})},
      {"one zero may follow", joined({whole, Bytes(1)})},
      {"zeros may follow, as on a tape", joined({whole, Bytes(10'240 - whole.size())})},
      {"zeros and something else may not", joined({whole, Bytes(512), bytes_of("x")}),
       Errc::garbage_after_stream},
      {"zeros and another member may not", joined({half, Bytes(512), rest}),
       Errc::garbage_after_stream},
      {"a method that is not deflate is not known",
       [&] {
         Bytes bytes = whole;
         bytes[2] = std::byte{7};
         return bytes;
       }(),
       Errc::unsupported_stream},
      {"a flag that is reserved is not known",
       [&] {
         Bytes bytes = whole;
         bytes[3] = std::byte{0x80};
         return bytes;
       }(),
       Errc::unsupported_stream},
  });
}

TEST_CASE("zlib files are what RFC 1950 allows") {
  const Bytes model = small_model().bytes();
  const Bytes whole = zlib_stream(model);
  check({
      {"one stream is a model", whole},
      {"a window of less than 32 KiB is not what anybody writes, and is not recognised",
       zlib_stream(model, {.window_bits = 14}), Errc::unknown_format},
      {"a stream stands alone", joined({whole, whole}), Errc::garbage_after_stream},
      {"nothing may follow", joined({whole, Bytes(1)}), Errc::garbage_after_stream},
      {"a dictionary is nobody's here",
       zlib_stream(model, {.dictionary = bytes_of("general.architecture")}),
       Errc::unsupported_stream},
  });
}

TEST_CASE("bzip2 files are streams, one behind the other") {
  const Bytes model = small_model().bytes();
  const std::span<const std::byte> all(model);
  const Bytes whole = bzip2_stream(model);
  const Bytes half = bzip2_stream(all.first(1234), 1);
  const Bytes rest = bzip2_stream(all.subspan(1234), 9);
  const Bytes empty = bzip2_stream({});
  check({
      {"two streams of different levels are one model", joined({half, rest})},
      {"streams may be empty", joined({empty, half, empty, rest, empty})},
      {"zeros may not follow", joined({whole, Bytes(1)}), Errc::garbage_after_stream},
      {"bzip2's first version is another format",
       [&] {
         Bytes bytes = whole;
         bytes[2] = std::byte{'0'};
         return bytes;
       }(),
       Errc::unknown_format},
  });
}

TEST_CASE("xz files are what the .xz file format allows") {
  const Bytes model = small_model().bytes();
  const std::span<const std::byte> all(model);
  const Bytes whole = xz_stream(model);
  const Bytes half = xz_stream(all.first(1234), {.level = 0, .check = XzCheck::none});
  const Bytes rest = xz_stream(all.subspan(1234), {.level = 9, .check = XzCheck::crc32});
  const Bytes empty = xz_stream({});
  std::vector<Row> rows{
      {"two streams are one model", joined({half, rest})},
      {"streams may be empty", joined({empty, half, empty, rest, empty})},
      {"a stream may have several blocks", xz_stream(model, {.block_bytes = 100})},
      {"SHA-256 is a check", xz_stream(model, {.check = XzCheck::sha256})},
      {"a filter may come before LZMA2", xz_stream(model, {.delta = true})},
      {"the dictionary may be as small as it can be", xz_stream(model, {.dictionary = 4096})},
      {"padding may be between streams", joined({half, Bytes(4), rest, Bytes(1024)})},
      {"padding and something else may not", joined({whole, Bytes(4), bytes_of("x")}),
       Errc::garbage_after_stream},
      {"padding that is no multiple of four, and a stream, may not", joined({half, Bytes(6), rest}),
       Errc::garbage_after_stream},
  };
  for (const std::size_t zeros : {1U, 2U, 3U, 5U, 1023U}) {
    rows.push_back({std::to_string(zeros) + " bytes of padding are not all there",
                    joined({whole, Bytes(zeros)}), Errc::truncated_stream});
  }
  for (const std::size_t zeros : {4U, 8U, 70'000U})
    rows.push_back(
        {std::to_string(zeros) + " bytes of padding may follow", joined({whole, Bytes(zeros)})});
  check(rows);
}

TEST_CASE("zstd files are what RFC 8878 allows") {
  const Bytes model = small_model().bytes();
  const std::span<const std::byte> all(model);
  const Bytes whole = zstd_frame(model);
  const Bytes half = zstd_frame(all.first(1234), {.level = 19, .content_size = false});
  const Bytes rest = zstd_frame(all.subspan(1234), {.level = 1, .checksum = false});
  const Bytes empty = zstd_frame({});
  const Bytes skipped = skippable_frame(noise(100, 1), 5);
  check({
      {"two frames are one model", joined({half, rest})},
      {"frames may be empty", joined({empty, half, empty, rest, empty})},
      {"frames may be skipped, before, between and behind",
       joined({skipped, half, skipped, skipped, rest, skipped})},
      {"a skipped frame may be empty", joined({skippable_frame({}), whole, skippable_frame({})})},
      {"a skipped frame may be large", joined({skippable_frame(noise(300'000, 2)), whole})},
      {"a frame need not have a checksum", zstd_frame(model, {.checksum = false})},
      {"a frame need not say its size", zstd_frame(model, {.content_size = false})},
      {"a frame may be made with --long",
       zstd_frame(model, {.window_log = 27, .long_distance = true})},
      {"a frame may be of blocks that are not compressed",
       raw_zstd_frame(model, {.content_size = model.size()})},
      {"a frame may be a single segment",
       raw_zstd_frame(model, {.content_size = model.size(), .window_log = {}})},
      {"a skipped frame must be all there",
       joined({whole, Bytes(skipped.begin(), skipped.end() - 1)}), Errc::truncated_stream},
      {"so must its header", joined({whole, Bytes(skipped.begin(), skipped.begin() + 7)}),
       Errc::truncated_stream},
      {"skipped frames alone are no model", skipped, Errc::empty_file},
      {"a frame of LZ4 may not follow", joined({whole, lz4_frame({})}), Errc::garbage_after_stream},
      {"zeros may not follow", joined({whole, Bytes(4)}), Errc::garbage_after_stream},
      {"a size that is not that of the content is found",
       raw_zstd_frame(model, {.content_size = model.size() + 1}), Errc::damaged_stream},
      {"a frame that names a dictionary is not decoded without it",
       raw_zstd_frame(model, {.content_size = model.size(), .dictionary_id = 7}),
       Errc::unsupported_stream},
      {"a reserved bit is not known",
       raw_zstd_frame(model, {.content_size = model.size(), .reserved_bit = true}),
       Errc::unsupported_stream},
  });
}

TEST_CASE("a zstd frame with a dictionary that it does not name never becomes another model") {
  const Bytes model = small_model().bytes();
  const Bytes file = zstd_frame(model, {.dictionary = Bytes(model.begin(), model.begin() + 1500)});
  REQUIRE(file.size() < zstd_frame(model).size());
  for (const Way way : kFastWays) {
    const std::error_code code = outcome(way, file);
    CHECK((code == Errc::damaged_stream || code == Errc::bad_checksum));
  }
}

TEST_CASE("LZ4 files are what the frame format allows") {
  const Bytes model = small_model().bytes();
  const std::span<const std::byte> all(model);
  const Bytes whole = lz4_frame(model);
  const Bytes half =
      lz4_frame(all.first(1234), {.level = 12, .linked = false, .content_size = true});
  const Bytes rest = lz4_frame(all.subspan(1234), {.block_log = 22, .checksum = false});
  const Bytes empty = lz4_frame({});
  const Bytes skipped = skippable_frame(noise(100, 1), 15);
  std::vector<Row> rows{
      {"two frames are one model", joined({half, rest})},
      {"frames may be empty", joined({empty, half, empty, rest, empty})},
      {"frames may be skipped, before, between and behind",
       joined({skipped, half, skipped, skipped, rest, skipped})},
      {"a skipped frame may be large", joined({skippable_frame(noise(300'000, 2)), whole})},
      {"blocks may have checksums of their own", lz4_frame(model, {.block_checksums = true})},
      {"nothing need have a checksum", lz4_frame(model, {.checksum = false})},
      {"a frame may say its size", lz4_frame(model, {.content_size = true})},
      {"a frame that says another size is found", lz4_frame(model, {.claimed_size = 100}),
       Errc::bad_checksum},
      {"a frame with a dictionary is not decoded without it",
       lz4_frame(model, {.dictionary_id = 7}), Errc::unsupported_stream},
      {"a frame of zstd may not follow", joined({whole, zstd_frame({})}),
       Errc::garbage_after_stream},
      {"LZ4 before it had frames is of no format", joined({bytes_of("\x02\x21\x4C\x18"), model}),
       Errc::unknown_format},
  };
  for (const unsigned log : {16U, 18U, 20U, 22U}) {
    for (const bool linked : {true, false}) {
      rows.push_back(
          {"blocks of 2^" + std::to_string(log) + (linked ? ", linked" : ", independent"),
           lz4_frame(model, {.linked = linked, .block_log = log})});
    }
  }
  check(rows);
}

TEST_CASE("a model larger than every window and every block is the same in all of them") {
  const Sample model = GgufBuilder()
                           .entry("general.architecture", "llama")
                           .tensor({.name = "noise", .dims = {300'000}})
                           .tensor({.name = "zeros", .dims = {500'000}, .data = Bytes(2'000'000)})
                           .build();
  const Bytes& plain = model.bytes();
  const std::vector<Row> rows{
      {"gzip", gzip_member(plain, {.level = 1})},
      {"zlib", zlib_stream(plain, {.level = 1})},
      {"bzip2", bzip2_stream(plain, 1)},
      {"xz", xz_stream(plain, {.level = 0, .block_bytes = 1'000'000, .dictionary = 4096})},
      {"zstd", zstd_frame(plain, {.level = 1, .content_size = false, .window_log = 10})},
      {"LZ4 in small blocks", lz4_frame(plain, {.linked = true, .block_log = 16})},
      {"LZ4 in large blocks", lz4_frame(plain, {.linked = false, .block_log = 22})},
  };
  for (const Row& row : rows) {
    INFO(row.fact);
    for (const Way way : {Way::open, Way::pipe, Way::push})
      CHECK(is_same(load(way, row.file), plain));
    CHECK(is_same(push(row.file, {}, 1 << 20), plain));
  }
}

}  // namespace
}  // namespace ballast::test
