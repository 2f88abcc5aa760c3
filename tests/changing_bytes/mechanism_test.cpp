// That bytes really change between two reads, and that tests can tell.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "tests/changing_bytes/rounds.hpp"
#include "tests/support/child.hpp"
#include "tests/support/sample.hpp"

namespace ballast::test {
namespace {

constexpr unsigned kLimit = 16;

unsigned byte_at(std::span<const std::byte> bytes, std::size_t at) {
  return static_cast<unsigned>(*static_cast<const volatile std::byte*>(bytes.data() + at));
}

// Checks a number and then reads it again.
unsigned checked_then_read(std::span<const std::byte> bytes) {
  return byte_at(bytes, 3) < kLimit ? byte_at(bytes, 3) : 0;
}

// Reads a number and then checks it.
unsigned read_then_checked(std::span<const std::byte> bytes) {
  const unsigned number = byte_at(bytes, 3);
  return number < kLimit ? number : 0;
}

unsigned copied_twice(std::span<const std::byte> bytes) {
  std::array<std::byte, 40> copy{};
  std::memcpy(copy.data(), bytes.data(), copy.size());
  if (byte_at(copy, 3) >= kLimit) return 0;
  asm volatile("" : : "r"(copy.data()) : "memory");  // or the compiler keeps the first copy
  std::memcpy(copy.data(), bytes.data(), copy.size());
  return byte_at(copy, 3);
}

// How many of many runs ended with a number that no check lets through.
template <class Work>
int wrong_numbers(Work work) {
  const Bytes file(48);
  const Bytes other(48, std::byte{0xFF});
  ChangingMemory memory(file, other);
  int wrong = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    for (std::uint64_t first = 1; first <= 4; ++first) {
      memory.start({.first = first, .seed = seed});
      wrong += work(memory.bytes()) >= kLimit ? 1 : 0;
      memory.stop();
      if (memory.changes() > 1) FAIL_CHECK("one change was planned");
    }
  }
  return wrong;
}

}  // namespace

TEST_CASE("a double fetch is caught and a single one is not", "[mechanism]") {
  CHECK(wrong_numbers(checked_then_read) > 10);
  CHECK(wrong_numbers(copied_twice) > 0);
  CHECK(wrong_numbers(read_then_checked) == 0);
}

TEST_CASE("a fetch sees its change and the next one the file again", "[mechanism]") {
  const Bytes file = bytes_of("0123456789");
  ChangingMemory memory(file);
  const std::vector<Change> list{{.fetch = 2, .how = How::bit, .value = 0},
                                 {.fetch = 4, .how = How::bit, .value = 1}};
  memory.start({.list = list});
  std::string seen;
  for (int i = 0; i < 5; ++i) seen.push_back(static_cast<char>(byte_at(memory.bytes(), 0)));
  memory.stop();
  CHECK(seen == "01020");
  CHECK(memory.fetches() == 4);
  CHECK(memory.changes() == 2);
}

TEST_CASE("a change that stays is seen by every fetch after it", "[mechanism]") {
  const Bytes file = bytes_of("0123456789");
  ChangingMemory memory(file);
  const std::vector<Change> list{{.fetch = 2, .how = How::bit, .value = 0, .stays = true}};
  memory.start({.list = list});
  std::string seen;
  for (int i = 0; i < 4; ++i) seen.push_back(static_cast<char>(byte_at(memory.bytes(), 0)));
  memory.stop();
  CHECK(seen == "0111");
}

TEST_CASE("every fetch is counted", "[mechanism]") {
  const Bytes file(300);
  ChangingMemory memory(file);
  memory.start({.first = UINT64_MAX});
  for (std::size_t i = 0; i < 300; ++i) static_cast<void>(byte_at(memory.bytes(), i));
  memory.stop();
  CHECK(memory.fetches() == 300);
  CHECK(memory.changes() == 0);
}

namespace {

// Reads a byte in a process of its own, which says nothing of how it ends.
bool can_read(const std::byte* place) {
  return in_child([place] {
           const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
           ::dup2(nowhere, STDOUT_FILENO);
           ::dup2(nowhere, STDERR_FILENO);
           static_cast<void>(*static_cast<const volatile std::byte*>(place));
         })
      .well();
}

}  // namespace

TEST_CASE("an access far before or right behind the memory ends the program", "[mechanism]") {
  const Bytes file(100);
  ChangingMemory memory(file);
  memory.start({.first = UINT64_MAX});
  const std::byte* const begin = memory.bytes().data();
  CHECK(can_read(begin));
  CHECK(can_read(begin + 99));
  CHECK_FALSE(can_read(begin + 100));
  CHECK_FALSE(can_read(begin - 65));
  memory.stop();
}

}  // namespace ballast::test
