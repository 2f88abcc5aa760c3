// Split GGUF: one model in several files, found by its first one or listed.
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/model.hpp>

#include "tests/support/safetensors_builder.hpp"
#include "tests/support/sets.hpp"
#include "tests/support/temp.hpp"

namespace ballast::test {
namespace {

std::string nth(unsigned number) { return split_name(number, 3); }

// Three shards, the first without tensors, as llama.cpp's --no-tensor-first-split writes them.
Files three() {
  return {{nth(1), split_shard(0, 3, 3, {}).entry("general.architecture", "llama").build().bytes()},
          {nth(2), split_shard(1, 3, 3, {"a", "b"}).build().bytes()},
          {nth(3), split_shard(2, 3, 3, {"c"}).build().bytes()}};
}

Files with(std::size_t position, const GgufBuilder& shard) {
  Files files = three();
  files[position].second = shard.build().bytes();
  return files;
}

Files without(std::size_t position) {
  Files files = three();
  files.erase(files.begin() + static_cast<std::ptrdiff_t>(position));
  return files;
}

// An entry of another type than llama.cpp writes.
GgufBuilder shard_of(GgufValue number, GgufValue count, const std::vector<std::string>& tensors) {
  GgufBuilder builder;
  builder.entry("split.no", std::move(number))
      .entry("split.count", std::move(count))
      .entry("split.tensors.count", 2);
  for (const std::string& tensor : tensors) builder.tensor({.name = tensor, .dims = {4}});
  return builder;
}

const std::vector<std::string> kAll{"a@" + nth(2), "b@" + nth(2), "c@" + nth(3)};

std::vector<SetRow> rows() {
  const Bytes safetensors =
      SafetensorsBuilder().tensor({.name = "c", .shape = {4}}).build().bytes();
  Files mixed = three();
  mixed[2].second = safetensors;
  Files renamed = three();
  for (std::size_t i = 0; i < renamed.size(); ++i)
    renamed[i].first = std::string(1, static_cast<char>('x' + i)) + ".gguf";
  Files in_folder;
  for (const auto& [name, bytes] : three()) in_folder.emplace_back("folder/" + name, bytes);
  return {
      {.fact = "a split model is opened by its first file",
       .files = three(),
       .open = {nth(1)},
       .tensors = kAll},
      {.fact = "a split model in a folder is opened by its first file",
       .files = in_folder,
       .open = {"folder/" + nth(1)},
       .tensors = kAll},
      {.fact = "a split model is opened by the list of its files",
       .files = three(),
       .open = {nth(1), nth(2), nth(3)},
       .tensors = kAll},
      {.fact = "listed files may have any names",
       .files = renamed,
       .open = {"x.gguf", "y.gguf", "z.gguf"},
       .tensors = {"a@y.gguf", "b@y.gguf", "c@z.gguf"}},
      {.fact = "split.no and split.count may be of any integer type",
       .files = {{split_name(1, 2),
                  shard_of(std::int64_t{0}, std::uint8_t{2}, {"a"}).build().bytes()},
                 {split_name(2, 2),
                  shard_of(std::uint32_t{1}, std::int32_t{2}, {"b"}).build().bytes()}},
       .open = {split_name(1, 2)},
       .tensors = {"a@" + split_name(1, 2), "b@" + split_name(2, 2)}},
      {.fact = "a file that says it is the only shard needs no name for that",
       .files = {{"model.gguf", split_shard(0, 1, 1, {"a"}).build().bytes()}},
       .open = {"model.gguf"},
       .tensors = {"a@model.gguf"}},
      {.fact = "a model of one file may end in -00001-of-00003 by chance",
       .files = {{nth(1), GgufBuilder().tensor({.name = "a", .dims = {4}}).build().bytes()}},
       .open = {nth(1)},
       .tensors = {"a@" + nth(1)}},
      {.fact = "a later shard is refused",
       .files = three(),
       .open = {nth(2)},
       .refusal = Errc::not_first_shard,
       .blamed = nth(2)},
      {.fact = "a first shard under another name does not lead to its siblings",
       .files = renamed,
       .open = {"x.gguf"},
       .refusal = Errc::shard_name_mismatch,
       .blamed = "x.gguf"},
      {.fact = "a first shard under the name of another count does not lead to its siblings",
       .files = {{split_name(1, 4), three()[0].second}},
       .open = {split_name(1, 4)},
       .refusal = Errc::shard_name_mismatch,
       .blamed = split_name(1, 4)},
      {.fact = "a missing shard is named",
       .files = without(1),
       .open = {nth(1)},
       .refusal = Errc::missing_shard,
       .blamed = nth(1),
       .subject = "model-00002-of-00003.gguf"},
      {.fact = "a missing last shard is named",
       .files = without(2),
       .open = {nth(1)},
       .refusal = Errc::missing_shard,
       .blamed = nth(1),
       .subject = "model-00003-of-00003.gguf"},
      {.fact = "a list that lacks a shard is refused",
       .files = three(),
       .open = {nth(1), nth(2)},
       .refusal = Errc::incomplete_set,
       .blamed = nth(1)},
      {.fact = "a list that has a shard twice is refused",
       .files = three(),
       .open = {nth(1), nth(2), nth(2)},
       .refusal = Errc::wrong_shard,
       .blamed = nth(2)},
      {.fact = "a list in another order is refused",
       .files = three(),
       .open = {nth(1), nth(3), nth(2)},
       .refusal = Errc::wrong_shard,
       .blamed = nth(3)},
      {.fact = "a list that begins with a later shard is refused",
       .files = three(),
       .open = {nth(2), nth(1), nth(3)},
       .refusal = Errc::not_first_shard,
       .blamed = nth(2)},
      {.fact = "two models of one file each are no set",
       .files = {{"a.gguf", GgufBuilder().tensor({.name = "a", .dims = {4}}).build().bytes()},
                 {"b.gguf", GgufBuilder().tensor({.name = "b", .dims = {4}}).build().bytes()}},
       .open = {"a.gguf", "b.gguf"},
       .refusal = Errc::incomplete_set,
       .blamed = "a.gguf"},
      {.fact = "a shard with the number of another is refused",
       .files = with(1, split_shard(2, 3, 3, {"a", "b"})),
       .open = {nth(1)},
       .refusal = Errc::wrong_shard,
       .blamed = nth(2)},
      {.fact = "a shard of a set of another size is refused",
       .files = with(2, split_shard(2, 4, 3, {"c"})),
       .open = {nth(1)},
       .refusal = Errc::wrong_shard,
       .blamed = nth(3)},
      {.fact = "a shard of a model with another number of tensors is refused",
       .files = with(2, split_shard(2, 3, 4, {"c"})),
       .open = {nth(1)},
       .refusal = Errc::wrong_shard,
       .blamed = nth(3)},
      {.fact = "a shard that says nothing of a split is refused",
       .files = with(1, GgufBuilder().tensor({.name = "a", .dims = {4}})),
       .open = {nth(1)},
       .refusal = Errc::wrong_shard,
       .blamed = nth(2)},
      {.fact = "fewer tensors than the set claims are refused",
       .files = with(1, split_shard(1, 3, 3, {"a"})),
       .open = {nth(1)},
       .refusal = Errc::wrong_tensor_total,
       .blamed = nth(1)},
      {.fact = "more tensors than the set claims are refused",
       .files = with(1, split_shard(1, 3, 3, {"a", "b", "d"})),
       .open = {nth(1)},
       .refusal = Errc::wrong_tensor_total,
       .blamed = nth(1)},
      {.fact = "a tensor in two shards is refused",
       .files = with(2, split_shard(2, 3, 3, {"a"})),
       .open = {nth(1)},
       .refusal = Errc::duplicate_tensor,
       .blamed = nth(3),
       .subject = "a"},
      {.fact = "a shard that is a safetensors file is refused",
       .files = mixed,
       .open = {nth(1)},
       .refusal = Errc::mixed_formats,
       .blamed = nth(3)},
      {.fact = "a shard that is broken is refused by its own name and byte",
       .files =
           [] {
             Files files = three();
             files[1].second.resize(4);
             return files;
           }(),
       .open = {nth(1)},
       .refusal = Errc::truncated,
       .blamed = nth(2),
       .offset = 4},
      {.fact = "an empty shard is called empty",
       .files =
           [] {
             Files files = three();
             files[2].second.clear();
             return files;
           }(),
       .open = {nth(1)},
       .refusal = Errc::empty_file,
       .blamed = nth(3)},
      {.fact = "100,000 shards are more than five digits name",
       .files = {{"model-00001-of-100000.gguf",
                  shard_of(std::uint32_t{0}, std::uint32_t{100'000}, {"a"}).build().bytes()}},
       .open = {"model-00001-of-100000.gguf"},
       .refusal = Errc::shard_name_mismatch,
       .blamed = "model-00001-of-100000.gguf"},
      {.fact = "a file that says it is the first of no shards is a model of its own",
       .files = {{nth(1), split_shard(0, 0, 1, {"a"}).build().bytes()}},
       .open = {nth(1)},
       .tensors = {"a@" + nth(1)}},
      {.fact = "a file that says it is the second of no shards is refused",
       .files = {{nth(1), split_shard(1, 0, 1, {"a"}).build().bytes()}},
       .open = {nth(1)},
       .refusal = Errc::not_first_shard,
       .blamed = nth(1)},
      {.fact = "a file that says it is shard 2^64-1 is refused",
       .files = {{nth(1), shard_of(UINT64_MAX, std::uint64_t{3}, {"a"}).build().bytes()}},
       .open = {nth(1)},
       .refusal = Errc::not_first_shard,
       .blamed = nth(1)},
      {.fact = "of 65,535 shards the first one that is missing is named",
       .files = {{split_name(1, 65'535), split_shard(0, 65'535, 1, {"a"}).build().bytes()}},
       .open = {split_name(1, 65'535)},
       .refusal = Errc::missing_shard,
       .blamed = split_name(1, 65'535),
       .subject = "model-00002-of-65535.gguf"},
      {.fact = "of as many shards as five digits name, too",
       .files = {{split_name(1, 99'999),
                  shard_of(std::uint32_t{0}, std::uint32_t{99'999}, {"a"}).build().bytes()}},
       .open = {split_name(1, 99'999)},
       .refusal = Errc::missing_shard,
       .blamed = split_name(1, 99'999),
       .subject = "model-00002-of-99999.gguf"},
      {.fact = "a count that is a string, or negative, is none",
       .files = {{"model.gguf", shard_of(std::int64_t{-1}, "3", {"a"}).build().bytes()}},
       .open = {"model.gguf"},
       .tensors = {"a@model.gguf"}},
      {.fact = "the first shard once more is not the second",
       .files =
           [] {
             Files files = three();
             files[1].second = files[0].second;
             return files;
           }(),
       .open = {nth(1)},
       .refusal = Errc::wrong_shard,
       .blamed = nth(2)},
      {.fact = "the first shard listed twice is not the second",
       .files = three(),
       .open = {nth(1), nth(1), nth(3)},
       .refusal = Errc::wrong_shard,
       .blamed = nth(1)},
      {.fact = "2^64-1 shards are refused before anything is made for them",
       .files = {{nth(1), shard_of(std::uint64_t{0}, UINT64_MAX, {"a"}).build().bytes()}},
       .open = {nth(1)},
       .refusal = Errc::shard_name_mismatch,
       .blamed = nth(1)},
  };
}

TEST_CASE("a split GGUF is one model, or refused") {
  for (const SetRow& row : split_rows()) check_row(row);
}

TEST_CASE(
    "a split GGUF is found beside the path as it is given, not beside what a link points to") {
  // As in a cache: names are links in one folder, contents lie in another under names of their own.
  const TempDir folder;
  std::filesystem::create_directory(folder / "blobs");
  std::filesystem::create_directory(folder / "snapshot");
  unsigned number = 0;
  for (const auto& [name, bytes] : three()) {
    const std::string blob = "blobs/" + std::to_string(++number);
    folder.write(blob, bytes);
    std::error_code unsupported;
    std::filesystem::create_symlink(folder / blob, folder / ("snapshot/" + name), unsupported);
    if (unsupported) SKIP("no symbolic links here: " << unsupported.message());
  }
  const Model model = Model::open(folder / ("snapshot/" + nth(1)));
  CHECK(model.is_sharded());
  CHECK(model.tensors().size() == 3);
  CHECK(model.shards()[2].file == nth(3));
}

TEST_CASE("a split GGUF has the metadata of its first shard and the bytes of all") {
  const TempDir folder;
  for (const auto& [name, bytes] : three()) folder.write(name, bytes);
  const Model model = Model::open(folder / nth(1));
  CHECK(model.metadata().get<std::string_view>("general.architecture") == "llama");
  CHECK(model.metadata().get<std::uint32_t>("split.no") == 0U);
  CHECK(model.format() == Format::gguf);
  CHECK(model.version() == 3U);
  CHECK(model.alignment() == 32U);
  REQUIRE(model.shards().size() == 3);
  std::uint64_t size = 0;
  for (const auto& [name, bytes] : three()) size += bytes.size();
  CHECK(model.file_bytes() == size);
  CHECK(model.parameter_count() == 12);
  // The first tensor of a shard and the second have noise of their own (GgufBuilder).
  CHECK(std::ranges::equal(model.bytes(model.at("a")), noise(16, 1)));
  CHECK(std::ranges::equal(model.bytes(model.at("b")), noise(16, 2)));
  CHECK(std::ranges::equal(model.bytes(model.at("c")), noise(16, 1)));
  CHECK(model.at("c").shard == 2);
  CHECK(model.shards()[2].data_offset == split_shard(2, 3, 3, {"c"}).build().at("data"));
}

TEST_CASE("a warning of a shard names its file") {
  const TempDir folder;
  const GgufBuilder odd = split_shard(2, 3, 3, {std::string(64, 'n')});
  for (const auto& [name, bytes] : with(2, odd)) folder.write(name, bytes);
  const Model model = Model::open(folder / nth(1));
  REQUIRE(model.warnings().size() == 1);
  CHECK(model.warnings()[0].code == Errc::long_name);
  CHECK(model.warnings()[0].message.starts_with(nth(3) + ": "));
}

TEST_CASE("shards that are in memory already make a model as well") {
  std::vector<Model::Shard> shards;
  for (const auto& [name, bytes] : three()) shards.push_back({name, ModelData::from_vector(bytes)});
  const Model model = Model::from_shards(std::move(shards));
  CHECK(model.tensors().size() == 3);
  CHECK(std::ranges::equal(model.bytes(model.at("b")), noise(16, 2)));
  CHECK_THROWS_AS(Model::from_shards({}), Error);
}

}  // namespace

const std::vector<SetRow>& split_rows() {
  static const std::vector<SetRow> kRows = rows();
  return kRows;
}

}  // namespace ballast::test
