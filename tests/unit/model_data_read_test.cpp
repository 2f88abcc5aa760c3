// Reading a file to the heap: one exact vector, well placed, with progress, and ended at any time.
#include <algorithm>
#include <stdexcept>
#include <string>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include "tests/support/gguf_builder.hpp"
#include "tests/support/pipe.hpp"
#include "tests/support/safetensors_builder.hpp"
#include "tests/unit/storage.hpp"

namespace ballast::test {
namespace {

std::size_t data_residue(const ModelData& data, const Sample& sample) {
  return reinterpret_cast<std::uintptr_t>(data.bytes().data() + sample.at("data")) % 64;
}

Sample gguf(std::size_t filler) {
  return GgufBuilder()
      .entry("general.architecture", std::string(filler, 'x'))
      .tensor({.name = "weight", .dims = {64}})
      .build();
}

Sample safetensors(std::size_t filler) {
  return SafetensorsBuilder()
      .header_alignment(1)
      .entry("note", std::string(filler, 'x'))
      .tensor({.name = "weight", .dtype = "U8", .shape = {64}})
      .build();
}

TEST_CASE("the data of a model's tensors begin at a multiple of 64, whatever the header's length") {
  for (std::size_t filler = 0; filler < 70; ++filler) {
    for (const Sample& sample : {gguf(filler), safetensors(filler)}) {
      CAPTURE(filler, sample.at("data"));
      const TempFile file(sample.bytes());
      const ModelData data = ModelData::read(file.path());
      CHECK(copy_of(data) == sample.bytes());
      CHECK(data_residue(data, sample) == 0);
    }
  }
}

TEST_CASE("so do those after a header that is longer than the first look at the file") {
  const std::size_t filler = GENERATE(65536UL, 200001UL, 5 * kMiB + 3);
  for (const Sample& sample : {gguf(filler), safetensors(filler)}) {
    CAPTURE(filler, sample.at("data"));
    const TempFile file(sample.bytes());
    const ModelData data = ModelData::read(file.path());
    CHECK(copy_of(data) == sample.bytes());
    CHECK(data_residue(data, sample) == 0);
  }
}

TEST_CASE("so do those of a model inside a bigger file, and of one that is large") {
  const Sample sample = GgufBuilder()
                            .entry("general.architecture", "odd")
                            .tensor({.name = "weight", .dims = {3 * kMiB}})
                            .build();
  Bytes whole = noise(101, 1);
  append(whole, sample.bytes());
  append(whole, noise(33, 2));
  const TempFile file(whole);
  OpenOptions options;
  options.offset = 101;
  options.length = sample.size();
  const ModelData data = ModelData::read(file.path(), options);
  CHECK(copy_of(data) == sample.bytes());
  CHECK(data_residue(data, sample) == 0);
}

TEST_CASE("a broken model is read all the same, because others may know what to do with it") {
  const Sample broken = gguf(10).with<std::uint32_t>("version", 99);
  const TempFile file(broken.bytes());
  CHECK(copy_of(ModelData::read(file.path())) == broken.bytes());
}

TEST_CASE("reading takes the memory of the file, once") {
  constexpr std::size_t kSize = 96 * kMiB + 1;
  const TempFile file(noise(kSize, 3));
  ModelData data;
  const std::size_t peak = peak_growth([&] { data = ModelData::read(file.path()); });
  CHECK(data.size() == kSize);
  CHECK(peak >= kSize - 4 * kMiB);
  CHECK(peak <= kSize + 4 * kMiB);
}

TEST_CASE("progress only grows, begins at nothing, and ends at the total") {
  constexpr std::size_t kSize = 256 * kMiB + 1;
  const TempDir folder;
  std::vector<std::uint64_t> seen;
  OpenOptions options;
  options.progress = [&](const Progress& progress) {
    CHECK(progress.total == kSize);
    seen.push_back(progress.done);
  };
  const ModelData data = ModelData::read(sparse_file(folder, kSize), options);
  REQUIRE(seen.size() > 3);
  CHECK(seen.front() == 0);
  CHECK(seen.back() == kSize);
  CHECK(std::ranges::is_sorted(seen));
}

TEST_CASE("the progress of a pipe has no total until it has ended") {
  const Pipe pipe(bytes_of("twelve bytes"));
  std::vector<Progress> seen;
  OpenOptions options;
  options.progress = [&](const Progress& progress) { seen.push_back(progress); };
  const ModelData data = ModelData::open_descriptor(pipe.reader(), options);
  REQUIRE(seen.size() > 2);
  CHECK(seen.front().done == 0);
  CHECK_FALSE(seen.front().total);
  CHECK(seen.back().done == 12);
  CHECK(seen.back().total == 12);
  CHECK(std::ranges::is_sorted(seen, {}, &Progress::done));
}

TEST_CASE("nothing is read to map a file, and no progress is reported") {
  if (!BALLAST_HAS_MMAP) SKIP("nothing is mapped on this platform");
  const TempFile file(noise(10000, 5));
  OpenOptions options;
  options.progress = [](const Progress&) { FAIL("progress of what?"); };
  options.max_bytes = 0;  // of the heap, which is not used
  CHECK(ModelData::open(file.path(), options).size() == 10000);
}

TEST_CASE("a load that is cancelled ends with an error, and leaves nothing behind") {
  const TempDir folder;
  const auto path = sparse_file(folder, 256 * kMiB);
  std::uint64_t done = 0;
  OpenOptions options;
  options.progress = [&](const Progress& progress) { done = progress.done; };
  const std::uint64_t limit = GENERATE(0U, 20U << 20);
  SECTION("by a callback") {
    options.cancelled = [&] { return done >= limit; };
  }
#ifdef __cpp_lib_jthread
  SECTION("by a stop token") {
    std::stop_source source;
    options.stop = source.get_token();
    options.progress = [&, source](const Progress& progress) mutable {
      done = progress.done;
      if (done >= limit) source.request_stop();
    };
  }
#endif
  require_proc();
  const std::size_t descriptors = open_descriptors();
  const std::size_t before = process_status("VmRSS");
  const Error error = error_of([&] { return ModelData::read(path, options); });
  CHECK(error.code() == Errc::cancelled);
  CHECK(error.path() == path);
  if (limit == 0) CHECK(done == 0);
  CHECK(open_descriptors() == descriptors);
  if (BALLAST_HAS_MMAP) CHECK(process_status("VmRSS") < before + 8 * 1024);
}

TEST_CASE("what the progress callback throws ends the load and passes through") {
  const TempFile file(noise(30 * kMiB, 7));
  const std::uint64_t limit = GENERATE(0U, 10U << 20);
  OpenOptions options;
  SECTION("an exception of the caller's own") {
    options.progress = [&](const Progress& progress) {
      if (progress.done >= limit) throw 42;
    };
    CHECK_THROWS_AS(static_cast<void>(ModelData::read(file.path(), options)), int);
  }
  SECTION("a system error, which is not taken for one of the file's") {
    options.progress = [&](const Progress& progress) {
      if (progress.done >= limit) throw std::system_error(EPERM, std::generic_category(), "mine");
    };
    try {
      static_cast<void>(ModelData::read(file.path(), options));
      FAIL("nothing was thrown");
    } catch (const Error&) {
      FAIL("the caller's error was taken for the file's");
    } catch (const std::system_error& error) {
      CHECK(error.code() == std::errc::operation_not_permitted);
    }
  }
}

TEST_CASE("a file may be as large as is allowed, and not one byte larger") {
  const TempFile file(noise(10000, 8));
  OpenOptions options;
  options.max_bytes = 10000;
  CHECK(ModelData::read(file.path(), options).size() == 10000);
  options.max_bytes = 9999;
  const Error error = error_of([&] { return ModelData::read(file.path(), options); });
  CHECK(error.code() == Errc::too_large);
  CHECK(error.expected() == 10000);
  CHECK(error.actual() == 9999);
}

TEST_CASE("by default a file may be as large as the memory that the process can have") {
  if (!BALLAST_HAS_MMAP) SKIP("this platform cannot ask");
  const TempDir folder;
  const auto path = sparse_file(folder, std::uint64_t{8} << 40);
  const Error error = error_of([&] { return ModelData::read(path); });
  CHECK(error.code() == Errc::too_large);
  CHECK(error.expected() == std::uint64_t{8} << 40);
}

TEST_CASE("memory that the system refuses is an error with the size that was asked for") {
  if (!BALLAST_HAS_MMAP) SKIP("this platform has no limits to lower");
  if (kSanitizer) SKIP("the sanitizer ends the process where memory is refused");
  require_proc();
  const TempDir folder;
  const auto path = sparse_file(folder, 512 * kMiB);
  OpenOptions options;
  options.max_bytes = 1024 * kMiB;
  const LoweredLimit limit(RLIMIT_AS, process_status("VmSize") * 1024 + 64 * kMiB);
  const Error error = error_of([&] { return ModelData::read(path, options); });
  CHECK(error.code() == Errc::out_of_memory);
  CHECK(error.expected() == 512 * kMiB);
  const Error mapped = error_of([&] { return ModelData::open(path, on(Backend::map)); });
  CHECK(mapped.code() == std::errc::not_enough_memory);
}

TEST_CASE("a file that shrinks while it is read is refused with what was there") {
  const std::size_t left = GENERATE(0UL, 5000UL, 17 * kMiB + 3);
  const TempFile file(noise(40 * kMiB, 9));
  OpenOptions options;
  options.progress = [&](const Progress& progress) {
    if (progress.done == 0) std::filesystem::resize_file(file.path(), left);
  };
  const Error error = error_of([&] { return ModelData::read(file.path(), options); });
  CHECK(error.code() == Errc::file_changed);
  CHECK(error.expected() == 40 * kMiB);
  CHECK(error.actual() == left);
}

TEST_CASE("the order of chunks does not matter: many reads of one file are all the same") {
  const Bytes expected = noise(33 * kMiB + 1, 10);
  const TempFile file(expected);
  for (int i = 0; i < 10; ++i) CHECK(copy_of(ModelData::read(file.path())) == expected);
}

}  // namespace
}  // namespace ballast::test
