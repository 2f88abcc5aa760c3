// Files that are cut, replaced, overwritten and punched while they are mapped under a fault guard.
//
// What happens to them is done by another process. The handlers that a guard lives among have a
// file of their own: fault_guard_handlers_test.cpp.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <new>
#include <optional>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <ballast/model.hpp>
#ifdef BALLAST_TEST_HAS_VALUES
#include <ballast/values.hpp>
#endif

#include "platform/workers.hpp"
#include "tests/support/child.hpp"
#include "tests/support/gguf_builder.hpp"
#include "tests/unit/storage.hpp"

#if __has_include(<linux/userfaultfd.h>)
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#endif

namespace ballast::test {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSize = 2 * kMiB + 1234;

std::size_t page() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

OpenOptions guarded() {
  OpenOptions options = on(Backend::map);
  options.fault_guard = true;
  return options;
}

void in_another_process(const std::function<void()>& work) { REQUIRE(in_child(work).well()); }

void cut(const fs::path& path, std::uint64_t size) {
  in_another_process([&] { fs::resize_file(path, size); });
}

/// The bytes of a file of which only the first `kept` are left: zeros behind.
Bytes with_zeros_from(Bytes bytes, std::size_t kept) {
  std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(std::min(kept, bytes.size())), bytes.end(),
            std::byte{0});
  return bytes;
}

Error refusal(const ModelData& data) {
  try {
    data.require_undamaged();
  } catch (const Error& error) {
    return error;
  }
  FAIL("not refused");
  throw std::logic_error("not reached");
}

