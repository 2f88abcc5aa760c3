// What the tests of ModelData and of the platform share: both backends, what the system says about
// this process's memory, and what else not every process can do. Where it cannot, or the system
// does not say it, the test is skipped.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/config.hpp>
#include <ballast/error.hpp>
#include <ballast/model_data.hpp>

#include "platform/file.hpp"
#include "tests/support/sample.hpp"
#include "tests/support/temp.hpp"

namespace ballast::test {

// Sanitizers keep memory of their own beside the program's, and end the process where the system
// refuses memory: tests that measure memory, or lower its limits, are not for them.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitizer = true;
#elif defined(__has_feature)
inline constexpr bool kSanitizer = __has_feature(address_sanitizer) ||  //
                                   __has_feature(thread_sanitizer);
#else
inline constexpr bool kSanitizer = false;
#endif

inline constexpr std::size_t kMiB = std::size_t{1} << 20;

/// Every way in which this build brings a file to memory.
inline std::vector<Backend> backends() {
  if (BALLAST_HAS_MMAP) return {Backend::map, Backend::heap};
  return {Backend::heap};
}

inline OpenOptions on(Backend backend) {
  OpenOptions options;
  options.backend = backend;
  return options;
}

/// The error that an action throws; fails the test where it throws none.
template <class Action>
Error error_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  FAIL("nothing was refused");
  throw;
}

inline Bytes copy_of(const ModelData& data) {
  const std::span<const std::byte> bytes = data.bytes();
  return {bytes.begin(), bytes.end()};
}

inline std::size_t page_size() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

/// The whole pages that a range touches.
inline std::span<const std::byte> pages_of(std::span<const std::byte> range) {
  const std::size_t lead = reinterpret_cast<std::uintptr_t>(range.data()) % page_size();
  const std::size_t size = (lead + range.size() + page_size() - 1) / page_size() * page_size();
  return {range.data() - lead, size};
}

/// Skips the test where the system does not show a process its own state (proc(5)), as Linux does.
inline void require_proc() {
  for (const char* file : {"/proc/self/pagemap", "/proc/self/status", "/proc/self/fd"}) {
    if (!std::filesystem::exists(file)) SKIP("there is no " << file);
  }
}

/// Skips the test where a program is one thread and can be no more, as in WebAssembly.
inline void require_threads() {
  try {
    std::thread([] {}).join();
  } catch (const std::system_error& error) {
    SKIP("no thread can be started: " << error.what());
  }
}

/// Skips the test where the system does not tell which descriptors a new program inherits. In Node
/// none are, and nobody can ask.
inline void require_close_on_exec() {
  const int descriptor = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int flags = ::fcntl(descriptor, F_GETFD);
  ::close(descriptor);
  if ((flags & FD_CLOEXEC) == 0) SKIP("O_CLOEXEC is not told of by F_GETFD");
}

/// For each page that a range touches, whether it is in this process's page table: bit 63 of its
/// entry in /proc/self/pagemap.
inline std::vector<bool> present_pages(std::span<const std::byte> range) {
  const auto pages = pages_of(range);
  const auto first = reinterpret_cast<std::uintptr_t>(pages.data()) / page_size();
  std::vector<std::uint64_t> entries(pages.size() / page_size());
  const auto map = platform::File::open("/proc/self/pagemap");
  const auto into = std::as_writable_bytes(std::span(entries));
  if (map.read_at(first * sizeof(std::uint64_t), into) != into.size()) {
    throw std::runtime_error("/proc/self/pagemap is too short");
  }
  std::vector<bool> present;
  for (const std::uint64_t entry : entries) present.push_back((entry >> 63) != 0);
  return present;
}

/// Bytes of a range that are in this process's page table.
inline std::size_t resident(std::span<const std::byte> range) {
  std::size_t pages = 0;
  for (const bool present : present_pages(range)) pages += present ? 1 : 0;
  return pages * page_size();
}

/// Bytes of a mapped range that are in the page cache (mincore(2)).
inline std::size_t cached(std::span<const std::byte> range) {
  const auto pages = pages_of(range);
  std::vector<unsigned char> states(pages.size() / page_size());
  if (::mincore(const_cast<std::byte*>(pages.data()), pages.size(), states.data()) != 0) {
    throw std::system_error(errno, std::system_category(), "mincore");
  }
  std::size_t count = 0;
  for (const unsigned char state : states) count += state & 1U;
  return count * page_size();
}

/// Reads one byte of every page.
inline unsigned touch(std::span<const std::byte> range) {
  unsigned sum = 0;
  for (std::size_t i = 0; i < range.size(); i += page_size()) {
    sum += std::to_integer<unsigned>(*static_cast<const volatile std::byte*>(&range[i]));
  }
  return sum;
}

/// A number of /proc/self/status, in its own unit ("VmHWM": KiB).
inline std::size_t process_status(const std::string& name) {
  std::ifstream file("/proc/self/status");
  for (std::string word; file >> word;) {
    std::size_t value = 0;
    if (word == name + ":" && file >> value) return value;
  }
  throw std::runtime_error(name + " is not in /proc/self/status");
}

/// How many descriptors are open.
inline std::size_t open_descriptors() {
  const std::filesystem::directory_iterator entries("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
}

/// The most memory that an action keeps resident over what was resident before, in bytes.
template <class Action>
std::size_t peak_growth(Action action) {
  require_proc();
  if (kSanitizer) SKIP("the sanitizer's own memory counts too");
  std::ofstream reset("/proc/self/clear_refs");
  if (!(reset << "5" << std::flush)) SKIP("the peak cannot be reset (/proc/self/clear_refs)");
  const std::size_t before = process_status("VmRSS");
  action();
  return (process_status("VmHWM") - before) * 1024;
}

/// A limit of this process, lowered for a while (getrlimit(2)).
class LoweredLimit {
 public:
  LoweredLimit(int resource, std::size_t limit) : resource_(resource) {
    REQUIRE(::getrlimit(which(), &before_) == 0);
    rlimit lowered = before_;
    lowered.rlim_cur = limit;
    REQUIRE(::setrlimit(which(), &lowered) == 0);
  }
  LoweredLimit(const LoweredLimit&) = delete;
  LoweredLimit& operator=(const LoweredLimit&) = delete;
  ~LoweredLimit() { ::setrlimit(which(), &before_); }

 private:
  using Resource = decltype(RLIMIT_AS);
  [[nodiscard]] Resource which() const noexcept { return static_cast<Resource>(resource_); }

  int resource_;
  rlimit before_{};
};

/// A file of zeros that takes no room on the disk.
inline std::filesystem::path sparse_file(const TempDir& folder, std::uint64_t size) {
  const std::filesystem::path path = folder.write("sparse", Bytes{});
  std::error_code error;
  std::filesystem::resize_file(path, size, error);
  if (error) SKIP("no sparse file of " << size << " bytes here: " << error.message());
  return path;
}

}  // namespace ballast::test
