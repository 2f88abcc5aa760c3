// Runs of some work over memory that changes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "tests/changing_bytes/changing_memory.hpp"
#include "tests/changing_bytes/read_everything.hpp"
#include "tests/changing_bytes/totals.hpp"

namespace ballast::test {

/// Does something with the memory while it changes by that plan.
template <class Work>
void run(ChangingMemory& memory, const Plan& plan, Totals& totals, Work work) {
  memory.start(plan);
  work();
  memory.stop();
  totals.add(memory.fetches(), memory.changes());
}

/// A plan for one of the next `most` fetches.
[[nodiscard]] Plan random_plan(Random& random, std::uint64_t most);

/// Reads a file in every way, `runs` times, each with a plan of its own, and then once unchanged;
/// requires that this gives what it gave before, and that memory was bounded.
void read_while_it_changes(std::span<const std::byte> file, std::span<const std::byte> other,
                           const ParseOptions& options, int runs, Random& random, Totals& totals);

/// How many fetches a test can afford for each of its files.
[[nodiscard]] std::uint64_t affordable_fetches(const Totals& totals) noexcept;

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
  const std::uint64_t stride = 1 + cases * (1 + memory.fetches() / 2) / affordable_fetches(totals);
  for (std::uint64_t i = round % stride; i < cases; i += stride) {
    Change change = changes[static_cast<std::size_t>(i % changes.size())];
    change.fetch = 1 + i / changes.size();
    run(memory, {.list = {&change, 1}}, totals, work);
  }
}

}  // namespace ballast::test