TEST_CASE("a file that is truncated reads as zeros behind its new end, and is damaged") {
  const Bytes whole = noise(kSize, 1);
  const std::size_t left = GENERATE_COPY(std::size_t{0}, std::size_t{1}, page() - 1, page(),
                                         page() + 1, kMiB, kMiB + 77, kSize - 1);
  const std::uint64_t offset = GENERATE(0U, 100U, 4096U, 70'001U);
  const TempFile file(whole);
  OpenOptions options = guarded();
  options.offset = offset;
  const ModelData data = ModelData::open(file.path(), options);
  const Bytes shown(whole.begin() + static_cast<std::ptrdiff_t>(offset), whole.end());
  CHECK_FALSE(data.damaged());
  CHECK_NOTHROW(data.require_undamaged());
  cut(file.path(), left);
  CHECK(data.damaged());
  const std::uint64_t kept = left - std::min<std::uint64_t>(left, offset);
  const Bytes expected = with_zeros_from(shown, static_cast<std::size_t>(kept));
  CHECK(copy_of(data) == expected);
  CHECK(copy_of(data) == expected);  // what the first fault has put there left all others alone
  CHECK(data.damaged());
  const Error error = refusal(data);
  CHECK(error.code() == Errc::file_changed);
  CHECK(error.path() == file.path().string());
  CHECK(error.expected() == data.size());
  CHECK(error.actual() == kept);
  CHECK(error.offset() == kept);
}

TEST_CASE("what was read as zeros stays so, and stays damaged, when the file has grown again") {
  const TempFile file(noise(kSize, 2));
  const ModelData data = ModelData::open(file.path(), guarded());
  cut(file.path(), kMiB);
  CHECK(data.bytes()[kMiB + 3 * page()] == std::byte{0});
  in_another_process([&] { write_file(file.path(), noise(kSize, 3)); });
  CHECK(data.damaged());
  CHECK(data.bytes()[kMiB + 3 * page()] == std::byte{0});
  CHECK(refusal(data).code() == std::errc::io_error);
  CHECK(refusal(data).path() == file.path().string());
}

TEST_CASE("advice and release go on working on a file that is damaged") {
  const TempFile file(noise(kSize, 4));
  const ModelData data = ModelData::open(file.path(), guarded());
  cut(file.path(), page());
  const Bytes before = copy_of(data);
  CHECK(data.advise_sequential().applied());
  CHECK(data.release_cpu_pages().applied());
  CHECK(copy_of(data) == before);
}

TEST_CASE("without a guard a file that is truncated is damaged, too, which nobody has to survive") {
  const TempFile file(noise(kSize, 5));
  const ModelData data = ModelData::open(file.path(), on(Backend::map));
  CHECK_FALSE(data.damaged());
  cut(file.path(), kSize - 1);
  CHECK(data.damaged());
  CHECK(refusal(data).code() == Errc::file_changed);
}

TEST_CASE("bytes on the heap and empty files need no guard, and are never damaged") {
  OpenOptions options;
  options.fault_guard = true;
  const TempFile empty{Bytes()};
  const TempFile file(noise(kSize, 6));
  const ModelData nothing = ModelData::open(empty.path(), options);
  const ModelData read = ModelData::read(file.path(), options);
  cut(file.path(), 0);
  CHECK_FALSE(nothing.damaged());
  CHECK_FALSE(read.damaged());
  CHECK_NOTHROW(read.require_undamaged());
  CHECK_FALSE(ModelData().damaged());
}

TEST_CASE("a guard follows its data") {
  const TempFile file(noise(kSize, 7));
  ModelData first = ModelData::open(file.path(), guarded());
  ModelData second = std::move(first);
  first = std::move(second);
  cut(file.path(), 0);
  CHECK(copy_of(first) == Bytes(kSize));
  CHECK(first.damaged());
}

TEST_CASE("of several maps only those of the file that was cut are damaged") {
  const Bytes whole = noise(kSize, 8);
  const TempFile cut_file(whole);
  const TempFile other_file(whole);
  const ModelData once = ModelData::open(cut_file.path(), guarded());
  const ModelData other = ModelData::open(other_file.path(), guarded());
  std::optional<ModelData> twice = ModelData::open(cut_file.path(), guarded());
  cut(cut_file.path(), kMiB);
  CHECK(copy_of(*twice) == with_zeros_from(whole, kMiB));
  CHECK(copy_of(other) == whole);
  CHECK_FALSE(other.damaged());
  twice.reset();
  CHECK(copy_of(once) == with_zeros_from(whole, kMiB));
  CHECK(once.damaged());
  // What is mapped next begins anew, whatever was known of the one before it.
  const ModelData next = ModelData::open(other_file.path(), guarded());
  CHECK_FALSE(next.damaged());
  CHECK(copy_of(next) == whole);
}

TEST_CASE("many maps come and go") {
  const Bytes whole = noise(3 * page(), 9);
  const TempFile file(whole);
  std::vector<ModelData> maps;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 50; ++i) maps.push_back(ModelData::open(file.path(), guarded()));
    std::erase_if(maps, [&](const ModelData& data) { return (&data - maps.data()) % 3 == 1; });
  }
  cut(file.path(), page());
  for (const ModelData& data : maps) {
    CHECK(copy_of(data) == with_zeros_from(whole, page()));
    CHECK(data.damaged());
  }
}

// ---- Threads that read, and another process that is at the file ---------------------------------

/// Reads all bytes in several threads, over and over, until `change` is done and once more after
/// that; answers whether every byte was always that of `before` or that of `after`, and whether for
/// another thread, which asks all the time, what was damaged stayed so.
bool always_one_of(const ModelData& data, const Bytes& before, const Bytes& after,
                   const std::function<void()>& change) {
  std::atomic<bool> is_done{false};
  std::atomic<bool> holds{true};
  const auto read = [&](std::size_t first) {
    for (bool last = false; !last;) {
      last = is_done;
      for (std::size_t i = 0; i < data.size(); ++i) {
        const std::size_t at = (first + i) % data.size();
        const std::byte found = *static_cast<const volatile std::byte*>(&data.bytes()[at]);
        if (found != before[at] && found != after[at]) holds = false;
      }
    }
  };
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 4; ++i) threads.emplace_back(read, i * data.size() / 4);
  threads.emplace_back([&] {
    for (bool was_damaged = false; !is_done; std::this_thread::yield()) {
      const bool is_damaged = data.damaged();
      if (was_damaged && !is_damaged) holds = false;
      was_damaged = is_damaged;
    }
  });
  const Ended ended = in_child(change);
  is_done = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(ended.well());
  return holds;
}

