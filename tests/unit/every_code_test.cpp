// Every code of the table is one that some test has seen.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>

#include <catch2/catch_test_macros.hpp>

#include <ballast/error.hpp>

#include "tests/support/hostile.hpp"
#include "tests/support/sets.hpp"
#include "tests/support/temp.hpp"

namespace ballast::test {
namespace {

/// A code that no row of bytes can bring about, and the file of tests that does: in C++ it says the
/// code, in Python what the command prints of it.
struct Elsewhere {
  Errc code;
  std::string_view file;
};

constexpr Elsewhere kElsewhere[]{
    {Errc::cancelled, "model_data_read_test.cpp"},
    {Errc::out_of_memory, "model_data_read_test.cpp"},
    {Errc::too_large, "model_data_read_test.cpp"},
    {Errc::vector_limit, "loader_end_test.cpp"},
    {Errc::not_mappable, "model_data_files_test.cpp"},
    {Errc::range_outside_file, "model_data_files_test.cpp"},
    {Errc::file_changed, "model_data_read_test.cpp"},
    {Errc::incomplete_input, "loader_test.cpp"},
    {Errc::codec_missing, "../codecless/codecless_test.py"},
    {Errc::not_mappable_compressed, "compressed_storage_test.cpp"},
    {Errc::truncated_stream, "compressed_damage_test.cpp"},
    {Errc::damaged_stream, "compressed_damage_test.cpp"},
    {Errc::bad_checksum, "compressed_damage_test.cpp"},
    {Errc::unsupported_stream, "compressed_members_test.cpp"},
    {Errc::garbage_after_stream, "compressed_damage_test.cpp"},
    {Errc::compressed_twice, "compressed_content_test.cpp"},
    {Errc::ratio_too_high, "compressed_limits_test.cpp"},
    {Errc::window_too_large, "compressed_window_test.cpp"},
    {Errc::duplicate_shard, "set_files_test.cpp"},
    {Errc::not_loaded, "compressed_storage_test.cpp"},
    {Errc::unknown_end, "loader_test.cpp"},
    {Errc::no_such_tensor, "model_test.cpp"},
    {Errc::wrong_type, "model_test.cpp"},
    {Errc::rows_outside, "values_test.cpp"},
    {Errc::wrong_length, "values_test.cpp"},
    {Errc::misuse, "loader_end_test.cpp"},
    {Errc::unexpected, "c_api_test.cpp"},
};

std::string source_of(std::string_view file) {
  const std::filesystem::path path =
      std::filesystem::path(BALLAST_SOURCE_DIR) / "tests" / "unit" / file;
  if (!std::filesystem::exists(path)) return {};
  const Bytes bytes = read_file(path);
  return std::string(text_of(bytes));
}

std::set<Errc> seen_by_tables() {
  std::set<Errc> seen;
  for (const HostileTable table : kHostileTables) {
    for (const HostileRow& row : table()) seen.merge(check_row(row));
  }
  for (const SetTable table : kSetTables) {
    for (const SetRow& row : table()) seen.merge(check_row(row));
  }
  return seen;
}

TEST_CASE("every code is seen by a row of a table, or by the test that is named for it") {
  if (!std::filesystem::exists(BALLAST_SOURCE_DIR))
    SKIP("the sources of the tests are not on this machine");
  const std::set<Errc> seen = seen_by_tables();
  for (int number = 1; number <= kErrcCount; ++number) {
    const auto code = static_cast<Errc>(number);
    const auto elsewhere = std::ranges::find(kElsewhere, code, &Elsewhere::code);
    INFO("code " << name(code));
    if (elsewhere == std::end(kElsewhere)) {
      CHECK(seen.contains(code));
      continue;
    }
    // Whoever removes or renames such a test has to look here.
    INFO("must be checked in " << elsewhere->file);
    const std::string spelled =
        (elsewhere->file.ends_with(".py") ? "(" : "Errc::") + std::string(name(code));
    CHECK(source_of(elsewhere->file).find(spelled) != std::string::npos);
    CHECK_FALSE(
        seen.contains(code));  // a table that sees it is the better proof: drop the line above
  }
}

TEST_CASE("no two rows of a table state the same fact") {
  for (const HostileTable table : kHostileTables) {
    std::set<std::string> facts;
    for (const HostileRow& row : table()) {
      INFO(row.fact);
      CHECK(facts.insert(row.fact).second);
    }
  }
}

}  // namespace
}  // namespace ballast::test
