// In a build without mmap, asking for a mapping is a mistake that the compiler finds.
#include <ballast/model_data.hpp>

ballast::ModelData load() {
#ifdef BALLAST_TEST_CONTROL
  return ballast::ModelData::open("model.gguf");
#else
  return ballast::ModelData::open_mmap("model.gguf");
#endif
}
