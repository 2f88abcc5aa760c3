// Runs a fuzz target where there is no libFuzzer: over files, and over inputs that a seed makes.
//
//     replay [-runs=N] [FILE | FOLDER ...]
//
// N inputs are made, 4000 by default if nothing else is named and none if it is: some of noise, the
// others of the files, each a little damaged.
#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/random.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

namespace fs = std::filesystem;
using ballast::test::Random;
using Input = std::vector<std::uint8_t>;

constexpr int kInputs = 4000;
constexpr std::size_t kMostBytes = 3000;

Input noise(Random& random) {
  Input input(random.below(kMostBytes));
  // Noise, or few values many times, which is where special scales are.
  const std::uint64_t mask = random.one_in(3) ? 0x80 : 0xff;
  for (std::uint8_t& byte : input) byte = static_cast<std::uint8_t>(random.next() & mask);
  for (std::size_t i = 0; i < 5 && i < input.size(); ++i) {
    input[i] = static_cast<std::uint8_t>(random.next());
  }
  return input;
}

Input damaged(Random& random, Input input) {
  for (std::uint64_t i = random.between(1, 3); i > 0 && !input.empty(); --i) {
    input[random.below(input.size())] = static_cast<std::uint8_t>(random.next());
  }
  if (random.one_in(8)) input.resize(random.below(input.size() + 1));
  return input;
}

Input made(Random& random, const std::vector<Input>& corpus) {
  if (corpus.empty() || random.one_in(3)) return noise(random);
  return damaged(random, random.pick(corpus));
}

Input contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::fprintf(stderr, "cannot read %s\n", path.string().c_str());
    std::exit(2);
  }
  return {std::istreambuf_iterator<char>(file), {}};
}

/// In the same order everywhere, so that a seed means the same.
void add_folder(std::vector<Input>& corpus, const fs::path& folder) {
  std::vector<fs::path> paths;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.is_regular_file()) paths.push_back(entry.path());
  }
  std::ranges::sort(paths);
  for (const fs::path& path : paths) corpus.push_back(contents(path));
}

void run(const Input& input) { LLVMFuzzerTestOneInput(input.data(), input.size()); }

}  // namespace

int main(int count, char** arguments) {
  constexpr std::string_view kRuns = "-runs=";
  std::optional<int> runs;
  std::vector<Input> corpus;
  for (int i = 1; i < count; ++i) {
    const std::string_view argument = arguments[i];
    if (argument.starts_with(kRuns)) {
      runs.emplace();
      std::from_chars(argument.data() + kRuns.size(), argument.data() + argument.size(), *runs);
    } else if (fs::is_directory(argument)) {
      add_folder(corpus, argument);
    } else {
      corpus.push_back(contents(argument));
    }
  }
  for (const Input& input : corpus) run(input);
  const int inputs = runs.value_or(count == 1 ? kInputs : 0);
  const std::uint64_t seed = ballast::test::test_seed(20261128);
  std::printf("%zu files; seed %llu, %d inputs\n", corpus.size(),
              static_cast<unsigned long long>(seed), inputs);
  std::fflush(stdout);  // an input may end the program
  Random random(seed);
  for (int i = 0; i < inputs; ++i) run(made(random, corpus));
  return 0;
}
