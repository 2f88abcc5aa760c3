// How often a test repeats its work, and what it did in all.
#pragma once

#include <cstdint>
#include <string_view>

namespace ballast::test {

/// Set by --minutes: tests go on until then. 0 by default: each does a fixed amount of work.
extern double minutes_of_each_test;

/// Whether a test is to do its work once more.
class Rounds {
 public:
  Rounds() noexcept;
  /// True the first time, and then until the minutes are over.
  [[nodiscard]] bool next() noexcept;
  [[nodiscard]] std::uint64_t number() const noexcept { return number_; }

 private:
  std::uint64_t number_ = 0;
  std::uint64_t begun_ = 0;  // in milliseconds
};

/// Sums over all runs of a test; prints them at its end.
class Totals {
 public:
  /// Of a test that does its work for so many files, each of which has its share of the fetches
  /// that a test can afford.
  explicit Totals(std::string_view what, std::uint64_t files = 1) : what_(what), files_(files) {}
  Totals(const Totals&) = delete;
  Totals& operator=(const Totals&) = delete;
  ~Totals();

  void add(std::uint64_t fetches, std::uint64_t changes) noexcept;
  [[nodiscard]] std::uint64_t runs() const noexcept { return runs_; }
  [[nodiscard]] std::uint64_t changes() const noexcept { return changes_; }
  [[nodiscard]] std::uint64_t files() const noexcept { return files_; }

 private:
  std::string_view what_;
  std::uint64_t files_;
  std::uint64_t runs_ = 0;
  std::uint64_t fetches_ = 0;
  std::uint64_t changes_ = 0;
};

}  // namespace ballast::test
