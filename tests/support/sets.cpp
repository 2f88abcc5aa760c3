#include "tests/support/sets.hpp"

#include <algorithm>
#include <filesystem>

#include <catch2/catch_test_macros.hpp>

#include <ballast/loader.hpp>
#include <ballast/model.hpp>
#include <ballast/text.hpp>

#include "tests/support/temp.hpp"

namespace ballast::test {
namespace {

Model open_by_path(const SetRow& row, const TempDir& folder) {
  if (row.open.size() == 1) return Model::open(folder / row.open.front());
  std::vector<std::filesystem::path> paths;
  for (const std::string& name : row.open) paths.push_back(folder / name);
  return Model::open_shards(paths);
}

// A file of the row, as somebody brings it who has no file system.
Model::Shard load(const SetRow& row, const TempDir& folder, const std::string& name) {
  const auto file = std::ranges::find(row.files, name, &Files::value_type::first);
  if (file == row.files.end()) {
    throw Error({.code = Errc::missing_shard, .kind = SubjectKind::file, .name = name},
                (folder / row.open.front()).string());
  }
  Loader loader({.total = file->second.size(), .accept_index = true, .path = folder / name});
  loader.push(file->second);
  return {.file = std::filesystem::path(name).filename().string(), .data = loader.finish()};
}

// The same from memory, where others are found by asking what they are called.
Model open_from_memory(const SetRow& row, const TempDir& folder) {
  std::vector<Model::Shard> shards;
  for (const std::string& name : row.open) shards.push_back(load(row, folder, name));
  if (shards.size() == 1) {
    for (const std::string& name : Model::siblings(shards[0].data, shards[0].file)) {
      const auto beside = std::filesystem::path(row.open.front()).replace_filename(name);
      shards.push_back(load(row, folder, beside.generic_string()));
    }
  }
  return Model::from_shards(std::move(shards));
}

void check_acceptance(const SetRow& row, const Model& model) {
  std::vector<std::string> found;
  for (const Tensor& tensor : model.tensors()) {
    found.push_back(std::string(tensor.name) + "@" + model.shards()[tensor.shard].file);
    CHECK(model.find(tensor.name) == &tensor);
    // Every test tensor's bytes are those that its builder made for its place in its own shard.
    if (tensor.nbytes) CHECK(model.bytes(tensor).size() == *tensor.nbytes);
  }
  CHECK(found == row.tensors);
  std::string warned;
  std::string due;
  for (const Warning& warning : model.warnings()) warned += std::string(name(warning.code)) + "\n";
  for (const Errc code : row.odd) due += std::string(name(code)) + "\n";
  CHECK(warned == due);
}

void check_refusal(const SetRow& row, const Error& error, const TempDir& folder) {
  CAPTURE(error.what());
  CHECK(name(error.code()) == name(row.refusal));
  CHECK(error.path() == (folder / row.blamed).string());
  CHECK(error.subject() == row.subject);
  CHECK(error.offset() == row.offset);
  CHECK(is_utf8(error.what()));
}

}  // namespace

std::string split_name(unsigned number, unsigned count, std::string_view prefix) {
  const auto five = [](unsigned n) {
    const std::string digits = std::to_string(n);
    return std::string(5 - digits.size(), '0') + digits;
  };
  return std::string(prefix) + "-" + five(number) + "-of-" + five(count) + ".gguf";
}

GgufBuilder split_shard(unsigned number, unsigned count, int total,
                        const std::vector<std::string>& tensors) {
  GgufBuilder builder;
  builder.entry("split.no", static_cast<std::uint16_t>(number))
      .entry("split.count", static_cast<std::uint16_t>(count))
      .entry("split.tensors.count", total);
  for (const std::string& tensor : tensors) builder.tensor({.name = tensor, .dims = {4}});
  return builder;
}

namespace {

template <class Open>
std::set<Errc> check_with(Open open, const SetRow& row, const TempDir& folder) {
  std::set<Errc> seen;
  try {
    const Model model = open(row, folder);
    for (const Warning& warning : model.warnings()) seen.insert(warning.code);
    if (row.refusal == Errc::ok) {
      check_acceptance(row, model);
    } else {
      FAIL_CHECK("accepted, but it must be refused as " << name(row.refusal));
    }
  } catch (const Error& error) {
    seen.insert(static_cast<Errc>(error.code().value()));
    if (row.refusal == Errc::ok) {
      FAIL_CHECK("refused, but it must be accepted: " << error.what());
    } else {
      check_refusal(row, error, folder);
    }
  }
  return seen;
}

}  // namespace

std::set<Errc> check_row(const SetRow& row) {
  INFO("row: " << row.fact);
  const TempDir folder;
  for (const auto& [file, bytes] : row.files) folder.write(file, bytes);
  {
    INFO("from memory");
    check_with(open_from_memory, row, folder);
  }
  return check_with(open_by_path, row, folder);
}

}  // namespace ballast::test
