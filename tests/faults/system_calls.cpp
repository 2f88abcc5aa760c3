#include "tests/faults/system_calls.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <functional>
#include <mutex>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

namespace ballast::test {
namespace {

// open(2), fcntl(2), stat(2), lseek(2), pread(2), read(2), mmap(2), madvise(2), posix_fadvise(2),
// close(2), poll(2), sysconf(3), getrlimit(2), pthread_create(3), under ERRORS.
constexpr std::array kFaults{
    Fault{Call::open, Effect::error, EINTR},
    Fault{Call::open, Effect::error, EACCES},
    Fault{Call::open, Effect::error, EMFILE},
    Fault{Call::open, Effect::error, ENFILE},
    Fault{Call::open, Effect::error, ENOENT},
    Fault{Call::open, Effect::error, ENOMEM},
    Fault{Call::open, Effect::error, EIO},
    Fault{Call::fcntl, Effect::error, EINTR},
    Fault{Call::fcntl, Effect::error, EMFILE},
    Fault{Call::fcntl, Effect::error, EBADF},
    Fault{Call::fstat, Effect::error, EINTR},
    Fault{Call::fstat, Effect::error, EIO},
    Fault{Call::fstat, Effect::error, ENOMEM},
    Fault{Call::fstat, Effect::error, EOVERFLOW},
    Fault{Call::stat, Effect::error, EINTR},
    Fault{Call::stat, Effect::error, EACCES},
    Fault{Call::stat, Effect::error, EIO},
    Fault{Call::stat, Effect::error, ENOENT},
    Fault{Call::lseek, Effect::error, ESPIPE},
    Fault{Call::pread, Effect::error, EINTR},
    Fault{Call::pread, Effect::error, EIO},
    Fault{Call::pread, Effect::error, EAGAIN},
    Fault{Call::pread, Effect::error, EINVAL},
    Fault{Call::pread, Effect::error, ENOMEM},
    Fault{Call::pread, Effect::half},
    Fault{Call::pread, Effect::one_byte},
    Fault{Call::pread, Effect::nothing},
    Fault{Call::read, Effect::error, EINTR},
    Fault{Call::read, Effect::error, EAGAIN},
    Fault{Call::read, Effect::error, EIO},
    Fault{Call::read, Effect::error, EINVAL},
    Fault{Call::read, Effect::half},
    Fault{Call::read, Effect::one_byte},
    Fault{Call::read, Effect::nothing},
    Fault{Call::mmap, Effect::error, ENOMEM},
    Fault{Call::mmap, Effect::error, EACCES},
    Fault{Call::mmap, Effect::error, EAGAIN},
    Fault{Call::mmap, Effect::error, ENODEV},
    Fault{Call::mmap, Effect::error, ENFILE},
    Fault{Call::mmap, Effect::error, EINVAL},
    Fault{Call::munmap, Effect::error, ENOMEM},
    Fault{Call::munmap, Effect::error, EINVAL},
    Fault{Call::madvise, Effect::error, EINVAL},
    Fault{Call::madvise, Effect::error, ENOMEM},
    Fault{Call::madvise, Effect::error, EAGAIN},
    Fault{Call::madvise, Effect::error, EIO},
    Fault{Call::madvise, Effect::error, EFAULT},
    Fault{Call::posix_fadvise, Effect::error, EBADF},
    Fault{Call::posix_fadvise, Effect::error, EINVAL},
    Fault{Call::close, Effect::error, EIO},
    Fault{Call::close, Effect::error, EINTR},
    Fault{Call::poll, Effect::error, EINTR},
    Fault{Call::poll, Effect::error, ENOMEM},
    Fault{Call::poll, Effect::error, EINVAL},
    Fault{Call::sysconf, Effect::error, EINVAL},
    Fault{Call::getrlimit, Effect::error, EPERM},
    Fault{Call::thread, Effect::error, EAGAIN},
};

constexpr std::array<std::string_view, kCallCount> kNames{
    "open",   "fcntl",   "fstat",         "stat",  "lseek", "pread",   "read",      "mmap",
    "munmap", "madvise", "posix_fadvise", "close", "poll",  "sysconf", "getrlimit", "thread"};

/// The fault that is set, and how many calls are left before it; no call is made while it changes.
std::optional<Fault> fault;
bool is_lasting = false;
std::atomic<std::int64_t> calls_left{0};
thread_local int pauses = 0;

/// What is done before which call; neither changes while calls are made.
Call interrupted{};
std::function<void()> interruption;
std::atomic<std::int64_t> calls_until_interruption{0};

std::array<std::atomic<std::uint64_t>, kCallCount> counts{};

std::atomic<std::int64_t> descriptors{0};
std::atomic<std::int64_t> mapped_bytes{0};

struct Range {
  void* begin;
  std::size_t size;
};
std::mutex kept_mutex;
std::vector<Range> kept;  // what an injected fault has left mapped

void interrupt(Call call) noexcept {
  if (!interruption || interrupted != call || --calls_until_interruption != 0) return;
  const CallsPaused paused;
  interruption();
}

/// Counts a call, and answers what is to become of it.
const Fault* meet(Call call) noexcept {
  if (pauses != 0) return nullptr;
  ++counts[static_cast<std::size_t>(call)];
  interrupt(call);
  if (!fault || fault->call != call) return nullptr;
  const std::int64_t left = --calls_left;
  if (left > 0 || (left < 0 && !is_lasting)) return nullptr;
  if (fault->effect == Effect::error) errno = fault->number;
  return &*fault;
}

bool fails(Call call) noexcept { return meet(call) != nullptr; }

void count_descriptors(std::int64_t more) noexcept {
  if (pauses == 0) descriptors += more;
}

std::int64_t whole_pages(std::size_t size) noexcept {
  const auto page = static_cast<std::size_t>(::getpagesize());
  return static_cast<std::int64_t>((size + page - 1) / page * page);
}

/// How much of a read is asked for.
std::size_t shortened(Effect effect, std::size_t size) noexcept {
  if (effect == Effect::half)
    return std::max<std::size_t>(size / 2, std::min<std::size_t>(size, 1));
  return std::min<std::size_t>(size, 1);
}

}  // namespace

std::string_view name_of(Call call) noexcept { return kNames[static_cast<std::size_t>(call)]; }

std::span<const Fault> faults() noexcept { return kFaults; }

std::string to_text(const Fault& given) {
  std::string text(name_of(given.call));
  switch (given.effect) {
    case Effect::error:
      return text + " fails: " + std::generic_category().message(given.number);
    case Effect::half:
      return text + " brings half";
    case Effect::one_byte:
      return text + " brings a byte";
    case Effect::nothing:
      break;
  }
  return text + " brings nothing";
}

Injection::Injection(const Fault& given, std::uint64_t nth, bool lasting) noexcept {
  is_lasting = lasting;
  calls_left = static_cast<std::int64_t>(nth);
  fault = given;
}

Interruption::Interruption(Call call, std::uint64_t nth, std::function<void()> work) {
  interrupted = call;
  calls_until_interruption = static_cast<std::int64_t>(nth);
  interruption = std::move(work);
}
Interruption::~Interruption() { interruption = nullptr; }

CallsPaused::CallsPaused() noexcept { ++pauses; }
CallsPaused::~CallsPaused() { --pauses; }

std::uint64_t calls_of(Call call) noexcept { return counts[static_cast<std::size_t>(call)]; }

Held held() noexcept { return {descriptors, mapped_bytes}; }

}  // namespace ballast::test

