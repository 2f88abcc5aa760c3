#include "tests/support/collisions.hpp"

#include <ballast/name_index.hpp>

namespace ballast::test {

std::vector<std::string> colliding_names(std::size_t count, unsigned bits) {
  const std::uint64_t mask = (std::uint64_t{1} << bits) - 1;
  const std::uint64_t wanted = NameIndex::hash("blk.0.weight") & mask;
  std::vector<std::string> names;
  names.reserve(count);
  std::string candidate = "t.00000000000";
  for (std::uint64_t i = 0; names.size() < count; ++i) {
    // Eight hexadecimal digits and more are written in place: making a string for every try would
    // take most of the time.
    std::uint64_t rest = i;
    for (std::size_t at = candidate.size(); at-- > 2; rest >>= 4) {
      candidate[at] = "0123456789abcdef"[rest & 15];
    }
    if ((NameIndex::hash(candidate) & mask) == wanted) names.push_back(candidate);
  }
  return names;
}

}  // namespace ballast::test
