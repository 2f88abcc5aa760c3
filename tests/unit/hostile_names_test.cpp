// Many names, and names that were chosen to collide, in everything that finds by name: metadata,
// tensors, the tensors of an index, the tensors of a set. A million tensors of nothing.
#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/format.hpp>
#include <ballast/loader.hpp>
#include <ballast/model.hpp>
#include <ballast/shards.hpp>

#include "tests/support/allocations.hpp"
#include "tests/support/collisions.hpp"
#include "tests/support/gguf_builder.hpp"
#include "tests/support/safetensors_builder.hpp"
#include "tests/support/sets.hpp"
#include "tests/unit/storage.hpp"

namespace ballast::test {
namespace {

// So many take a table of 2,048 slots, of which all want the same one.
const std::vector<std::string>& colliding() {
  static const std::vector<std::string> kNames = colliding_names(1'500, 11);
  return kNames;
}

// The name that is to be there once more at the end.
constexpr std::size_t kRepeated = 777;

GgufBuilder gguf(std::span<const std::string> names) {
  GgufBuilder builder;
  for (const std::string& name : names)
    builder.entry(name, name).tensor({.name = name, .dims = {1}});
  return builder;
}

SafetensorsBuilder safetensors(std::span<const std::string> names) {
  SafetensorsBuilder builder;
  for (const std::string& name : names)
    builder.entry(name, name).tensor({.name = name, .dtype = "U8", .shape = {1}});
  return builder;
}

IndexBuilder index_of(std::span<const std::string> names) {
  IndexBuilder builder;
  for (const std::string& name : names)
    builder.tensor(name, "1.safetensors").metadata(name, json_string(name));
  return builder;
}

void check_found(const Model& model) {
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < colliding().size(); ++i) {
    const std::string& name = colliding()[i];
    wrong += model.find(name) == &model.tensors()[i] ? 0U : 1U;
    wrong += model.metadata().get<std::string_view>(name) == name ? 0U : 1U;
  }
  CHECK(wrong == 0);
  for (const std::string_view absent : {"", "t.", "absent", "t.00000000000x", "~~~~~~~~~~~~~"}) {
    CHECK(model.find(absent) == nullptr);
    CHECK(model.metadata().find(absent) == nullptr);
  }
}

Error refusal(const Bytes& bytes) {
  return error_of([&] { static_cast<void>(Model::from_data(ModelData::from_vector(bytes))); });
}

TEST_CASE("keys and tensors that collide are found, each at its place") {
  check_found(Model::from_data(ModelData::from_vector(gguf(colliding()).build().bytes())));
  check_found(Model::from_data(ModelData::from_vector(safetensors(colliding()).build().bytes())));
}

TEST_CASE("a tensor that is there twice among names that collide is refused at the second") {
  const std::string& name = colliding()[kRepeated];
  const Sample in_gguf = gguf(colliding()).tensor({.name = name, .dims = {1}}).build();
  const Error of_gguf = refusal(in_gguf.bytes());
  CHECK(of_gguf.code() == Errc::duplicate_tensor);
  CHECK(of_gguf.subject() == name);
  CHECK(of_gguf.offset() == in_gguf.at("tensor[1500]"));
  const Sample in_safetensors =
      safetensors(colliding()).tensor({.name = name, .dtype = "U8", .shape = {1}}).build();
  const Error of_safetensors = refusal(in_safetensors.bytes());
  CHECK(of_safetensors.code() == Errc::duplicate_tensor);
  CHECK(of_safetensors.subject() == name);
  CHECK(of_safetensors.offset() == in_safetensors.at("tensor[1500]"));
}

TEST_CASE("a key that is there twice among names that collide is refused at the second") {
  const std::string& name = colliding()[kRepeated];
  const Sample in_gguf = gguf(colliding()).entry(name, true).build();
  const Error of_gguf = refusal(in_gguf.bytes());
  CHECK(of_gguf.code() == Errc::duplicate_key);
  CHECK(of_gguf.subject() == name);
  CHECK(of_gguf.offset() == in_gguf.at("entry[1500]"));
  const Sample in_safetensors = safetensors(colliding()).entry(name, "again").build();
  const Error of_safetensors = refusal(in_safetensors.bytes());
  CHECK(of_safetensors.code() == Errc::duplicate_key);
  CHECK(of_safetensors.subject() == name);
  CHECK(of_safetensors.offset() == in_safetensors.at("entry[1500]"));
}

TEST_CASE(
    "the tensors of an index that collide are found, and one that is there twice is refused") {
  const auto read = [](const IndexBuilder& index) {
    const std::string text = index.build();
    return parse_index(std::as_bytes(std::span(text)), {});
  };
  const std::string text = index_of(colliding()).build();
  const ShardIndex index = parse_index(std::as_bytes(std::span(text)), {});
  CHECK(index.weight_index.is_sorted());
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < colliding().size(); ++i) {
    wrong += index.find(colliding()[i]) == &index.weights[i] ? 0U : 1U;
    wrong += index.metadata.find(colliding()[i]) == nullptr ? 1U : 0U;
  }
  CHECK(wrong == 0);
  CHECK(index.find("absent") == nullptr);

