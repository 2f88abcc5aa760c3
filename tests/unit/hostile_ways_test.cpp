// One file, one verdict: every row of the tables of hostile files says the same of a file that is
// mapped, read, pushed in pieces, decoded, or opened in C.
//
// Two differ for a reason: bytes that are adopted are not decoded, and where a last tensor is of
// unknown size, somebody has to say where the file ends.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/ballast.h>
#include <ballast/format.hpp>
#include <ballast/metadata.hpp>

#include "tests/support/hostile.hpp"
#include "tests/unit/compressed.hpp"

namespace ballast::test {
namespace {

/// What is said of a file: that it is a model, or why it is none, where, and of what.
struct Verdict {
  std::string code;
  std::optional<std::uint64_t> offset{};
  std::string subject{};
  std::string warnings{};

  bool operator==(const Verdict&) const = default;
};

std::string shown(const Verdict& verdict) {
  return verdict.code + " at " +
         (verdict.offset ? std::to_string(*verdict.offset) : std::string("none")) + " of '" +
         verdict.subject + "', " + verdict.warnings;
}

Verdict verdict_of(const Error& error) {
  return {std::string(name(error.code())), error.offset(), std::string(error.subject())};
}

template <class Open>
Verdict verdict_of(Open open) {
  try {
    const Model model = open();
    Verdict verdict{"ok"};
    for (const Warning& warning : model.warnings())
      verdict.warnings += std::string(name(warning.code)) + "\n";
    for (const Tensor& tensor : model.tensors()) {
      if (model.find(tensor.name) != &tensor) verdict.code = "a tensor that is not found";
      if (tensor.nbytes && model.bytes(tensor).size() != *tensor.nbytes)
        verdict.code = "a tensor of another size";
    }
    return verdict;
  } catch (const Error& error) {
    return verdict_of(error);
  }
}

OpenOptions with(const HostileRow& row, Backend backend = Backend::automatic) {
  OpenOptions options;
  options.backend = backend;
  options.parse = row.options;
  return options;
}

Verdict by_memory(const HostileRow& row) {
  return verdict_of(
      [&] { return Model::from_data(ModelData::from_vector(row.sample.bytes()), row.options); });
}

Verdict by_path(const HostileRow& row, const TempDir& folder, Backend backend) {
  return verdict_of([&] { return Model::open(folder / "model", with(row, backend)); });
}

Verdict pushed(const HostileRow& row, std::span<const std::byte> bytes, std::size_t piece,
               std::optional<std::uint64_t> total) {
  return verdict_of([&] {
    LoaderOptions options = loading(with(row));
    options.total = total;
    return Model::from_data(push(bytes, options, piece), row.options);
  });
}

// What belongs to C, until it goes away.
template <auto Free, class T>
struct Owned {
  T* it = nullptr;
  Owned() = default;
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  ~Owned() { Free(it); }
};

Owned<ballast_options_free, ballast_options>& set(
    Owned<ballast_options_free, ballast_options>& options, const ParseOptions& parse) {
  options.it = ballast_options_create();
  const auto limit = [&](ballast_option option, std::uint64_t value) {
    REQUIRE(ballast_options_set(options.it, option, value) == BALLAST_OK);
  };
  limit(BALLAST_OPTION_LENIENT, parse.lenient ? 1 : 0);
  limit(BALLAST_OPTION_MAX_TENSORS, parse.limits.max_tensors);
  limit(BALLAST_OPTION_MAX_ENTRIES, parse.limits.max_entries);
  limit(BALLAST_OPTION_MAX_STRING, parse.limits.max_string);
  limit(BALLAST_OPTION_MAX_ALIGNMENT, parse.limits.max_alignment);
  // C refuses what C++ takes for as much as there is.
  limit(BALLAST_OPTION_MAX_ARRAY_DEPTH, std::min(parse.limits.max_array_depth, kMaxArrayDepth));
  limit(BALLAST_OPTION_MAX_HEADER, parse.limits.max_header);
  limit(BALLAST_OPTION_MAX_TRAILING, parse.limits.max_trailing);
  return options;
}

Verdict verdict_of(const ballast_error& error) {
  Verdict verdict{error.name, {}, std::string(error.subject, error.subject_size)};
  if ((error.has & BALLAST_HAS_OFFSET) != 0) verdict.offset = error.offset;
  return verdict;
}

Verdict in_c(const HostileRow& row, const std::filesystem::path& path) {
  Owned<ballast_options_free, ballast_options> options;
  Owned<ballast_model_close, ballast_model> model;
  Owned<ballast_error_free, ballast_error> error;
  if (ballast_model_open(path.c_str(), set(options, row.options).it, &model.it, &error.it) !=
      BALLAST_OK) {
    CHECK(model.it == nullptr);
    return verdict_of(*error.it);
  }
  ballast_summary summary;
  ballast_model_summary(model.it, &summary);
  Verdict verdict{"ok"};
  for (std::size_t i = 0; i < summary.warning_count; ++i) {
    ballast_warning warning;
    REQUIRE(ballast_model_warning(model.it, i, &warning) == 1);
    verdict.warnings += std::string(ballast_code_name(warning.code)) + "\n";
  }
  return verdict;
}

// Whether the last tensor is of unknown size, so that a load without an end of its own is refused.
bool needs_an_end(const HostileRow& row) {
  if (row.refusal != Errc::ok) return false;
  const Directory directory = parse_whole(row.sample.bytes(), row.options);
  return std::ranges::any_of(directory.tensors,
                             [](const Tensor& tensor) { return !tensor.nbytes; });
}

void check_pushed_without_size(const HostileRow& row, std::span<const std::byte> bytes,
                               const Verdict& due) {
  const Verdict verdict = pushed(row, bytes, 1000, std::nullopt);
  if (verdict.code == name(Errc::unknown_end) && needs_an_end(row)) return;
  CHECK(shown(verdict) == shown(due));
}

// What takes long to make or to pass on tells nothing more in many small pieces.
bool is_large(const HostileRow& row) { return row.sample.size() > kMiB; }

enum class Rows : std::uint8_t { small, all };

template <class Check>
void for_every_row(Rows rows, Check check) {
  for (const HostileTable table : kHostileTables) {
    for (const HostileRow& row : table()) {
      if (row.refusal == Errc::still_compressed) continue;
      if (rows == Rows::small && is_large(row)) continue;
      INFO("row: " << row.fact);
      check(row, by_memory(row));
    }
  }
}

TEST_CASE("a hostile file is judged alike in memory, mapped and read") {
  for_every_row(Rows::small, [](const HostileRow& row, const Verdict& due) {
    CHECK(due.code == name(row.refusal));
    const TempDir folder;
    folder.write("model", row.sample);
    for (const Backend backend : backends()) {
      CHECK(shown(by_path(row, folder, backend)) == shown(due));
    }
    CHECK(shown(in_c(row, folder / "model")) == shown(due));
  });
}

TEST_CASE("a hostile file that is pushed with its size is judged as it is in memory") {
  for_every_row(Rows::all, [](const HostileRow& row, const Verdict& due) {
    for (const std::size_t piece : {std::size_t{7}, std::size_t{4096}, std::size_t{1} << 20}) {
      if (is_large(row) && piece < kMiB) continue;
      CAPTURE(piece);
      CHECK(shown(pushed(row, row.sample.bytes(), piece, row.sample.size())) == shown(due));
    }
  });
}

TEST_CASE("a hostile file that is pushed without its size is refused all the same") {
  for_every_row(Rows::small, [](const HostileRow& row, const Verdict& due) {
    check_pushed_without_size(row, row.sample.bytes(), due);
  });
}

TEST_CASE("a hostile file that is compressed is judged by what comes out") {
  for_every_row(Rows::small, [](const HostileRow& row, const Verdict& due) {
    const Bytes file = compress(Compression::gzip, row.sample.bytes());
    const TempDir folder;
    folder.write("model", file);
    CHECK(shown(by_path(row, folder, Backend::heap)) == shown(due));
    check_pushed_without_size(row, file, due);
  });
}

}  // namespace
}  // namespace ballast::test
