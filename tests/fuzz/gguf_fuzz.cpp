// Any bytes as a GGUF: in memory, in prefixes, in pieces and compressed, with one answer and at a
// cost that is bounded.
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/ways.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ballast::test::check_model(ballast::test::bytes_at(data, size));
  return 0;
}
