// A target with a fault, for the test of run.py: it ends the program as soon as an input is not
// empty.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* /*data*/, std::size_t size) {
  if (size > 0) std::abort();
  return 0;
}
