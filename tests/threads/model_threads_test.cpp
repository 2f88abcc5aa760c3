// One model, and many threads that use it.
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/config.hpp>
#include <ballast/error.hpp>
#include <ballast/model.hpp>
#if BALLAST_HAS_VALUES
#include <ballast/values.hpp>
#endif

#include "tests/support/temp.hpp"
#include "tests/threads/together.hpp"

namespace ballast::test {
namespace {

const Bytes& bytes() {
  static const Bytes kBytes = model_bytes(300'000);
  return kBytes;
}

void read_all(const Model& model, std::span<const std::byte> file) {
  for (const Tensor& tensor : model.tensors()) {
    require(model.find(tensor.name) == &tensor, "a tensor is not found");
    const auto right = file.subspan(tensor.offset, *tensor.nbytes);
    require(std::ranges::equal(model.bytes(tensor), right), "the bytes are wrong");
  }
  require(model.metadata().get<std::string_view>("general.architecture") == "llama", "an entry");
  require(model.values<float>(model.at("floats")).is_copy() == false, "a copy");
  require(model.find("none") == nullptr, "a tensor too many");
  require(model.parameter_count() > 300'000, "parameters are missing");
}

void refuse_unknown(const Model& model) {
  try {
    static_cast<void>(model.at("none"));
  } catch (const Error& error) {
    const Error copy = error;  // NOLINT(performance-*): copies share what they hold
    return require(copy.code() == Errc::no_such_tensor, "another refusal");
  }
  throw std::runtime_error("no refusal");
}

TEST_CASE("a model is read by many threads at a time") {
  const TempFile file(bytes());
  for (const Backend backend : {Backend::automatic, Backend::heap}) {
    const Model model = Model::open(file.path(), {.backend = backend});
    together([&](std::size_t) {
      read_all(model, bytes());
      refuse_unknown(model);
      require(model.verify().empty(), "something is odd");
    });
  }
}

#if BALLAST_HAS_VALUES
TEST_CASE("values are decoded by many threads at a time") {
  const TempFile file(bytes());
  const Model model = Model::open(file.path());
  std::vector<float> right(512);
  read_floats(model, model.at("quantized"), {}, right);
  const Statistics all = statistics(model, model.at("quantized"));
  together([&](std::size_t) {
    std::vector<float> values(512);
    read_floats(model, model.at("quantized"), {}, values);
    require(std::memcmp(values.data(), right.data(), 512 * sizeof(float)) == 0, "other values");
    const Statistics mine = statistics(model, model.at("quantized"));
    require(mine.min == all.min && mine.max == all.max && mine.count == 512, "other statistics");
  });
}
#endif

TEST_CASE("pages are given back and advised about while others read them") {
  const TempFile file(bytes());
  const Model model = Model::open(file.path());
  const ModelData& data = model.shards()[0].data;
  together([&](std::size_t number) {
    for (int i = 0; i < 20; ++i) {
      if (number % 2 == 0) {
        read_all(model, bytes());
        continue;
      }
      static_cast<void>(data.release_cpu_pages(0, ModelData::npos, PageCache::drop));
      static_cast<void>(data.advise(Advice::will_need));
      static_cast<void>(data.advise_sequential());
      require(data.unchanged() && data.intact(), "a file has changed");
    }
  });
}

TEST_CASE("a model is handed from thread to thread") {
  const TempFile file(bytes());
  std::optional<Model> model(Model::open(file.path()));
  const std::byte* const where = model->bytes(model->at("large")).data();
  for (std::size_t i = 0; i < kThreads; ++i) {
    std::thread([&] {
      Model mine = std::move(*model);
      read_all(mine, bytes());
      model = std::move(mine);
    }).join();
  }
  CHECK(model->bytes(model->at("large")).data() == where);
  std::thread([&] { model.reset(); }).join();
}

}  // namespace
}  // namespace ballast::test
