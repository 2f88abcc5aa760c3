// Counts what the program does: exactly, the same on every machine, and without a clock.
//
// Clang's -fprofile-instr-generate counts how often each region of the source ran, in a counter of
// its own. Their sum before and after is the number of steps between. What is not compiled with it
// does not count: memcpy, and the standard library but for its templates.
#pragma once

#include <cstdint>

namespace ballast::test {

/// The steps since the object was made, of all that is instrumented.
class Steps {
 public:
  Steps() noexcept : before_(sum()) {}
  [[nodiscard]] std::uint64_t count() const noexcept { return sum() - before_; }

  /// Whether the program was built so that steps are counted; else every count is 0.
  [[nodiscard]] static bool are_counted() noexcept;

 private:
  [[nodiscard]] static std::uint64_t sum() noexcept;

  std::uint64_t before_;
};

}  // namespace ballast::test
