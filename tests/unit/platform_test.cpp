// The platform: files, mappings, memory and bulk reads, below everything that knows what a model
// is.
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <limits>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "platform/bulk_read.hpp"
#include "platform/file.hpp"
#include "platform/mapped_file.hpp"
#include "platform/memory.hpp"
#include "tests/support/pipe.hpp"
#include "tests/unit/storage.hpp"

namespace ballast::platform {
namespace {

using test::kMiB;
using test::noise;
using test::TempDir;
using test::TempFile;

template <class Action>
std::error_code code_of(Action action) {
  try {
    action();
  } catch (const std::system_error& error) {
    return error.code();
  }
  FAIL("nothing was thrown");
  return {};
}

std::uintptr_t address(const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer); }

// ---- File ---------------------------------------------------------------------------------------

TEST_CASE("descriptors do not survive exec") {
  const TempFile temp(noise(10, 1));
  const File file = File::open(temp.path());
  const File again = File::duplicate(file.descriptor());
  CHECK(again.descriptor() != file.descriptor());
  test::require_close_on_exec();
  CHECK((::fcntl(file.descriptor(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK((::fcntl(again.descriptor(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("a file is closed once, by its last owner") {
  const TempFile temp(noise(10, 2));
  File first = File::open(temp.path());
  const int number = first.descriptor();
  {
    File second = std::move(first);
    CHECK_FALSE(first.is_open());  // NOLINT(bugprone-use-after-move): the very point
    File& same = second;
    second = std::move(same);
    CHECK(second.descriptor() == number);
    CHECK(::fcntl(number, F_GETFD) != -1);
  }
  CHECK(::fcntl(number, F_GETFD) == -1);
}

TEST_CASE("the status tells the kind, and two files apart") {
  const TempDir folder;
  const auto path = folder.write("a", noise(100, 3));
  const FileStatus status = File::open(path).status();
  CHECK(status.kind == FileKind::regular);
  CHECK(status.identity.size == 100);
  CHECK(status.identity == status_of(path).identity);
  CHECK(status.identity != status_of(folder.write("b", noise(100, 3))).identity);
  CHECK(status_of(folder.path()).kind == FileKind::directory);
  CHECK(status_of("/dev/null").kind == FileKind::other);
}

TEST_CASE("refusals carry the system's reason") {
  const TempDir folder;
  CHECK(code_of([&] { return File::open(folder / "x"); }) == std::errc::no_such_file_or_directory);
  CHECK(code_of([&] { return status_of(folder / "x"); }) == std::errc::no_such_file_or_directory);
  CHECK(code_of([] { return File::duplicate(-1); }) == std::errc::bad_file_descriptor);
  const File opened = File::open(folder.path());
  std::byte byte{};
  CHECK(code_of([&] { return opened.read_at(0, {&byte, 1}); }) == std::errc::is_a_directory);
  CHECK(code_of([&] { return opened.read_some({&byte, 1}); }) == std::errc::is_a_directory);
}

TEST_CASE("positioned reads end where the file does, at any position") {
  const test::Bytes expected = noise(100, 4);
  const TempFile temp(expected);
  const File file = File::open(temp.path());
  test::Bytes into(60);
  CHECK(file.read_at(50, into) == 50);
  CHECK(std::ranges::equal(std::span(into).first(50), std::span(expected).subspan(50)));
  CHECK(file.read_at(100, into) == 0);
  CHECK(file.read_at(std::numeric_limits<std::int64_t>::max(), into) == 0);
  CHECK(file.read_at(std::numeric_limits<std::uint64_t>::max(), into) == 0);
  CHECK(file.read_at(0, {}) == 0);
  CHECK(file.is_seekable());
}

TEST_CASE("reads in order move on, and pipes have no positions") {
  const test::Pipe pipe(test::bytes_of("abc"));
  const File file = File::duplicate(pipe.reader());
  test::Bytes into(2);
  CHECK_FALSE(file.is_seekable());
  CHECK(file.read_some(into) == 2);
  CHECK(test::text_of(into) == "ab");
  CHECK(file.read_some(into) == 1);
  CHECK(file.read_some(into) == 0);
}

// ---- Mapping ------------------------------------------------------------------------------------

TEST_CASE("a mapping moves with its bytes where they are, and is unmapped once") {
  const test::Bytes expected = noise(10000, 5);
  const TempFile temp(expected);
  const File file = File::open(temp.path());
  if (!BALLAST_HAS_MMAP) {
    CHECK(code_of([&] { return Mapping::map(file, 0, 10); }) == std::errc::not_supported);
    return;
  }
  Mapping first = Mapping::map(file, 4097, 5000);
  const std::byte* const where = first.bytes().data();
  Mapping second = std::move(first);
  CHECK(first.bytes().empty());  // NOLINT(bugprone-use-after-move): the very point
  first = std::move(second);
  Mapping& same = first;
  first = std::move(same);
  CHECK(first.bytes().data() == where);
  CHECK(std::ranges::equal(first.bytes(), std::span(expected).subspan(4097, 5000)));
}

TEST_CASE("a mapping that cannot be is refused with the system's reason") {
  if (!BALLAST_HAS_MMAP) SKIP("nothing is mapped on this platform");
  const TempFile temp(noise(10, 6));
  const File file = File::open(temp.path());
  constexpr std::size_t kMost = std::numeric_limits<std::size_t>::max();
  CHECK(code_of([&] { return Mapping::map(file, 1, kMost); }) == std::errc::value_too_large);
  CHECK(code_of([&] { return Mapping::map(file, 0, kMost / 2); }) == std::errc::not_enough_memory);
  CHECK(code_of([&] { return Mapping::map(File::open("/"), 0, 1); }) == std::errc::no_such_device);
}

// ---- Memory -------------------------------------------------------------------------------------

TEST_CASE("the first byte lies at the residue that was asked for") {
  const std::size_t size = GENERATE(1UL, 100UL, 4 * kMiB - 1, 4 * kMiB, 9 * kMiB + 5);
  for (std::size_t residue = 0; residue < 130; ++residue) {
    const PlacedBytes bytes(size, PlacingAllocator<std::byte>(residue));
    CHECK(address(bytes.data()) % 64 == residue % 64);
    CHECK(bytes.size() == size);
    CHECK(bytes.capacity() == size);
  }
}

TEST_CASE("every byte of placed memory can be written") {
  const std::size_t size = GENERATE(1UL, 100UL, 4 * kMiB - 1, 4 * kMiB, 4 * kMiB + 1);
  PlacedBytes bytes(size, PlacingAllocator<std::byte>(63));
  std::ranges::fill(bytes, std::byte{0xA5});
  CHECK(std::ranges::count(bytes, std::byte{0xA5}) == static_cast<std::ptrdiff_t>(size));
}

TEST_CASE("large memory begins on a huge page") {
  if (!BALLAST_HAS_MMAP) SKIP("the heap platform leaves that to the allocator");
  const PlacedBytes bytes(16 * kMiB);
  CHECK(address(bytes.data()) % (2 * kMiB) == 0);
}

TEST_CASE("elements that are not given a value are not zeroed") {
  std::byte element{0xA5};
  PlacingAllocator<std::byte> allocator;
  std::allocator_traits<PlacingAllocator<std::byte>>::construct(allocator, &element);
  CHECK(element == std::byte{0xA5});
  std::allocator_traits<PlacingAllocator<std::byte>>::construct(allocator, &element, std::byte{1});
  CHECK(element == std::byte{1});
}

TEST_CASE("a large vector touches no page of its own") {
  if (!BALLAST_HAS_MMAP) SKIP("the heap platform leaves that to the allocator");
  test::require_proc();
  const PlacedBytes bytes(64 * kMiB);
  CHECK(test::resident(bytes) == 0);
}

TEST_CASE("moving a vector does not copy it, whatever the residues") {
  const std::size_t size = GENERATE(100UL, 5 * kMiB);
  PlacedBytes from(size, PlacingAllocator<std::byte>(7));
  PlacedBytes to(50, PlacingAllocator<std::byte>(9));
  const std::byte* const where = from.data();
  to = std::move(from);
  CHECK(to.data() == where);
  CHECK(to.get_allocator().residue() == 7);
  PlacedBytes third(3);
  std::swap(to, third);
  CHECK(third.data() == where);
  to = PlacedBytes(std::move(third), PlacingAllocator<std::byte>(11));
  CHECK(to.data() == where);
}

TEST_CASE("memory that nobody has is refused as such") {
  if (test::kSanitizer) SKIP("the sanitizer ends the process where memory is refused");
  constexpr std::size_t kMost = std::numeric_limits<std::size_t>::max();
  PlacingAllocator<std::byte> allocator(63);
  // With addresses of 32 bits, half of them can be had, but not the other half as well.
  const auto take_all = [&] {
    const PlacedBytes one(kMost / 2, allocator);
    const PlacedBytes other(kMost / 2, allocator);
  };
  CHECK_THROWS_AS(take_all(), std::bad_alloc);
  CHECK_THROWS_AS(static_cast<void>(allocator.allocate(kMost)), std::bad_array_new_length);
}

TEST_CASE("the memory limit is the least of what the machine gives and what the process may have") {
  CHECK(memory_limit() > 0);
  if (!BALLAST_HAS_MMAP) SKIP("this platform cannot ask");
  const std::size_t unlimited = memory_limit();
  const std::size_t lowered = unlimited / 2;
  const test::LoweredLimit limit(RLIMIT_DATA, lowered);
  CHECK(memory_limit() <= lowered);
}

// ---- BulkRead -----------------------------------------------------------------------------------

TEST_CASE("a bulk read fills the buffer from any position") {
  const std::size_t size = GENERATE(0UL, 1UL, kChunk - 1, kChunk, 2 * kChunk, 9 * kChunk + 1);
  const test::Bytes expected = noise(size + 5, size);
  const TempFile temp(expected);
  const File file = File::open(temp.path());
  PlacedBytes into(size);
  BulkRead reading(file, 5, into);
  std::uint64_t before = 0;
  while (reading.step()) {
    CHECK(reading.done() >= before);
    before = reading.done();
  }
  CHECK(reading.done() == size);
  CHECK(std::ranges::equal(into, std::span(expected).subspan(5)));
}

TEST_CASE("a bulk read that meets the end of the file tells how far it came") {
  const std::size_t size = GENERATE(0UL, 1UL, kChunk, 3 * kChunk + 7);
  const TempFile temp(noise(size, 7));
  const File file = File::open(temp.path());
  PlacedBytes into(8 * kChunk);
  BulkRead reading(file, 0, into);
  while (reading.step()) {
  }
  CHECK(reading.done() == size);
}

TEST_CASE("a bulk read that is given up stops before its buffer goes") {
  const TempFile temp(noise(16 * kChunk, 8));
  const File file = File::open(temp.path());
  for (int steps = 0; steps < 4; ++steps) {
    PlacedBytes into(16 * kChunk);
    BulkRead reading(file, 0, into);
    for (int i = 0; i < steps; ++i) CHECK(reading.step());
  }
}

TEST_CASE("a bulk read that fails throws the system's reason, whichever thread met it") {
  const TempDir folder;
  const File file = File::open(folder.path());
  PlacedBytes into(8 * kChunk);
  for (int i = 0; i < 20; ++i) {
    BulkRead reading(file, 0, into);
    const auto read = [&] {
      while (reading.step()) {
      }
    };
    CHECK(code_of(read) == std::errc::is_a_directory);
  }
}

TEST_CASE("a bulk read throws what only another thread met") {
  const TempFile temp(noise(8 * kChunk, 10));
  const File file = File::open(temp.path());
  void* const wall = ::mmap(nullptr, 8 * kChunk, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(wall != MAP_FAILED);
  if (::pread(file.descriptor(), wall, 1, 0) != -1) SKIP("memory cannot be protected here");
  {
    BulkRead reading(file, 0, {static_cast<std::byte*>(wall), 8 * kChunk});
    std::this_thread::sleep_for(std::chrono::milliseconds(200));  // the others go first
    const auto read = [&] {
      while (reading.step()) {
      }
    };
    CHECK(code_of(read) == std::errc::bad_address);
  }
  ::munmap(wall, 8 * kChunk);
}

TEST_CASE("a bulk read does without threads where none can be started") {
  if (!BALLAST_HAS_MMAP) SKIP("this platform starts none");
  if (test::kSanitizer) SKIP("the sanitizer ends the process where memory is refused");
  test::require_proc();
  const test::Bytes expected = noise(8 * kChunk, 9);
  const TempFile temp(expected);
  const File file = File::open(temp.path());
  PlacedBytes into(8 * kChunk);
  std::ranges::fill(into, std::byte{0});
  std::atomic<bool> finish{false};  // threads that hold all stacks that the C library has spare
  std::vector<std::thread> idle;
  for (int i = 0; i < 8; ++i) idle.emplace_back([&] { finish.wait(false); });
  {
    const test::LoweredLimit limit(RLIMIT_AS, test::process_status("VmSize") * 1024 + kMiB);
    const std::size_t threads = test::process_status("Threads");
    BulkRead reading(file, 0, into);
    CHECK(test::process_status("Threads") == threads);
    while (reading.step()) {
    }
  }
  finish = true;
  finish.notify_all();
  for (std::thread& thread : idle) thread.join();
  CHECK(std::ranges::equal(into, expected));
}

}  // namespace
}  // namespace ballast::platform