  const std::string& name = colliding()[kRepeated];
  const Error tensor = error_of(
      [&] { static_cast<void>(read(index_of(colliding()).tensor(name, "2.safetensors"))); });
  CHECK(tensor.code() == Errc::duplicate_tensor);
  CHECK(tensor.subject() == name);
  const Error key =
      error_of([&] { static_cast<void>(read(index_of(colliding()).metadata(name, "1"))); });
  CHECK(key.code() == Errc::duplicate_key);
  CHECK(key.subject() == name);
}

TEST_CASE("tensors that collide are told apart in a set, and one in two of its files is refused") {
  const std::span<const std::string> names(colliding());
  const auto shard = [](unsigned number, std::span<const std::string> of, int total) {
    return split_shard(number, 2, total, {of.begin(), of.end()}).build().bytes();
  };
  const auto open = [](const Bytes& first, const Bytes& second) {
    std::vector<Model::Shard> shards(2);
    shards[0] = {.file = "1", .data = ModelData::from_vector(first)};
    shards[1] = {.file = "2", .data = ModelData::from_vector(second)};
    return Model::from_shards(std::move(shards));
  };
  const Model model = open(shard(0, names.first(700), 1'500), shard(1, names.subspan(700), 1'500));
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < names.size(); ++i)
    wrong += model.find(names[i]) == &model.tensors()[i] ? 0U : 1U;
  CHECK(wrong == 0);
  const Error error = error_of([&] {
    static_cast<void>(open(shard(0, names.first(701), 1'501), shard(1, names.subspan(700), 1'501)));
  });
  CHECK(error.code() == Errc::duplicate_tensor);
  CHECK(error.subject() == names[700]);
  CHECK(error.path() == "2");
}

// ---- A million tensors of nothing ---------------------------------------------------------------

constexpr std::uint64_t kMillion = 1'000'000;

// Written by hand: a builder keeps the place of everything.
Bytes empty_tensors_of_gguf(std::uint64_t count) {
  Bytes bytes = bytes_of("GGUF");
  append_number(bytes, 3, 4);
  append_number(bytes, count, 8);
  append_number(bytes, 0, 8);
  for (std::uint64_t i = 0; i < count; ++i) {
    append_number(bytes, 8, 8);
    for (unsigned digit = 0; digit < 8; ++digit)
      append_number(bytes, 'a' + ((i >> (4 * digit)) & 15), 1);
    append_number(bytes, 1, 4);
    append_number(bytes, 0, 8);
    append_number(bytes, 0, 4);
    append_number(bytes, 0, 8);
  }
  return bytes;
}

Bytes empty_tensors_of_safetensors(std::uint64_t count) {
  std::string header = "{";
  for (std::uint64_t i = 0; i < count; ++i) {
    header += "\"" + std::to_string(i) + R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)";
  }
  header.back() = '}';
  Bytes bytes;
  append_number(bytes, header.size(), 8);
  append(bytes, bytes_of(header));
  return bytes;
}

TEST_CASE("a million tensors of nothing are a model: in memory for what is there, and all found") {
  for (const bool is_gguf : {true, false}) {
    CAPTURE(is_gguf);
    const Bytes bytes =
        is_gguf ? empty_tensors_of_gguf(kMillion) : empty_tensors_of_safetensors(kMillion);
    const Allocations allocations;
    const Directory directory = parse_whole(bytes);
    REQUIRE(directory.tensors.size() == kMillion);
    // A tensor, its place in the index, and while their number is not known half of them once more.
    CHECK(allocations.bytes() < kMillion * 600);
    CHECK(allocations.count() < 200 + (is_gguf ? 0 : kMillion / 10));
    CHECK_FALSE(directory.tensor_index.is_sorted());  // no name took more steps than are allowed
    const NameList names{std::span<const Tensor>(directory.tensors), &Tensor::name};
    for (const std::size_t i : {std::size_t{0}, std::size_t{499'999}, std::size_t{999'999}})
      CHECK(directory.tensor_index.find(names, directory.tensors[i].name) == i);
    CHECK(directory.warnings.empty());
  }
}

TEST_CASE("a tensor more than a million is refused, in safetensors where it stands") {
  const Bytes bytes = empty_tensors_of_safetensors(kMillion + 1);
  const Error error = error_of([&] { static_cast<void>(parse_whole(bytes)); });
  CHECK(error.code() == Errc::too_many_tensors);
  CHECK(error.subject() == "1000000");
  CHECK(error.expected() == kMillion);
}

TEST_CASE("a million tensors of nothing cost no more looks and copies when they come in pieces") {
  const Bytes bytes = empty_tensors_of_gguf(kMillion / 10);
  const Allocations allocations;
  Loader loader({.total = bytes.size()});
  for (std::span<const std::byte> rest(bytes); !rest.empty();) {
    const std::size_t piece = std::min<std::size_t>(rest.size(), 1'000);
    loader.push(rest.first(piece));
    rest = rest.subspan(piece);
  }
  const ModelData data = loader.finish();
  CHECK(data.size() == bytes.size());
  // Each look has the directory of all that came before it, and each comes at twice as many bytes.
  CHECK(allocations.bytes() < 30 * bytes.size());
}

}  // namespace
}  // namespace ballast::test
