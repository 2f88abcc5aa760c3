// The C API from several threads: handles that they share to read, and errors of their own.
#include <cstddef>
#include <cstring>
#include <string>

#include <catch2/catch_test_macros.hpp>

#include <ballast/ballast.h>

#include "tests/support/temp.hpp"
#include "tests/threads/together.hpp"

namespace ballast::test {
namespace {

TEST_CASE("a model of the C API is read by many threads at a time") {
  const Bytes bytes = model_bytes(10'000);
  const TempFile file(bytes);
  ballast_model* model = nullptr;
  REQUIRE(ballast_model_open(file.path().c_str(), nullptr, &model, nullptr) == BALLAST_OK);
  together([&](std::size_t) {
    ballast_summary summary;
    ballast_model_summary(model, &summary);
    require(summary.tensor_count == 3 && summary.entry_count == 2, "half a model");
    for (std::size_t i = 0; i < summary.tensor_count; ++i) {
      ballast_tensor tensor;
      ballast_tensor found;
      require(ballast_model_tensor(model, i, &tensor) != 0, "a tensor is missing");
      require(ballast_model_find(model, tensor.name, tensor.name_size, &found) != 0, "not found");
      require(found.index == i, "another tensor");
      require(std::memcmp(tensor.bytes, bytes.data() + tensor.offset,
                          static_cast<std::size_t>(tensor.nbytes)) == 0,
              "wrong bytes");
    }
    require(ballast_model_verify(model, nullptr, nullptr, nullptr, nullptr) == BALLAST_OK, "odd");
  });
  ballast_model_close(model);
}

TEST_CASE("threads open by the C API what is there and what is not") {
  const TempFile file(model_bytes(10'000));
  together([&](std::size_t number) {
    const bool is_there = number % 2 == 0;
    const std::string path = is_there ? file.path().string() : "/not/there";
    for (int i = 0; i < 20; ++i) {
      ballast_model* model = nullptr;
      ballast_error* error = nullptr;
      const int code = ballast_model_open(path.c_str(), nullptr, &model, &error);
      require((code == BALLAST_OK) == is_there, "another answer");
      require(is_there || std::strcmp(error->path, "/not/there") == 0, "another thread's error");
      ballast_error_free(error);
      ballast_model_close(model);
    }
  });
}

}  // namespace
}  // namespace ballast::test
