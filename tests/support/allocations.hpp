// Counts what the program takes from the heap. Linking allocations.cpp replaces the global operator
// new.
#pragma once

#include <cstdint>

namespace ballast::test {

/// What was taken with operator new between making the object and asking it, by all threads, freed
/// or not.
class Allocations {
 public:
  Allocations() noexcept;
  [[nodiscard]] std::uint64_t bytes() const noexcept;
  [[nodiscard]] std::uint64_t count() const noexcept;
  /// The largest single piece since the object was made.
  [[nodiscard]] std::uint64_t largest() const noexcept;

 private:
  std::uint64_t bytes_;
  std::uint64_t count_;
};

}  // namespace ballast::test
