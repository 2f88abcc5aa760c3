#include "tests/support/random.hpp"

#include <cstdlib>

namespace ballast::test {

std::uint64_t test_seed(std::uint64_t fallback) {
  const char* given = std::getenv("BALLAST_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 0) : fallback;
}

}  // namespace ballast::test
