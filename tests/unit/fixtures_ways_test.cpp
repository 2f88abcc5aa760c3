// The hostile files of the corpus, each by every way in: one verdict, the one that is due.
//
// The corpus is not part of the project: its folder is named by BALLAST_FIXTURES, and without one
// these tests are skipped.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <string_view>

#include <catch2/catch_test_macros.hpp>

#include <ballast/ballast.h>

#include "tests/unit/compressed.hpp"

namespace ballast::test {
namespace {

namespace fs = std::filesystem;

fs::path bad_files() {
  const char* named = std::getenv("BALLAST_FIXTURES");
  const fs::path folder =
      named != nullptr ? fs::path(named) : fs::path(BALLAST_SOURCE_DIR) / "../shared/fixtures";
  if (!fs::exists(folder / "bad")) SKIP("no corpus: name its folder with BALLAST_FIXTURES");
  return folder / "bad";
}

// "accept", "reject" or "either" by the name of the file.
std::map<std::string, std::string> verdicts(const fs::path& folder) {
  std::map<std::string, std::string> found;
  std::ifstream table(folder / "expected.tsv");
  std::string line;
  std::getline(table, line);  // the names of the columns
  while (std::getline(table, line)) {
    std::istringstream columns(line);
    std::string file;
    std::getline(columns, file, '\t');
    std::getline(columns, found[file], '\t');
  }
  return found;
}

std::string name_of(const std::error_code& code) { return std::string(name(code)); }

template <class Open>
std::string outcome_of(Open open) {
  try {
    static_cast<void>(open());
  } catch (const Error& error) {
    return name_of(error.code());
  }
  return "ok";
}

std::string in_c(const fs::path& path) {
  ballast_model* model = nullptr;
  const int code = ballast_model_open(path.c_str(), nullptr, &model, nullptr);
  CHECK((model != nullptr) == (code == BALLAST_OK));
  ballast_model_close(model);
  return ballast_code_name(code);
}

std::string pushed_in_c(const Bytes& bytes) {
  ballast_loader* loader = nullptr;
  REQUIRE(ballast_loader_create(nullptr, &loader, nullptr) == BALLAST_OK);
  int code = ballast_loader_push(loader, bytes.data(), bytes.size(), nullptr);
  ballast_data* data = nullptr;
  if (code == BALLAST_OK) code = ballast_loader_finish(loader, &data, nullptr);
  ballast_loader_free(loader);
  ballast_model* model = nullptr;
  if (code == BALLAST_OK) {
    code = ballast_model_from_data(&data, nullptr, 1, nullptr, &model, nullptr);
  }
  ballast_model_close(model);
  return ballast_code_name(code);
}

// Without its size a file whose last tensor is of unknown size has no end.
void check_pushed(const std::string& outcome, const std::string& due) {
  if (due == "ok" && outcome == name_of(Errc::unknown_end)) return;
  CHECK(outcome == due);
}

void check_file(const fs::path& path, std::string_view verdict) {
  const Bytes bytes = read_file(path);
  const std::string due =
      outcome_of([&] { return Model::from_data(ModelData::from_vector(bytes)); });
  if (verdict != "either") CHECK((due == "ok") == (verdict == "accept"));
  for (const Backend backend : backends())
    CHECK(outcome_of([&] { return Model::open(path, on(backend)); }) == due);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{1000}}) {
    CHECK(outcome_of([&] {
            return Model::from_data(push(bytes, {.total = bytes.size()}, piece));
          }) == due);
    check_pushed(outcome_of([&] { return Model::from_data(push(bytes, {}, piece)); }), due);
  }
  CHECK(in_c(path) == due);
  check_pushed(pushed_in_c(bytes), due);
  for (const Compression codec : kCompressions) {
    CAPTURE(name(codec));
    const Bytes file = compress(codec, bytes, levels(codec)[0]);
    CHECK(name_of(outcome(Way::open, file)) == due);
    check_pushed(name_of(outcome(Way::push, file)), due);
  }
}

TEST_CASE("every hostile file of the corpus gets one verdict by every way, the one that is due") {
  const fs::path bad = bad_files();
  for (const char* format : {"gguf", "safetensors"}) {
    const std::map<std::string, std::string> due = verdicts(bad / format);
    std::set<std::string> files;
    for (const fs::directory_entry& entry : fs::directory_iterator(bad / format)) {
      if (entry.path().extension() != ".tsv") files.insert(entry.path().filename().string());
    }
    std::set<std::string> listed;
    for (const auto& [file, verdict] : due) listed.insert(file);
    CHECK(files == listed);  // no file without its verdict, and none the other way round
    CHECK(files.size() > 50);
    for (const auto& [file, verdict] : due) {
      INFO(format << "/" << file << ", due: " << verdict);
      check_file(bad / format / file, verdict);
    }
  }
}

}  // namespace
}  // namespace ballast::test
