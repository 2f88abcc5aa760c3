#include "tests/changing_bytes/rounds.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include <catch2/catch_test_macros.hpp>

#include "tests/support/allocations.hpp"

namespace ballast::test {
namespace {

std::uint64_t now() noexcept {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(since).count());
}

// What reading a file in every way takes, most of it for the values of its tensors and of its
// metadata.
constexpr std::uint64_t most_memory(std::size_t size) noexcept {
  return 2'000 * size + (std::uint64_t{64} << 20);
}

}  // namespace

double minutes_of_each_test = 0;

Rounds::Rounds() noexcept : begun_(now()) {}

bool Rounds::next() noexcept {
  const double minutes = static_cast<double>(now() - begun_) / 60'000;
  return number_++ == 0 || minutes < minutes_of_each_test;
}

Totals::~Totals() {
  std::printf("%.*s: %llu runs, %llu fetches, %llu changes (%.*s)\n",
              static_cast<int>(what_.size()), what_.data(), static_cast<unsigned long long>(runs_),
              static_cast<unsigned long long>(fetches_), static_cast<unsigned long long>(changes_),
              static_cast<int>(ChangingMemory::mechanism().size()),
              ChangingMemory::mechanism().data());
}

void Totals::add(const ChangingMemory& memory) noexcept { add(memory.fetches(), memory.changes()); }

void Totals::add(std::uint64_t fetches, std::uint64_t changes) noexcept {
  ++runs_;
  fetches_ += fetches;
  changes_ += changes;
}

std::uint64_t Totals::affordable_fetches() const noexcept {
  return 40 * ChangingMemory::affordable_fetches() / files_;
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
    totals.add(memory);
    if (taken.bytes() > most_memory(file.size())) FAIL_CHECK("memory: " << taken.bytes());
  }
  CHECK(read_everything(file, options, [](int) {}) == before);
}

}  // namespace ballast::test
