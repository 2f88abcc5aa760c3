// ballast.h: the same answers as the C++ objects behind it, and a code for everything that can go
// wrong. That it compiles as C is tests/c's business.
#include <cerrno>
#include <climits>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/ballast.h>
#include <ballast/ballast.hpp>

#include "tests/support/gguf_builder.hpp"
#include "tests/support/safetensors_builder.hpp"
#include "tests/unit/storage.hpp"

namespace ballast::test {
namespace {

std::string_view view(const char* text, std::size_t size) { return {text, size}; }

// An error that goes away by itself.
struct Failure {
  ballast_error* error = nullptr;
  Failure() = default;
  Failure(const Failure&) = delete;
  Failure& operator=(const Failure&) = delete;
  ~Failure() { ballast_error_free(error); }
  ballast_error** operator&() noexcept { return &error; }  // NOLINT: as C callers write it
};

ballast_data* borrowed(const Bytes& bytes) {
  ballast_data* data = nullptr;
  REQUIRE(ballast_data_from_memory(bytes.data(), bytes.size(), nullptr, nullptr, &data, nullptr) ==
          BALLAST_OK);
  return data;
}

ballast_model* opened(const Bytes& bytes, const ballast_options* options = nullptr) {
  ballast_data* data = borrowed(bytes);
  ballast_model* model = nullptr;
  REQUIRE(ballast_model_from_data(&data, nullptr, 1, options, &model, nullptr) == BALLAST_OK);
  REQUIRE(data == nullptr);
  return model;
}

Sample gguf() {
  return GgufBuilder()
      .entry("general.architecture", "llama")
      .entry("small", std::uint8_t{200})
      .entry("negative", std::int16_t{-3})
      .entry("half", 0.5F)
      .entry("third", 1.0 / 3)
      .entry("yes", true)
      .entry("huge", std::uint64_t{1} << 63)
      .entry("tokens", array_of<std::string>({"a", "", std::string("b\0c", 3)}))
      .entry("scores", array_of<float>({1.5F, -2.0F}))
      .entry("nested", GgufValue::array(ValueType::array, {array_of<std::uint16_t>({7, 8}),
                                                           array_of<std::string>({"deep"})}))
      .tensor({.name = "a", .dims = {64, 5}})
      .tensor({.name = "b", .dims = {}, .dtype = 26})
      .tensor({.name = "q", .dims = {256, 3}, .dtype = 12})
      .build();
}

TEST_CASE("the constants of the C API are those of the C++ one") {
  CHECK(BALLAST_ERRC_truncated == static_cast<int>(Errc::truncated));
  CHECK(BALLAST_ERRC_not_in_index == static_cast<int>(Errc::not_in_index));
  CHECK(BALLAST_SUBJECT_FILE == static_cast<int>(SubjectKind::file));
  CHECK(BALLAST_SUBJECT_KEY == static_cast<int>(SubjectKind::key));
  CHECK(BALLAST_BACKEND_MAP == static_cast<int>(Backend::map));
  CHECK(BALLAST_BACKEND_HEAP == static_cast<int>(Backend::heap));
  CHECK(BALLAST_ADVICE_SEQUENTIAL == static_cast<int>(Advice::sequential));
  CHECK(BALLAST_ADVICE_RANDOM == static_cast<int>(Advice::random));
  CHECK(BALLAST_ADVICE_WILL_NEED == static_cast<int>(Advice::will_need));
  CHECK(BALLAST_ADVICE_POPULATE_READ == static_cast<int>(Advice::populate_read));
  CHECK(BALLAST_ADVICE_COLD == static_cast<int>(Advice::cold));
  CHECK(BALLAST_ADVICE_PAGE_OUT == static_cast<int>(Advice::page_out));
  CHECK(BALLAST_ADVICE_HUGE_PAGE == static_cast<int>(Advice::huge_page));
  CHECK(BALLAST_TYPE_U8 == static_cast<int>(ValueType::u8));
  CHECK(BALLAST_TYPE_BOOL == static_cast<int>(ValueType::boolean));
  CHECK(BALLAST_TYPE_STRING == static_cast<int>(ValueType::string));
  CHECK(BALLAST_TYPE_ARRAY == static_cast<int>(ValueType::array));
  CHECK(BALLAST_TYPE_F64 == static_cast<int>(ValueType::f64));
}

TEST_CASE("the library tells its version") {
  int major = -1;
  int minor = -1;
  int patch = -1;
  const std::string version = ballast_version(&major, &minor, &patch);
  CHECK(version == BALLAST_VERSION);
  CHECK(version ==
        std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch));
  CHECK(ballast_version(nullptr, nullptr, nullptr) == version);
  CHECK(ballast_has_mmap() == BALLAST_HAS_MMAP);
}

TEST_CASE("every number that a call can answer has a name") {
  CHECK(ballast_code_name(BALLAST_OK) == std::string_view("ok"));
  CHECK(ballast_code_name(BALLAST_ERRC_truncated) == std::string_view("truncated"));
  CHECK(ballast_code_name(BALLAST_ERRC_end) == std::string_view("unknown_code"));
  CHECK(ballast_code_name(INT_MAX) == std::string_view("unknown_code"));
  CHECK(ballast_code_name(-ENOENT) == std::string_view("no_such_file_or_directory"));
  CHECK(ballast_code_name(-12345) == std::string_view("system_error"));
  CHECK_FALSE(std::string_view(ballast_code_name(INT_MIN)).empty());
}

TEST_CASE("a model in C has the tensors that it has in C++") {
  const Sample sample = gguf();
  const Model expected = Model::from_data(ModelData::from_vector(sample.bytes()));
  ballast_model* model = opened(sample.bytes());
  ballast_summary summary;
  ballast_model_summary(model, &summary);
  CHECK(summary.format == std::string_view("gguf"));
  CHECK(summary.version == 3);
  CHECK(summary.alignment == 32);
  CHECK(summary.file_bytes == sample.size());
  CHECK(summary.parameter_count == expected.parameter_count());
  CHECK(summary.entry_count == expected.metadata().size());
  CHECK(summary.warning_count == expected.warnings().size());
  CHECK(summary.shard_count == 1);
  CHECK(summary.is_sharded == 0);
  REQUIRE(summary.tensor_count == expected.tensors().size());
  for (std::size_t i = 0; i < summary.tensor_count; ++i) {
    const Tensor& tensor = expected.tensors()[i];
    ballast_tensor shown;
    REQUIRE(ballast_model_tensor(model, i, &shown) == 1);
    CHECK(view(shown.name, shown.name_size) == tensor.name);
    CHECK(view(shown.dtype, shown.dtype_size) == tensor.dtype_name);
    CHECK(shown.offset == tensor.offset);
    CHECK(shown.nbytes == tensor.nbytes);
    CHECK(shown.elements == tensor.elements());
    CHECK(std::ranges::equal(std::span(shown.shape, shown.rank), tensor.shape.dims()));
    CHECK(shown.shard == 0);
    CHECK(shown.index == i);
    CHECK(shown.block_elements == info(tensor.dtype).block_elements);
    CHECK(shown.block_bytes == info(tensor.dtype).block_bytes);
    // Zero-copy: where the caller put them.
    CHECK(shown.bytes == sample.bytes().data() + tensor.offset);
    ballast_tensor found;
    REQUIRE(ballast_model_find(model, shown.name, shown.name_size, &found) == 1);
    CHECK(found.index == i);
  }
  ballast_tensor untouched{};
  untouched.offset = 77;
  CHECK(ballast_model_tensor(model, summary.tensor_count, &untouched) == 0);
  CHECK(ballast_model_find(model, "nothing", 7, &untouched) == 0);
  CHECK(ballast_model_find(model, nullptr, 0, &untouched) == 0);
  CHECK(untouched.offset == 77);
  ballast_model_close(model);
}

TEST_CASE("a tensor of unknown dtype has no bytes in C either") {
  const Sample sample =
      GgufBuilder().tensor({.name = "new", .dims = {32}, .dtype = 99, .nbytes = 64}).build();
  ballast_model* model = opened(sample.bytes());
  ballast_tensor tensor;
  REQUIRE(ballast_model_tensor(model, 0, &tensor) == 1);
  CHECK(tensor.nbytes == BALLAST_UNKNOWN);
  CHECK(tensor.bytes == nullptr);
  CHECK(tensor.block_bytes == 0);
  CHECK(view(tensor.dtype, tensor.dtype_size) == "unknown(99)");
  ballast_warning warning;
  REQUIRE(ballast_model_warning(model, 0, &warning) == 1);
  CHECK(warning.code == BALLAST_ERRC_unknown_dtype);
  CHECK(warning.name == std::string_view("unknown_dtype"));
  CHECK(std::string_view(warning.message).find("new") != std::string_view::npos);
  CHECK(ballast_model_warning(model, 1, &warning) == 0);
  ballast_model_close(model);
}

TEST_CASE("metadata are typed, exact, and found by key") {
  const Sample sample = gguf();
  ballast_model* model = opened(sample.bytes());
  const auto value = [&](std::string_view key) {
    ballast_value found{};
    CAPTURE(key);
    REQUIRE(ballast_model_value(model, key.data(), key.size(), &found) == 1);
    return found;
  };
  const auto same = [](std::string_view text, const ballast_value& shown) {
    return shown.type == BALLAST_TYPE_STRING &&
           view(static_cast<const char*>(shown.data), shown.size) == text;
  };
  std::uint64_t natural = 1;
  std::int64_t whole = 1;
  double real = 1;

  const ballast_value name = value("general.architecture");
  CHECK(same("llama", name));
  CHECK(name.data == sample.bytes().data() + sample.at("entry[0].value.text"));
  CHECK(ballast_value_u64(&name, &natural) == 0);

  const ballast_value small = value("small");
  CHECK(small.type == BALLAST_TYPE_U8);
  CHECK((ballast_value_u64(&small, &natural) == 1 && natural == 200));
  CHECK((ballast_value_i64(&small, &whole) == 1 && whole == 200));
  CHECK(ballast_value_double(&small, &real) == 0);
  const ballast_value negative = value("negative");
  CHECK(ballast_value_u64(&negative, &natural) == 0);
  CHECK(natural == 200);
  CHECK((ballast_value_i64(&negative, &whole) == 1 && whole == -3));
  const ballast_value half = value("half");
  CHECK((ballast_value_double(&half, &real) == 1 && real == 0.5));
  const ballast_value third = value("third");
  CHECK((ballast_value_double(&third, &real) == 1 && real == 1.0 / 3));
  const ballast_value yes = value("yes");
  CHECK((yes.type == BALLAST_TYPE_BOOL && yes.bits == 1));
  const ballast_value huge = value("huge");
  CHECK((ballast_value_u64(&huge, &natural) == 1 && natural == std::uint64_t{1} << 63));
  CHECK(ballast_value_i64(&huge, &whole) == 0);

  ballast_entry entry;
  REQUIRE(ballast_model_entry(model, 2, &entry) == 1);
  CHECK(view(entry.key, entry.key_size) == "negative");
  CHECK(entry.offset == sample.at("entry[2]"));
  CHECK(entry.value.type == BALLAST_TYPE_I16);
  CHECK(ballast_model_entry(model, 10, &entry) == 0);
  ballast_value none{};
  CHECK(ballast_model_value(model, "nothing", 7, &none) == 0);
  ballast_model_close(model);
}

TEST_CASE("arrays are stepped through without a copy") {
  const Sample sample = gguf();
  ballast_model* model = opened(sample.bytes());
  ballast_value tokens;
  REQUIRE(ballast_model_value(model, "tokens", 6, &tokens) == 1);
  CHECK(tokens.type == BALLAST_TYPE_ARRAY);
  CHECK(tokens.element_type == BALLAST_TYPE_STRING);
  CHECK(tokens.bits == 3);
  std::vector<std::string> seen;
  ballast_value rest = tokens;
  ballast_value element;
  while (ballast_value_next(&rest, &element) == 1) {
    seen.emplace_back(static_cast<const char*>(element.data), element.size);
  }
  CHECK(seen == std::vector<std::string>{"a", "", std::string("b\0c", 3)});
  CHECK(rest.bits == 0);
  CHECK(rest.size == 0);
  CHECK(ballast_value_next(&rest, &element) == 0);
  REQUIRE(ballast_value_at(&tokens, 2, &element) == 1);
  CHECK(element.size == 3);
  CHECK(ballast_value_at(&tokens, 3, &element) == 0);

  REQUIRE(ballast_model_value(model, "scores", 6, &rest) == 1);
  double score = 0;
  REQUIRE(ballast_value_at(&rest, 1, &element) == 1);
  CHECK((ballast_value_double(&element, &score) == 1 && score == -2.0));
  REQUIRE(ballast_value_next(&rest, &element) == 1);
  CHECK((ballast_value_double(&element, &score) == 1 && score == 1.5));
  CHECK(rest.size == 4);

  REQUIRE(ballast_model_value(model, "nested", 6, &rest) == 1);
  REQUIRE(ballast_value_next(&rest, &element) == 1);
  CHECK((element.element_type == BALLAST_TYPE_U16 && element.bits == 2));
  std::uint64_t number = 0;
  ballast_value inner;
  REQUIRE(ballast_value_next(&element, &inner) == 1);
  CHECK((ballast_value_u64(&inner, &number) == 1 && number == 7));
  REQUIRE(ballast_value_next(&rest, &element) == 1);
  CHECK(element.element_type == BALLAST_TYPE_STRING);
  CHECK(ballast_value_next(&rest, &inner) == 0);
  ballast_model_close(model);
}

TEST_CASE("a value that the caller has spoilt is no array and no number") {
  ballast_value element;
  std::uint64_t number = 0;
  for (const std::int32_t type : {-1, 13, INT_MAX, INT_MIN}) {
    ballast_value spoilt{};
    spoilt.type = type;
    CHECK(ballast_value_u64(&spoilt, &number) == 0);
    ballast_value array{};
    array.bits = 5;
    array.type = BALLAST_TYPE_ARRAY;
    array.element_type = type;
    CHECK(ballast_value_at(&array, 0, &element) == 0);
    CHECK(ballast_value_next(&array, &element) == 0);
  }
  ballast_value short_one{};
  short_one.bits = 5;
  short_one.data = "1234";
  short_one.size = 4;
  short_one.type = BALLAST_TYPE_ARRAY;
  short_one.element_type = BALLAST_TYPE_STRING;
  CHECK(ballast_value_next(&short_one, &element) == 0);
  CHECK(ballast_value_next(nullptr, &element) == 0);
  CHECK(ballast_value_u64(nullptr, &number) == 0);
}

TEST_CASE("a refusal in C says all that it says in C++") {
  const Sample sample = gguf().cut_at("tensor[2].data", 7);
  const TempFile file(sample.bytes(), "cut.gguf");
  const Error expected = error_of([&] { return Model::open(file.path()); });
  Failure failure;
  ballast_model* model = nullptr;
  const int code = ballast_model_open(file.path().c_str(), nullptr, &model, &failure);
  CHECK(code == expected.code().value());
  CHECK(model == nullptr);
  REQUIRE(failure.error != nullptr);
  const ballast_error& error = *failure.error;
  CHECK(error.code == code);
  CHECK(error.name == std::string_view("outside_file"));
  CHECK(error.message == expected.message());
  CHECK(error.what == std::string_view(expected.what()));
  CHECK(error.path == expected.path());
  CHECK(view(error.subject, error.subject_size) == "q");
  CHECK(error.subject_kind == BALLAST_SUBJECT_TENSOR);
  CHECK(error.has == (BALLAST_HAS_OFFSET | BALLAST_HAS_EXPECTED | BALLAST_HAS_ACTUAL));
  CHECK(error.offset == expected.offset());
  CHECK(error.expected == expected.expected());
  CHECK(error.actual == sample.size());
  CHECK(ballast_model_open(file.path().c_str(), nullptr, &model, nullptr) == code);
}

TEST_CASE("what the system refuses is its errno with a minus in front") {
  Failure failure;
  ballast_data* data = nullptr;
  CHECK(ballast_data_open("/nowhere/at/all", nullptr, &data, &failure) == -ENOENT);
  CHECK(failure.error->code == -ENOENT);
  CHECK(failure.error->name == std::string_view("no_such_file_or_directory"));
  CHECK(failure.error->path == std::string_view("/nowhere/at/all"));
  CHECK(failure.error->has == 0);
  CHECK(data == nullptr);
}

TEST_CASE("bytes from memory are given back exactly once, come what may") {
  int released = 0;
  const auto release = [](void* user) { ++*static_cast<int*>(user); };
  const Sample sample = gguf();
  ballast_data* data = nullptr;
  const auto borrow = [&](const Bytes& bytes) {
    REQUIRE(ballast_data_from_memory(bytes.data(), bytes.size(), release, &released, &data,
                                     nullptr) == BALLAST_OK);
  };
  borrow(sample.bytes());
  ballast_data_close(data);
  CHECK(released == 1);

  borrow(sample.bytes());
  ballast_model* model = nullptr;
  REQUIRE(ballast_model_from_data(&data, nullptr, 1, nullptr, &model, nullptr) == BALLAST_OK);
  CHECK(released == 1);
  ballast_model_close(model);
  CHECK(released == 2);

  const Bytes broken = noise(1000, 3);
  borrow(broken);
  CHECK(ballast_model_from_data(&data, nullptr, 1, nullptr, &model, nullptr) ==
        BALLAST_ERRC_unknown_format);
  CHECK(data == nullptr);
  CHECK(released == 3);

  CHECK(ballast_data_from_memory(nullptr, 5, release, &released, &data, nullptr) ==
        BALLAST_ERRC_misuse);
  CHECK(released == 4);
  CHECK(ballast_data_from_memory(broken.data(), 5, release, &released, nullptr, nullptr) ==
        BALLAST_ERRC_misuse);
  CHECK(released == 5);

  // No bytes have an owner, too.
  REQUIRE(ballast_data_from_memory(nullptr, 0, release, &released, &data, nullptr) == BALLAST_OK);
  CHECK(released == 5);
  ballast_data_close(data);
  CHECK(released == 6);
}

TEST_CASE("a set is made of data that are there, and takes them also where it fails") {
  const auto shard = [](std::uint16_t number, const char* tensor) {
    return GgufBuilder()
        .entry("split.no", number)
        .entry("split.count", std::uint16_t{2})
        .entry("split.tensors.count", std::int32_t{2})
        .tensor({.name = tensor, .dims = {32}})
        .build();
  };
  const Sample first = shard(0, "a");
  const Sample second = shard(1, "b");
  const char* const names[] = {"one.gguf", nullptr};
  ballast_data* data[] = {borrowed(first.bytes()), borrowed(second.bytes())};
  ballast_model* model = nullptr;
  REQUIRE(ballast_model_from_data(data, names, 2, nullptr, &model, nullptr) == BALLAST_OK);
  CHECK((data[0] == nullptr && data[1] == nullptr));
  ballast_summary summary;
  ballast_model_summary(model, &summary);
  CHECK(summary.is_sharded == 1);
  CHECK(summary.shard_count == 2);
  ballast_tensor tensor;
  REQUIRE(ballast_model_find(model, "b", 1, &tensor) == 1);
  CHECK(tensor.shard == 1);
  CHECK(tensor.bytes == second.bytes().data() + second.at("tensor[0].data"));
  ballast_file file;
  REQUIRE(ballast_model_shard(model, 0, &file) == 1);
  CHECK(view(file.name, file.name_size) == "one.gguf");
  CHECK(file.bytes == first.bytes().data());
  CHECK(file.size == first.size());
  CHECK(file.data_offset == first.at("data"));
  REQUIRE(ballast_model_shard(model, 1, &file) == 1);
  CHECK(file.name_size == 0);
  CHECK(ballast_model_shard(model, 2, &file) == 0);
  ballast_model_close(model);

  ballast_data* swapped[] = {borrowed(second.bytes()), borrowed(first.bytes())};
  CHECK(ballast_model_from_data(swapped, nullptr, 2, nullptr, &model, nullptr) ==
        BALLAST_ERRC_not_first_shard);
  CHECK((swapped[0] == nullptr && swapped[1] == nullptr));
  ballast_data* missing[] = {borrowed(first.bytes()), nullptr};
  CHECK(ballast_model_from_data(missing, nullptr, 2, nullptr, &model, nullptr) ==
        BALLAST_ERRC_misuse);
  CHECK(missing[0] == nullptr);
}

// The names in a list as C has it.
std::vector<std::string> listed(const char* list) {
  std::vector<std::string> names;
  for (; *list != '\0'; list += names.back().size() + 1) names.emplace_back(list);
  return names;
}

TEST_CASE("the first file of a set tells what the others are called") {
  const Bytes shard = SafetensorsBuilder().tensor({.name = "w", .shape = {2}}).build().bytes();
  const std::string index = IndexBuilder().tensor("w", "one.safetensors").build();
  const auto siblings = [](const ballast_data* data, const char* name) {
    char* list = nullptr;
    REQUIRE(ballast_data_siblings(data, name, nullptr, &list, nullptr) == BALLAST_OK);
    const std::vector<std::string> names = listed(list);
    ballast_siblings_free(list);
    return names;
  };

  ballast_options* options = ballast_options_create();
  const auto load = [&](std::string_view text) {
    ballast_loader* loader = nullptr;
    ballast_data* data = nullptr;
    REQUIRE(ballast_loader_create(options, &loader, nullptr) == BALLAST_OK);
    int code = ballast_loader_push(loader, text.data(), text.size(), nullptr);
    if (code == BALLAST_OK) code = ballast_loader_finish(loader, &data, nullptr);
    ballast_loader_free(loader);
    return std::pair(code, data);
  };
  CHECK(load(index).first == BALLAST_ERRC_json_document);
  CHECK(ballast_options_set(options, BALLAST_OPTION_ACCEPT_INDEX, 2) == BALLAST_ERRC_misuse);
  CHECK(ballast_options_set(options, BALLAST_OPTION_ACCEPT_INDEX, 1) == BALLAST_OK);
  CHECK(load("<html>").first == BALLAST_ERRC_html_page);
  ballast_data* set[] = {load(index).second, borrowed(shard)};
  CHECK(siblings(set[0], nullptr) == std::vector<std::string>{"one.safetensors"});
  CHECK(siblings(set[1], "one.safetensors").empty());
  ballast_model* model = nullptr;
  REQUIRE(ballast_model_from_data(set, nullptr, 2, nullptr, &model, nullptr) == BALLAST_OK);
  ballast_tensor tensor;
  REQUIRE(ballast_model_find(model, "w", 1, &tensor) == 1);
  CHECK(tensor.nbytes == 8);
  ballast_model_close(model);

  const Sample first = GgufBuilder()
                           .entry("split.no", std::uint16_t{0})
                           .entry("split.count", std::uint16_t{11})
                           .build();
  ballast_data* data = borrowed(first.bytes());
  const std::vector<std::string> names = siblings(data, "m-00001-of-00011.gguf.zst");
  REQUIRE(names.size() == 10);
  CHECK(names.front() == "m-00002-of-00011.gguf");
  CHECK(names[8] == "m-00010-of-00011.gguf");
  CHECK(names.back() == "m-00011-of-00011.gguf");
  char* none = nullptr;
  for (const char* name : {"m.gguf", "m-00001-of-00012.gguf", ""}) {
    Failure failure;
    CHECK(ballast_data_siblings(data, name, nullptr, &none, &failure) ==
          BALLAST_ERRC_shard_name_mismatch);
    CHECK(failure.error->expected == 11);
  }
  CHECK(none == nullptr);
  ballast_data_close(data);
  ballast_options_free(options);
}

TEST_CASE("a list of files is opened as one model") {
  const Sample one = SafetensorsBuilder().tensor({.name = "a", .shape = {3}}).build();
  const Sample two = SafetensorsBuilder().tensor({.name = "b", .shape = {4}}).build();
  const TempDir folder;
  const std::string first = folder.write("one.safetensors", one).string();
  const std::string second = folder.write("two.safetensors", two).string();
  const char* const paths[] = {first.c_str(), second.c_str()};
  ballast_model* model = nullptr;
  REQUIRE(ballast_model_open_shards(paths, 2, nullptr, &model, nullptr) == BALLAST_OK);
  ballast_file file;
  REQUIRE(ballast_model_shard(model, 1, &file) == 1);
  CHECK(view(file.name, file.name_size) == "two.safetensors");
  CHECK(file.is_mmap == BALLAST_HAS_MMAP);
  CHECK(ballast_data_unchanged(file.data) == 1);
  CHECK(ballast_data_intact(file.data, 0, file.size) == 1);
  CHECK(ballast_data_damaged(file.data) == 0);
  const int advised = ballast_data_advise(file.data, BALLAST_ADVICE_SEQUENTIAL, 0, file.size);
  CHECK(advised == (BALLAST_HAS_MMAP ? BALLAST_OK : BALLAST_UNSUPPORTED));
  const int gone = ballast_data_release(file.data, 0, file.size, 1);
  CHECK(gone == (BALLAST_HAS_MMAP ? BALLAST_OK : BALLAST_UNSUPPORTED));
  CHECK(ballast_data_advise(file.data, 99, 0, 1) == BALLAST_UNSUPPORTED);
  ballast_model_close(model);
  CHECK(ballast_model_open_shards(nullptr, 0, nullptr, &model, nullptr) == BALLAST_ERRC_misuse);
}

TEST_CASE("pushed bytes become the same model, and the loader says how far it is") {
  const Sample sample = gguf();
  ballast_options* options = ballast_options_create();
  REQUIRE(ballast_options_set(options, BALLAST_OPTION_TOTAL, sample.size()) == BALLAST_OK);
  REQUIRE(ballast_options_set_path(options, "model.gguf") == BALLAST_OK);
  ballast_loader* loader = nullptr;
  REQUIRE(ballast_loader_create(options, &loader, nullptr) == BALLAST_OK);
  ballast_options_free(options);
  ballast_progress progress;
  for (std::size_t at = 0; at < sample.size();) {
    void* room = nullptr;
    std::size_t size = 0;
    REQUIRE(ballast_loader_prepare(loader, 1000, &room, &size, nullptr) == BALLAST_OK);
    REQUIRE(size > 0);
    size = std::min(size, sample.size() - at);
    std::memcpy(room, sample.bytes().data() + at, size);
    REQUIRE(ballast_loader_commit(loader, size, nullptr) == BALLAST_OK);
    at += size;
    ballast_loader_progress(loader, &progress);
    CHECK(progress.done == at);
    CHECK(progress.total == sample.size());
    CHECK(progress.input_total == BALLAST_UNKNOWN);
  }
  ballast_data* data = nullptr;
  REQUIRE(ballast_loader_finish(loader, &data, nullptr) == BALLAST_OK);
  ballast_file file;
  ballast_data_file(data, &file);
  CHECK(view(file.name, file.name_size) == "model.gguf");
  CHECK(std::ranges::equal(std::span(static_cast<const std::byte*>(file.bytes), file.size),
                           sample.bytes()));
  Failure failure;
  CHECK(ballast_loader_finish(loader, &data, &failure) == BALLAST_ERRC_misuse);
  CHECK(std::string_view(failure.error->message).find("ended") != std::string_view::npos);
  ballast_data_close(data);
  ballast_loader_free(loader);
}

TEST_CASE("a loader refuses what is no model, more than it gave room for, and too much") {
  ballast_options* options = ballast_options_create();
  ballast_loader* loader = nullptr;
  ballast_options_set(options, BALLAST_OPTION_MAX_BYTES, 1000);
  ballast_options_set(options, BALLAST_OPTION_TOTAL, 1001);
  CHECK(ballast_loader_create(options, &loader, nullptr) == BALLAST_ERRC_too_large);
  CHECK(loader == nullptr);
  ballast_options_free(options);

  REQUIRE(ballast_loader_create(nullptr, &loader, nullptr) == BALLAST_OK);
  const Bytes page = bytes_of("<!DOCTYPE html>" + std::string(600, ' '));
  CHECK(ballast_loader_push(loader, page.data(), page.size(), nullptr) == BALLAST_ERRC_html_page);
  ballast_progress progress{.done = 1, .total = 1, .input_done = 1, .input_total = 1};
  ballast_loader_progress(loader, &progress);
  CHECK(progress.done == 0);
  ballast_loader_free(loader);

  REQUIRE(ballast_loader_create(nullptr, &loader, nullptr) == BALLAST_OK);
  void* room = nullptr;
  std::size_t size = 0;
  REQUIRE(ballast_loader_prepare(loader, 10, &room, &size, nullptr) == BALLAST_OK);
  CHECK(ballast_loader_commit(loader, size + 1, nullptr) == BALLAST_ERRC_misuse);
  ballast_loader_free(loader);

  REQUIRE(ballast_loader_create(nullptr, &loader, nullptr) == BALLAST_OK);
  ballast_loader_cancel(loader);
  CHECK(ballast_loader_push(loader, page.data(), 1, nullptr) == BALLAST_ERRC_misuse);
  ballast_loader_free(loader);

  options = ballast_options_create();
  ballast_options_set(options, BALLAST_OPTION_REQUIRE_MODEL, 0);
  REQUIRE(ballast_loader_create(options, &loader, nullptr) == BALLAST_OK);
  CHECK(ballast_loader_push(loader, page.data(), page.size(), nullptr) == BALLAST_OK);
  ballast_data* data = nullptr;
  REQUIRE(ballast_loader_finish(loader, &data, nullptr) == BALLAST_OK);
  ballast_data_close(data);
  ballast_loader_free(loader);
  ballast_options_free(options);
}

TEST_CASE("options are set one by one, and refuse what they cannot be") {
  ballast_options* options = ballast_options_create();
  const auto set = [&](int option, std::uint64_t value) {
    return ballast_options_set(options, option, value);
  };
  CHECK(set(BALLAST_OPTION_BACKEND, 3) == BALLAST_ERRC_misuse);
  CHECK(set(BALLAST_OPTION_LENIENT, 2) == BALLAST_ERRC_misuse);
  CHECK(set(BALLAST_OPTION_REQUIRE_MODEL, 2) == BALLAST_ERRC_misuse);
  CHECK(set(BALLAST_OPTION_MAX_ARRAY_DEPTH, 65) == BALLAST_ERRC_misuse);
  CHECK(set(-1, 0) == BALLAST_ERRC_misuse);
  CHECK(set(999, 0) == BALLAST_ERRC_misuse);
  CHECK(ballast_options_set(nullptr, BALLAST_OPTION_LENIENT, 1) == BALLAST_ERRC_misuse);

  const auto code_with = [&](int option, std::uint64_t value, const Bytes& bytes) {
    ballast_options* fresh = ballast_options_create();
    CHECK(ballast_options_set(fresh, option, value) == BALLAST_OK);
    ballast_data* data = borrowed(bytes);
    ballast_model* model = nullptr;
    const int code = ballast_model_from_data(&data, nullptr, 1, fresh, &model, nullptr);
    if (code == BALLAST_OK) ballast_model_close(model);
    ballast_options_free(fresh);
    return code;
  };
  const Bytes bytes = gguf().bytes();
  CHECK(code_with(BALLAST_OPTION_MAX_TENSORS, 2, bytes) == BALLAST_ERRC_too_many_tensors);
  CHECK(code_with(BALLAST_OPTION_MAX_ENTRIES, 9, bytes) == BALLAST_ERRC_too_many_entries);
  CHECK(code_with(BALLAST_OPTION_MAX_STRING, 4, bytes) == BALLAST_ERRC_string_too_long);
  CHECK(code_with(BALLAST_OPTION_MAX_ARRAY_DEPTH, 1, bytes) == BALLAST_ERRC_array_too_deep);
  CHECK(code_with(BALLAST_OPTION_MAX_ALIGNMENT, 32, bytes) == BALLAST_OK);
  const Bytes wide = GgufBuilder().aligned(64).tensor({.name = "w", .dims = {4}}).build().bytes();
  CHECK(code_with(BALLAST_OPTION_MAX_ALIGNMENT, 32, wide) == BALLAST_ERRC_bad_alignment);
  const Bytes plain = SafetensorsBuilder().tensor({.name = "w", .shape = {2}}).build().bytes();
  Bytes tail = plain;
  append(tail, noise(9, 1));
  CHECK(code_with(BALLAST_OPTION_MAX_HEADER, 8, plain) == BALLAST_ERRC_header_too_large);
  CHECK(code_with(BALLAST_OPTION_LENIENT, 0, tail) == BALLAST_ERRC_trailing_bytes);
  CHECK(code_with(BALLAST_OPTION_LENIENT, 1, tail) == BALLAST_OK);
  Bytes longer = bytes;
  append(longer, noise(9, 1));
  CHECK(code_with(BALLAST_OPTION_MAX_TRAILING, 8, longer) == BALLAST_ERRC_trailing_bytes);

  Bytes inside = noise(100, 2);
  append(inside, plain);
  append(inside, noise(50, 3));
  const TempFile file(inside);
  CHECK(set(BALLAST_OPTION_OFFSET, 100) == BALLAST_OK);
  CHECK(set(BALLAST_OPTION_LENGTH, plain.size()) == BALLAST_OK);
  CHECK(set(BALLAST_OPTION_BACKEND, BALLAST_BACKEND_HEAP) == BALLAST_OK);
  ballast_data* data = nullptr;
  REQUIRE(ballast_data_open(file.path().c_str(), options, &data, nullptr) == BALLAST_OK);
  ballast_file shown;
  ballast_data_file(data, &shown);
  CHECK(shown.size == plain.size());
  CHECK(shown.is_mmap == 0);
  ballast_data_close(data);
  ballast_options_free(options);
}

// What a progress callback of C sees, and what it answers.
struct Watch {
  int calls = 0;
  std::uint64_t last = 0;
  std::uint64_t total = 0;
  int answer = 0;
};

int watch(void* user, const ballast_progress* progress) {
  Watch& seen = *static_cast<Watch*>(user);
  ++seen.calls;
  seen.last = progress->done;
  seen.total = progress->total;
  return seen.answer;
}

TEST_CASE("progress is told, and ends the load if it says so") {
  const Bytes bytes = gguf().bytes();
  const TempFile file(bytes);
  ballast_options* options = ballast_options_create();
  ballast_options_set(options, BALLAST_OPTION_BACKEND, BALLAST_BACKEND_HEAP);
  Watch seen;
  ballast_options_set_progress(options, watch, &seen);
  ballast_model* model = nullptr;
  REQUIRE(ballast_model_open(file.path().c_str(), options, &model, nullptr) == BALLAST_OK);
  CHECK(seen.calls >= 2);
  CHECK(seen.last == bytes.size());
  CHECK(seen.total == bytes.size());
  seen.calls = 0;
  int found = 0;
  const auto count = [](void* user, const ballast_warning*) { ++*static_cast<int*>(user); };
  CHECK(ballast_model_verify(model, options, count, &found, nullptr) == BALLAST_OK);
  CHECK(found == 0);
  CHECK(seen.calls > 0);
  seen.answer = 1;
  CHECK(ballast_model_verify(model, options, count, &found, nullptr) == BALLAST_ERRC_cancelled);
  ballast_model_close(model);

  Failure failure;
  CHECK(ballast_model_open(file.path().c_str(), options, &model, &failure) ==
        BALLAST_ERRC_cancelled);
  CHECK(failure.error->path == file.path());
  seen.answer = 0;
  ballast_options_set_progress(options, nullptr, nullptr);
  seen.calls = 0;
  REQUIRE(ballast_model_open(file.path().c_str(), options, &model, nullptr) == BALLAST_OK);
  CHECK(seen.calls == 0);
  ballast_model_close(model);
  ballast_options_free(options);
}

TEST_CASE("verify tells what opening leaves alone") {
  const Sample sample =
      GgufBuilder().tensor({.name = "w", .dims = {3}}).padding(std::byte{0xAA}).build();
  ballast_model* model = opened(sample.bytes());
  std::vector<std::string> names;
  const auto note = [](void* user, const ballast_warning* warning) {
    static_cast<std::vector<std::string>*>(user)->emplace_back(warning->name);
  };
  CHECK(ballast_model_verify(model, nullptr, note, &names, nullptr) == BALLAST_OK);
  CHECK(names == std::vector<std::string>{"nonzero_padding"});
  CHECK(ballast_model_verify(model, nullptr, nullptr, nullptr, nullptr) == BALLAST_OK);
  ballast_model_close(model);
}

TEST_CASE("an exception of the caller's own code comes back as a code") {
  const TempFile file(gguf().bytes());
  ballast_options* options = ballast_options_create();
  ballast_options_set(options, BALLAST_OPTION_BACKEND, BALLAST_BACKEND_HEAP);
  ballast_options_set_progress(
      options, [](void*, const ballast_progress*) -> int { throw std::runtime_error("boom"); },
      nullptr);
  ballast_model* model = nullptr;
  Failure failure;
  CHECK(ballast_model_open(file.path().c_str(), options, &model, &failure) ==
        static_cast<int>(Errc::unexpected));
  CHECK(std::string_view(failure.error->message).find("boom") != std::string_view::npos);
  ballast_options_set_progress(
      options, [](void*, const ballast_progress*) -> int { throw 5; }, nullptr);
  CHECK(ballast_model_open(file.path().c_str(), options, &model, nullptr) ==
        BALLAST_ERRC_unexpected);
  ballast_options_set_progress(
      options, [](void*, const ballast_progress*) -> int { throw std::bad_alloc(); }, nullptr);
  Failure no_memory;
  CHECK(ballast_model_open(file.path().c_str(), options, &model, &no_memory) ==
        BALLAST_ERRC_out_of_memory);
  REQUIRE(no_memory.error != nullptr);
  CHECK(no_memory.error->name == std::string_view("out_of_memory"));
  CHECK(no_memory.error->code == BALLAST_ERRC_out_of_memory);
  ballast_options_free(options);
}

TEST_CASE("NULL where a handle or an output was expected is an error and no crash") {
  Failure failure;
  ballast_data* data = nullptr;
  ballast_model* model = nullptr;
  ballast_loader* loader = nullptr;
  void* room = nullptr;
  std::size_t size = 0;
  CHECK(ballast_model_open(nullptr, nullptr, &model, &failure) == BALLAST_ERRC_misuse);
  CHECK(failure.error->name == std::string_view("misuse"));
  CHECK(ballast_model_open("x", nullptr, nullptr, nullptr) == BALLAST_ERRC_misuse);
  CHECK(ballast_data_open(nullptr, nullptr, &data, nullptr) == BALLAST_ERRC_misuse);
  CHECK(ballast_data_open("x", nullptr, nullptr, nullptr) == BALLAST_ERRC_misuse);
  CHECK(ballast_data_open_descriptor(0, nullptr, nullptr, nullptr) == BALLAST_ERRC_misuse);
  CHECK(ballast_model_open_shards(nullptr, 1, nullptr, &model, nullptr) == BALLAST_ERRC_misuse);
  CHECK(ballast_model_from_data(nullptr, nullptr, 1, nullptr, &model, nullptr) ==
        BALLAST_ERRC_misuse);
  CHECK(ballast_data_siblings(nullptr, "x", nullptr, nullptr, nullptr) == BALLAST_ERRC_misuse);
  ballast_siblings_free(nullptr);
  CHECK(ballast_loader_create(nullptr, nullptr, nullptr) == BALLAST_ERRC_misuse);
  CHECK(ballast_loader_prepare(nullptr, 1, &room, &size, nullptr) == BALLAST_ERRC_misuse);
  CHECK(ballast_loader_commit(nullptr, 1, nullptr) == BALLAST_ERRC_misuse);
  CHECK(ballast_loader_push(nullptr, "x", 1, nullptr) == BALLAST_ERRC_misuse);
  CHECK(ballast_loader_finish(nullptr, &data, nullptr) == BALLAST_ERRC_misuse);
  CHECK(ballast_model_verify(nullptr, nullptr, nullptr, nullptr, nullptr) == BALLAST_ERRC_misuse);
  CHECK(ballast_options_set_path(nullptr, "x") == BALLAST_ERRC_misuse);
  ballast_options_set_progress(nullptr, watch, nullptr);
  ballast_summary summary{};
  summary.version = 7;
  ballast_model_summary(nullptr, &summary);
  CHECK(summary.version == 0);
  ballast_file file{};
  file.size = 7;
  ballast_data_file(nullptr, &file);
  CHECK(file.size == 0);
  ballast_tensor tensor;
  ballast_entry entry;
  ballast_value value;
  ballast_warning warning;
  CHECK(ballast_model_tensor(nullptr, 0, &tensor) == 0);
  CHECK(ballast_model_find(nullptr, "x", 1, &tensor) == 0);
  CHECK(ballast_model_shard(nullptr, 0, &file) == 0);
  CHECK(ballast_model_entry(nullptr, 0, &entry) == 0);
  CHECK(ballast_model_value(nullptr, "x", 1, &value) == 0);
  CHECK(ballast_model_warning(nullptr, 0, &warning) == 0);
  CHECK(ballast_data_advise(nullptr, BALLAST_ADVICE_COLD, 0, 1) == BALLAST_UNSUPPORTED);
  CHECK(ballast_data_release(nullptr, 0, 1, 0) == BALLAST_UNSUPPORTED);
  CHECK(ballast_data_unchanged(nullptr) == 0);
  CHECK(ballast_data_intact(nullptr, 0, 0) == 0);
  CHECK(ballast_data_damaged(nullptr) == 0);
  ballast_progress progress{.done = 7, .total = 7, .input_done = 7, .input_total = 7};
  ballast_loader_progress(loader, &progress);
  CHECK(progress.done == 0);
  ballast_loader_progress(nullptr, nullptr);
  CHECK(ballast_loader_has_directory(nullptr) == 0);
  CHECK(ballast_can_decode(nullptr) == 0);
  ballast_loader_cancel(nullptr);
  ballast_loader_free(nullptr);
  ballast_model_close(nullptr);
  ballast_data_close(nullptr);
  ballast_options_free(nullptr);
  ballast_error_free(nullptr);
}

TEST_CASE("text for a terminal is escaped, cut and always terminated") {
  char out[8] = "xxxxxxx";
  CHECK(ballast_printable("a\x1b", 2, out, sizeof out) == 5);
  CHECK(std::string_view(out) == "a\\x1b");
  CHECK(ballast_printable("123456789", 9, out, sizeof out) == 9);
  CHECK(std::string_view(out) == "1234567");
  CHECK(ballast_printable("123", 3, nullptr, 0) == 3);
  CHECK(ballast_printable(nullptr, 0, out, 1) == 0);
  CHECK(out[0] == '\0');
}

}  // namespace
}  // namespace ballast::test
