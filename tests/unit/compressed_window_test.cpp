// The memory that a stream asks for beside the model: as much as is allowed, and refused before it
// is allocated where it is more.
#include <cstdint>
#include <limits>
#include <string>

#include <catch2/catch_test_macros.hpp>

#include "tests/unit/compressed.hpp"

namespace ballast::test {
namespace {

// CRC-32 as xz has it (the .xz file format, 6).
std::uint32_t crc32(std::span<const std::byte> bytes) {
  std::uint32_t crc = ~0U;
  for (const std::byte byte : bytes) {
    crc ^= std::to_integer<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (0xEDB88320U & (0U - (crc & 1U)));
  }
  return ~crc;
}

// The same stream with another dictionary size in the header of its first block (5.3.1), where the
// 12 bytes of the stream's own header are followed by: size, flags, filter 0x21, size 1,
// dictionary.
Bytes xz_claiming(Bytes stream, unsigned dictionary) {
  constexpr std::size_t kBlock = 12;
  const std::size_t size = (std::to_integer<std::size_t>(stream[kBlock]) + 1) * 4;
  REQUIRE(stream[kBlock + 2] == std::byte{0x21});
  stream[kBlock + 4] = static_cast<std::byte>(dictionary);
  Bytes checksum;
  append_number(checksum, crc32(std::span(stream).subspan(kBlock, size - 4)), 4);
  std::ranges::copy(checksum, stream.begin() + static_cast<std::ptrdiff_t>(kBlock + size - 4));
  return stream;
}

// The same with another identifier of the check in the stream's header (2.1.1).
Bytes xz_with_check(Bytes stream, unsigned check) {
  stream[7] = static_cast<std::byte>(check);
  Bytes checksum;
  append_number(checksum, crc32(std::span(stream).subspan(6, 2)), 4);
  std::ranges::copy(checksum, stream.begin() + 8);
  return stream;
}

OpenOptions with_window(std::uint64_t most) {
  OpenOptions options;
  options.decode.max_window = most;
  return options;
}

void check_refused(const Bytes& file, const OpenOptions& options, std::string_view codec) {
  for (const Way way : kFastWays) {
    INFO(codec << " by " << name_of(way) << ", at most " << options.decode.max_window);
    const Error error = refusal(way, file, options);
    CHECK(error.code() == Errc::window_too_large);
    CHECK(error.actual() == options.decode.max_window);
    CHECK(error.expected() > options.decode.max_window);
    CHECK(error.message().find("decoding " + std::string(codec)) == 0);
    CHECK(error.message().find("max_window") != std::string::npos);
    CHECK(error.input_offset() <= 24U);
  }
}

void check_accepted(const Bytes& file, const OpenOptions& options, const Bytes& plain) {
  for (const Way way : kFastWays) CHECK(is_same(load(way, file, options), plain));
}

TEST_CASE("a zstd window may be as large as is allowed, and no larger") {
  const Bytes model = small_model().bytes();
  const Bytes file = raw_zstd_frame(model, {.window_log = 20});
  check_accepted(file, with_window(1 << 20), model);
  check_accepted(file, with_window(std::numeric_limits<std::uint64_t>::max()), model);
  check_refused(file, with_window((1 << 20) - 1), "zstd");
  check_refused(file, with_window(0), "zstd");
  check_accepted(raw_zstd_frame(model, {.content_size = model.size(), .window_log = 27}), {},
                 model);
  for (const unsigned log : {28U, 31U, 41U})
    check_refused(raw_zstd_frame(model, {.window_log = log}), {}, "zstd");
}

TEST_CASE("a zstd frame that is a single segment needs a window of its size") {
  const Bytes model = model_of_zeros(5 * kMiB).bytes();
  const Bytes file = raw_zstd_frame(model, {.content_size = model.size(), .window_log = {}});
  check_accepted(file, with_window(8 * kMiB), model);
  check_refused(file, with_window(4 * kMiB), "zstd");
}

TEST_CASE("an xz dictionary may be as large as is allowed, and no larger") {
  const Bytes model = small_model().bytes();
  const Bytes file = xz_stream(model, {.dictionary = 8U << 20});
  check_accepted(file, with_window(8 << 20), model);
  check_accepted(file, with_window(std::numeric_limits<std::uint64_t>::max()), model);
  check_refused(file, with_window(4 << 20), "xz");
  check_refused(file, with_window(0), "xz");
  // 96 MiB, 128 MiB, then 192 MiB, 768 MiB and 4 GiB less one byte.
  const Bytes any = xz_stream(model);
  check_accepted(xz_claiming(any, 29), {}, model);
  check_accepted(xz_claiming(any, 30), {}, model);
  for (const unsigned code : {31U, 35U, 40U}) check_refused(xz_claiming(any, code), {}, "xz");
}

TEST_CASE("the second stream or frame of a file may not ask for more either") {
  const Bytes model = small_model().bytes();
  const std::span<const std::byte> all(model);
  Bytes zstd = raw_zstd_frame(all.first(2000), {.window_log = 12});
  append(zstd, raw_zstd_frame(all.subspan(2000), {.window_log = 20}));
  Bytes xz = xz_stream(all.first(2000), {.dictionary = 4096});
  append(xz, xz_stream(all.subspan(2000), {.dictionary = 4U << 20}));
  for (const Bytes& file : {zstd, xz}) {
    check_accepted(file, with_window(4 << 20), model);
    for (const Way way : kFastWays)
      CHECK(outcome(way, file, with_window(64 << 10)) == Errc::window_too_large);
  }
}

TEST_CASE("xz with a check that is not known is not taken on trust") {
  const Bytes file = xz_stream(small_model().bytes());
  CHECK(is_same(push(xz_with_check(file, 4)), small_model().bytes()));
  for (const unsigned check : {2U, 3U, 5U, 15U})
    CHECK(outcome(Way::push, xz_with_check(file, check)) == Errc::unsupported_stream);
  CHECK(outcome(Way::push, xz_with_check(file, 16)) == Errc::unsupported_stream);
}

TEST_CASE("xz with a filter that is not known, or an option of one, is not decoded") {
  Bytes file = xz_stream(small_model().bytes());
  CHECK(outcome(Way::push, xz_claiming(file, 41)) == Errc::unsupported_stream);
}

TEST_CASE("limits are of no concern to codecs whose windows are small by themselves") {
  const Bytes model = small_model().bytes();
  for (const Compression codec :
       {Compression::gzip, Compression::zlib, Compression::bzip2, Compression::lz4})
    check_accepted(compress(codec, model), with_window(0), model);
}

}  // namespace
}  // namespace ballast::test
