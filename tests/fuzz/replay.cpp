// Runs a fuzz target where there is no libFuzzer: over files that are named, or over inputs that a
// seed makes.
//
//     replay [FILE ...]
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <vector>

#include "tests/support/random.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

constexpr int kInputs = 4000;
constexpr std::size_t kMostBytes = 3000;

std::vector<std::uint8_t> made(ballast::test::Random& random) {
  std::vector<std::uint8_t> input(random.below(kMostBytes));
  // Noise, or few values many times, which is where special scales are.
  const std::uint64_t mask = random.one_in(3) ? 0x80 : 0xff;
  for (std::uint8_t& byte : input) byte = static_cast<std::uint8_t>(random.next() & mask);
  for (std::size_t i = 0; i < 5 && i < input.size(); ++i) {
    input[i] = static_cast<std::uint8_t>(random.next());
  }
  return input;
}

}  // namespace

int main(int count, char** arguments) {
  for (int i = 1; i < count; ++i) {
    std::ifstream file(arguments[i], std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  }
  if (count > 1) return 0;
  const std::uint64_t seed = ballast::test::test_seed(20261128);
  std::printf("seed %llu, %d inputs\n", static_cast<unsigned long long>(seed), kInputs);
  ballast::test::Random random(seed);
  for (int i = 0; i < kInputs; ++i) {
    const std::vector<std::uint8_t> input = made(random);
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  return 0;
}
