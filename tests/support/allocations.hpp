// Counts what the program takes from the heap, and lets it fail. Linking allocations.cpp replaces
// the global operator new.
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

/// Pieces that were taken with operator new and not given back yet, by the whole program.
[[nodiscard]] std::int64_t live_pieces() noexcept;

/// While it lives, operator new fails in every thread: the `nth` time, counted from 1, and with
/// `lasting` each time after that. One at a time.
class FailingAllocations {
 public:
  explicit FailingAllocations(std::uint64_t nth, bool lasting = false) noexcept;
  FailingAllocations(const FailingAllocations&) = delete;
  FailingAllocations& operator=(const FailingAllocations&) = delete;
  ~FailingAllocations();

  /// Whether there were so many.
  [[nodiscard]] bool has_fired() const noexcept;
};

/// While it lives, those of this thread neither fail nor count for that: for what a test does
/// itself in between.
class AllocationsPaused {
 public:
  AllocationsPaused() noexcept;
  AllocationsPaused(const AllocationsPaused&) = delete;
  AllocationsPaused& operator=(const AllocationsPaused&) = delete;
  ~AllocationsPaused();
};

[[nodiscard]] bool are_allocations_paused() noexcept;

}  // namespace ballast::test
