// ballast.h: NULL in place of every pointer, in every function. What comes of it is misuse, 0 or
// nothing, and never a fault.
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/ballast.h>

#include "tests/support/gguf_builder.hpp"
#include "tests/support/temp.hpp"

namespace ballast::test {
namespace {

/// Handles of every kind, and room for everything that a call gives.
struct Fixture {
  Fixture() {
    bytes = GgufBuilder()
                .entry("k", std::uint32_t{7})
                .entry("words", array_of<std::string>({"one"}))
                .tensor({.name = "a", .dims = {8}})
                .build()
                .bytes();
    options = ballast_options_create();
    REQUIRE(ballast_data_from_memory(bytes.data(), bytes.size(), nullptr, nullptr, &data,
                                     nullptr) == 0);
    ballast_data* taken = nullptr;
    REQUIRE(ballast_data_from_memory(bytes.data(), bytes.size(), nullptr, nullptr, &taken,
                                     nullptr) == 0);
    REQUIRE(ballast_model_from_data(&taken, nullptr, 1, nullptr, &model, nullptr) == 0);
    REQUIRE(ballast_loader_create(nullptr, &loader, nullptr) == 0);
    REQUIRE(ballast_model_value(model, "k", 1, &value) == 1);
    REQUIRE(ballast_model_value(model, "words", 5, &words) == 1);
  }
  Fixture(const Fixture&) = delete;
  Fixture& operator=(const Fixture&) = delete;
  ~Fixture() {
    ballast_error_free(error);
    ballast_loader_free(loader);
    ballast_model_close(model);
    ballast_data_close(data);
    ballast_options_free(options);
  }