TEST_CASE("threads read on while another process truncates the file, again and again") {
  const Bytes whole = noise(kSize, 10);
  const TempFile file(whole);
  const ModelData data = ModelData::open(file.path(), guarded());
  CHECK(always_one_of(data, whole, Bytes(kSize), [&] {
    for (std::size_t left = kSize; left > 0; left -= std::min<std::size_t>(left, 100'003)) {
      fs::resize_file(file.path(), left);
    }
    fs::resize_file(file.path(), 0);
  }));
  CHECK(copy_of(data) == Bytes(kSize));
  CHECK(data.damaged());
}

TEST_CASE("threads read the old file while another process replaces it") {
  const Bytes whole = noise(kSize, 11);
  const TempDir folder;
  const fs::path path = folder.write("model", whole);
  const fs::path next = folder.write("next", noise(page(), 12));
  const ModelData data = ModelData::open(path, guarded());
  CHECK(always_one_of(data, whole, whole, [&] { fs::rename(next, path); }));
  CHECK_FALSE(data.damaged());
  CHECK_FALSE(data.unchanged());
}

TEST_CASE("threads read old or new bytes while another process overwrites the file in place") {
  const Bytes whole = noise(kSize, 13);
  const Bytes other = noise(kSize, 14);
  const TempFile file(whole);
  const ModelData data = ModelData::open(file.path(), guarded());
  CHECK(always_one_of(data, whole, other, [&] {
    const int descriptor = ::open(file.path().c_str(), O_WRONLY | O_CLOEXEC);
    const ssize_t written = ::pwrite(descriptor, other.data(), other.size(), 0);
    expect(written == static_cast<ssize_t>(other.size()), "all is written");
  }));
  CHECK(copy_of(data) == other);
  CHECK_FALSE(data.damaged());  // a mapping shows the file as it is: unchanged() tells
  CHECK_FALSE(data.unchanged());
}

#ifdef FALLOC_FL_PUNCH_HOLE
TEST_CASE("threads read old bytes or zeros while another process punches holes into the file") {
  const Bytes whole = noise(kSize, 15);
  const TempFile file(whole);
  const ModelData data = ModelData::open(file.path(), guarded());
  const int descriptor = ::open(file.path().c_str(), O_WRONLY | O_CLOEXEC);
  const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  const auto punch = [&](std::size_t at, std::size_t size) {
    return ::fallocate(descriptor, mode, static_cast<off_t>(at), static_cast<off_t>(size)) == 0;
  };
  if (!punch(0, page())) {
    ::close(descriptor);
    SKIP("this file system punches no holes");
  }
  CHECK(always_one_of(data, whole, Bytes(kSize), [&] {
    for (std::size_t at = 0; at < kSize; at += 64 * page()) {
      expect(punch(at, 32 * page()), "a hole is punched");
    }
  }));
  ::close(descriptor);
  CHECK(data.bytes()[page()] == std::byte{0});
  CHECK(data.bytes()[40 * page()] == whole[40 * page()]);
  CHECK_FALSE(data.damaged());  // a hole is zeros by right
  CHECK_FALSE(data.unchanged());
}
#endif

// ---- Pages that cannot be read though the file has them -----------------------------------------

#if defined(SYS_userfaultfd) && defined(UFFD_FEATURE_SIGBUS)
/// Makes the pages of a range that are not in the page cache raise SIGBUS, as a failing disk does;
/// false where the system does not let us.
bool make_unreadable(std::span<const std::byte> range) {
  constexpr int kUserModeOnly = 1;
  const auto descriptor = static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | kUserModeOnly));
  if (descriptor < 0) return false;  // stays open as long as the process
  uffdio_api api{.api = UFFD_API, .features = UFFD_FEATURE_SIGBUS, .ioctls = 0};
  if (::ioctl(descriptor, UFFDIO_API, &api) != 0) return false;
  uffdio_register wanted{
      .range = {.start = reinterpret_cast<std::uintptr_t>(range.data()), .len = range.size()},
      .mode = UFFDIO_REGISTER_MODE_MISSING,
      .ioctls = 0};
  return ::ioctl(descriptor, UFFDIO_REGISTER, &wanted) == 0;
}

