// Model: what it says of its files, and what it answers to those who ask for what is not there.
#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/model.hpp>

#include "tests/support/gguf_builder.hpp"
#include "tests/support/safetensors_builder.hpp"
#include "tests/support/temp.hpp"

namespace ballast::test {
namespace {

Model in_memory(const Sample& sample) {
  return Model::from_data(ModelData::from_vector(sample.bytes()));
}

template <class Action>
Errc refusal_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return static_cast<Errc>(error.code().value());
  }
  return Errc::ok;
}

GgufBuilder small() {
  return GgufBuilder()
      .entry("general.architecture", "llama")
      .tensor({.name = "w", .dims = {4, 2}})
      .tensor({.name = "q", .dims = {32}, .dtype = gguf_id("Q8_0")})
      .tensor({.name = "new", .dims = {3}, .dtype = 99, .nbytes = 12});
}

TEST_CASE("a model says what its file is") {
  const Sample sample = small().build();
  const Model model = in_memory(sample);
  CHECK(model.format() == Format::gguf);
  CHECK(model.version() == 3U);
  CHECK(model.alignment() == 32U);
  CHECK(model.file_bytes() == sample.size());
  CHECK(model.parameter_count() == 8 + 32 + 3);
  CHECK_FALSE(model.is_sharded());
  REQUIRE(model.shards().size() == 1);
  CHECK(model.shards()[0].data_offset == sample.at("data"));
  CHECK(model.shards()[0].file.empty());
  REQUIRE(model.warnings().size() == 1);
  CHECK(model.warnings()[0].code == Errc::unknown_dtype);
  const Model other = in_memory(SafetensorsBuilder().tensor({.name = "w", .shape = {2}}).build());
  CHECK(other.format() == Format::safetensors);
  CHECK_FALSE(other.version());
  CHECK_FALSE(other.alignment());
}

TEST_CASE("a model opened from a path knows the name of its file, without folders") {
  const TempDir folder;
  const Model model = Model::open(folder.write("sub/model.gguf", small().build()));
  CHECK(model.shards()[0].file == "model.gguf");
}

TEST_CASE("the number of parameters saturates where it does not fit") {
  constexpr std::uint64_t kHuge = std::uint64_t{1} << 62;
  GgufBuilder builder;
  for (const char* name : {"a", "b", "c", "d", "e"})
    builder.tensor({.name = name, .dims = {kHuge}, .dtype = 99, .offset = 0});
  CHECK(in_memory(builder.build()).parameter_count() == UINT64_MAX);
}

TEST_CASE("a tensor that is not there is refused by its name") {
  const Model model = in_memory(small().build());
  CHECK(model.find("W") == nullptr);
  CHECK(model.find("") == nullptr);
  CHECK(&model.at("w") == model.find("w"));
  try {
    static_cast<void>(model.at("absent\x1B"));
    FAIL("there is no such tensor");
  } catch (const Error& error) {
    CHECK(error.code() == Errc::no_such_tensor);
    CHECK(error.subject() == "absent\x1B");
    CHECK(std::string_view(error.what()).find('\x1B') == std::string_view::npos);
  }
}

TEST_CASE(
    "the bytes of a tensor are a view into the file, and of an unknown dtype there are none") {
  const Sample sample = small().build();
  const Model model = in_memory(sample);
  const std::span<const std::byte> file = model.shards()[0].data.bytes();
  CHECK(model.bytes(model.at("w")).data() == file.data() + sample.at("tensor[0].data"));
  CHECK(model.bytes(model.at("q")).size() == 34);
  CHECK(refusal_of([&] { static_cast<void>(model.bytes(model.at("new"))); }) ==
        Errc::unknown_dtype);
  // safetensors gives the bytes of a dtype that is not known, because the file says where they end.
  const Model other = in_memory(
      SafetensorsBuilder()
          .tensor(
              {.name = "w", .dtype = "X9", .shape = {2}, .begin = 0, .end = 5, .data = noise(5, 9)})
          .build());
  CHECK(std::ranges::equal(other.bytes(other.at("w")), noise(5, 9)));
}

TEST_CASE("an empty tensor has no bytes, wherever it lies") {
  const Sample sample =
      GgufBuilder().tensor({.name = "e", .dims = {0}}).build().cut_at("infos.end");
  const Model model = in_memory(sample);
  CHECK(model.bytes(model.at("e")).empty());
  const TypedValues<float> none = model.values<float>(model.at("e"));
  CHECK(none.values().empty());
  CHECK_FALSE(none.is_copy());
}

