// The files of a set that are given in a list: which of them an index means by a name.
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/model.hpp>

#include "tests/support/compress.hpp"
#include "tests/support/safetensors_builder.hpp"
#include "tests/unit/storage.hpp"

namespace ballast::test {
namespace {

constexpr const char* kIndex = "m.safetensors.index.json";

Bytes holding(const std::string& tensor) {
  return SafetensorsBuilder().tensor({.name = tensor, .shape = {4}}).build().bytes();
}

/// An index that places each tensor, and files, each called so and with one tensor.
struct List {
  std::vector<std::pair<std::string, std::string>> index;
  std::vector<std::pair<std::string, std::string>> files;
};

std::string index_of(const List& list) {
  IndexBuilder index;
  for (const auto& [tensor, file] : list.index) index.tensor(tensor, file);
  return index.build();
}

Model model_of(const List& list) {
  std::vector<Model::Shard> shards;
  shards.push_back({.file = kIndex, .data = ModelData::from_vector(bytes_of(index_of(list)))});
  for (const auto& [name, tensor] : list.files) {
    shards.push_back({.file = name, .data = ModelData::from_vector(holding(tensor))});
  }
  return Model::from_shards(std::move(shards));
}

/// "TENSOR@FILE", each with a space behind it.
std::string tensors_of(const Model& model) {
  std::string all;
  for (const Tensor& tensor : model.tensors()) {
    all.append(tensor.name).append("@").append(model.shards()[tensor.shard].file).append(" ");
  }
  return all;
}

Error refusal_of(const List& list) {
  return error_of([&] { static_cast<void>(model_of(list)); });
}

TEST_CASE("a name takes the file that is called so, wherever in the list it stands") {
  const std::vector<std::pair<std::string, std::string>> both{{"a", "f.safetensors"},
                                                              {"b", "f.safetensors.gz"}};
  const std::string due = "a@f.safetensors b@f.safetensors.gz ";
  CHECK(tensors_of(model_of({both, {{"f.safetensors.gz", "b"}, {"f.safetensors", "a"}}})) == due);
  CHECK(tensors_of(model_of({both, {{"f.safetensors", "a"}, {"f.safetensors.gz", "b"}}})) == due);
  // What is called so is not free for the name without its suffix.
  CHECK(tensors_of(model_of({both, {{"f.safetensors.gz", "b"}, {"f.safetensors.zst", "a"}}})) ==
        "a@f.safetensors.zst b@f.safetensors.gz ");
  CHECK(tensors_of(model_of({both, {{"f.safetensors.gz.xz", "b"}, {"f.safetensors", "a"}}})) ==
        "a@f.safetensors b@f.safetensors.gz.xz ");
}

TEST_CASE("no file of a list is taken twice") {
  // The first of the list has given its name away with its data when the second is looked for.
  const Error missing = refusal_of({{{"a", "a.safetensors"}, {"c", "c.safetensors"}},
                                    {{"x.safetensors", "c"}, {"a.safetensors", "a"}}});
  CHECK(missing.code() == Errc::missing_shard);
  CHECK(missing.subject() == "c.safetensors");
  CHECK(missing.path() == kIndex);
  const Error other = refusal_of({{{"a", "f.safetensors"}, {"b", "f.safetensors.gz"}},
                                  {{"f.safetensors.gz", "a"}, {"x", "b"}}});
  CHECK(other.code() == Errc::missing_shard);
  CHECK(other.subject() == "f.safetensors");
}

TEST_CASE("two files of one name are refused, whatever is in them") {
  for (const char* name : {"a.safetensors", "a.safetensors.zst"}) {
    CAPTURE(name);
    const Error error = refusal_of({{{"a", "a.safetensors"}, {"b", "b.safetensors"}},
                                    {{name, "a"}, {"b.safetensors", "b"}, {name, "a"}}});
    CHECK(error.code() == Errc::duplicate_shard);
    CHECK(error.subject() == name);
    CHECK(error.path() == kIndex);
  }
}

TEST_CASE("files that no name takes are refused by their number") {
  for (const char* name : {"x.safetensors", "a.safetensors.gz", ""}) {
    CAPTURE(name);
    const Error error =
        refusal_of({{{"a", "a.safetensors"}}, {{"a.safetensors", "a"}, {name, "x"}}});
    CHECK(error.code() == Errc::incomplete_set);
    CHECK(error.expected() == 1);
    CHECK(error.actual() == 2);
  }
}

TEST_CASE("files without names take the names that are left, in order") {
  const std::vector<std::pair<std::string, std::string>> index{
      {"a", "a.safetensors"}, {"b", "b.safetensors"}, {"c", "c.safetensors"}};
  CHECK(tensors_of(model_of({index, {{"", "a"}, {"", "b"}, {"", "c"}}})) == "a@ b@ c@ ");
  CHECK(tensors_of(model_of({index, {{"b.safetensors", "b"}, {"", "a"}, {"", "c"}}})) ==
        "a@ b@b.safetensors c@ ");
  const Error error = refusal_of({index, {{"", "b"}, {"", "a"}, {"", "c"}}});
  CHECK(error.code() == Errc::tensor_not_in_shard);
}

TEST_CASE("a list of paths with one file name in two folders is refused where an index needs it") {
  const TempDir folder;
  const List list{{{"a", "a.safetensors"}, {"b", "b.safetensors"}}, {}};
  const std::vector<std::filesystem::path> paths{folder.write_text(kIndex, index_of(list)),
                                                 folder.write("1/a.safetensors", holding("a")),
                                                 folder.write("2/a.safetensors", holding("b"))};
  const Error error = error_of([&] { static_cast<void>(Model::open_shards(paths)); });
  CHECK(error.code() == Errc::duplicate_shard);
  CHECK(error.subject() == "a.safetensors");
}

TEST_CASE("a file beside an index is never opened under two of its names") {
  const List list{{{"a", "f.safetensors"}, {"b", "f.safetensors.gz"}}, {}};
  const Bytes both = SafetensorsBuilder()
                         .tensor({.name = "a", .shape = {4}})
                         .tensor({.name = "b", .shape = {4}})
                         .build()
                         .bytes();
  const Bytes compressed = gzip_member(both, {.level = 1});
  for (const bool is_compressed : {false, true}) {
    CAPTURE(is_compressed);
    const TempDir folder;
    const std::string text = index_of(list);
    const auto path = is_compressed
                          ? folder.write("i.json.gz", gzip_member(bytes_of(text), {.level = 1}))
                          : folder.write_text("i.json", text);
    folder.write("f.safetensors.gz", compressed);
    const Error error = error_of([&] { static_cast<void>(Model::open(path)); });
    CHECK(error.code() == Errc::missing_shard);
    CHECK(error.subject() == "f.safetensors");
    folder.write("f.safetensors", holding("a"));
    CHECK(tensors_of(Model::open(path)) == "a@f.safetensors b@f.safetensors.gz ");
  }
}

TEST_CASE("a model of no files is refused as a misuse") {
  const auto open = [] { static_cast<void>(Model::open_shards({})); };
  const auto from = [] { static_cast<void>(Model::from_shards({})); };
  CHECK(error_of(open).code() == Errc::misuse);
  CHECK(error_of(from).code() == Errc::misuse);
}

TEST_CASE("an index that names no tensor is no model, whichever way it comes") {
  const Bytes index = bytes_of(R"({"weight_map":{}})");
  const TempFile file(index);
  const auto data = [&] { return ModelData::from_vector(index); };
  const auto check = [](const Error& error) {
    CHECK(error.code() == Errc::empty_index);
    CHECK(error.offset() == 1);
  };
  check(error_of([&] { static_cast<void>(Model::open(file.path())); }));
  check(error_of([&] { static_cast<void>(Model::open_shards({&file.path(), 1})); }));
  check(error_of([&] { static_cast<void>(Model::from_data(data())); }));
  check(error_of([&] { static_cast<void>(Model::siblings(data(), "m.index.json")); }));
}

}  // namespace
}  // namespace ballast::test
