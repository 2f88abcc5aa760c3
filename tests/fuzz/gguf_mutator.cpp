// Changes a GGUF by its structure; or, one time in four, bytes change.
#include "tests/fuzz/gguf_mutate.hpp"

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  using namespace ballast::test;
  Random random(seed);
  if (size < kHead || random.one_in(4)) return LLVMFuzzerMutate(data, size, max_size);
  std::string file(reinterpret_cast<const char*>(data), size);
  mutate_gguf(file, random);
  return put_back(file, data, max_size);
}
