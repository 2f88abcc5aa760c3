// The metadata of a model die with it.
#include <ballast/model.hpp>

std::size_t count() {
#ifdef BALLAST_TEST_CONTROL
  const ballast::Model model = ballast::Model::open("model.gguf");
  return model.metadata().size();
#else
  return ballast::Model::open("model.gguf").metadata().size();
#endif
}
