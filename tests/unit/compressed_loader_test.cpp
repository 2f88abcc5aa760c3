// Compressed bytes that come piece by piece: the same model from pieces of any size, put once where
// it stays, refused as soon as that can be known, and nothing left of it afterwards.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include "tests/support/allocations.hpp"
#include "tests/support/random.hpp"
#include "tests/support/safetensors_builder.hpp"
#include "tests/unit/compressed.hpp"

namespace ballast::test {
namespace {

// Larger than every first look and every small buffer.
Sample model() {
  return SafetensorsBuilder()
      .entry("note", std::string(70'001, 'x'))
      .tensor({.name = "a", .dtype = "BF16", .shape = {500, 64}})
      .tensor({.name = "b", .dtype = "U8", .shape = {7}})
      .build();
}

struct Pieces {
  std::size_t size;  // 0: random ones
  Random random;
  std::size_t next(std::size_t left) {
    const std::size_t wanted = size != 0 ? size : static_cast<std::size_t>(random.between(1, 9000));
    return std::min(left, wanted);
  }
};

ModelData load_pieces(std::span<const std::byte> bytes, Pieces pieces,
                      const LoaderOptions& options) {
  Loader loader(options);
  while (!bytes.empty()) {
    const std::size_t count = pieces.next(bytes.size());
    loader.push(bytes.first(count));
    bytes = bytes.subspan(count);
  }
  return loader.finish();
}

TEST_CASE("compressed pieces of any size make the same bytes as the whole file") {
  const Compression codec = GENERATE(from_range(kCompressions));
  const std::uint64_t seed = test_seed(20261124);
  const Sample sample = model();
  const Bytes file = compress(codec, sample.bytes());
  for (const std::size_t size : {1U, 2U, 3U, 7U, 511U, 512U, 4096U, 1U << 20, 0U}) {
    for (const bool total_known : {false, true}) {
      CAPTURE(name(codec), size, total_known, seed);
      LoaderOptions options;
      if (total_known) options.total = file.size();
      const ModelData data = load_pieces(file, {size, Random(seed)}, options);
      CHECK(is_same(data, sample.bytes()));
      CHECK(data.compression() == codec);
      CHECK(data.compressed_size() == file.size());
      CHECK(reinterpret_cast<std::uintptr_t>(data.bytes().data() + sample.at("data")) % 64 == 0);
    }
  }
}

TEST_CASE("what prepare gives and commit takes need not be the same for compressed bytes") {
  const Compression codec = GENERATE(from_range(kCompressions));
  const Sample sample = model();
  const Bytes file = compress(codec, sample.bytes());
  Loader loader;
  for (std::size_t at = 0; at < file.size();) {
    const std::span<std::byte> room = loader.prepare(1000);
    REQUIRE_FALSE(room.empty());
    REQUIRE(room.size() <= 1000);
    const std::size_t count = std::min(std::max<std::size_t>(1, room.size() / 3), file.size() - at);
    std::ranges::copy(std::span(file).subspan(at, count), room.begin());
    loader.commit(count);
    loader.commit(0);
    at += count;
  }
  CHECK(is_same(loader.finish(), sample.bytes()));
}

TEST_CASE("room for compressed bytes is given once, and no more is taken than there was") {
  const Bytes file = compress(Compression::zstd, model().bytes());
  for (const std::size_t before : {std::size_t{0}, std::size_t{100}, std::size_t{2000}}) {
    Loader loader;
    loader.push(std::span(file).first(before));
    const std::size_t room = loader.prepare(20).size();
    REQUIRE(room > 0);
    CHECK(error_of([&] { loader.commit(room + 1); }).code() == Errc::misuse);
    CHECK(error_of([&] { loader.push(file); }).code() == Errc::misuse);
    CHECK(loader.progress().done == 0);
  }
}

TEST_CASE("compressed pieces of one byte cost no more than pieces of any size") {
  const Compression codec = GENERATE(from_range(kCompressions));
  const Bytes file = compress(codec, model().bytes());
  const auto cost = [&](std::size_t piece) {
    const Allocations allocations;
    static_cast<void>(push(file, {}, piece));
    return allocations.bytes();
  };
  const std::uint64_t large = cost(1 << 20);
  for (const std::size_t piece : {1U, 7U, 4096U}) {
    CAPTURE(name(codec), piece);
    CHECK(cost(piece) <= large + 65'536);
  }
}

TEST_CASE("compressed bytes that were announced in another number are refused") {
  const Compression codec = GENERATE(from_range(kCompressions));
  CAPTURE(name(codec));
  const Bytes file = compress(codec, model().bytes());
  const Error more = error_of([&] { return push(file, {.total = file.size() + 10}); });
  CHECK(more.code() == Errc::incomplete_input);
  CHECK(more.expected() == file.size() + 10);
  CHECK(more.actual() == file.size());
  CHECK(error_of([&] { return push(file, {.total = file.size() - 10}); }).code() ==
        Errc::file_changed);
}

TEST_CASE("damage is refused when it comes, and not when all has come") {
  const Compression codec = GENERATE(from_range(kCompressions));
  CAPTURE(name(codec));
  // In its third block of 100 kB, for bzip2: its first one would come out as no model at all.
  const Sample sample =
      SafetensorsBuilder().tensor({.name = "a", .dtype = "U8", .shape = {1'000'000}}).build();
  Bytes file = compress(codec, sample.bytes(), levels(codec)[0]);
  Bytes bad = file;
  for (std::size_t i = 0; i < 2000; ++i) bad[300'000 + i] = std::byte{0xFF};
  std::size_t at = 0;
  const Error error = error_of([&] {
    Loader loader;
    for (; at < bad.size(); at += 1000)
      loader.push(std::span(bad).subspan(at, std::min<std::size_t>(1000, bad.size() - at)));
    static_cast<void>(loader.finish());
  });
  // Stored bytes of gzip and zlib, and raw blocks, carry no check of their own: the last bytes do.
  CHECK((error.code() == Errc::damaged_stream || error.code() == Errc::bad_checksum));
  if (codec == Compression::bzip2) CHECK(at < 500'000);
}

TEST_CASE("errors in compressed pieces say what the input was") {
  const LoaderOptions named{.path = "https://example.org/model.gguf.gz"};
  const Bytes file = compress(Compression::gzip, model().bytes());
  const Error error = error_of([&] { return push(std::span(file).first(2000), named); });
  CHECK(error.code() == Errc::truncated_stream);
  CHECK(error.path() == named.path);
  CHECK(push(file, named).path() == named.path);
}

TEST_CASE("a loader of compressed bytes that has ended refuses what else is asked of it") {
  const Bytes file = compress(Compression::lz4, model().bytes());
  Loader finished;
  finished.push(file);
  static_cast<void>(finished.finish());
  CHECK(error_of([&] { finished.push(file); }).code() == Errc::misuse);
  Loader cancelled;
  cancelled.push(std::span(file).first(1000));
  cancelled.cancel();
  CHECK(error_of([&] { static_cast<void>(cancelled.finish()); }).code() == Errc::misuse);
  CHECK(cancelled.progress().done == 0);
  Loader moved;
  moved.push(std::span(file).first(1000));
  Loader taken = std::move(moved);
  taken.push(std::span(file).subspan(1000));
  CHECK(is_same(taken.finish(), model().bytes()));
}

TEST_CASE("compressed bytes that hold no model are refused, whether a model is required or not") {
  const Bytes file = compress(Compression::zstd, noise(3000, 1));
  CHECK(error_of([&] { return push(file); }).code() == Errc::unknown_format);
  CHECK(error_of([&] { return push(file, {.require_model = false}); }).code() ==
        Errc::unknown_format);
  const std::string index = IndexBuilder().tensor("a", "one.safetensors").build();
  const Bytes compressed = compress(Compression::zstd, bytes_of(index));
  CHECK(is_same(push(compressed, {.require_model = false}), bytes_of(index)));
}

}  // namespace
}  // namespace ballast::test
