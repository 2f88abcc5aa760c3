// The files of all tables, read in every way while their bytes change.
#include <catch2/catch_test_macros.hpp>

#include "tests/changing_bytes/rounds.hpp"
#include "tests/support/hostile.hpp"
#include "tests/support/random_model.hpp"
#include "tests/support/samples.hpp"
#include "tests/support/sets.hpp"
#include "tests/support/temp.hpp"

namespace ballast::test {
namespace {

constexpr std::size_t kMost = std::size_t{64}
                              << 10;  // larger files are left to the writers of writer_test.cpp

// Pages cost a thousand times what traced loads do.
int runs_of_each() { return ChangingMemory::affordable_fetches() > 1000 ? 6 : 1; }

void read_table(HostileTable table, Random& random, Totals& totals) {
  const Bytes* other = nullptr;
  for (const HostileRow& row : table()) {
    const Bytes& bytes = row.sample.bytes();
    if (bytes.size() > kMost) continue;
    INFO("row: " << row.fact);
    read_while_it_changes(bytes, other == nullptr ? bytes : *other, row.options, runs_of_each(),
                          random, totals);
    other = &bytes;
  }
}

}  // namespace

TEST_CASE("hostile and odd files are read while they change", "[tables]") {
  Totals totals("hostile and odd files");
  const std::uint64_t seed = test_seed(20261201);
  for (Rounds rounds; rounds.next();) {
    Random random(seed + rounds.number());
    CAPTURE(seed, rounds.number());
    for (const HostileTable table : kHostileTables) read_table(table, random, totals);
  }
  CHECK(totals.changes() > totals.runs() / 4);
}

TEST_CASE("valid models with something of everything are read while they change", "[tables]") {
  Totals totals("valid models");
  const std::uint64_t seed = test_seed(20261202);
  constexpr std::uint64_t kModels = 12;
  for (Rounds rounds; rounds.next();) {
    for (const Format format : {Format::gguf, Format::safetensors}) {
      for (std::uint64_t i = 0; i < kModels; ++i) {
        Random random(seed + rounds.number() * kModels + i);
        CAPTURE(seed, rounds.number(), i);
        const Bytes file = random_model(format, random.next()).sample.bytes();
        const Bytes other = random_model(format, random.next()).sample.bytes();
        read_while_it_changes(file, std::span(other).first(std::min(file.size(), other.size())), {},
                              3 * runs_of_each(), random, totals);
      }
    }
  }
  CHECK(totals.changes() > totals.runs() / 4);
}

TEST_CASE("the sample models are read while they change", "[tables]") {
  Totals totals("sample models");
  const TempDir folder;
  write_small_samples(folder.path());
  const std::uint64_t seed = test_seed(20261203);
  for (Rounds rounds; rounds.next();) {
    Random random(seed + rounds.number());
    CAPTURE(seed, rounds.number());
    for (const char* const name :
         {"tiny.gguf", "tiny.safetensors", "tiny.safetensors.index.json"}) {
      INFO(name);
      const Bytes file = read_file(folder / name);
      read_while_it_changes(file, file, {}, runs_of_each(), random, totals);
    }
  }
  CHECK(totals.changes() > totals.runs() / 4);
}

TEST_CASE("sets are read while one of their files changes", "[tables]") {
  Totals totals("sets");
  const std::uint64_t seed = test_seed(20261204);
  for (Rounds rounds; rounds.next();) {
    Random random(seed + rounds.number());
    CAPTURE(seed, rounds.number());
    for (const SetTable table : kSetTables) {
      for (const SetRow& row : table()) {
        INFO("row: " << row.fact);
        if (row.files.empty()) continue;
        const std::size_t position = random.below(row.files.size());
        const Bytes& file = row.files[position].second;
        if (file.size() > kMost) continue;
        ChangingMemory memory(file, row.files[random.below(row.files.size())].second);
        for (int i = 0; i < runs_of_each(); ++i) {
          const Plan plan = random_plan(
              random,
              std::min<std::uint64_t>(64 + 4 * file.size(), ChangingMemory::affordable_fetches()));
          const int stage = static_cast<int>(random.below(6));
          CAPTURE(plan.first, plan.every, plan.stays, plan.seed, stage, position);
          read_set(memory.bytes(), position, row.files, [&](int now_at) {
            if (now_at == stage) memory.start(plan);
          });
          memory.stop();
          totals.add(memory.fetches(), memory.changes());
        }
      }
    }
  }
  CHECK(totals.changes() > totals.runs() / 8);
}

}  // namespace ballast::test
