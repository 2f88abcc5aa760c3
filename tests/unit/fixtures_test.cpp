// Files that other people's writers made, with the truth about them, and hostile ones with the
// verdict that is due.
//
// The corpus is not part of the project: its folder is named by BALLAST_FIXTURES, and without one
// these tests are skipped.
#ifdef BALLAST_TEST_HAS_BOOST_JSON  // the truth is written in JSON

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>
#include <catch2/catch_test_macros.hpp>

#include <ballast/format.hpp>
#include <ballast/model.hpp>

#include "tests/support/oracle.hpp"
#include "tests/support/temp.hpp"

namespace ballast::test {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

/// Hostile files of which the policy says something else than the corpus, and why. The corpus says
/// "either" wherever readers differ, so the list is short.
struct Differs {
  std::string_view file;
  bool accepted;
  std::string_view reason;
};
constexpr std::array<Differs, 0> kDiffers{};

fs::path fixtures() {
  const char* named = std::getenv("BALLAST_FIXTURES");
  const fs::path folder =
      named != nullptr ? fs::path(named) : fs::path(BALLAST_SOURCE_DIR) / "../shared/fixtures";
  if (!fs::exists(folder / "truth")) SKIP("no corpus: name its folder with BALLAST_FIXTURES");
  return folder;
}

std::vector<json::object> lines_of(const fs::path& path) {
  std::ifstream in(path);
  std::vector<json::object> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(json::parse(line).as_object());
  return lines;
}

std::string text(const json::object& line, std::string_view key) {
  return std::string(line.at(key).as_string());
}
std::uint64_t whole(const json::object& line, std::string_view key) {
  return line.at(key).to_number<std::uint64_t>();
}

std::string type_name(std::string_view in_truth) {
  if (in_truth == "str") return "string";
  if (in_truth == "arr") return "array";
  return std::string(in_truth);
}

std::string hex_of(const Value& value) {
  std::string out;
  const std::size_t size = encoded_size(value.type());
  for (std::size_t i = 0; i < size; ++i) {
    const auto byte = static_cast<unsigned>(value.bits() >> (8 * i)) & 0xFFU;
    out += "0123456789abcdef"[byte >> 4];
    out += "0123456789abcdef"[byte & 15];
  }
  return out;
}

// Whether a value is what the truth says. Text that is not UTF-8 is an object in the truth, and is
// only looked for.
bool agrees(const Value& value, const json::value& truth) {
  if (truth.is_object()) return value.type() == ValueType::string;
  if (truth.is_string())
    return value.get<std::string_view>() == std::string_view(truth.as_string());
  if (truth.is_bool()) return value.get<bool>() == truth.as_bool();
  if (value.type() ==
      ValueType::f32) {  // as a float: Boost.JSON's doubles may be off in the last place
    return value.get<float>() == static_cast<float>(truth.to_number<double>());
  }
  if (truth.is_double()) return value.get<double>() == truth.as_double();
  if (truth.is_uint64()) return value.get<std::uint64_t>() == truth.as_uint64();
  return value.get<std::int64_t>() == truth.as_int64();
}

void check_entry(const json::object& line, const Metadata& metadata) {
  const std::string key = text(line, "key");
  INFO("key " << key);
  const Value* value = metadata.find(key);
  REQUIRE(value != nullptr);
  CHECK(name(value->type()) == type_name(text(line, "type")));
  const auto truth = line.find("value");
  if (const auto array = value->get<Array>()) {
    CHECK(name(array->element_type()) == type_name(text(line, "elem_type")));
    CHECK(array->size() == whole(line, "length"));
    std::uint64_t count = 0;
    for ([[maybe_unused]] const Value item : *array) ++count;
    CHECK(count == array->size());
    if (truth == line.end() || !truth->value().is_array() ||
        truth->value().as_array().size() != array->size())
      return;
    std::size_t wrong = 0;
    std::size_t i = 0;
    for (const Value item : *array) wrong += agrees(item, truth->value().as_array()[i++]) ? 0U : 1U;
    CHECK(wrong == 0);
  } else if (const auto hex = line.find("hex_le"); hex != line.end()) {
    CHECK(hex_of(*value) == std::string(hex->value().as_string()));
  } else {
    CHECK(agrees(*value, truth->value()));
  }
}

void check_tensor(const json::object& line, const Model& model) {
  const std::string wanted = text(line, "name");
  INFO("tensor " << wanted);
  const Tensor* tensor = model.find(wanted);
  REQUIRE(tensor != nullptr);
  CHECK(tensor->dtype_name == text(line, "dtype"));
  CHECK(tensor->offset == whole(line, "offset"));
  CHECK(tensor->nbytes == whole(line, "nbytes"));
  std::vector<std::uint64_t> shape;
  for (const json::value& dim : line.at("shape").as_array())
    shape.push_back(dim.to_number<std::uint64_t>());
  CHECK(std::ranges::equal(tensor->shape, shape));
  CHECK(model.bytes(*tensor).size() == whole(line, "nbytes"));
}

void check_good(const fs::path& file, const fs::path& truth) {
  const std::vector<json::object> lines = lines_of(truth);
  const json::object& head = lines.front();
  // A shard is looked at by itself here; the set is opened in a test of its own.
  const Bytes bytes = read_file(file);
  const Directory directory = parse_whole(bytes);
  CHECK(name(directory.format) == text(head, "format"));
  CHECK(bytes.size() == whole(head, "size"));
  CHECK(directory.metadata.size() == whole(head, "n_kv"));
  CHECK(directory.tensors.size() == whole(head, "n_tensors"));
  CHECK(directory.data_offset == whole(head, "data_offset"));
  CHECK(directory.warnings.empty());
  CHECK(layout_fault(directory, bytes.size()).empty());
  if (directory.format == Format::gguf) {
    CHECK(directory.version == whole(head, "version"));
    CHECK(directory.alignment == whole(head, "alignment"));
  }
  for (const json::object& line : lines) {
    if (text(line, "kind") == "kv") check_entry(line, directory.metadata);
  }
  if (file.filename().string().find("-split-") != std::string::npos) return;
  const Model model = Model::open(file);
  for (const json::object& line : lines) {
    if (text(line, "kind") == "tensor") check_tensor(line, model);
  }
}

TEST_CASE("the good files of the corpus are what independent readers say they are") {
  const fs::path root = fixtures();
  std::size_t files = 0;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root / "truth")) {
    if (!entry.is_regular_file()) continue;
    const fs::path relative = fs::relative(entry.path(), root / "truth").replace_extension();
    INFO("file " << relative);
    check_good(root / relative, entry.path());
    ++files;
  }
  CHECK(files >= 20);
}

