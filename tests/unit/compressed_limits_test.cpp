// How much a small file may ask for: bombs are refused before what they claim is allocated, and an
// honest model that compresses as well has an option.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include "tests/support/allocations.hpp"
#include "tests/support/safetensors_builder.hpp"
#include "tests/unit/compressed.hpp"

namespace ballast::test {
namespace {

constexpr std::uint64_t kClaim = 2'000'000'000;

// A small GGUF whose one tensor claims so many bytes, and whose data end after a few.
Sample claiming(std::uint64_t bytes) {
  return GgufBuilder()
      .entry("general.architecture", "llama")
      .tensor({.name = "w", .dims = {bytes / 32 * 8}, .nbytes = 0})
      .build()
      .with_tail(noise(1000, 1));
}

// Lets the process have so little more than it has that what is claimed cannot be allocated, where
// there are such limits, and lets the library think that it may: who tried would run out of memory.
class Tight {
 public:
  static constexpr std::uint64_t kAllowed = 2 * kClaim;

  Tight() {
    if (!BALLAST_HAS_MMAP || kSanitizer || !std::filesystem::exists("/proc/self/status")) return;
    limit_.emplace(RLIMIT_AS, process_status("VmSize") * 1024 + 128 * kMiB);
  }

 private:
  std::optional<LoweredLimit> limit_;
};

TEST_CASE("a few bytes that claim two gigabytes of tensors are refused, and nothing is allocated") {
  for (const Compression codec : kCompressions) {
    const Bytes file = compress(codec, claiming(kClaim).bytes());
    for (const Way way : kWays) {
      CAPTURE(name(codec), name_of(way));
      const Tight tight;
      const Allocations allocations;
      OpenOptions options;
      options.max_bytes = Tight::kAllowed;
      const Error error = refusal(way, file, options);
      CHECK(error.code() == Errc::ratio_too_high);
      CHECK(error.expected().value() >= kClaim);
      CHECK(error.actual() == file.size());
      CHECK(error.input_offset().has_value());
      CHECK(error.message().find("max_ratio") != std::string::npos);
      CHECK(allocations.largest() <= 4 * kMiB);
    }
  }
}

TEST_CASE("pushed, a claim waits for the input that justifies it, and takes no memory meanwhile") {
  for (const Compression codec : kCompressions) {
    CAPTURE(name(codec));
    const Bytes file = compress(codec, claiming(kClaim).bytes());
    const Tight tight;
    const Allocations allocations;
    Loader loader({.max_bytes = Tight::kAllowed});
    loader.push(file);
    CHECK(loader.progress().total.value() >= kClaim);
    CHECK(loader.progress().done < 2 * kMiB);
    CHECK_FALSE(loader.progress().input_total);
    CHECK(error_of([&] { static_cast<void>(loader.finish()); }).code() == Errc::ratio_too_high);
    CHECK(allocations.largest() <= kMiB);
  }
}

TEST_CASE("pushed with a total, a claim is refused as soon as it is read") {
  for (const Compression codec : kCompressions) {
    CAPTURE(name(codec));
    Bytes plain = claiming(kClaim).bytes();
    append(plain, noise(500'000, 2));
    const Bytes file = compress(codec, plain);
    Loader loader({.total = file.size()});
    const Error error = error_of([&] {
      for (std::size_t at = 0; at < file.size(); at += 1000)
        loader.push(std::span(file).subspan(at, std::min<std::size_t>(1000, file.size() - at)));
    });
    CHECK(error.code() == Errc::ratio_too_high);
    CHECK(error.actual() == file.size());
    if (codec != Compression::bzip2) CHECK(error.input_offset() < 200'000U);  // it has large blocks
  }
}

TEST_CASE("what waits is kept once, however small the pieces are that it comes in") {
  const auto cost = [](std::size_t size) {
    Bytes plain = claiming(kClaim).bytes();
    append(plain, noise(size, 3));
    const Bytes file = compress(Compression::zstd, plain);
    const Allocations allocations;
    Loader loader;
    for (const std::byte byte : file) loader.push({&byte, 1});
    CHECK(loader.progress().total.value() >= kClaim);
    return allocations.bytes();
  };
  const std::uint64_t one = cost(10'000);
  const std::uint64_t eight = cost(80'000);
  CAPTURE(one, eight);
  CHECK(eight < one + 10 * 80'000);
}

// What every byte of its kind compresses to is less than a thousandth: refused by default, and let
// pass where the ratio is raised to what it is, and not one less.
TEST_CASE("an honest model that compresses too well needs a higher ratio, and is the same then") {
  const Sample model = model_of_zeros(24 * kMiB);
  struct Row {
    Compression codec;
    int level;
  };
  const Row row =
      GENERATE(Row{Compression::gzip, 9}, Row{Compression::zlib, 9}, Row{Compression::bzip2, 9},
               Row{Compression::xz, 0}, Row{Compression::zstd, 3});
  const Bytes file = compress(row.codec, model.bytes(), row.level);
  const std::uint64_t ratio = (model.size() + file.size() - 1) / file.size();
  REQUIRE(ratio > 1000);
  for (const Way way : kFastWays) {
    CAPTURE(name(row.codec), name_of(way), ratio);
    CHECK(outcome(way, file) == Errc::ratio_too_high);
    OpenOptions options;
    options.decode.max_ratio = ratio - 1;
    CHECK(outcome(way, file, options) == Errc::ratio_too_high);
    options.decode.max_ratio = ratio;
    CHECK(is_same(load(way, file, options), model.bytes()));
  }
}

TEST_CASE("a model may come to exactly the ratio that is allowed") {
  const std::size_t overhead = model_of_zeros(64).size() - 64;
  const Sample model = model_of_zeros(24 * kMiB - overhead);
  REQUIRE(model.size() == 24 * kMiB);
  Bytes file = compress(Compression::zstd, model.bytes());
  append(file, skippable_frame(Bytes(24 * 1024 - 8 - file.size())));
  OpenOptions options;
  options.decode.max_ratio = 1024;
  for (const Way way : kFastWays) CHECK(is_same(load(way, file, options), model.bytes()));
}

TEST_CASE("a pipe is read ahead until there is enough of it for what it claims") {
  const Sample model = model_of_zeros(24 * kMiB);
  const Bytes file = compress(Compression::zstd, model.bytes());
  CHECK(outcome(Way::pipe, file) == Errc::ratio_too_high);
  OpenOptions options;
  options.decode.max_ratio = (model.size() + file.size() - 1) / file.size();
  CHECK(is_same(load(Way::pipe, file, options), model.bytes()));
}

TEST_CASE("what comes to 16 MiB at most is no bomb, however small the file is") {
  const Sample model = model_of_zeros(15 * kMiB);
  for (const Compression codec : kCompressions) {
    for (const Way way : kFastWays) {
      CAPTURE(name(codec), name_of(way));
      CHECK(is_same(load(way, compress(codec, model.bytes(), levels(codec)[0])), model.bytes()));
    }
  }
}

TEST_CASE("a header or an index is decoded no further than tensors would be") {
  const std::string spaces(20 * kMiB, ' ');
  Bytes header;  // of a length that does not come: who went on to the end would say so
  append_number(header, 90'000'000, 8);
  append(header, bytes_of("{" + spaces));
  const Bytes index = bytes_of("{" + spaces);
  for (const Compression codec : {Compression::bzip2, Compression::zstd}) {
    CAPTURE(name(codec));
    for (const Way way : kFastWays)
      CHECK(outcome(way, compress(codec, header)) == Errc::ratio_too_high);
    CHECK(outcome(Way::open, compress(codec, index)) == Errc::ratio_too_high);
  }
}

TEST_CASE("what is no model is refused after its first bytes, however much would follow") {
  const Bytes zeros(20 * kMiB);
  for (const Compression codec : kCompressions) {
    const Bytes file = compress(codec, zeros, levels(codec)[0]);
    for (const Way way : kFastWays) {
      CAPTURE(name(codec), name_of(way));
      const Allocations allocations;
      const Error error = refusal(way, file);
      CHECK(error.code() == Errc::unknown_format);
      CHECK(allocations.largest() <= 4 * kMiB);
    }
  }
}

TEST_CASE("a compressed model may be as large as is allowed, and not one byte larger") {
  const Sample model = model_of_zeros(12 * kMiB);
  for (const Compression codec : kCompressions) {
    const Bytes file = compress(codec, model.bytes(), levels(codec)[0]);
    for (const Way way : {Way::open, Way::read, Way::push}) {
      CAPTURE(name(codec), name_of(way));
      OpenOptions options;
      options.max_bytes = model.size();
      CHECK(load(way, file, options).size() == model.size());
      options.max_bytes = model.size() - 1;
      const Allocations allocations;
      const Error error = refusal(way, file, options);
      CHECK(error.code() == Errc::too_large);
      CHECK(error.expected() == model.size());
      CHECK(error.actual() == model.size() - 1);
      CHECK(error.input_offset() <= file.size());
      if (codec != Compression::bzip2) CHECK(allocations.largest() <= 3 * kMiB);
    }
  }
}

TEST_CASE("so may a compressed model without an end of its own, and an index") {
  const Sample model =
      GgufBuilder().tensor({.name = "new", .dims = {32}, .dtype = 99, .nbytes = 300'000}).build();
  const Bytes file = compress(Compression::gzip, model.bytes());
  OpenOptions options;
  for (const Way way : {Way::open, Way::pipe}) {
    options.max_bytes = model.size();
    CHECK(is_same(load(way, file, options), model.bytes()));
    options.max_bytes = model.size() - 1;
    CHECK(outcome(way, file, options) == Errc::too_large);
  }
}

TEST_CASE("one vector may not hold what a compressed file claims, whatever is allowed") {
  const std::uint64_t most = std::vector<std::byte>().max_size();
  const Sample model =
      GgufBuilder().tensor({.name = "w", .dims = {most / 4 / 32 * 32 + 32}, .nbytes = 0}).build();
  const Bytes file = compress(Compression::lz4, model.with_tail(noise(1000, 4)).bytes());
  OpenOptions options;
  options.max_bytes = std::numeric_limits<std::uint64_t>::max();
  options.decode.max_ratio = std::numeric_limits<std::uint64_t>::max();
  for (const Way way : kFastWays) CHECK(outcome(way, file, options) == Errc::vector_limit);
}

TEST_CASE("a size in the header of a frame is no reason to allocate it") {
  const Bytes model = small_model().bytes();
  constexpr std::uint64_t kHuge = std::uint64_t{1} << 40;
  struct Row {
    Bytes file;
    Errc refusal;
  };
  const Row rows[]{
      {raw_zstd_frame(model, {.content_size = kHuge}), Errc::damaged_stream},
      {raw_zstd_frame(model, {.content_size = kHuge, .window_log = {}}), Errc::window_too_large},
      {lz4_frame(model, {.claimed_size = kHuge}), Errc::bad_checksum},
  };
  for (const Row& row : rows) {
    for (const Way way : kFastWays) {
      const Tight tight;
      CHECK(name(refusal(way, row.file).code()) == name(row.refusal));
    }
  }
}

}  // namespace
}  // namespace ballast::test