// ---- What the linker puts in place -------------------------------------------------------------

using ballast::test::Call;
using ballast::test::Effect;
using ballast::test::Fault;

extern "C" {

int __real_open(const char* path, int flags, ...);
int __real_fcntl(int descriptor, int command, ...);
int __real_fstat(int descriptor, struct stat* status);
int __real_stat(const char* path, struct stat* status);
off_t __real_lseek(int descriptor, off_t offset, int whence);
ssize_t __real_pread(int descriptor, void* into, std::size_t size, off_t offset);
ssize_t __real_read(int descriptor, void* into, std::size_t size);
void* __real_mmap(void* at, std::size_t size, int protection, int flags, int descriptor,
                  off_t offset);
int __real_munmap(void* begin, std::size_t size);
int __real_madvise(void* begin, std::size_t size, int advice);
int __real_posix_fadvise(int descriptor, off_t offset, off_t size, int advice);
int __real_close(int descriptor);
int __real_poll(pollfd* waiting, nfds_t count, int timeout);
long __real_sysconf(int name);
int __real_getrlimit(int resource, rlimit* limit);
// std::thread's way into the C++ library: the thread, what it runs (by reference, as what has a
// destructor is passed), and a function that keeps the thread library linked.
void __real__ZNSt6thread15_M_start_threadESt10unique_ptrINS_6_StateESt14default_deleteIS1_EEPFvvE(
    void* self, void* state, void (*depend)());

int __wrap_open(const char* path, int flags, ...) {
  mode_t mode = 0;
  if ((flags & O_CREAT) != 0) {
    va_list rest;
    va_start(rest, flags);
    mode = va_arg(rest, mode_t);
    va_end(rest);
  }
  if (ballast::test::fails(Call::open)) return -1;
  const int descriptor = __real_open(path, flags, mode);
  if (descriptor != -1) ballast::test::count_descriptors(1);
  return descriptor;
}

int __wrap_fcntl(int descriptor, int command, ...) {
  va_list rest;
  va_start(rest, command);
  const long argument = va_arg(rest, long);
  va_end(rest);
  if (ballast::test::fails(Call::fcntl)) return -1;
  const int result = __real_fcntl(descriptor, command, argument);
  if (command == F_DUPFD_CLOEXEC && result != -1) ballast::test::count_descriptors(1);
  return result;
}

int __wrap_fstat(int descriptor, struct stat* status) {
  return ballast::test::fails(Call::fstat) ? -1 : __real_fstat(descriptor, status);
}

int __wrap_stat(const char* path, struct stat* status) {
  return ballast::test::fails(Call::stat) ? -1 : __real_stat(path, status);
}

off_t __wrap_lseek(int descriptor, off_t offset, int whence) {
  return ballast::test::fails(Call::lseek) ? -1 : __real_lseek(descriptor, offset, whence);
}

ssize_t __wrap_pread(int descriptor, void* into, std::size_t size, off_t offset) {
  const Fault* const met = ballast::test::meet(Call::pread);
  if (met == nullptr) return __real_pread(descriptor, into, size, offset);
  if (met->effect == Effect::error) return -1;
  if (met->effect == Effect::nothing) return 0;
  return __real_pread(descriptor, into, ballast::test::shortened(met->effect, size), offset);
}

ssize_t __wrap_read(int descriptor, void* into, std::size_t size) {
  const Fault* const met = ballast::test::meet(Call::read);
  if (met == nullptr) return __real_read(descriptor, into, size);
  if (met->effect == Effect::error) return -1;
  if (met->effect == Effect::nothing) return 0;
  return __real_read(descriptor, into, ballast::test::shortened(met->effect, size));
}

void* __wrap_mmap(void* at, std::size_t size, int protection, int flags, int descriptor,
                  off_t offset) {
  if (ballast::test::fails(Call::mmap)) return MAP_FAILED;
  void* const begin = __real_mmap(at, size, protection, flags, descriptor, offset);
  if (begin != MAP_FAILED) ballast::test::mapped_bytes += ballast::test::whole_pages(size);
  return begin;
}

int __wrap_munmap(void* begin, std::size_t size) {
  ballast::test::mapped_bytes -= ballast::test::whole_pages(size);
  if (ballast::test::fails(Call::munmap)) {
    const int error = errno;
    const std::scoped_lock lock(ballast::test::kept_mutex);
    ballast::test::kept.push_back({begin, size});
    errno = error;
    return -1;
  }
  return __real_munmap(begin, size);
}

int __wrap_madvise(void* begin, std::size_t size, int advice) {
  return ballast::test::fails(Call::madvise) ? -1 : __real_madvise(begin, size, advice);
}

int __wrap_posix_fadvise(int descriptor, off_t offset, off_t size, int advice) {
  if (ballast::test::fails(Call::posix_fadvise)) return errno;
  return __real_posix_fadvise(descriptor, offset, size, advice);
}

// Whatever it answers, Linux has closed it.
int __wrap_close(int descriptor) {
  const bool is_to_fail = ballast::test::fails(Call::close);
  const int error = errno;
  const int result = __real_close(descriptor);
  if (result == 0) ballast::test::count_descriptors(-1);
  if (!is_to_fail) return result;
  errno = error;
  return -1;
}

int __wrap_poll(pollfd* waiting, nfds_t count, int timeout) {
  return ballast::test::fails(Call::poll) ? -1 : __real_poll(waiting, count, timeout);
}

// The size of a page is known to every system (sysconf(3)); how much memory there is may not be.
long __wrap_sysconf(int name) {
  if (name == _SC_PHYS_PAGES && ballast::test::fails(Call::sysconf)) return -1;
  return __real_sysconf(name);
}

int __wrap_getrlimit(int resource, rlimit* limit) {
  return ballast::test::fails(Call::getrlimit) ? -1 : __real_getrlimit(resource, limit);
}

void __wrap__ZNSt6thread15_M_start_threadESt10unique_ptrINS_6_StateESt14default_deleteIS1_EEPFvvE(
    void* self, void* state, void (*depend)()) {
  if (ballast::test::fails(Call::thread)) {
    throw std::system_error(EAGAIN, std::generic_category(), "a thread");
  }
  __real__ZNSt6thread15_M_start_threadESt10unique_ptrINS_6_StateESt14default_deleteIS1_EEPFvvE(
      self, state, depend);
}

}  // extern "C"

ballast::test::Injection::~Injection() {
  fault.reset();
  for (const Range& range : kept) __real_munmap(range.begin, range.size);
  kept.clear();
}
