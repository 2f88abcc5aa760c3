// The tests of memory that changes. With --minutes N each test goes on for so long:
//
//     ballast-changing --minutes 60 "hostile*"
#include <catch2/catch_session.hpp>

#include "tests/changing_bytes/rounds.hpp"

int main(int count, char** arguments) {
  Catch::Session session;
  session.cli(session.cli() |
              Catch::Clara::Opt(ballast::test::minutes_of_each_test,
                                "minutes")["--minutes"]("how long each test goes on"));
  if (const int status = session.applyCommandLine(count, arguments); status != 0) return status;
  return session.run();
}