/// A file in memory of 64 pages, of which the first 16 are written; and its data, all of whose
/// other pages cannot be read. Nothing where the system does not have what it takes.
struct Failing {
  int descriptor = ::memfd_create("model", MFD_CLOEXEC);
  Bytes whole = noise(16 * page(), 16);
  std::optional<ModelData> data;

  Failing() {
    if (descriptor < 0 || ::pwrite(descriptor, whole.data(), whole.size(), 0) < 0 ||
        ::ftruncate(descriptor, static_cast<off_t>(64 * page())) != 0) {
      return;
    }
    whole.resize(64 * page());
    data = ModelData::open_descriptor(descriptor, guarded());
    if (!make_unreadable(data->bytes())) data.reset();
  }
  Failing(const Failing&) = delete;
  Failing& operator=(const Failing&) = delete;
  ~Failing() { ::close(descriptor); }
};

TEST_CASE("pages that the disk does not give read as zeros, and the data are damaged") {
  const Failing failing;
  if (!failing.data) SKIP("this system makes no page unreadable for us");
  const ModelData& data = *failing.data;
  CHECK(std::ranges::equal(data.bytes().first(16 * page()),
                           std::span(failing.whole).first(16 * page())));
  CHECK_FALSE(data.damaged());
  CHECK(data.bytes()[40 * page() + 5] == std::byte{0});
  CHECK(data.damaged());
  CHECK(data.intact());
  CHECK(copy_of(data) == failing.whole);
  CHECK(refusal(data).code() == std::errc::io_error);
}

#if defined(__has_feature)
constexpr bool kThreadSanitizer = __has_feature(thread_sanitizer);
#elif defined(__SANITIZE_THREAD__)
constexpr bool kThreadSanitizer = true;
#else
constexpr bool kThreadSanitizer = false;
#endif

TEST_CASE("where the process may have no more mappings, all of a damaged file is zeros") {
  if (kThreadSanitizer) SKIP("the sanitizer needs mappings of its own");
  const Ended ended = in_child([] {
    const Failing failing;
    if (!failing.data) ::_exit(77);
    // As many mappings as the system lets one process have: every other page of this may be
    // written.
    constexpr std::size_t kPages = std::size_t{1} << 20;
    void* const filler =
        ::mmap(nullptr, kPages * page(), PROT_READ, MAP_PRIVATE | MAP_ANON | MAP_NORESERVE, -1, 0);
    expect(filler != MAP_FAILED, "memory is there");
    auto* at = static_cast<std::byte*>(filler);
    std::size_t made = 0;
    while (made < kPages && ::mprotect(at, page(), PROT_READ | PROT_WRITE) == 0) {
      at += 2 * page();
      made += 2;
    }
    if (made >= kPages) ::_exit(77);  // this system has no such limit
    const std::byte found =
        *static_cast<const volatile std::byte*>(&failing.data->bytes()[40 * page()]);
    const std::byte first = *static_cast<const volatile std::byte*>(failing.data->bytes().data());
    const bool damaged = failing.data->damaged();
    ::munmap(filler, kPages * page());
    expect(found == std::byte{0}, "a page that cannot be read is zeros");
    expect(first == std::byte{0}, "so are the others");
    expect(damaged, "the data are damaged");
  });
  if (!ended.by_signal && ended.number == 77) SKIP("this system cannot be brought there");
  CHECK(ended.well());
}
#endif

// ---- What is made of the bytes ------------------------------------------------------------------

