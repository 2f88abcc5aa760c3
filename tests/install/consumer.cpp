// What a user of the library writes: opens a model and prints its tensors.
#include <ballast/ballast.hpp>
#include <cstdio>
#include <string>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    const ballast::Model model = ballast::Model::open(argv[1]);
    for (const ballast::Tensor& tensor : model.tensors()) {
      std::printf("%s %s %zu\n", std::string(tensor.name).c_str(),
                  std::string(tensor.dtype_name).c_str(), model.bytes(tensor).size());
    }
  } catch (const ballast::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
