// Memory whose bytes change between two reads, as those of a mapped file that another process
// writes.
//
//     ChangingMemory memory(file);
//     memory.start({.first = 17, .seed = 3});  // the 17th fetch sees other bytes, the 18th the
//     file again use(memory.bytes()); memory.stop();
//
// A fetch is one instruction that reads the memory, or one call such as memcpy. The changes depend
// on the plan alone, so a failure can be repeated. There are two implementations of this header,
// one for each program:
//
//   paged_memory.cpp   The pages are inaccessible. Each fetch raises SIGSEGV, whose handler changes
//   the bytes and has
//                      the processor stop behind the instruction. Complete, with any compiler;
//                      Linux on x86-64. A fetch takes microseconds.
//   traced_memory.cpp  The compiler calls a hook before each load (Clang,
//   -fsanitize-coverage=trace-loads), and the
//                      linker puts the test's memcpy in place of the C library's. A fetch takes
//                      nanoseconds.
//
// Threads: one object at a time is started, and one thread reads it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "tests/support/random.hpp"

namespace ballast::test {

/// How bytes become others.
enum class How : std::uint8_t {
  byte,        ///< one of the next eight bytes
  nasty_byte,  ///< the same, and the byte means something to a parser
  nasty_near,  ///< the same, up to 32 bytes behind it
  bit,         ///< one bit of the first byte
  number,      ///< a number of eight bytes at which something changes
  noise,       ///< eight bytes of any value
  zeros,       ///< all bytes to the end of the page, as the fault guard leaves them
  other,       ///< all bytes are those of the other version
};
inline constexpr std::size_t kHows = 8;

/// One change, before one fetch.
struct Change {
  std::uint64_t fetch = 0;  ///< counted from 1
  How how = How::nasty_byte;
  std::uint64_t value = 0;  ///< which byte, bit or number
  bool stays = false;       ///< for all fetches after it, too
};

/// Which fetches see something else than the file: those that are listed, or, without a list, the
/// `first`, and each `every`-th after it, in ways that the seed chooses.
struct Plan {
  std::uint64_t first = 1;
  std::uint64_t every = 0;  ///< 0: none after the first
  bool stays = false;       ///< what is changed stays changed
  std::uint64_t seed = 1;
  std::span<const Change> list{};  ///< by their fetches; viewed until stop()
};

class ChangingMemory {
 public:
  /// Copies the file, and what it may become in whole: by default, zeros.
  explicit ChangingMemory(std::span<const std::byte> file, std::span<const std::byte> other = {});
  ChangingMemory(const ChangingMemory&) = delete;
  ChangingMemory& operator=(const ChangingMemory&) = delete;
  ~ChangingMemory();

  /// The bytes to read. An access behind them, or more than a vector before them, ends the program.
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept;

  /// From now on bytes change. They begin as the file.
  void start(const Plan& plan);
  /// Bytes stay what they are; what was changed for one fetch alone is the file's again.
  void stop() noexcept;

  /// Since start(). The counting ends behind the last change.
  [[nodiscard]] std::uint64_t fetches() const noexcept;
  [[nodiscard]] std::uint64_t changes() const noexcept;

  /// How many fetches of one run are affordable.
  [[nodiscard]] static std::uint64_t affordable_fetches() noexcept;

  struct State;

 private:
  std::unique_ptr<State> state_;
};

/// What both implementations have in common: what happens before and after a fetch.
class Script {
 public:
  Script(std::span<const std::byte> file, std::span<const std::byte> other);

  void begin(std::span<std::byte> bytes, const Plan& plan) noexcept;
  void before_fetch(std::size_t at) noexcept;
  void after_fetch() noexcept;
  void restore() noexcept;

  /// Whether no fetch is changed any more.
  [[nodiscard]] bool is_over() const noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return file_.size(); }
  [[nodiscard]] std::uint64_t fetches() const noexcept { return fetches_; }
  [[nodiscard]] std::uint64_t changes() const noexcept { return changes_; }

 private:
  void make(const Change& change, std::size_t at) noexcept;

  std::vector<std::byte> file_;
  std::vector<std::byte> other_;
  std::span<std::byte> bytes_;
  Plan plan_;
  std::size_t next_ = 0;  // of the list
  Random random_{1};
  std::uint64_t fetches_ = 0;
  std::uint64_t changes_ = 0;
  bool is_transient_ = false;  // the bytes are to be restored
};

}  // namespace ballast::test
