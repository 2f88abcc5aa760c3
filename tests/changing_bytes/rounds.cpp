#include "tests/changing_bytes/rounds.hpp"

#include <algorithm>

#include <catch2/catch_test_macros.hpp>

#include "tests/support/allocations.hpp"

namespace ballast::test {
namespace {

// What reading a file in every way takes, most of it for the values of its tensors and of its
// metadata.
constexpr std::uint64_t most_memory(std::size_t size) noexcept {
  return 2'000 * size + (std::uint64_t{64} << 20);
}

}  // namespace

std::uint64_t affordable_fetches(const Totals& totals) noexcept {
  return 40 * ChangingMemory::affordable_fetches() / totals.files();
}

std::vector<Change> some_changes(std::size_t count) {
  std::vector<Change> changes;
  Random random(count);
  for (std::size_t i = 0; i < count; ++i) {
    changes.push_back(
        {.how = static_cast<How>(i % kHows), .value = random.next(), .stays = random.one_in(4)});
  }
  return changes;
}

std::vector<Change> each_byte_becomes(std::string_view bytes) {
  std::vector<Change> changes;
  for (std::uint64_t place = 0; place < 8; ++place) {
    for (const char byte : bytes) {
      const std::uint64_t value = place << 8U | static_cast<unsigned char>(byte);
      changes.push_back({.how = How::byte, .value = value});
      changes.push_back({.how = How::byte, .value = value, .stays = true});
    }
  }
  return changes;
}

Plan random_plan(Random& random, std::uint64_t most) {
  // Early fetches are those of headers, so that half of the plans have a small first one.
  const std::uint64_t first = random.one_in(2) ? random.below(most) : random.below(1 + most / 8);
  Plan plan{.first = 1 + first, .stays = random.one_in(4), .seed = random.next()};
  if (random.one_in(3)) plan.every = 1 + random.below(random.one_in(2) ? 4 : 100);
  return plan;
}

void read_while_it_changes(std::span<const std::byte> file, std::span<const std::byte> other,
                           const ParseOptions& options, int runs, Random& random, Totals& totals) {
  const int before = read_everything(file, options, [](int) {});
  ChangingMemory memory(file, other);
  for (int i = 0; i < runs; ++i) {
    const Plan plan = random_plan(
        random,
        std::min<std::uint64_t>(64 + 4 * file.size(), ChangingMemory::affordable_fetches()));
    const int stage = static_cast<int>(random.below(kStages));
    CAPTURE(plan.first, plan.every, plan.stays, plan.seed, stage);
    const Allocations taken;
    read_everything(memory.bytes(), options, [&](int now_at) {
      if (now_at == stage) memory.start(plan);
    });
    memory.stop();
    totals.add(memory.fetches(), memory.changes());
    if (taken.bytes() > most_memory(file.size())) FAIL_CHECK("memory: " << taken.bytes());
  }
  CHECK(read_everything(file, options, [](int) {}) == before);
}

}  // namespace ballast::test
