// What is no regular file with a size, and what cannot be opened: pipes, devices, /proc, folders.
#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include "tests/support/pipe.hpp"
#include "tests/unit/storage.hpp"

namespace ballast::test {
namespace {

/// What the C++ library reads.
Bytes slurp(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return bytes_of(text);
}

TEST_CASE("a file that does not exist is refused with the system's reason and its path") {
  const Backend backend = GENERATE(Backend::automatic, Backend::map, Backend::heap);
  const TempDir folder;
  const auto path = folder / "nothing";
  const Error error = error_of([&] { return ModelData::open(path, on(backend)); });
  CHECK(error.code() == std::errc::no_such_file_or_directory);
  CHECK(error.path() == path);
}

TEST_CASE("a file below a file is refused with the system's reason") {
  const TempFile file(noise(10, 1));
  const Error error = error_of([&] { return ModelData::open(file.path() / "model"); });
  CHECK(error.code() == std::errc::not_a_directory);
}

TEST_CASE("a file that may not be read is refused with the system's reason") {
  const Backend backend = GENERATE(from_range(backends()));
  const TempDir folder;
  const auto path = folder.write("secret", noise(10, 2));
  std::filesystem::permissions(path, std::filesystem::perms::none);
  const bool root = ::geteuid() == 0;  // who may read everything
  if (root && ::seteuid(65534) != 0) SKIP("root may read everything, and cannot become nobody");
  const Error error = error_of([&] { return ModelData::open(path, on(backend)); });
  if (root) REQUIRE(::seteuid(0) == 0);
  CHECK(error.code() == std::errc::permission_denied);
  CHECK(error.path() == path);
}

TEST_CASE("a folder is refused as a folder") {
  const Backend backend = GENERATE(Backend::automatic, Backend::map, Backend::heap);
  const TempDir folder;
  const Error error = error_of([&] { return ModelData::open(folder.path(), on(backend)); });
  CHECK(error.code() == std::errc::is_a_directory);
  CHECK(error.path() == folder.path());
  const int descriptor = ::open(folder.path().c_str(), O_RDONLY | O_CLOEXEC);
  const Error again = error_of([&] { return ModelData::open_descriptor(descriptor, on(backend)); });
  ::close(descriptor);
  CHECK(again.code() == std::errc::is_a_directory);
  CHECK(again.path().empty());
}

TEST_CASE("a symbolic link leads to its file") {
  const Backend backend = GENERATE(from_range(backends()));
  const TempDir folder;
  const Bytes expected = noise(5000, 3);
  std::filesystem::create_symlink(folder.write("model", expected), folder / "link");
  CHECK(copy_of(ModelData::open(folder / "link", on(backend))) == expected);
}

TEST_CASE("a descriptor that is closed or cannot be read is refused") {
  const Backend backend = GENERATE(Backend::automatic, Backend::heap);
  const Error closed = error_of([&] { return ModelData::open_descriptor(-1, on(backend)); });
  CHECK(closed.code() == std::errc::bad_file_descriptor);
  const TempFile file(noise(10, 4));
  const int descriptor = ::open(file.path().c_str(), O_WRONLY | O_CLOEXEC);
  const Error error = error_of([&] { return ModelData::open_descriptor(descriptor, on(backend)); });
  ::close(descriptor);
  CHECK(error.code() == std::errc::bad_file_descriptor);
}

TEST_CASE("a FIFO is read to its end") {
  const std::size_t size = GENERATE(0UL, 1UL, 65536UL, 65537UL, 20 * kMiB + 3);
  const Bytes expected = noise(size, size);
  const Fifo fifo(expected);
  const ModelData data = ModelData::open(fifo.path());
  CHECK(copy_of(data) == expected);
  CHECK_FALSE(data.is_mmap());
  CHECK(data.unchanged());
  CHECK(data.intact());
}

TEST_CASE("the descriptor of a pipe is read to its end, also one that was set not to wait") {
  const Bytes expected = noise(3 * kMiB + 1, 5);
  const bool waits = GENERATE(true, false);
  const Pipe pipe(expected);
  if (!waits) REQUIRE(::fcntl(pipe.reader(), F_SETFL, O_NONBLOCK) == 0);
  CHECK(copy_of(ModelData::open_descriptor(pipe.reader())) == expected);
}

TEST_CASE("a range of a pipe is what lies there, and what comes after it stays in the pipe") {
  const Bytes whole = noise(300000, 6);
  const Pipe pipe(whole);
  OpenOptions options;
  options.offset = 100001;
  options.length = 77777;
  const ModelData data = ModelData::open_descriptor(pipe.reader(), options);
  CHECK(std::ranges::equal(data.bytes(), std::span(whole).subspan(100001, 77777)));
  const ModelData rest = ModelData::open_descriptor(pipe.reader());
  CHECK(std::ranges::equal(rest.bytes(), std::span(whole).subspan(177778)));
}

TEST_CASE("a pipe that ends before the range does is refused with both ends") {
  struct Row {
    std::uint64_t offset;
    std::optional<std::uint64_t> length;
    std::uint64_t end;
  };
  const Row row =
      GENERATE(Row{0, 1001, 1001}, Row{500, 501, 1001}, Row{1001, {}, 1001}, Row{2000, 5, 2005});
  const Bytes whole = noise(1000, 7);
  const Pipe pipe(whole);
  OpenOptions options;
  options.offset = row.offset;
  options.length = row.length;
  const Error error = error_of([&] { return ModelData::open_descriptor(pipe.reader(), options); });
  CHECK(error.code() == Errc::range_outside_file);
  CHECK(error.expected() == row.end);
  CHECK(error.actual() == 1000);
}

TEST_CASE("a pipe may bring as much as is allowed, and not one byte more") {
  const std::uint64_t most = GENERATE(0U, 1U, 65536U, 200000U);
  const Bytes enough = noise(most, 8);
  OpenOptions options;
  options.max_bytes = most;
  {
    const Pipe pipe(enough);
    CHECK(copy_of(ModelData::open_descriptor(pipe.reader(), options)) == enough);
  }
  const Bytes too_much = noise(most + 100000, 9);
  const Pipe pipe(too_much);
  const Error error = error_of([&] { return ModelData::open_descriptor(pipe.reader(), options); });
  CHECK(error.code() == Errc::too_large);
  CHECK(error.expected() == most + 1);  // as many as came before it was refused
  CHECK(error.actual() == most);
}

TEST_CASE("a pipe that is told to bring more than is allowed is refused before it is read") {
  const Bytes whole = noise(1000, 10);
  const Pipe pipe(whole);
  OpenOptions options;
  options.length = 1000;
  options.max_bytes = 999;
  const Error error = error_of([&] { return ModelData::open_descriptor(pipe.reader(), options); });
  CHECK(error.code() == Errc::too_large);
  CHECK(copy_of(ModelData::open_descriptor(pipe.reader())) == whole);
}

TEST_CASE("an endless device is refused where it passes what is allowed") {
  if (!std::filesystem::exists("/dev/zero")) SKIP("there is no /dev/zero");
  OpenOptions options;
  options.max_bytes = 5 * kMiB;
  const Error error = error_of([&] { return ModelData::open("/dev/zero", options); });
  CHECK(error.code() == Errc::too_large);
  options.length = 4 * kMiB;
  CHECK(copy_of(ModelData::open("/dev/zero", options)) == Bytes(4 * kMiB));
  CHECK(ModelData::open("/dev/null").empty());
}

TEST_CASE("what has no size is not mapped, and not read either") {
  if (!BALLAST_HAS_MMAP) SKIP("nothing is mapped on this platform");
  const Bytes whole = noise(1000, 11);
  const Pipe pipe(whole);
  const auto map = [&] { return ModelData::open_descriptor(pipe.reader(), on(Backend::map)); };
  CHECK(error_of(map).code() == Errc::not_mappable);
  CHECK(copy_of(ModelData::open_descriptor(pipe.reader())) == whole);
}

TEST_CASE("files of /proc, which report no size, are read like any other") {
  // The second is long, and read in several segments.
  const std::filesystem::path path = GENERATE("/proc/filesystems", "/proc/kallsyms");
  const Bytes expected = slurp(path);
  if (expected.empty()) SKIP("there is no " << path << ", or it may not be read");
  REQUIRE(std::filesystem::file_size(path) == 0);
  const ModelData data = ModelData::open(path);
  CHECK(copy_of(data) == expected);
  CHECK_FALSE(data.is_mmap());
  CHECK(data.unchanged());
  OpenOptions options;
  options.offset = 7;
  options.length = 20;
  const ModelData part = ModelData::open(path, options);
  CHECK(std::ranges::equal(part.bytes(), std::span(expected).subspan(7, 20)));
  if (!BALLAST_HAS_MMAP) return;
  CHECK(error_of([&] { return ModelData::open(path, on(Backend::map)); }).code() ==
        Errc::not_mappable);
}

TEST_CASE("a file that cannot be mapped is read instead, unless mapping was required") {
  if (!BALLAST_HAS_MMAP) SKIP("nothing is mapped on this platform");
  const std::filesystem::path path = "/sys/kernel/notes";  // has a size, and no mmap
  const Bytes expected = slurp(path);
  if (expected.empty()) SKIP("there is no " << path << ", or it may not be read");
  const ModelData data = ModelData::open(path);
  CHECK_FALSE(data.is_mmap());
  CHECK(copy_of(data) == expected);
  const Error error = error_of([&] { return ModelData::open(path, on(Backend::map)); });
  CHECK(error.code() == std::errc::no_such_device);
  CHECK(error.path() == path);
}

TEST_CASE("a pipe needs its own size and one segment of memory, not twice its size") {
  constexpr std::size_t kSize = 256 * kMiB;
  const Bytes expected = noise(kSize, 12);
  ModelData data;
  std::size_t peak = 0;
  {
    const Pipe pipe(expected);
    peak = peak_growth([&] { data = ModelData::open_descriptor(pipe.reader()); });
  }
  CHECK(copy_of(data) == expected);
  if (!BALLAST_HAS_MMAP) SKIP("the heap keeps what is freed, and nothing is promised");
  CHECK(peak >= kSize);
  CHECK(peak <= kSize + 24 * kMiB);
}

}  // namespace
}  // namespace ballast::test
