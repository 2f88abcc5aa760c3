// The tensors of a model die with it.
#include <ballast/model.hpp>

std::size_t count() {
#ifdef BALLAST_TEST_CONTROL
  const ballast::Model model = ballast::Model::open("model.gguf");
  return model.tensors().size();
#else
  return ballast::Model::open("model.gguf").tensors().size();
#endif
}