TEST_CASE(
    "values are a view where the address allows it and a copy where it does not, and always the "
    "same") {
  // One byte in front of the floats puts them at every odd place.
  for (const std::uint64_t before : {0U, 1U, 2U, 4U}) {
    const Sample sample = SafetensorsBuilder()
                              .tensor({.name = "pad", .dtype = "U8", .shape = {before}})
                              .tensor({.name = "w", .dtype = "F32", .shape = {5}})
                              .build();
    const Model model = in_memory(sample);
    const Tensor& tensor = model.at("w");
    const TypedValues<float> typed = model.values<float>(tensor);
    const auto address = reinterpret_cast<std::uintptr_t>(model.bytes(tensor).data());
    CAPTURE(before);
    CHECK(typed.is_copy() == (address % alignof(float) != 0));
    REQUIRE(typed.values().size() == 5);
    CHECK(std::ranges::equal(std::as_bytes(typed.values()), model.bytes(tensor)));
    const std::size_t alignment = model.alignment_of(tensor);
    CHECK(address % alignment == 0);
    CHECK((alignment == 4'096 || address % (2 * alignment) != 0));
  }
}

TEST_CASE("a copy of values stays right when it is moved") {
  const Model model = in_memory(SafetensorsBuilder()
                                    .tensor({.name = "pad", .dtype = "U8", .shape = {1}})
                                    .tensor({.name = "w", .dtype = "U16", .shape = {3}})
                                    .build());
  TypedValues<std::uint16_t> typed = model.values<std::uint16_t>(model.at("w"));
  const std::vector<std::uint16_t> before(typed.values().begin(), typed.values().end());
  const TypedValues<std::uint16_t> moved = std::move(typed);
  CHECK(std::ranges::equal(moved.values(), before));
}

TEST_CASE("values of another width, of blocks and of an unknown dtype are refused") {
  const Model model = in_memory(small().build());
  CHECK(refusal_of([&] { static_cast<void>(model.values<double>(model.at("w"))); }) ==
        Errc::wrong_type);
  CHECK(refusal_of([&] { static_cast<void>(model.values<std::uint16_t>(model.at("w"))); }) ==
        Errc::wrong_type);
  CHECK(refusal_of([&] { static_cast<void>(model.values<std::uint8_t>(model.at("q"))); }) ==
        Errc::wrong_type);
  CHECK(refusal_of([&] { static_cast<void>(model.values<float>(model.at("new"))); }) ==
        Errc::wrong_type);
  CHECK(refusal_of([&] { static_cast<void>(model.values<std::uint32_t>(model.at("w"))); }) ==
        Errc::ok);
}

TEST_CASE("a safetensors file whose length reads as JSON is no index") {
  // 0x7B is a brace and 0x20 a space: lengths that begin like the text of an index.
  const TempDir folder;
  for (const std::uint64_t length : {0x7BULL, 0x7B20ULL, 0x7B0AULL, 0x7B2020ULL}) {
    CAPTURE(length);
    std::string header = R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
    header.resize(length, ' ');
    const std::filesystem::path path =
        folder.write("model.safetensors", safetensors_with(header, 4));
    CHECK(refusal_of([&] {
            const Model model = Model::open(path);
            CHECK(model.find("w") != nullptr);
          }) == Errc::ok);
  }
}

TEST_CASE("a refusal of a file names its path, and of memory none") {
  const TempDir folder;
  const std::filesystem::path path = folder.write("bad.gguf", bytes_of("GGUF"));
  try {
    static_cast<void>(Model::open(path));
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(error.path() == path.string());
    CHECK(std::string_view(error.what()).starts_with(path.string() + ": "));
  }
  try {
    static_cast<void>(Model::from_data(ModelData::from_vector(bytes_of("GGUF"))));
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(error.path().empty());
  }
}

TEST_CASE("parse options reach the parser from every way in") {
  const TempDir folder;
  const Sample trailing =
      SafetensorsBuilder().tensor({.name = "w", .shape = {2}}).trailing(Bytes(3)).build();
  const std::filesystem::path path = folder.write("model.safetensors", trailing);
  OpenOptions lenient;
  lenient.parse.lenient = true;
  CHECK(refusal_of([&] { static_cast<void>(Model::open(path)); }) == Errc::trailing_bytes);
  const Model opened = Model::open(path, lenient);
  CHECK(opened.warnings().size() == 1);
  const Model given = Model::from_data(ModelData::from_vector(trailing.bytes()), lenient.parse);
  CHECK(given.warnings().size() == 1);
}

TEST_CASE("a moved model keeps its tensors, its metadata and its bytes where they were") {
  Model model = in_memory(small().build());
  const Tensor* tensor = model.find("w");
  const std::byte* data = model.bytes(*tensor).data();
  const Model moved = std::move(model);
  CHECK(moved.find("w") == tensor);
  CHECK(moved.bytes(*tensor).data() == data);
  CHECK(moved.metadata().get<std::string_view>("general.architecture") == "llama");
}

TEST_CASE("verify finds what opening leaves alone") {
  const Sample good = GgufBuilder()
                          .entry("words", array_of<std::string>({"good", "\xFF", "fine"}))
                          .tensor({.name = "a", .dims = {10}})
                          .tensor({.name = "b", .dims = {10}})
                          .build();
  const Sample odd = good.with<std::uint8_t>("tensor[0].end", 1);
  const Model model = in_memory(odd);
  CHECK(model.warnings().empty());
  const std::vector<Warning> found = model.verify();
  REQUIRE(found.size() == 2);
  const auto has = [&](Errc code, std::uint64_t at) {
    return std::ranges::any_of(found,
                               [&](const Warning& w) { return w.code == code && w.offset == at; });
  };
  CHECK(has(Errc::nonzero_padding, odd.at("tensor[0].end")));
  CHECK(std::ranges::any_of(found, [](const Warning& w) { return w.code == Errc::not_utf8; }));
  CHECK(in_memory(GgufBuilder().tensor({.name = "a", .dims = {10}}).build()).verify().empty());
}

TEST_CASE("verify can be cancelled and tells how far it is") {
  const Model model = in_memory(small().build());
  OpenOptions options;
  std::vector<Progress> seen;
  options.progress = [&](const Progress& progress) { seen.push_back(progress); };
  static_cast<void>(model.verify(options));
  REQUIRE_FALSE(seen.empty());
  CHECK(seen.back().done == model.file_bytes());
  CHECK(seen.back().total == model.file_bytes());
  options.cancelled = [] { return true; };
  CHECK(refusal_of([&] { static_cast<void>(model.verify(options)); }) == Errc::cancelled);
}

}  // namespace
}  // namespace ballast::test
