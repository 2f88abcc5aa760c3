// A compressed file while it is decoded: how far it is, how it is ended, and what goes wrong on the
// way.
#include <algorithm>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include "tests/unit/compressed.hpp"

namespace ballast::test {
namespace {

// So much that every codec takes several steps, at the level that takes least time for it.
const Sample& large_model() {
  static const Sample kModel =
      GgufBuilder()
          .entry("general.architecture", "llama")
          .tensor({.name = "a", .dims = {512 * 1024}, .data = noise(2 * kMiB, 1)})
          .tensor({.name = "b", .dims = {1024 * 1024}, .data = Bytes(4 * kMiB, std::byte{9})})
          .tensor({.name = "c", .dims = {256 * 1024}, .data = noise(kMiB, 2)})
          .build();
  return kModel;
}

const Bytes& large_file(Compression codec) {
  static std::map<Compression, Bytes> files;
  Bytes& file = files[codec];
  const int level = codec == Compression::gzip || codec == Compression::zlib ? 1 : levels(codec)[0];
  if (file.empty()) file = compress(codec, large_model().bytes(), level);
  return file;
}

std::vector<Progress> seen_by(Way way, const Bytes& file, OpenOptions options = {}) {
  std::vector<Progress> seen;
  options.progress = [&](const Progress& progress) { seen.push_back(progress); };
  static_cast<void>(load(way, file, options));
  return seen;
}

void check_steps(const std::vector<Progress>& seen) {
  REQUIRE(seen.size() >= 3);
  CHECK(seen.front().done == 0);
  CHECK(seen.front().input_done == 0);
  CHECK(std::ranges::is_sorted(seen, {}, &Progress::done));
  CHECK(std::ranges::is_sorted(seen, {}, &Progress::input_done));
  for (const Progress& progress : seen) {
    CHECK(progress.done <= progress.total.value_or(progress.done));
    CHECK(progress.input_done <= progress.input_total.value_or(progress.input_done));
  }
}

void check_last(const Progress& last, const Bytes& file) {
  CHECK(last.done == large_model().size());
  CHECK(last.total == large_model().size());
  CHECK(last.input_done == file.size());
  CHECK(last.input_total == file.size());
}

TEST_CASE(
    "progress counts what is decoded and what comes out, only grows, and ends at both totals") {
  const Compression codec = GENERATE(from_range(kCompressions));
  const Bytes& file = large_file(codec);
  for (const Way way : {Way::open, Way::read, Way::descriptor}) {
    CAPTURE(name(codec), name_of(way));
    const std::vector<Progress> seen = seen_by(way, file);
    check_steps(seen);
    for (const Progress& progress : seen) CHECK(progress.input_total == file.size());
    check_last(seen.back(), file);
  }
}

TEST_CASE(
    "of a pipe nobody knows how much there will be, until the directory is read and it ends") {
  const Compression codec = GENERATE(from_range(kCompressions));
  CAPTURE(name(codec));
  const Bytes& file = large_file(codec);
  const std::vector<Progress> seen = seen_by(Way::pipe, file);
  check_steps(seen);
  CHECK_FALSE(seen.front().total);
  CHECK_FALSE(seen.front().input_total);
  CHECK(seen[seen.size() - 2].total == large_model().size());
  CHECK_FALSE(seen[seen.size() - 2].input_total);
  check_last(seen.back(), file);
}

TEST_CASE("a loader counts both, too") {
  const Compression codec = GENERATE(from_range(kCompressions));
  CAPTURE(name(codec));
  const Bytes& file = large_file(codec);
  const bool is_announced = GENERATE(false, true);
  LoaderOptions options;
  if (is_announced) options.total = file.size();
  Loader loader(options);
  std::vector<Progress> seen{loader.progress()};
  for (std::size_t at = 0; at < file.size(); at += 100'000) {
    loader.push(std::span(file).subspan(at, std::min<std::size_t>(100'000, file.size() - at)));
    seen.push_back(loader.progress());
  }
  check_steps(seen);
  CHECK(seen.back().total == large_model().size());
  CHECK(seen.back().input_total == options.total);
  CHECK(is_same(loader.finish(), large_model().bytes()));
  CHECK(loader.progress().done == 0);
}

TEST_CASE("a compressed load that is cancelled ends at once") {
  const Compression codec = GENERATE(from_range(kCompressions));
  const int looks = GENERATE(0, 1, 2);
  CAPTURE(name(codec), looks);
  const TempFile stored(large_file(codec));
  int seen = 0;
  int asked = 0;
  OpenOptions options;
  options.progress = [&](const Progress&) { ++seen; };
  SECTION("by a callback, which is not asked again") {
    options.cancelled = [&] {
      ++asked;
      return seen == looks;
    };
    CHECK(error_of([&] { return ModelData::open(stored.path(), options); }).code() ==
          Errc::cancelled);
    CHECK(asked == looks + 1);
    CHECK(seen == looks);
  }
#ifdef __cpp_lib_jthread
  SECTION("by a stop token") {
    std::stop_source source;
    options.stop = source.get_token();
    if (looks == 0) source.request_stop();
    options.progress = [&, source](const Progress&) mutable {
      if (++seen == looks) source.request_stop();
    };
    const Error error = error_of([&] { return ModelData::open(stored.path(), options); });
    CHECK(error.code() == Errc::cancelled);
    CHECK(error.path() == stored.path());
    CHECK(seen == looks);
  }
#endif
}

TEST_CASE("a compressed pipe that is cancelled ends before another buffer is decoded") {
  const Compression codec = GENERATE(from_range(kCompressions));
  if (codec == Compression::lz4)
    return;  // decodes 64 MiB at a time, whose cost is that of others' 1
  CAPTURE(name(codec));
  const Pipe pipe(large_file(codec));
  std::uint64_t done = 0;
  OpenOptions options;
  options.progress = [&](const Progress& progress) { done = progress.done; };
  options.cancelled = [&] { return done > kMiB; };
  const Error error = error_of([&] { return ModelData::open_descriptor(pipe.reader(), options); });
  CHECK(error.code() == Errc::cancelled);
  CHECK(done <= 3 * kMiB);
}

TEST_CASE("a cancelled load of a compressed file keeps neither memory nor descriptors") {
  require_proc();
  const Compression codec = GENERATE(from_range(kCompressions));
  const TempFile stored(large_file(codec));
  OpenOptions options;
  int seen = 0;
  options.progress = [&](const Progress&) { ++seen; };
  options.cancelled = [&] { return seen == 2; };  // the vector is there then, and partly filled
  static_cast<void>(error_of([&] { return ModelData::open(stored.path(), options); }));
  const std::size_t descriptors = open_descriptors();
  const std::size_t before = process_status("VmRSS");
  for (int i = 0; i < 5; ++i) {
    seen = 0;
    CHECK(error_of([&] { return ModelData::open(stored.path(), options); }).code() ==
          Errc::cancelled);
  }
  CHECK(open_descriptors() == descriptors);
  if (!kSanitizer) CHECK(process_status("VmRSS") < before + 8 * 1024);
}

TEST_CASE("what the progress callback of a compressed load throws passes through") {
  const Compression codec = GENERATE(from_range(kCompressions));
  const std::uint64_t limit = GENERATE(0U, 1U << 20);
  CAPTURE(name(codec), limit);
  const TempFile stored(large_file(codec));
  OpenOptions options;
  options.progress = [&](const Progress& progress) {
    if (progress.done >= limit) throw 42;
  };
  CHECK_THROWS_AS(static_cast<void>(ModelData::open(stored.path(), options)), int);
  options.progress = [&](const Progress& progress) {
    if (progress.done >= limit) throw std::runtime_error("mine");
  };
  CHECK_THROWS_AS(static_cast<void>(ModelData::read(stored.path(), options)), std::runtime_error);
  const Pipe pipe(large_file(codec));
  CHECK_THROWS_AS(static_cast<void>(ModelData::open_descriptor(pipe.reader(), options)),
                  std::runtime_error);
}

TEST_CASE("a compressed file that shrinks while it is read is refused with what was there") {
  const Compression codec = GENERATE(from_range(kCompressions));
  const Bytes& file = large_file(codec);
  for (const std::size_t left : {std::size_t{0}, std::size_t{5000}, file.size() - 1}) {
    CAPTURE(name(codec), left);
    const TempFile stored(file);
    OpenOptions options;
    options.progress = [&](const Progress& progress) {
      if (progress.input_done == 0) std::filesystem::resize_file(stored.path(), left);
    };
    const Error error = error_of([&] { return ModelData::open(stored.path(), options); });
    CHECK(error.code() == Errc::file_changed);
    CHECK(error.expected() == file.size());
    CHECK(error.actual() == left);
    CHECK(error.path() == stored.path());
  }
}

TEST_CASE("a compressed pipe that ends before the range does is refused with both ends") {
  const Bytes& file = large_file(Compression::zstd);
  Bytes longer = noise(100, 1);
  append(longer, file);
  OpenOptions options;
  options.offset = 100;
  options.length = file.size();
  CHECK(is_same(load(Way::pipe, longer, options), large_model().bytes()));
  options.length = file.size() + 1;
  const Error error = error_of([&] { return load(Way::pipe, longer, options); });
  CHECK(error.code() == Errc::range_outside_file);
  CHECK(error.expected() == 100 + file.size() + 1);
  CHECK(error.actual() == 100 + file.size());
}

}  // namespace
}  // namespace ballast::test
