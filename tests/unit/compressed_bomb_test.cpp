// Compressed files that were made to be decoded for ever: one that decodes to itself, files in
// files, thousands of members, frames and streams with nothing in them, frames that claim to be
// skipped for 4 GiB, sizes that are not so.
#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "tests/support/allocations.hpp"
#include "tests/support/decompress.hpp"
#include "tests/support/quine.hpp"
#include "tests/unit/compressed.hpp"

namespace ballast::test {
namespace {

constexpr std::size_t kNothing = 60'000;  // bytes of what holds nothing

Bytes repeated(const Bytes& part, std::size_t times) {
  Bytes out;
  out.reserve(part.size() * times);
  while (times-- > 0) append(out, part);
  return out;
}

Bytes joined(const std::vector<Bytes>& parts) {
  Bytes out;
  for (const Bytes& part : parts) append(out, part);
  return out;
}

TEST_CASE("a gzip file that decompresses to itself is decoded once, and refused") {
  const Bytes quine = gzip_quine();
  REQUIRE(decompress(Compression::gzip, quine, quine.size()) == quine);
  for (const Way way : kWays) {
    CAPTURE(name_of(way));
    const Error error = refusal(way, quine);
    CHECK(error.code() == Errc::compressed_twice);
    CHECK(error.offset() == 0U);
  }
  for (const std::size_t piece : {1U, 7U, 100U}) {
    const Error error = error_of([&] { static_cast<void>(push(quine, {}, piece)); });
    CHECK(error.code() == Errc::compressed_twice);
  }
  OpenOptions options;
  options.decompress = false;
  CHECK(is_same(load(Way::open, quine, options), quine));
}

TEST_CASE("a model in any number of compressed files is refused after the first") {
  for (const Compression codec : kCompressions) {
    Bytes file = small_model().bytes();
    for (int depth = 0; depth < 12; ++depth) file = compress(codec, file);
    for (const Way way : kFastWays) {
      CAPTURE(name(codec), name_of(way));
      CHECK(outcome(way, file) == Errc::compressed_twice);
    }
  }
}

TEST_CASE("thousands of members, streams and frames with nothing in them are passed over") {
  const Bytes model = small_model().bytes();
  const std::span<const std::byte> all(model);
  struct Row {
    const char* what;
    Bytes nothing;
    Bytes begin;
    Bytes rest;
  };
  const std::vector<Row> rows{
      {"members of gzip", gzip_member({}), gzip_member(all.first(100)),
       gzip_member(all.subspan(100))},
      {"streams of bzip2", bzip2_stream({}), bzip2_stream(all.first(100)),
       bzip2_stream(all.subspan(100))},
      {"streams of xz", xz_stream({}), xz_stream(all.first(100)), xz_stream(all.subspan(100))},
      {"frames of zstd", zstd_frame({}), zstd_frame(all.first(100)), zstd_frame(all.subspan(100))},
      {"frames to be skipped by zstd", skippable_frame({}), zstd_frame(all.first(100)),
       zstd_frame(all.subspan(100))},
      {"frames of LZ4", lz4_frame({}), lz4_frame(all.first(100)), lz4_frame(all.subspan(100))},
      {"frames to be skipped by LZ4", skippable_frame({}), lz4_frame(all.first(100)),
       lz4_frame(all.subspan(100))},
  };
  for (const Row& row : rows) {
    const Bytes nothing = repeated(row.nothing, kNothing / row.nothing.size());
    const Bytes file = joined({row.begin, nothing, row.rest, nothing});
    for (const Way way : kFastWays) {
      CAPTURE(row.what, name_of(way));
      const Allocations allocations;
      CHECK(is_same(load(way, file), model));
      CHECK(allocations.largest() < 9 * kMiB);
    }
    // And nothing else is no model, however much there is of it.
    CHECK(outcome(Way::open, joined({row.nothing, nothing})) == Errc::empty_file);
  }
}

TEST_CASE("a frame that claims to be skipped for 4 GiB takes no memory, and ends with the file") {
  const Bytes model = small_model().bytes();
  Bytes endless;
  append_number(endless, 0x184D2A50U, 4);
  append_number(endless, 0xFFFF'FFFFU, 4);
  append(endless, noise(1'000, 1));
  for (const Bytes& frame : {zstd_frame(model), lz4_frame(model)}) {
    for (const Bytes& file : {joined({frame, endless}), joined({endless, frame})}) {
      for (const Way way : kWays) {
        CAPTURE(name_of(way));
        const Allocations allocations;
        const std::error_code code = outcome(way, file);
        // Before the first frame nothing tells yet whose it is.
        CHECK((code == Errc::truncated_stream || code == Errc::unknown_format));
        CHECK(allocations.largest() < 9 * kMiB);
      }
    }
  }
}

TEST_CASE("sizes that are not so are found where the codec has them") {
  const Bytes model = small_model().bytes();
  const auto with_end = [](Bytes file, std::uint32_t size) {
    Bytes end;
    append_number(end, size, 4);
    std::ranges::copy(end, file.end() - 4);
    return file;
  };
  const auto size = static_cast<std::uint32_t>(model.size());
  const Bytes gzip = gzip_member(model);
  for (const std::uint32_t lie : {0U, 1U, size - 1, size + 1, 0x7FFF'FFFFU, 0xFFFF'FFFFU}) {
    for (const Way way : kFastWays) {
      CAPTURE(lie, name_of(way));
      const Allocations allocations;
      const std::error_code code = outcome(way, with_end(gzip, lie));
      CHECK((code == Errc::bad_checksum || code == Errc::damaged_stream));
      CHECK(outcome(way, raw_zstd_frame(model, {.content_size = lie})) != Errc::ok);
      CHECK(outcome(way, lz4_frame(model, {.claimed_size = lie == 0 ? 1U : lie})) != Errc::ok);
      CHECK(allocations.largest() < 9 * kMiB);
    }
  }
}

}  // namespace
}  // namespace ballast::test
