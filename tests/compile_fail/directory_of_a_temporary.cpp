// A directory is made of views into the bytes it was parsed from, so those must stay.
#include <cstddef>
#include <vector>

#include <ballast/format.hpp>

std::vector<std::byte> load();

ballast::Directory parse() {
#ifdef BALLAST_TEST_CONTROL
  static const std::vector<std::byte> bytes = load();
  return ballast::parse_whole(bytes);
#else
  return ballast::parse_whole(load());
#endif
}
