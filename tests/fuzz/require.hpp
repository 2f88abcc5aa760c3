// How a fuzz target says that something does not hold: in words, and with the end of the program.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace ballast::test {

inline void require(bool holds, std::string_view fact, std::string_view detail = {}) {
  if (holds) return;
  std::string line("does not hold: ");
  line.append(fact).append(" ").append(detail).append("\n");
  std::fputs(line.c_str(), stderr);
  std::abort();
}

}  // namespace ballast::test
