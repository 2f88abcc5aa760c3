// The tests of bytes that change. With --minutes N each test repeats its work for so long:
//
//     ballast-changing --minutes 60 "hostile*"
#include <catch2/catch_session.hpp>

#include "tests/changing_bytes/totals.hpp"
#ifdef BALLAST_TEST_STEPS  // the program of the pages alone
#include <cstdio>

#include "tests/changing_bytes/changing_memory.hpp"
#endif

namespace ballast::test {
namespace {

// Emulators of the processor may lack its single steps: then the first fetch is the only one that
// is counted.
bool can_step() {
#ifdef BALLAST_TEST_STEPS
  ChangingMemory memory(std::vector<std::byte>(2));
  memory.start({.first = UINT64_MAX});
  for (const std::byte& byte : memory.bytes())
    static_cast<void>(*static_cast<const volatile std::byte*>(&byte));
  memory.stop();
  if (memory.fetches() != 2)
    std::puts("skipped: this system does not stop behind single instructions");
  return memory.fetches() == 2;
#else
  return true;
#endif
}

}  // namespace
}  // namespace ballast::test

int main(int count, char** arguments) {
  constexpr int kAllSkipped = 4;  // as Catch2 has it
  Catch::Session session;
  session.cli(session.cli() |
              Catch::Clara::Opt(ballast::test::minutes_of_each_test,
                                "minutes")["--minutes"]("how long each test goes on"));
  if (const int status = session.applyCommandLine(count, arguments); status != 0) return status;
  if (!session.configData().listTests && !ballast::test::can_step()) return kAllSkipped;
  return session.run();
}
