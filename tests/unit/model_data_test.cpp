// ModelData: the bytes of a file are the same from every backend, and the object behaves as a value
// that can be moved.
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <limits>
#include <numeric>
#include <thread>
#include <type_traits>
#include <utility>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include "tests/unit/storage.hpp"

namespace ballast::test {
namespace {

static_assert(!std::is_copy_constructible_v<ModelData>);
static_assert(std::is_nothrow_move_constructible_v<ModelData>);
static_assert(std::is_nothrow_move_assignable_v<ModelData>);

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

/// A descriptor of a file, for tests that bring their own.
class Descriptor {
 public:
  explicit Descriptor(const std::filesystem::path& path)
      : number_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    REQUIRE(number_ >= 0);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { ::close(number_); }

  [[nodiscard]] int number() const noexcept { return number_; }

 private:
  int number_;
};

TEST_CASE("the bytes are those of the file, mapped and on the heap") {
  const Backend backend = GENERATE(from_range(backends()));
  const std::size_t size = GENERATE(1UL, 4095UL, 4096UL, 4097UL, 3 * kMiB + 7, 21 * kMiB + 13);
  const Bytes expected = noise(size, size);
  const TempFile file(expected);
  const ModelData data = ModelData::open(file.path(), on(backend));
  CHECK(data.size() == size);
  CHECK(data.is_mmap() == (backend == Backend::map));
  CHECK(copy_of(data) == expected);
}

TEST_CASE("a file is mapped by default where that is possible, and read always comes to the heap") {
  const TempFile file(noise(5000, 1));
  CHECK(ModelData::open(file.path()).is_mmap() == (BALLAST_HAS_MMAP == 1));
  OpenOptions options = on(Backend::automatic);
  CHECK_FALSE(ModelData::read(file.path(), options).is_mmap());
#if BALLAST_HAS_MMAP
  CHECK(ModelData::open_mmap(file.path()).is_mmap());
#else
  options.backend = Backend::map;
  const Error error = error_of([&] { return ModelData::open(file.path(), options); });
  CHECK(error.code() == std::errc::not_supported);
#endif
}

TEST_CASE("an empty file is valid and empty") {
  const Backend backend = GENERATE(from_range(backends()));
  const TempFile file(Bytes{});
  const ModelData data = ModelData::open(file.path(), on(backend));
  CHECK(data.empty());
  CHECK(data.bytes().empty());
  CHECK(data.unchanged());
  CHECK(data.intact());
}

TEST_CASE("a range inside a bigger file may begin and end anywhere") {
  const Backend backend = GENERATE(from_range(backends()));
  const bool by_path = GENERATE(true, false);
  const Bytes whole = noise(3 * 65536 + 100, 2);
  const TempFile file(whole);
  const Descriptor descriptor(file.path());
  for (const std::size_t offset : {0UL, 1UL, 63UL, 4095UL, 4096UL, 4097UL, 65535UL, 65537UL}) {
    for (const std::size_t length : {1UL, 100UL, 4096UL, 65537UL, whole.size() - offset}) {
      CAPTURE(offset, length);
      OpenOptions options = on(backend);
      options.offset = offset;
      if (length != whole.size() - offset) options.length = length;  // else to the end, unsaid
      const ModelData data = by_path ? ModelData::open(file.path(), options)
                                     : ModelData::open_descriptor(descriptor.number(), options);
      const auto expected = std::span(whole).subspan(offset, length);
      CHECK(std::ranges::equal(data.bytes(), expected));
    }
  }
}

TEST_CASE("a range of no bytes is empty, also at the very end") {
  const Backend backend = GENERATE(from_range(backends()));
  const std::uint64_t offset = GENERATE(0U, 7U, 100U);
  const TempFile file(noise(100, 3));
  OpenOptions options = on(backend);
  options.offset = offset;
  options.length = 0;
  CHECK(ModelData::open(file.path(), options).empty());
}

TEST_CASE("a range outside the file is refused with its end and the file's size") {
  struct Row {
    std::uint64_t offset;
    std::optional<std::uint64_t> length;
    std::uint64_t end;
  };
  const Backend backend = GENERATE(from_range(backends()));
  const Row row = GENERATE(Row{101, {}, 101}, Row{101, 0, 101}, Row{0, 101, 101}, Row{99, 2, 101},
                           Row{kMax, {}, kMax}, Row{1, kMax, kMax}, Row{kMax, kMax, kMax});
  const TempFile file(noise(100, 4));
  OpenOptions options = on(backend);
  options.offset = row.offset;
  options.length = row.length;
  const Error error = error_of([&] { return ModelData::open(file.path(), options); });
  CHECK(error.code() == Errc::range_outside_file);
  CHECK(error.expected() == row.end);
  CHECK(error.actual() == 100);
  CHECK(error.path() == file.path());
}

TEST_CASE("a descriptor stays the caller's, with its position where it was") {
  const Backend backend = GENERATE(from_range(backends()));
  const Bytes expected = noise(9000, 5);
  const TempFile file(expected);
  const Descriptor descriptor(file.path());
  REQUIRE(::lseek(descriptor.number(), 1234, SEEK_SET) == 1234);
  {
    const ModelData data = ModelData::open_descriptor(descriptor.number(), on(backend));
    CHECK(copy_of(data) == expected);
    CHECK(data.path().empty());
    CHECK(data.unchanged());
  }
  CHECK(::lseek(descriptor.number(), 0, SEEK_CUR) == 1234);
}

TEST_CASE("the path is the one that was given") {
  const Backend backend = GENERATE(from_range(backends()));
  const TempFile file(noise(10, 6));
  CHECK(ModelData::open(file.path(), on(backend)).path() == file.path());
}

TEST_CASE("a vector is adopted, not copied") {
  Bytes bytes = noise(1000, 7);
  const std::byte* const where = bytes.data();
  const ModelData data = ModelData::from_vector(std::move(bytes));
  CHECK(data.bytes().data() == where);
  CHECK(data.size() == 1000);
  CHECK_FALSE(data.is_mmap());
  CHECK(data.path().empty());
  CHECK(data.unchanged());
  CHECK(data.intact());
}

TEST_CASE("views stay valid when the object is moved") {
  const Backend backend = GENERATE(from_range(backends()));
  const Bytes expected = noise(9 * kMiB, 8);
  const TempFile file(expected);
  ModelData first = ModelData::open(file.path(), on(backend));
  const auto view = first.bytes();
  ModelData second = std::move(first);
  CHECK(second.bytes().data() == view.data());
  ModelData third = ModelData::from_vector(noise(10, 9));
  third = std::move(second);
  CHECK(third.bytes().data() == view.data());
  CHECK(std::ranges::equal(view, expected));
  CHECK(third.is_mmap() == (backend == Backend::map));
}

TEST_CASE("a moved-from object is empty and can be used like any other") {
  const Backend backend = GENERATE(from_range(backends()));
  const TempFile file(noise(100, 10));
  ModelData data = ModelData::open(file.path(), on(backend));
  const ModelData taken = std::move(data);
  // NOLINTBEGIN(bugprone-use-after-move): the very point
  CHECK(data.empty());
  CHECK(data.bytes().empty());
  CHECK_FALSE(data.is_mmap());
  CHECK(data.path().empty());
  CHECK(data.advise_sequential().unsupported());
  CHECK(data.release_cpu_pages().unsupported());
  CHECK(data.unchanged());
  CHECK(data.intact());
  data = ModelData::open(file.path(), on(backend));
  CHECK(data.size() == 100);
  // NOLINTEND(bugprone-use-after-move)
}

TEST_CASE("moving an object to itself keeps its bytes") {
  const Backend backend = GENERATE(from_range(backends()));
  const Bytes expected = noise(100, 11);
  const TempFile file(expected);
  ModelData data = ModelData::open(file.path(), on(backend));
  ModelData& same = data;
  data = std::move(same);
  CHECK(copy_of(data) == expected);
}

TEST_CASE("many threads read one object at the same time") {
  require_threads();
  const Backend backend = GENERATE(from_range(backends()));
  const Bytes expected = noise(2 * kMiB, 12);
  const TempFile file(expected);
  const ModelData data = ModelData::open(file.path(), on(backend));
  std::vector<int> equal(8);
  std::vector<std::thread> threads;
  for (int& result : equal) {
    threads.emplace_back([&data, &expected, &result] {
      for (int round = 0; round < 5; ++round) {
        data.advise(Advice::will_need);
        result += std::ranges::equal(data.bytes(), expected) ? 1 : 0;
        data.release_cpu_pages();
        result += data.unchanged() && data.intact() ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(std::accumulate(equal.begin(), equal.end(), 0) == 8 * 5 * 2);
}

TEST_CASE("ten thousand opens leak no descriptor and no mapping") {
  const Backend backend = GENERATE(from_range(backends()));
  const TempFile file(noise(5000, 13));
  const Descriptor descriptor(file.path());
  const auto open_both = [&] {
    const ModelData data = ModelData::open(file.path(), on(backend));
    const ModelData again = ModelData::open_descriptor(descriptor.number(), on(backend));
    return data.size() + again.size();
  };
  const auto mappings = [] {
    const Bytes maps = copy_of(ModelData::read("/proc/self/maps"));
    return std::ranges::count(text_of(maps), '\n');
  };
  require_proc();
  REQUIRE(open_both() == 10000);
  const std::size_t descriptors = open_descriptors();
  const auto mapped = mappings();
  for (int i = 0; i < 5000; ++i) open_both();
  CHECK(open_descriptors() == descriptors);
  // In Node /proc counts those of the engine, which come and go with its own garbage.
  if (BALLAST_HAS_MMAP) CHECK(mappings() <= mapped + 20);  // the allocator's own
}

TEST_CASE("a file of 40 GiB is mapped at once") {
  if (!BALLAST_HAS_MMAP || sizeof(void*) < 8) SKIP("nothing of that size can be mapped here");
  const TempDir folder;
  const auto path = sparse_file(folder, std::uint64_t{40} << 30);
  const ModelData data = ModelData::open(path);
  CHECK(data.is_mmap());
  CHECK(data.size() == std::size_t{40} << 30);
  CHECK(data.bytes().back() == std::byte{0});
}

TEST_CASE("a file that is replaced by rename keeps its bytes, and is seen to have changed") {
  const Backend backend = GENERATE(from_range(backends()));
  const TempDir folder;
  const Bytes old_bytes = noise(9000, 14);
  const auto path = folder.write("model", old_bytes);
  const Descriptor descriptor(path);
  const ModelData data = ModelData::open(path, on(backend));
  const ModelData by_descriptor = ModelData::open_descriptor(descriptor.number(), on(backend));
  CHECK(data.unchanged());
  std::filesystem::rename(folder.write("new", noise(9000, 15)), path);
  CHECK_FALSE(data.unchanged());
  CHECK(by_descriptor.unchanged());  // its file is as it was, wherever the path leads
  CHECK(copy_of(data) == old_bytes);
  CHECK(data.intact());
}

TEST_CASE("a file that is overwritten, touched or removed is seen to have changed") {
  const Backend backend = GENERATE(from_range(backends()));
  const bool by_path = GENERATE(true, false);
  const TempDir folder;
  const auto path = folder.write("model", noise(9000, 16));
  const auto old_time = std::filesystem::last_write_time(path) - std::chrono::seconds(10);
  std::filesystem::last_write_time(path, old_time);  // so that no clock is too coarse
  const Descriptor descriptor(path);
  const ModelData data = by_path ? ModelData::open(path, on(backend))
                                 : ModelData::open_descriptor(descriptor.number(), on(backend));
  REQUIRE(data.unchanged());
  SECTION("overwritten in place with as many bytes") {
    folder.write("model", noise(9000, 17));
    CHECK_FALSE(data.unchanged());
  }
  SECTION("touched") {
    // By as little as the system shows: Node shows milliseconds.
    auto step = std::chrono::nanoseconds(1000);
    do {
      std::filesystem::last_write_time(path, old_time + step);
      step *= 10;
    } while (std::filesystem::last_write_time(path) <= old_time);
    CHECK_FALSE(data.unchanged());
  }
  SECTION("made longer") {
    std::filesystem::resize_file(path, 9001);
    std::filesystem::last_write_time(path, old_time);
    CHECK_FALSE(data.unchanged());
    CHECK(data.intact());
  }
  SECTION("removed") {
    std::filesystem::remove(path);
    CHECK(data.unchanged() == !by_path);
  }
}

}  // namespace
}  // namespace ballast::test
