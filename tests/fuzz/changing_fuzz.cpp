// Any bytes as a file that changes while it is read, in every way in which a program can read it:
// as many changes as the input says, before the fetches that it says. Nothing comes of it but
// errors of the library.
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/changing_input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ballast::test;
  const ChangingInput input({reinterpret_cast<const std::byte*>(data), size});
  ChangingMemory memory(input.file, input.other);
  read_in_the_way_of(input.stage, memory.bytes(), {}, [&](int stage) {
    if (stage == input.stage && !input.changes.empty()) memory.start({.list = input.changes});
  });
  return 0;
}
