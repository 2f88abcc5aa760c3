// A program of Emscripten's with models that JavaScript loads into its memory (loadInto of
// ballast-loader/emscripten). It gets a `ballast_model *`, and works on the bytes where they are.

#include <ballast/ballast.h>
#include <emscripten/emscripten.h>
#include <malloc.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

namespace {

struct Close {
  void operator()(ballast_model* model) const { ballast_model_close(model); }
};

/// The model that JavaScript gave away.
std::unique_ptr<ballast_model, Close>& own_model() {
  static std::unique_ptr<ballast_model, Close> model;
  return model;
}

std::span<unsigned char> bytes_of(const ballast_model* model, const char* name) {
  ballast_tensor tensor;
  if (ballast_model_find(model, name, std::strlen(name), &tensor) == 0) return {};
  // JavaScript's views can be written to, and so can the vector below them.
  auto* bytes = static_cast<unsigned char*>(const_cast<void*>(tensor.bytes));
  return {bytes, static_cast<std::size_t>(tensor.nbytes)};
}

}  // namespace

extern "C" {

/// FNV-1a of a tensor's bytes.
EMSCRIPTEN_KEEPALIVE std::uint32_t hash_of(const ballast_model* model, const char* name) {
  std::uint32_t hash = 0x811c9dc5;
  for (const unsigned char byte : bytes_of(model, name)) hash = (hash ^ byte) * 0x01000193;
  return hash;
}

EMSCRIPTEN_KEEPALIVE const void* address_of(const ballast_model* model, const char* name) {
  return bytes_of(model, name).data();
}

EMSCRIPTEN_KEEPALIVE void overwrite(const ballast_model* model, const char* name, int with) {
  for (unsigned char& byte : bytes_of(model, name)) byte = static_cast<unsigned char>(with);
}

/// A number of the metadata; -1 where there is none of that key.
EMSCRIPTEN_KEEPALIVE double number_of(const ballast_model* model, const char* key) {
  ballast_value value;
  std::int64_t number = -1;
  if (ballast_model_value(model, key, std::strlen(key), &value) != 0) {
    ballast_value_i64(&value, &number);
  }
  return static_cast<double>(number);
}

EMSCRIPTEN_KEEPALIVE void take(ballast_model* model) { own_model().reset(model); }

EMSCRIPTEN_KEEPALIVE const ballast_model* taken() { return own_model().get(); }

/// Bytes that the program has allocated.
EMSCRIPTEN_KEEPALIVE double used() { return static_cast<double>(mallinfo().uordblks); }

/// Exported by the program's own list.
int answer() { return 42; }

}  // extern "C"

int main() { return 0; }
