// What a parser takes out of bytes that others may write: it is copied before it is validated, so
// that it stays as it was validated, and it is not copied before its size is checked.
#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/format.hpp>
#include <ballast/model.hpp>

#include "tests/support/gguf_builder.hpp"
#include "tests/support/safetensors_builder.hpp"
#include "tests/support/sets.hpp"
#include "tests/unit/storage.hpp"

namespace ballast::test {
namespace {

Sample small_gguf() {
  return GgufBuilder()
      .entry("general.architecture", "llama")
      .entry("answer", 42)
      .tensor({.name = "w", .dims = {4, 2}})
      .tensor({.name = "a.longer.name", .dims = {4, 2}})
      .build();
}

Sample small_safetensors() {
  return SafetensorsBuilder()
      .entry("format", "pt")
      .tensor({.name = "w", .shape = {2}})
      .tensor({.name = "new", .dtype = "F99", .shape = {1}, .end = 12, .data = Bytes(4)})
      .build();
}

// Everything that a model says of its header, but the strings of GGUF metadata.
std::string header_text(const Model& model) {
  std::string text;
  for (const Entry& entry : model.metadata())
    text.append(entry.key).append("=").append(name(entry.value.type())).append(";");
  for (const Tensor& tensor : model.tensors())
    text.append(tensor.name).append(":").append(tensor.dtype_name).append(";");
  return text;
}

bool lies_in(std::string_view text, std::span<const std::byte> bytes) {
  const auto* const at = reinterpret_cast<const std::byte*>(text.data());
  return std::less_equal<>()(bytes.data(), at) && std::less<>()(at, bytes.data() + bytes.size());
}

TEST_CASE("names and keys stay as they were validated when the bytes of the model change") {
  for (const Sample& sample : {small_gguf(), small_safetensors()}) {
    Bytes bytes = sample.bytes();
    const Model model = Model::from_data(ModelData::borrow(bytes));
    const std::string before = header_text(model);
    std::ranges::fill(bytes, std::byte{0xFF});
    CHECK(header_text(model) == before);
    CHECK(model.find("w") != nullptr);
  }
}

TEST_CASE("strings of safetensors metadata stay when the bytes of the model change") {
  Bytes bytes = small_safetensors().bytes();
  const Model model = Model::from_data(ModelData::borrow(bytes));
  std::ranges::fill(bytes, std::byte{0xFF});
  CHECK(model.metadata().get<std::string_view>("format") == "pt");
}

TEST_CASE("an index may change, and go, once a set is open") {
  Bytes index = bytes_of(IndexBuilder()
                             .tensor("w", "1.safetensors")
                             .tensor("new", "1.safetensors")
                             .metadata("by", "\"me\"")
                             .build());
  std::vector<Model::Shard> shards(2);
  shards[0].data = ModelData::borrow(index);
  shards[1].file = "1.safetensors";
  shards[1].data = ModelData::from_vector(small_safetensors().bytes());
  const Model model = Model::from_shards(std::move(shards));
  std::ranges::fill(index, std::byte{0xFF});
  CHECK(model.metadata().get<std::string_view>("by") == "me");
  CHECK(model.find("w") != nullptr);
}

TEST_CASE("a safetensors header is copied only where others may write its bytes") {
  const Model own = Model::from_data(ModelData::from_vector(small_safetensors().bytes()));
  CHECK(lies_in(own.tensors()[0].name, own.shards()[0].data.bytes()));
  const Bytes bytes = small_safetensors().bytes();
  const Model borrowed = Model::from_data(ModelData::borrow(bytes));
  CHECK_FALSE(lies_in(borrowed.tensors()[0].name, bytes));
}

TEST_CASE("a safetensors header over max_bytes is refused before it is copied") {
  const Sample sample = small_safetensors();
  const std::uint64_t header = sample.at("data") - 8;
  CHECK(parse(Input::whole(sample.bytes()), {.max_bytes = header}).directory);
  const Error error = error_of(
      [&] { static_cast<void>(parse(Input::whole(sample.bytes()), {.max_bytes = header - 1})); });
  CHECK(error.code() == Errc::too_large);
  CHECK(error.expected() == header);
  CHECK(error.actual() == header - 1);
  // What is not copied has no such limit.
  CHECK(
      parse({.bytes = sample.bytes(), .total = sample.size(), .is_stable = true}, {.max_bytes = 0})
          .directory);
}

TEST_CASE("keys and names of a GGUF over max_bytes are refused before they are copied") {
  const Sample sample = small_gguf();
  const std::uint64_t copied = std::string_view("general.architectureanswerwa.longer.name").size();
  CHECK(parse(Input::whole(sample.bytes()), {.max_bytes = copied}).directory);
  const Error error = error_of(
      [&] { static_cast<void>(parse(Input::whole(sample.bytes()), {.max_bytes = copied - 1})); });
  CHECK(error.code() == Errc::too_large);
  CHECK(error.offset() == sample.at("tensor[1].name"));
  CHECK(error.expected() == copied);
  CHECK(error.actual() == copied - 1);
}

TEST_CASE("an index has the limit of a safetensors header, and max_bytes") {
  const Bytes index = bytes_of(IndexBuilder()
                                   .tensor("w", "1.safetensors")
                                   .metadata("by", json_string(std::string(200, 'x')))
                                   .build());
  const auto open = [&](const ParseOptions& options) {
    std::vector<Model::Shard> shards(2);
    shards[0].data = ModelData::borrow(index);
    shards[1].file = "1.safetensors";
    shards[1].data = ModelData::from_vector(
        SafetensorsBuilder().tensor({.name = "w", .shape = {2}}).build().bytes());
    return Model::from_shards(std::move(shards), options);
  };
  const std::uint64_t size = index.size();
  const Model model = open({.limits = {.max_header = size}, .max_bytes = size});
  CHECK(model.tensors().size() == 1);
  const Error longer = error_of([&] { open({.limits = {.max_header = size - 1}}); });
  CHECK(longer.code() == Errc::header_too_large);
  CHECK(longer.actual() == size);
  const Error larger = error_of([&] { open({.max_bytes = size - 1}); });
  CHECK(larger.code() == Errc::too_large);
  CHECK(larger.expected() == size);
}

}  // namespace
}  // namespace ballast::test