TEST_CASE("the split model of the corpus is the sum of its shards") {
  const fs::path root = fixtures();
  const Model model = Model::open(root / "gguf/ggufpy-split-00001-of-00004.gguf");
  CHECK(model.shards().size() == 4);
  std::size_t tensors = 0;
  for (int shard = 1; shard <= 4; ++shard) {
    const std::string file = "ggufpy-split-0000" + std::to_string(shard) + "-of-00004.gguf";
    for (const json::object& line : lines_of(root / "truth/gguf" / (file + ".json"))) {
      if (text(line, "kind") != "tensor") continue;
      check_tensor(line, model);
      CHECK(model.shards()[model.at(text(line, "name")).shard].file == file);
      ++tensors;
    }
  }
  CHECK(model.tensors().size() == tensors);
}

TEST_CASE("the sharded model of the corpus is the sum of its shards") {
  const fs::path root = fixtures();
  const Model model = Model::open(root / "safetensors/fluxml-sharded/model.safetensors.index.json");
  CHECK(model.shards().size() == 6);
  CHECK(model.warnings().empty());
  std::size_t tensors = 0;
  for (const Model::Shard& shard : model.shards()) {
    for (const json::object& line :
         lines_of(root / "truth/safetensors/fluxml-sharded" / (shard.file + ".json"))) {
      if (text(line, "kind") != "tensor") continue;
      check_tensor(line, model);
      CHECK(model.shards()[model.at(text(line, "name")).shard].file == shard.file);
      ++tensors;
    }
  }
  CHECK(model.tensors().size() == tensors);
}

void check_bad(const fs::path& folder) {
  std::ifstream table(folder / "expected.tsv");
  std::string line;
  std::getline(table, line);  // the names of the columns
  std::size_t rows = 0;
  while (std::getline(table, line)) {
    std::istringstream columns(line);
    std::string file;
    std::string expected;
    std::getline(columns, file, '\t');
    std::getline(columns, expected, '\t');
    INFO("file " << file << ", expected: " << expected);
    const Bytes bytes = read_file(folder / file);
    bool accepted = false;
    std::string said;
    try {
      const Directory directory = parse_whole(bytes);
      accepted = true;
      CHECK(layout_fault(directory, bytes.size()).empty());
    } catch (const Error& error) {
      said = error.what();
    }
    INFO("said: " << said);
    ++rows;
    const auto differs = std::ranges::find(kDiffers, file, &Differs::file);
    if (differs != kDiffers.end()) {
      INFO("the policy differs: " << differs->reason);
      CHECK(accepted == differs->accepted);
      CHECK((expected == "accept") != accepted);  // else the line in kDiffers is out of date
    } else if (expected != "either") {
      CHECK((expected == "accept") == accepted);
    }
  }
  CHECK(rows > 50);
}

TEST_CASE("the hostile GGUF files of the corpus get the verdict that is due") {
  check_bad(fixtures() / "bad/gguf");
}

TEST_CASE("the hostile safetensors files of the corpus get the verdict that is due") {
  check_bad(fixtures() / "bad/safetensors");
}

}  // namespace
}  // namespace ballast::test

#endif  // BALLAST_TEST_HAS_BOOST_JSON