Sample model_of(std::size_t elements) {
  return GgufBuilder()
      .entry("general.architecture", "test")
      .tensor({.name = "weights", .dims = {elements}})
      .build();
}

TEST_CASE("a model whose file is cut before it is parsed is refused for that") {
  const TempFile file(model_of(4 * page()).bytes());
  const std::size_t left = GENERATE_COPY(std::size_t{0}, std::size_t{30}, 3 * page());
  ModelData data = ModelData::open(file.path(), guarded());
  cut(file.path(), left);
  try {
    static_cast<void>(Model::from_data(std::move(data)));
    FAIL_CHECK("accepted");
  } catch (const Error& error) {
    CHECK(error.code() == Errc::file_changed);
    CHECK(error.actual() == left);
    CHECK(error.path() == file.path().string());
  }
}

TEST_CASE("a model tells that a file of it is damaged") {
  const Sample sample = model_of(4 * page());
  const TempFile file(sample.bytes());
  const Model model = Model::open(file.path(), guarded());
  CHECK_FALSE(model.damaged());
  CHECK_NOTHROW(model.require_undamaged());
  cut(file.path(), sample.size() - 1);
  CHECK(model.damaged());
  CHECK_THROWS_AS(model.require_undamaged(), Error);
}

#ifdef BALLAST_TEST_HAS_VALUES
TEST_CASE("no statistics are made of zeros that stand for what is lost") {
  const Sample sample = model_of(8 * kMiB);
  const TempFile file(sample.bytes());
  const Model model = Model::open(file.path(), guarded());
  OpenOptions options;
  options.progress = [&](const Progress& progress) {
    if (progress.done > 20 * kMiB && !model.damaged()) cut(file.path(), 24 * kMiB);
  };
  try {
    static_cast<void>(statistics(model, model.tensors()[0], {}, options));
    FAIL_CHECK("computed");
  } catch (const Error& error) {
    CHECK(error.code() == Errc::file_changed);
  }
}

template <class Read>
void refuses_a_cut_file(Read read) {
  const Sample sample = model_of(4 * page());
  const TempFile file(sample.bytes());
  const Model model = Model::open(file.path(), guarded());
  cut(file.path(), 4 * page());
  try {
    read(model, model.tensors()[0]);
    FAIL_CHECK("zeros were returned");
  } catch (const Error& error) {
    CHECK(error.code() == Errc::file_changed);
    CHECK(error.path() == file.path().string());
  }
}

TEST_CASE("no values are made of zeros that stand for what is lost") {
  std::vector<float> floats(4 * page());
  std::vector<std::uint16_t> halves(4 * page());
  refuses_a_cut_file(
      [&](const Model& model, const Tensor& tensor) { read_floats(model, tensor, {}, floats); });
  refuses_a_cut_file(
      [&](const Model& model, const Tensor& tensor) { read_f16(model, tensor, {}, halves); });
  refuses_a_cut_file(
      [&](const Model& model, const Tensor& tensor) { read_bf16(model, tensor, {}, halves); });
}
#endif

// ---- Threads of the library's own ---------------------------------------------------------------

TEST_CASE(
    "threads of the library's own leave to the program what others send, not their own faults") {
  std::atomic<bool> blocks_faults{false};
  std::atomic<bool> blocks_others{true};
  const std::thread::id here = std::this_thread::get_id();
  platform::work_together(
      2,
      [&](const platform::Pulse&) {
        if (std::this_thread::get_id() == here) return;
        sigset_t now;
        ::pthread_sigmask(SIG_BLOCK, nullptr, &now);
        for (const int own : {SIGBUS, SIGSEGV, SIGFPE, SIGILL}) {
          if (::sigismember(&now, own) != 0) blocks_faults = true;
        }
        for (const int other : {SIGINT, SIGTERM, SIGUSR1, SIGALRM}) {
          if (::sigismember(&now, other) == 0) blocks_others = false;
        }
      },
      [] {});
  CHECK_FALSE(blocks_faults);
  CHECK(blocks_others);
}

}  // namespace
}  // namespace ballast::test
