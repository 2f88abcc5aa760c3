// What is left where an object was moved from: something empty, on which every call is fine or an
// Error.
#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/config.hpp>
#include <ballast/loader.hpp>
#include <ballast/model.hpp>
#if BALLAST_HAS_VALUES
#include <ballast/values.hpp>
#endif

#include "tests/support/gguf_builder.hpp"
#include "tests/unit/storage.hpp"

// NOLINTBEGIN(bugprone-use-after-move,hicpp-invalid-access-moved): the very point
namespace ballast::test {
namespace {

Bytes gguf() {
  return GgufBuilder()
      .entry("general.architecture", "llama")
      .tensor({.name = "a", .dims = {8}})
      .build()
      .bytes();
}

Model made() { return Model::from_data(ModelData::from_vector(gguf())); }

void check_empty(const Model& model, const Tensor& foreign) {
  CHECK(model.tensors().empty());
  CHECK(model.shards().empty());
  CHECK(model.warnings().empty());
  CHECK(model.metadata().size() == 0);
  CHECK(model.metadata().find("general.architecture") == nullptr);
  CHECK_FALSE(model.version());
  CHECK_FALSE(model.alignment());
  CHECK_FALSE(model.is_sharded());
  CHECK(model.is_complete());
  CHECK_FALSE(model.damaged());
  CHECK(model.parameter_count() == 0);
  CHECK(model.file_bytes() == 0);
  CHECK(model.format() == Format::gguf);
  CHECK(model.find("a") == nullptr);
  CHECK(model.verify().empty());
  model.require_undamaged();
  const Error missing = error_of([&] { static_cast<void>(model.at("a")); });
  CHECK(missing.code() == Errc::no_such_tensor);
  CHECK(missing.path().empty());
  const auto misuse = [](auto action) { CHECK(error_of(action).code() == Errc::misuse); };
  misuse([&] { static_cast<void>(model.bytes(foreign)); });
  misuse([&] { static_cast<void>(model.alignment_of(foreign)); });
  misuse([&] { static_cast<void>(model.values<float>(foreign)); });
  misuse([&] { static_cast<void>(model.values<std::uint16_t>(foreign)); });
#if BALLAST_HAS_VALUES
  std::vector<float> floats(8);
  misuse([&] { read_floats(model, foreign, {}, floats); });
#endif
}

TEST_CASE("a model that was moved from is one of nothing") {
  Model model = made();
  const Tensor tensor = model.tensors()[0];
  Model other = std::move(model);
  check_empty(model, tensor);
  CHECK(other.at("a").nbytes == 32);
  Model third = made();
  third = std::move(other);
  check_empty(other, tensor);
  other = made();
  CHECK(other.find("a") != nullptr);
  Model& same = other;
  other = std::move(same);
  CHECK(other.find("a") != nullptr);
}

TEST_CASE("a tensor of another model is refused where its bytes cannot be here") {
  const Model small = made();
  const Model large = Model::from_data(ModelData::from_vector(
      GgufBuilder().tensor({.name = "b", .dims = {80'000}}).build().bytes()));
  CHECK(error_of([&] { static_cast<void>(small.bytes(large.tensors()[0])); }).code() ==
        Errc::misuse);
  Tensor tensor = small.tensors()[0];
  tensor.shard = 1;
  CHECK(error_of([&] { static_cast<void>(small.bytes(tensor)); }).code() == Errc::misuse);
  tensor = small.tensors()[0];
  tensor.offset = UINT64_MAX;
  CHECK(error_of([&] { static_cast<void>(small.bytes(tensor)); }).code() == Errc::misuse);
}

TEST_CASE("data that were moved from are empty") {
  ModelData data = ModelData::from_vector(gguf());
  const ModelData other = std::move(data);
  CHECK(data.bytes().empty());
  CHECK(data.bytes().data() == nullptr);
  CHECK(data.empty());
  CHECK(data.size() == 0);
  CHECK(data.file_size() == 0);
  CHECK(data.compressed_size() == 0);
  CHECK(data.compression() == Compression::none);
  CHECK(data.is_complete());
  CHECK_FALSE(data.is_mmap());
  CHECK(data.path().empty());
  CHECK(data.unchanged());
  CHECK(data.intact());
  CHECK_FALSE(data.damaged());
  CHECK(data.advise_sequential().unsupported());
  CHECK(data.release_cpu_pages().unsupported());
  data.require_undamaged();
  CHECK(error_of([&] { static_cast<void>(Model::from_data(std::move(data))); }).code() ==
        Errc::empty_file);
  CHECK(other.size() == gguf().size());
}

TEST_CASE("a loader that was moved from refuses everything and tells nothing") {
  Loader loader;
  const Bytes whole = gguf();
  loader.push(std::span(whole).first(10));
  Loader other = std::move(loader);
  CHECK_FALSE(loader.has_directory());
  CHECK(loader.progress().done == 0);
  const auto misuse = [](auto action) { CHECK(error_of(action).code() == Errc::misuse); };
  misuse([&] { static_cast<void>(loader.prepare(1)); });
  misuse([&] { loader.commit(0); });
  misuse([&] { loader.push({}); });
  misuse([&] { static_cast<void>(loader.finish()); });
  loader.cancel();
  other.push(std::span(whole).subspan(10));
  CHECK(other.finish().size() == whole.size());
}

TEST_CASE("values that were moved from are none, copied or not") {
  for (const std::size_t shift : {0U, 1U}) {
    std::vector<float> copy{1, 2, 3};
    TypedValues<float> values =
        shift == 0 ? TypedValues<float>(std::span<const float>(copy)) : TypedValues<float>(copy);
    CHECK(values.is_copy() == (shift == 1));
    TypedValues<float> other = std::move(values);
    CHECK(values.values().empty());
    CHECK_FALSE(values.is_copy());
    CHECK(std::ranges::equal(other.values(), copy));
    values = std::move(other);
    CHECK(other.values().empty());
    CHECK(std::ranges::equal(values.values(), copy));
    TypedValues<float>& same = values;
    values = std::move(same);
    CHECK(std::ranges::equal(values.values(), copy));
  }
}

}  // namespace
}  // namespace ballast::test
// NOLINTEND(bugprone-use-after-move,hicpp-invalid-access-moved)