  Bytes bytes;
  ballast_options* options = nullptr;
  ballast_data* data = nullptr;
  ballast_model* model = nullptr;
  ballast_loader* loader = nullptr;
  ballast_error* error = nullptr;
  ballast_value value{};
  ballast_value words{};
  ballast_tensor tensor{};
  ballast_file file{};
  ballast_data* no_data = nullptr;
  ballast_model* no_model = nullptr;
  char* text = nullptr;
  void* room = nullptr;
  std::size_t size = 0;
};

using Call = std::function<int(Fixture&)>;

struct Row {
  std::string_view function;
  int due;
  Call call;
};

constexpr int kMisuse = BALLAST_ERRC_misuse;

/// A call that answers nothing.
template <class Work>
Call nothing(Work work) {
  return [work](Fixture& f) {
    work(f);
    return 0;
  };
}

std::vector<Row> rows_of_objects() {
  return {
      {"ballast_version", 0, nothing([](Fixture&) { ballast_version(nullptr, nullptr, nullptr); })},
      {"ballast_has_mmap", BALLAST_HAS_MMAP, [](Fixture&) { return ballast_has_mmap(); }},
      {"ballast_error_free", 0, nothing([](Fixture&) { ballast_error_free(nullptr); })},
      {"ballast_code_name", 0, nothing([](Fixture&) { ballast_code_name(0); })},
      {"ballast_options_create", 0,
       nothing([](Fixture&) { ballast_options_free(ballast_options_create()); })},
      {"ballast_options_free", 0, nothing([](Fixture&) { ballast_options_free(nullptr); })},
      {"ballast_options_set", kMisuse,
       [](Fixture&) { return ballast_options_set(nullptr, BALLAST_OPTION_OFFSET, 1); }},
      {"ballast_options_set_path", kMisuse,
       [](Fixture&) { return ballast_options_set_path(nullptr, "p"); }},
      {"ballast_options_set_path", kMisuse,
       [](Fixture& f) { return ballast_options_set_path(f.options, nullptr); }},
      {"ballast_options_set_progress", 0,
       nothing([](Fixture&) { ballast_options_set_progress(nullptr, nullptr, nullptr); })},
      {"ballast_options_set_progress", 0,
       nothing([](Fixture& f) { ballast_options_set_progress(f.options, nullptr, nullptr); })},
      {"ballast_can_decode", 0, [](Fixture&) { return ballast_can_decode(nullptr); }},
      {"ballast_siblings_free", 0, nothing([](Fixture&) { ballast_siblings_free(nullptr); })},
  };
}

std::vector<Row> rows_of_data() {
  return {
      {"ballast_data_open", kMisuse,
       [](Fixture& f) { return ballast_data_open(nullptr, f.options, &f.no_data, &f.error); }},
      {"ballast_data_open", kMisuse,
       [](Fixture& f) { return ballast_data_open("p", f.options, nullptr, &f.error); }},
      {"ballast_data_open", kMisuse,
       [](Fixture&) { return ballast_data_open("p", nullptr, nullptr, nullptr); }},
      {"ballast_data_open_descriptor", kMisuse,
       [](Fixture& f) { return ballast_data_open_descriptor(0, f.options, nullptr, &f.error); }},
      {"ballast_data_from_memory", kMisuse,
       [](Fixture& f) {
         return ballast_data_from_memory(nullptr, 1, nullptr, nullptr, &f.no_data, &f.error);
       }},
      {"ballast_data_from_memory", kMisuse,
       [](Fixture& f) {
         return ballast_data_from_memory(f.bytes.data(), 1, nullptr, nullptr, nullptr, &f.error);
       }},
      {"ballast_data_close", 0, nothing([](Fixture&) { ballast_data_close(nullptr); })},
      {"ballast_data_siblings", kMisuse,
       [](Fixture& f) {
         return ballast_data_siblings(nullptr, "n", f.options, &f.text, &f.error);
       }},
      {"ballast_data_siblings", kMisuse,
       [](Fixture& f) { return ballast_data_siblings(f.data, "n", f.options, nullptr, &f.error); }},
      {"ballast_data_siblings", 0,
       [](Fixture& f) {
         const int code = ballast_data_siblings(f.data, nullptr, nullptr, &f.text, nullptr);
         ballast_siblings_free(f.text);
         return code;
       }},
      {"ballast_data_file", 0, nothing([](Fixture&) { ballast_data_file(nullptr, nullptr); })},
      {"ballast_data_file", 0, nothing([](Fixture& f) { ballast_data_file(f.data, nullptr); })},
      {"ballast_data_file", 0, nothing([](Fixture& f) {
         f.file.size = 1;
         ballast_data_file(nullptr, &f.file);
         CHECK(f.file.size == 0);
       })},
      {"ballast_data_advise", BALLAST_UNSUPPORTED,
       [](Fixture&) { return ballast_data_advise(nullptr, 0, 0, 1); }},
      {"ballast_data_release", BALLAST_UNSUPPORTED,
       [](Fixture&) { return ballast_data_release(nullptr, 0, 1, 1); }},
      {"ballast_data_unchanged", 0, [](Fixture&) { return ballast_data_unchanged(nullptr); }},
      {"ballast_data_intact", 0, [](Fixture&) { return ballast_data_intact(nullptr, 0, 1); }},
      {"ballast_data_damaged", 0, [](Fixture&) { return ballast_data_damaged(nullptr); }},
  };
}

std::vector<Row> rows_of_loaders() {
  return {
      {"ballast_loader_create", kMisuse,
       [](Fixture& f) { return ballast_loader_create(f.options, nullptr, &f.error); }},
      {"ballast_loader_create", kMisuse,
       [](Fixture&) { return ballast_loader_create(nullptr, nullptr, nullptr); }},
      {"ballast_loader_free", 0, nothing([](Fixture&) { ballast_loader_free(nullptr); })},
      {"ballast_loader_prepare", kMisuse,
       [](Fixture& f) { return ballast_loader_prepare(nullptr, 1, &f.room, &f.size, &f.error); }},
      {"ballast_loader_prepare", kMisuse,
       [](Fixture& f) { return ballast_loader_prepare(f.loader, 1, nullptr, &f.size, &f.error); }},
      {"ballast_loader_prepare", kMisuse,
       [](Fixture& f) { return ballast_loader_prepare(f.loader, 1, &f.room, nullptr, &f.error); }},
      {"ballast_loader_commit", kMisuse,
       [](Fixture& f) { return ballast_loader_commit(nullptr, 0, &f.error); }},
      {"ballast_loader_push", kMisuse,
       [](Fixture& f) { return ballast_loader_push(nullptr, "x", 1, &f.error); }},
      {"ballast_loader_push", kMisuse,
       [](Fixture& f) { return ballast_loader_push(f.loader, nullptr, 1, &f.error); }},
      {"ballast_loader_push", 0,
       [](Fixture& f) { return ballast_loader_push(f.loader, nullptr, 0, nullptr); }},
      {"ballast_loader_finish", kMisuse,
       [](Fixture& f) { return ballast_loader_finish(nullptr, &f.no_data, &f.error); }},
      {"ballast_loader_finish", kMisuse,
       [](Fixture& f) { return ballast_loader_finish(f.loader, nullptr, &f.error); }},
      {"ballast_loader_progress", 0, nothing([](Fixture& f) {
         ballast_loader_progress(nullptr, nullptr);
         ballast_loader_progress(f.loader, nullptr);
         ballast_progress progress{1, 1, 1, 1};
         ballast_loader_progress(nullptr, &progress);
         CHECK(progress.done == 0);
       })},
      {"ballast_loader_has_directory", 0,
       [](Fixture&) { return ballast_loader_has_directory(nullptr); }},
      {"ballast_loader_cancel", 0, nothing([](Fixture&) { ballast_loader_cancel(nullptr); })},
  };
}

std::vector<Row> rows_of_models() {
  return {
      {"ballast_model_open", kMisuse,
       [](Fixture& f) { return ballast_model_open(nullptr, f.options, &f.no_model, &f.error); }},
      {"ballast_model_open", kMisuse,
       [](Fixture& f) { return ballast_model_open("p", f.options, nullptr, &f.error); }},
      {"ballast_model_open_shards", kMisuse,
       [](Fixture& f) {
         return ballast_model_open_shards(nullptr, 1, f.options, &f.no_model, &f.error);
       }},
      {"ballast_model_open_shards", kMisuse,
       [](Fixture& f) {
         const char* const paths[] = {nullptr};
         return ballast_model_open_shards(paths, 1, f.options, &f.no_model, &f.error);
       }},
      {"ballast_model_open_shards", kMisuse,
       [](Fixture& f) {
         const char* const paths[] = {"p"};
         return ballast_model_open_shards(paths, 1, f.options, nullptr, &f.error);
       }},
      {"ballast_model_from_data", kMisuse,
       [](Fixture& f) {
         return ballast_model_from_data(nullptr, nullptr, 1, f.options, &f.no_model, &f.error);
       }},
      {"ballast_model_from_data", kMisuse,
       [](Fixture& f) {
         return ballast_model_from_data(&f.no_data, nullptr, 1, f.options, &f.no_model, &f.error);
       }},
      {"ballast_model_from_data", kMisuse,
       [](Fixture& f) {
         return ballast_model_from_data(nullptr, nullptr, 0, f.options, &f.no_model, &f.error);
       }},
      {"ballast_model_from_data", kMisuse,
       [](Fixture& f) {
         const int code =
             ballast_model_from_data(&f.data, nullptr, 1, f.options, nullptr, &f.error);
         CHECK(f.data == nullptr);
         return code;
       }},
      {"ballast_model_close", 0, nothing([](Fixture&) { ballast_model_close(nullptr); })},
      {"ballast_model_summary", 0, nothing([](Fixture& f) {
         ballast_model_summary(nullptr, nullptr);
         ballast_model_summary(f.model, nullptr);
         ballast_summary summary{};
         summary.shard_count = 9;
         ballast_model_summary(nullptr, &summary);
         CHECK(summary.shard_count == 0);
       })},
      {"ballast_model_tensor", 0,
       [](Fixture& f) { return ballast_model_tensor(nullptr, 0, &f.tensor); }},
      {"ballast_model_tensor", 0,
       [](Fixture& f) { return ballast_model_tensor(f.model, 0, nullptr); }},
      {"ballast_model_find", 0,
       [](Fixture& f) { return ballast_model_find(nullptr, "a", 1, &f.tensor); }},
      {"ballast_model_find", 0,
       [](Fixture& f) { return ballast_model_find(f.model, nullptr, 5, &f.tensor); }},
      {"ballast_model_find", 0,
       [](Fixture& f) { return ballast_model_find(f.model, nullptr, 0, &f.tensor); }},
      {"ballast_model_find", 0,
       [](Fixture& f) { return ballast_model_find(f.model, "a", 1, nullptr); }},
      {"ballast_model_shard", 0,
       [](Fixture& f) { return ballast_model_shard(nullptr, 0, &f.file); }},
      {"ballast_model_shard", 0,
       [](Fixture& f) { return ballast_model_shard(f.model, 0, nullptr); }},
      {"ballast_model_warning", 0,
       [](Fixture& f) { return ballast_model_warning(f.model, 0, nullptr); }},
      {"ballast_model_warning", 0,
       [](Fixture&) {
         ballast_warning warning;
         return ballast_model_warning(nullptr, 0, &warning);
       }},
      {"ballast_model_verify", kMisuse,
       [](Fixture& f) {
         return ballast_model_verify(nullptr, f.options, nullptr, nullptr, &f.error);
       }},
      {"ballast_model_verify", 0,
       [](Fixture& f) {
         return ballast_model_verify(f.model, nullptr, nullptr, nullptr, nullptr);
       }},
  };
}

std::vector<Row> rows_of_values() {
  return {
      {"ballast_model_entry", 0,
       [](Fixture& f) { return ballast_model_entry(f.model, 0, nullptr); }},
      {"ballast_model_entry", 0,
       [](Fixture&) {
         ballast_entry entry;
         return ballast_model_entry(nullptr, 0, &entry);
       }},
      {"ballast_model_value", 0,
       [](Fixture& f) { return ballast_model_value(nullptr, "k", 1, &f.value); }},
      {"ballast_model_value", 0,
       [](Fixture& f) { return ballast_model_value(f.model, nullptr, 1, &f.value); }},
      {"ballast_model_value", 0,
       [](Fixture& f) { return ballast_model_value(f.model, "k", 1, nullptr); }},
      {"ballast_value_u64", 0, [](Fixture& f) { return ballast_value_u64(&f.value, nullptr); }},
      {"ballast_value_u64", 0,
       [](Fixture&) {
         std::uint64_t number = 0;
         return ballast_value_u64(nullptr, &number);
       }},
      {"ballast_value_i64", 0, [](Fixture& f) { return ballast_value_i64(&f.value, nullptr); }},
      {"ballast_value_i64", 0,
       [](Fixture&) {
         std::int64_t number = 0;
         return ballast_value_i64(nullptr, &number);
       }},
      {"ballast_value_double", 0,
       [](Fixture& f) {
         f.value.type = BALLAST_TYPE_F64;
         return ballast_value_double(&f.value, nullptr);
       }},
      {"ballast_value_double", 0,
       [](Fixture&) {
         double number = 0;
         return ballast_value_double(nullptr, &number);
       }},
      {"ballast_value_at", 0, [](Fixture& f) { return ballast_value_at(&f.words, 0, nullptr); }},
      {"ballast_value_at", 0, [](Fixture& f) { return ballast_value_at(nullptr, 0, &f.value); }},
      {"ballast_value_at", 0,
       [](Fixture& f) {
         f.words.data = nullptr;
         return ballast_value_at(&f.words, 0, &f.value);
       }},
      {"ballast_value_next", 0, [](Fixture& f) { return ballast_value_next(&f.words, nullptr); }},
      {"ballast_value_next", 0, [](Fixture& f) { return ballast_value_next(nullptr, &f.value); }},
      {"ballast_value_next", 0,
       [](Fixture& f) {
         f.words.data = nullptr;
         return ballast_value_next(&f.words, &f.value);
       }},
      {"ballast_printable", 3,
       [](Fixture&) { return static_cast<int>(ballast_printable("abc", 3, nullptr, 10)); }},
      {"ballast_printable", 0,
       [](Fixture&) {
         char out[4] = "xyz";
         const std::size_t size = ballast_printable(nullptr, 3, out, sizeof out);
         CHECK(out[0] == '\0');
         return static_cast<int>(size);
       }},
  };
}

#if BALLAST_HAS_VALUES
std::vector<Row> rows_of_floats() {
  constexpr int kF32 = BALLAST_AS_F32;
  return {
      {"ballast_to_float", kMisuse,
       [](Fixture& f) {
         float out = 0;
         return ballast_to_float(nullptr, 3, f.bytes.data(), 4, kF32, &out, 1, &f.error);
       }},
      {"ballast_to_float", kMisuse,
       [](Fixture& f) {
         float out = 0;
         return ballast_to_float("F32", 3, nullptr, 4, kF32, &out, 1, &f.error);
       }},
      {"ballast_to_float", kMisuse,
       [](Fixture& f) {
         return ballast_to_float("F32", 3, f.bytes.data(), 4, kF32, nullptr, 1, &f.error);
       }},
      {"ballast_model_rows", 0,
       [](Fixture&) { return ballast_model_rows(nullptr, 0, nullptr, nullptr); }},
      {"ballast_model_rows", 1,
       [](Fixture& f) { return ballast_model_rows(f.model, 0, nullptr, nullptr); }},
      {"ballast_model_values", kMisuse,
       [](Fixture& f) {
         float out[8];
         return ballast_model_values(nullptr, 0, 0, 1, kF32, out, 8, &f.error);
       }},
      {"ballast_model_values", kMisuse,
       [](Fixture& f) {
         return ballast_model_values(f.model, 0, 0, 1, kF32, nullptr, 8, &f.error);
       }},
      {"ballast_model_statistics", kMisuse,
       [](Fixture& f) {
         return ballast_model_statistics(f.model, 0, 0, 1, f.options, nullptr, &f.error);
       }},
      {"ballast_model_statistics", kMisuse,
       [](Fixture& f) {
         ballast_statistics statistics;
         return ballast_model_statistics(nullptr, 0, 0, 1, nullptr, &statistics, &f.error);
       }},
  };
}
#endif

std::vector<Row> all_rows() {
  std::vector<Row> all;
  const auto add = [&all](const std::vector<Row>& some) {
    all.insert(all.end(), some.begin(), some.end());
  };
  add(rows_of_objects());
  add(rows_of_data());
  add(rows_of_loaders());
  add(rows_of_models());
  add(rows_of_values());
#if BALLAST_HAS_VALUES
  add(rows_of_floats());
#endif
  return all;
}

TEST_CASE("NULL in place of any pointer of the C API is an answer and no fault") {
  for (const Row& row : all_rows()) {
    INFO(row.function);
    Fixture fixture;
    CHECK(row.call(fixture) == row.due);
    // A call that fails says why where it is asked to, and gives nothing out.
    if (fixture.error != nullptr) CHECK(fixture.error->code == row.due);
    CHECK(fixture.no_data == nullptr);
    CHECK(fixture.no_model == nullptr);
    CHECK(fixture.room == nullptr);
  }
}

TEST_CASE("every function of ballast.h is called with NULL") {
  const std::filesystem::path header =
      std::filesystem::path(BALLAST_SOURCE_DIR) / "src" / "ballast" / "ballast.h";
  if (!std::filesystem::exists(header)) SKIP("the sources are not on this machine");
  const Bytes bytes = read_file(header);
  const std::string text(text_of(bytes));
  std::set<std::string> called;
  for (const Row& row : all_rows()) called.emplace(row.function);
  const std::regex declaration(R"(BALLAST_API [^;(]*?(ballast_\w+)\()");
  std::size_t count = 0;
  for (std::sregex_iterator at(text.begin(), text.end(), declaration), end; at != end; ++at) {
    const std::string function = (*at)[1];
    INFO(function);
    const bool is_of_values = function == "ballast_to_float" || function == "ballast_model_rows" ||
                              function == "ballast_model_values" ||
                              function == "ballast_model_statistics";
    if (!BALLAST_HAS_VALUES && is_of_values) continue;
    CHECK(called.contains(function));
    ++count;
  }
  CHECK(count > 40);
}

}  // namespace
}  // namespace ballast::test
