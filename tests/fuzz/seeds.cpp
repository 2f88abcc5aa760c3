// Writes what fuzzing of the formats begins with: the project's own hostile files, each of which
// somebody has thought of, and valid ones that have something of everything.
//
//     fuzz-seeds FOLDER         FOLDER/gguf/*, FOLDER/safetensors/*, FOLDER/index/*,
//     FOLDER/changing/*
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include <ballast/gguf.hpp>

#include "tests/support/hostile.hpp"
#include "tests/support/random.hpp"
#include "tests/support/random_model.hpp"
#include "tests/support/safetensors_builder.hpp"
#include "tests/support/sets.hpp"

namespace ballast::test {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMost = std::size_t{64} << 10;  // what a fuzzer can turn over fast
constexpr std::size_t kMostChanging = 2000;           // and read in every way

class Seeds {
 public:
  explicit Seeds(fs::path folder) : folder_(std::move(folder)) {}

  void add(std::string_view target, const Bytes& bytes) {
    if (bytes.size() > kMost) return;
    fs::create_directories(folder_ / target);
    std::string name = std::to_string(++count_);
    name.insert(0, 4 - std::min<std::size_t>(4, name.size()), '0');
    std::ofstream file(folder_ / target / name, std::ios::binary);
    file.exceptions(std::ios::failbit | std::ios::badbit);
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
  }
  void add_model(const Bytes& bytes) {
    add(gguf::matches(bytes) ? "gguf" : "safetensors", bytes);
    add_changing(bytes);
  }
  /// The same file with a few changes, early ones among them.
  void add_changing(Bytes bytes) {
    constexpr std::uint64_t kChanges = 4;
    if (bytes.size() > kMostChanging) return;
    Random random(bytes.size());
    for (std::uint64_t i = 0; i < kChanges; ++i) {
      append_number(bytes, random.below(std::uint64_t{20} << (2 * i)), 2);
      append_number(bytes, random.next(), 4);
    }
    append_number(bytes, kChanges, 1);
    append_number(bytes, random.below(16), 1);
    add("changing", bytes);
  }

 private:
  fs::path folder_;
  int count_ = 0;
};

// By what a file is, not by its table: that of the formats has files of both, and of neither.
void add_hostile(Seeds& seeds) {
  for (const HostileTable table : kHostileTables) {
    for (const HostileRow& row : table()) seeds.add_model(row.sample.bytes());
  }
  for (const SetTable table : kSetTables) {
    for (const SetRow& row : table()) {
      for (const auto& [name, bytes] : row.files) {
        if (!name.ends_with(".index.json")) continue;
        seeds.add("index", bytes);
        seeds.add_changing(bytes);
      }
    }
  }
}

void add_valid(Seeds& seeds) {
  constexpr std::uint64_t kModels = 24;
  for (const Format format : {Format::gguf, Format::safetensors}) {
    for (std::uint64_t seed = 1; seed <= kModels; ++seed) {
      seeds.add_model(random_model(format, seed).sample.bytes());
    }
  }
  IndexBuilder index;
  index.metadata("total_size", "123456789").metadata("of", R"({"a":[1,-2,3e4,null,true]})");
  for (int i = 0; i < 20; ++i) {
    index.tensor("blk." + std::to_string(i) + ".weight", std::to_string(i % 3) + ".safetensors");
  }
  seeds.add("index", bytes_of(index.build()));
}

}  // namespace
}  // namespace ballast::test

int main(int count, char** arguments) {
  if (count != 2) {
    std::fputs("usage: fuzz-seeds FOLDER\n", stderr);
    return 2;
  }
  ballast::test::Seeds seeds{arguments[1]};
  ballast::test::add_hostile(seeds);
  ballast::test::add_valid(seeds);
  return 0;
}
