// How often tests repeat themselves, and what came of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "tests/changing_bytes/changing_memory.hpp"
#include "tests/changing_bytes/read_everything.hpp"

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

  void add(const ChangingMemory& memory) noexcept;
  void add(std::uint64_t fetches, std::uint64_t changes) noexcept;
  [[nodiscard]] std::uint64_t runs() const noexcept { return runs_; }
  [[nodiscard]] std::uint64_t changes() const noexcept { return changes_; }
  [[nodiscard]] std::uint64_t affordable_fetches() const noexcept;

 private:
  std::string_view what_;
  std::uint64_t files_;
  std::uint64_t runs_ = 0;
  std::uint64_t fetches_ = 0;
  std::uint64_t changes_ = 0;
};

/// Does something with the memory while it changes by that plan.
template <class Work>
void run(ChangingMemory& memory, const Plan& plan, Totals& totals, Work work) {
  memory.start(plan);
  work();
  memory.stop();
  totals.add(memory);
}

/// A plan for one of the next `most` fetches.
[[nodiscard]] Plan random_plan(Random& random, std::uint64_t most);

/// Reads a file in every way, `runs` times, each with a plan of its own, and then once unchanged;
/// requires that this gives what it gave before, and that memory was bounded.
void read_while_it_changes(std::span<const std::byte> file, std::span<const std::byte> other,
                           const ParseOptions& options, int runs, Random& random, Totals& totals);

/// Changes of all kinds; their fetches are still to be filled in.
[[nodiscard]] std::vector<Change> some_changes(std::size_t count);
/// Each of the next eight bytes becomes each of these.
[[nodiscard]] std::vector<Change> each_byte_becomes(std::string_view bytes);

/// Has each fetch of `work` see each of the changes in turn, as far as that is affordable: where it
/// is not, others in each round.
template <class Work>
void change_every_fetch(ChangingMemory& memory, const std::vector<Change>& changes, Totals& totals,
                        std::uint64_t round, Work work) {
  memory.start({.first = UINT64_MAX});
  work();
  memory.stop();
  const std::uint64_t cases = memory.fetches() * changes.size();
  const std::uint64_t stride = 1 + cases * (1 + memory.fetches() / 2) / totals.affordable_fetches();
  for (std::uint64_t i = round % stride; i < cases; i += stride) {
    Change change = changes[static_cast<std::size_t>(i % changes.size())];
    change.fetch = 1 + i / changes.size();
    run(memory, {.list = {&change, 1}}, totals, work);
  }
}

}  // namespace ballast::test
