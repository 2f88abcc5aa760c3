// Changes an index as JSON, or, one time in four, as bytes.
#include "tests/fuzz/json_mutate.hpp"

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  using namespace ballast::test;
  Random random(seed);
  if (random.one_in(4)) return LLVMFuzzerMutate(data, size, max_size);
  std::string text(reinterpret_cast<const char*>(data), size);
  mutate_json(text, random);
  return put_back(text, data, max_size);
}
