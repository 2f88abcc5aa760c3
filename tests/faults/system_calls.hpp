// System calls that fail when a test says so.
//
//     const Injection fault({Call::pread, Effect::error, EIO}, 3);   // the third one fails, once
//     model = Model::open(path);
//
// The linker puts these calls in place of the system's for whatever is linked statically
// (CMakeLists.txt has their names): that is the platform layer, and the tests themselves. The C and
// C++ libraries and the codecs call the system as ever.
//
// What the library holds is counted all the time: descriptors, and mapped bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace ballast::test {

/// What can fail; a thread is not a system call, and is made by several.
enum class Call : std::uint8_t {
  open,
  fcntl,
  fstat,
  stat,
  lseek,
  pread,
  read,
  mmap,
  munmap,
  madvise,
  posix_fadvise,
  close,
  poll,
  sysconf,
  getrlimit,
  thread,
};
inline constexpr std::size_t kCallCount = static_cast<std::size_t>(Call::thread) + 1;

[[nodiscard]] std::string_view name_of(Call call) noexcept;

enum class Effect : std::uint8_t {
  error,     ///< with the number of an error
  half,      ///< a read brings half of what it was asked for
  one_byte,  ///< a read brings a single byte
  nothing,   ///< a read brings nothing, as at the end of a file
};

struct Fault {
  Call call;
  Effect effect = Effect::error;
  int number = 0;  ///< of the error
};

/// Every fault that the manual pages make plausible.
[[nodiscard]] std::span<const Fault> faults() noexcept;
[[nodiscard]] std::string to_text(const Fault& fault);

/// While it lives, one call fails: the `nth`, counted from 1, and with `lasting` all behind it.
class Injection {
 public:
  Injection(const Fault& fault, std::uint64_t nth, bool lasting = false) noexcept;
  Injection(const Injection&) = delete;
  Injection& operator=(const Injection&) = delete;
  /// What could not be given back because of the fault is given back now.
  ~Injection();
};

/// While it lives, something is done once before a call: the `nth` of its kind, counted from 1, on
/// the thread that makes it. Its own calls are the system's.
class Interruption {
 public:
  Interruption(Call call, std::uint64_t nth, std::function<void()> work);
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;
  ~Interruption();
};

/// While it lives, this thread's calls are the system's own, and not counted: for what a test does
/// itself.
class CallsPaused {
 public:
  CallsPaused() noexcept;
  CallsPaused(const CallsPaused&) = delete;
  CallsPaused& operator=(const CallsPaused&) = delete;
  ~CallsPaused();
};

/// How many calls of a kind there have been.
[[nodiscard]] std::uint64_t calls_of(Call call) noexcept;

/// What is held now of what came by these calls.
struct Held {
  std::int64_t descriptors = 0;
  std::int64_t mapped_bytes = 0;

  friend bool operator==(const Held&, const Held&) = default;
};
[[nodiscard]] Held held() noexcept;

}  // namespace ballast::test
