// What a user writes who has an Emscripten program of his own: JavaScript puts a model's bytes
// where the loader says, in the program's own heap, and there they stay. Prints the tensors.
#include <emscripten/em_js.h>
#include <ballast/ballast.hpp>
#include <cstdio>
#include <string>

// clang-format off: JavaScript
EM_JS(int, open_file, (const char* path), {
  return require('fs').openSync(UTF8ToString(Number(path)));
});
EM_JS(double, read_file, (int file, std::byte* into, double size, double position), {
  return require('fs').readSync(file, HEAPU8, Number(into), size, position);
});
// clang-format on

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    const int file = open_file(argv[1]);
    ballast::Loader loader({.path = argv[1]});
    for (std::size_t got = 1; got > 0;) {
      const std::span<std::byte> room = loader.prepare(std::size_t{16} << 20);
      const auto position = static_cast<double>(loader.progress().done);
      got = static_cast<std::size_t>(
          read_file(file, room.data(), static_cast<double>(room.size()), position));
      loader.commit(got);
    }
    const ballast::Model model = ballast::Model::from_data(loader.finish());
    for (const ballast::Tensor& tensor : model.tensors()) {
      std::printf("%s %s %zu\n", std::string(tensor.name).c_str(),
                  std::string(tensor.dtype_name).c_str(), model.bytes(tensor).size());
    }
  } catch (const ballast::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
