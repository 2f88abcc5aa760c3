// The bytes of a file die with the object that holds them.
#include <ballast/model_data.hpp>

std::size_t size() {
#ifdef BALLAST_TEST_CONTROL
  const ballast::ModelData data = ballast::ModelData::open("model.gguf");
  return data.bytes().size();
#else
  return ballast::ModelData::open("model.gguf").bytes().size();
#endif
}
