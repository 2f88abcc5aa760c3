// Compressed files that are decoded as a whole: the same bytes as from a stream, or no bytes.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include "ballast/whole.hpp"
#include "platform/file.hpp"
#include "platform/workers.hpp"
#include "tests/support/compress.hpp"
#include "tests/support/random.hpp"
#include "tests/support/sample.hpp"
#include "tests/support/temp.hpp"

namespace ballast::test {
namespace {

constexpr std::size_t kSize = (std::size_t{5} << 20) + 4321;

/// Something like weights: every other byte is one of few, and some of it is zeros.
Bytes content(std::size_t size = kSize) {
  Bytes bytes = noise(size, 42);
  for (std::size_t i = 1; i < bytes.size(); i += 2) bytes[i] &= std::byte{7};
  const std::size_t zeros = size / 16;
  std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(size / 3), zeros, std::byte{0});
  return bytes;
}

/// A file of pieces that `compress` makes of equal parts of the bytes.
Bytes pieces(std::span<const std::byte> bytes, std::size_t each,
             const std::function<Bytes(std::span<const std::byte>)>& compress) {
  Bytes file;
  for (std::size_t at = 0; at < bytes.size(); at += each) {
    append(file, compress(bytes.subspan(at, std::min(each, bytes.size() - at))));
  }
  return file;
}

/// A member of bgzip: it says how large it is, less one, once that is known.
Bytes bgzip_member(std::span<const std::byte> bytes) {
  Bytes member = gzip_member(bytes, {.extra = bytes_of(std::string("BC\2\0\0\0", 6))});
  const std::size_t size = member.size() - 1;
  member[16] = static_cast<std::byte>(size & 0xFF);
  member[17] = static_cast<std::byte>(size >> 8);
  return member;
}

Bytes bgzip(std::span<const std::byte> bytes) {
  constexpr std::size_t kMember = 0xFF00;
  Bytes file = pieces(bytes, kMember, bgzip_member);
  append(file, bgzip_member({}));
  return file;
}

Bytes pzstd(std::span<const std::byte> bytes) {
  return pieces(bytes, std::size_t{2} << 20, [](std::span<const std::byte> part) {
    const Bytes frame = zstd_frame(part, {.level = 1, .content_size = false});
    Bytes both;
    append_number(both, frame.size(), 4);
    both = skippable_frame(both);
    append(both, frame);
    return both;
  });
}

Bytes zstd_frames(std::span<const std::byte> bytes) {
  return pieces(bytes, 1'500'000,
                [](std::span<const std::byte> part) { return zstd_frame(part, {.level = 1}); });
}

enum class Needs : std::uint8_t { nothing, cores };

struct Way {
  std::string name;
  Compression codec;
  Bytes file;
  Needs needs = Needs::nothing;
};

constexpr std::size_t kXzBlock = std::size_t{1} << 20;

std::vector<Way> ways(std::span<const std::byte> bytes) {
  using enum Compression;
  Bytes padded = zstd_frame(bytes, {.level = 1});
  append(padded, skippable_frame(bytes_of("behind"), 7));
  Bytes before = skippable_frame(bytes_of("before"));
  append(before, padded);
  std::vector<Way> all{
      {"zstd, one frame", zstd, zstd_frame(bytes, {.level = 1})},
      {"zstd, a window", zstd, zstd_frame(bytes, {.level = 3, .window_log = 18})},
      {"zstd, no size", zstd, zstd_frame(bytes, {.level = 1, .content_size = false})},
      {"zstd, no checksum", zstd, zstd_frame(bytes, {.level = 1, .checksum = false})},
      {"zstd, skippable frames", zstd, before},
      {"zstd, raw", zstd, raw_zstd_frame(bytes, {.content_size = bytes.size()})},
      {"zstd, frames", zstd, zstd_frames(bytes)},
      {"zstd, frames of pzstd", zstd, pzstd(bytes)},
      {"bgzip", gzip, bgzip(bytes), Needs::cores},
      {"xz, crc64", xz, xz_stream(bytes, {.level = 0, .block_bytes = kXzBlock}), Needs::cores},
      {"xz, no check", xz,
       xz_stream(bytes, {.level = 0, .check = XzCheck::none, .block_bytes = kXzBlock}),
       Needs::cores},
      {"xz, sha256, a filter", xz,
       xz_stream(
           bytes,
           {.level = 0, .check = XzCheck::sha256, .block_bytes = 2 * kXzBlock, .delta = true}),
       Needs::cores},
      {"lz4", lz4, lz4_frame(bytes, {.linked = false}), Needs::cores},
      {"lz4, all checksums", lz4,
       lz4_frame(bytes,
                 {.linked = false, .block_log = 20, .block_checksums = true, .content_size = true}),
       Needs::cores},
      {"lz4, no checksum", lz4,
       lz4_frame(bytes, {.linked = false, .block_log = 22, .checksum = false}), Needs::cores},
  };
  return all;
}

const Bytes& usual_bytes() {
  static const Bytes bytes = content();
  return bytes;
}
const std::vector<Way>& usual_ways() {
  static const std::vector<Way> all = ways(usual_bytes());
  return all;
}
const Bytes& small_bytes() {
  static const Bytes bytes = content(std::size_t{2} << 20);
  return bytes;
}
const std::vector<Way>& small_ways() {
  static const std::vector<Way> all = ways(small_bytes());
  return all;
}

struct Outcome {
  Whole whole;
  Bytes out;
};

void ignore(std::uint64_t, std::uint64_t) {}

Outcome decode(Compression codec, const std::filesystem::path& path, std::size_t size,
               const WholeWatch& watch = ignore, std::uint64_t offset = 0,
               const DecodeLimits& limits = {}) {
  const platform::File file = platform::File::open(path);
  const WholeFile whole{file, offset, file.status().identity.size - offset};
  Outcome outcome{Whole::not_tried, Bytes(size)};
  outcome.whole = decode_whole(codec, whole, outcome.out, limits, watch);
  return outcome;
}

Outcome decode(Compression codec, const Bytes& file, std::size_t size,
               const WholeWatch& watch = ignore) {
  return decode(codec, TempFile(file).path(), size, watch);
}

/// Whether a way is taken here: some need a second core.
bool may_be_left(const Way& way) {
  return way.needs == Needs::cores && platform::core_count() == 1;
}

TEST_CASE("a file that is decoded as a whole gives the bytes that were compressed") {
  const Bytes& bytes = usual_bytes();
  for (const Way& way : usual_ways()) {
    INFO(way.name);
    const Outcome outcome = decode(way.codec, way.file, bytes.size());
    CHECK(outcome.whole != Whole::failed);
    if (!may_be_left(way)) CHECK(outcome.whole == Whole::done);
    if (outcome.whole == Whole::done) CHECK(outcome.out == bytes);
  }
}

TEST_CASE("a whole file may be a part of another one") {
  const Bytes& bytes = usual_bytes();
  for (const Way& way : usual_ways()) {
    INFO(way.name);
    Bytes file = noise(12'345, 1);
    append(file, way.file);
    const TempFile temp(file);
    const Outcome outcome = decode(way.codec, temp.path(), bytes.size(), ignore, 12'345);
    CHECK(outcome.whole != Whole::failed);
    if (outcome.whole == Whole::done) CHECK(outcome.out == bytes);
  }
}

TEST_CASE("a file of another size than its directory says is not decoded as a whole") {
  const Bytes& bytes = usual_bytes();
  for (const Way& way : usual_ways()) {
    INFO(way.name);
    CHECK(decode(way.codec, way.file, bytes.size() - 1).whole != Whole::done);
    CHECK(decode(way.codec, way.file, bytes.size() + 1).whole != Whole::done);
    CHECK(decode(way.codec, way.file, 2 * bytes.size()).whole != Whole::done);
  }
}

TEST_CASE("a file that is cut short is not decoded as a whole") {
  const Bytes& bytes = small_bytes();
  Random random(test_seed(7));
  for (const Way& way : small_ways()) {
    INFO(way.name);
    const std::size_t size = way.file.size();
    for (const std::size_t cut :
         {std::size_t{1}, std::size_t{2}, std::size_t{5}, std::size_t{9}, size / 2, size - 1, size,
          static_cast<std::size_t>(random.below(size)) + 1}) {
      INFO(cut << " bytes less");
      Bytes file(way.file.begin(), way.file.end() - static_cast<std::ptrdiff_t>(cut));
      CHECK(decode(way.codec, file, bytes.size()).whole != Whole::done);
    }
  }
}

TEST_CASE("a file with something behind it is not decoded as a whole") {
  const Bytes& bytes = small_bytes();
  for (const Way& way : small_ways()) {
    INFO(way.name);
    for (const std::size_t count :
         {std::size_t{1}, std::size_t{4}, std::size_t{100}, std::size_t{100'000}}) {
      Bytes file = way.file;
      append(file, noise(count, 3));
      CHECK(decode(way.codec, file, bytes.size()).whole != Whole::done);
    }
    Bytes twice = way.file;
    append(twice, way.file);
    CHECK(decode(way.codec, twice, bytes.size()).whole != Whole::done);
  }
}

TEST_CASE("a flipped bit is found, or does not matter") {
  const Bytes& bytes = small_bytes();
  const std::uint64_t seed = test_seed(11);
  INFO("BALLAST_TEST_SEED=" << seed);
  Random random(seed);
  for (const Way& way : small_ways()) {
    INFO(way.name);
    for (int i = 0; i < 48; ++i) {
      // The headers are short, and half of what there is to find: so is half of this.
      const std::size_t range = i % 3 == 0 ? way.file.size() : 32;
      const std::size_t from_end = static_cast<std::size_t>(random.below(range));
      const std::size_t at = i % 3 == 1 ? from_end : way.file.size() - 1 - from_end;
      const auto bit = static_cast<unsigned>(random.below(8));
      INFO("bit " << bit << " of byte " << at);
      Bytes file = way.file;
      file[at] ^= static_cast<std::byte>(1U << bit);
      const Outcome outcome = decode(way.codec, file, bytes.size());
      const bool has_checksum = way.name != "zstd, no checksum" && way.name != "xz, no check" &&
                                way.name != "lz4, no checksum" && way.name != "zstd, raw";
      if (outcome.whole == Whole::done && has_checksum) CHECK(outcome.out == bytes);
    }
  }
}

TEST_CASE("a file of zeros, and one of noise, is decoded as a whole") {
  const Bytes zeros(std::size_t{20} << 20);
  const Bytes random = noise(std::size_t{2} << 20, 5);
  for (const Bytes& bytes : {zeros, random}) {
    for (const Way& way : ways(bytes)) {
      INFO(way.name << " of " << bytes.size());
      const Outcome outcome = decode(way.codec, way.file, bytes.size());
      CHECK(outcome.whole != Whole::failed);
      if (outcome.whole == Whole::done) CHECK(outcome.out == bytes);
    }
  }
}

TEST_CASE("a small file, and what depends on all before it, is left to a stream") {
  const Bytes bytes = content();
  const Bytes small = content(1000);
  const auto result = [&](Compression codec, const Bytes& file) {
    return decode(codec, file, bytes.size()).whole;
  };
  CHECK(decode(Compression::zstd, zstd_frame(small), small.size()).whole == Whole::not_tried);
  CHECK(result(Compression::lz4, lz4_frame(bytes)) == Whole::not_tried);
  CHECK(result(Compression::xz, xz_stream(bytes, {.level = 0})) == Whole::not_tried);
  CHECK(result(Compression::bzip2, bzip2_stream(bytes)) == Whole::not_tried);
  CHECK(result(Compression::gzip, gzip_member(bytes, {.level = 1})) == Whole::not_tried);
  CHECK(result(Compression::zlib, zlib_stream(bytes, {.level = 1})) == Whole::not_tried);
}

/// The threads of this process; 0 where the system does not tell.
std::size_t thread_count() {
  std::error_code error;
  std::filesystem::directory_iterator tasks("/proc/self/task", error);
  if (error) return 0;
  return static_cast<std::size_t>(std::ranges::distance(tasks));
}

/// Whether there are so many threads. The system may list one for a moment that has been joined.
bool has_threads(std::size_t count) {
  for (int i = 0; i < 1000 && thread_count() != count; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return thread_count() == count;
}

struct Enough {};

TEST_CASE("whoever watches is told how far it is, on his own thread, and ends it when he likes") {
  const Bytes& bytes = usual_bytes();
  for (const Way& way : usual_ways()) {
    INFO(way.name);
    const TempFile file(way.file);
    const std::size_t threads = thread_count();
    const std::thread::id self = std::this_thread::get_id();
    std::size_t looks = 0;
    bool is_own = true;
    bool grows = true;
    std::uint64_t last_in = 0;
    std::uint64_t last_out = 0;
    const auto watch = [&](std::uint64_t in, std::uint64_t out) {
      ++looks;
      is_own = is_own && std::this_thread::get_id() == self;
      grows =
          grows && in >= last_in && out >= last_out && in <= way.file.size() && out <= bytes.size();
      last_in = in;
      last_out = out;
    };
    const Outcome outcome = decode(way.codec, file.path(), bytes.size(), watch);
    CHECK(has_threads(threads));
    CHECK(is_own);
    CHECK(grows);
    if (outcome.whole != Whole::done) continue;
    CHECK(looks > 0);
    for (const std::size_t last : {std::size_t{1}, std::size_t{2}, looks}) {
      std::size_t count = 0;
      bool ended = false;
      try {
        static_cast<void>(
            decode(way.codec, file.path(), bytes.size(), [&](std::uint64_t, std::uint64_t) {
              if (++count == last) throw Enough();
            }));
      } catch (const Enough&) {
        ended = true;
      }
      CHECK(has_threads(threads));
      CHECK((ended || count < last));  // which depends on the time
      if (last == 1) CHECK(ended);
    }
  }
}

TEST_CASE("a file that shrinks while it is decoded as a whole is noticed, without a signal") {
  const Bytes bytes = content(std::size_t{12} << 20);
  for (const Way& way : ways(bytes)) {
    INFO(way.name);
    const TempFile file(way.file);
    bool is_cut = false;
    const Outcome outcome =
        decode(way.codec, file.path(), bytes.size(), [&](std::uint64_t, std::uint64_t) {
          if (!std::exchange(is_cut, true)) std::filesystem::resize_file(file.path(), 100'000);
        });
    if (outcome.whole == Whole::done) CHECK(outcome.out == bytes);
    // What is read ahead may be all of it.
    if (way.file.size() > (std::size_t{6} << 20)) CHECK(outcome.whole != Whole::done);
  }
}

TEST_CASE("a window over the limit is not decoded as a whole") {
  const Bytes bytes = content();
  const DecodeLimits limits{.max_window = std::uint64_t{1} << 18};
  const TempFile file(zstd_frame(bytes, {.level = 3, .window_log = 21}));
  CHECK(decode(Compression::zstd, file.path(), bytes.size(), ignore, 0, limits).whole ==
        Whole::failed);
  const TempFile blocks(xz_stream(bytes, {.level = 6, .block_bytes = kXzBlock}));
  CHECK(decode(Compression::xz, blocks.path(), bytes.size(), ignore, 0, limits).whole !=
        Whole::done);
}

TEST_CASE("an LZ4 frame ends with four zeros and nothing like them") {
  const Bytes& bytes = usual_bytes();
  Bytes file = lz4_frame(bytes, {.linked = false, .checksum = false});
  file.back() = std::byte{0x80};  // a block that is not compressed, and empty
  CHECK(decode(Compression::lz4, file, bytes.size()).whole != Whole::done);
}

TEST_CASE("many frames with nothing in them are given up soon") {
  const Bytes bytes = content(std::size_t{2} << 20);
  const Bytes empty = zstd_frame({});
  const Bytes nothing = skippable_frame({});
  for (const Bytes& frame : {empty, nothing}) {
    Bytes file = zstd_frame(std::span(bytes).first(1000), {.level = 1});
    for (int i = 0; i < 20'000; ++i) append(file, frame);
    append(file, zstd_frame(std::span(bytes).subspan(1000), {.level = 1}));
    CHECK(decode(Compression::zstd, file, bytes.size()).whole == Whole::failed);
  }
}

}  // namespace
}  // namespace ballast::test
