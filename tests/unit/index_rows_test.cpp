// Sharded safetensors: an index beside the files that it names, all of it written by strangers.
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/model.hpp>

#include "tests/support/safetensors_builder.hpp"
#include "tests/support/sets.hpp"
#include "tests/support/temp.hpp"

namespace ballast::test {
namespace {

constexpr const char* kIndex = "model.safetensors.index.json";

Bytes shard(const std::vector<std::string>& tensors) {
  SafetensorsBuilder builder;
  for (const std::string& tensor : tensors) builder.tensor({.name = tensor, .shape = {4}});
  return builder.build().bytes();
}

// Two shards that hold a, b and c, and an index of the caller's.
Files with_index(std::string_view index) {
  return {{"1.safetensors", shard({"a", "b"})},
          {"2.safetensors", shard({"c"})},
          {kIndex, bytes_of(index)}};
}

IndexBuilder good_index() {
  return IndexBuilder()
      .tensor("a", "1.safetensors")
      .tensor("b", "1.safetensors")
      .tensor("c", "2.safetensors");
}

const std::vector<std::string> kAll{"a@1.safetensors", "b@1.safetensors", "c@2.safetensors"};

SetRow fine(std::string fact, std::string_view index) {
  return {.fact = std::move(fact), .files = with_index(index), .open = {kIndex}, .tensors = kAll};
}

// The caret stands at the byte at fault.
SetRow refused(std::string fact, std::string index, Errc code, std::string_view subject = {}) {
  const std::size_t caret = index.find('^');
  std::optional<std::uint64_t> offset;
  if (caret != std::string::npos) {
    index.erase(caret, 1);
    offset = caret;
  }
  return {.fact = std::move(fact),
          .files = with_index(index),
          .open = {kIndex},
          .refusal = code,
          .blamed = kIndex,
          .subject = subject,
          .offset = offset};
}

std::string mapping(std::string_view members) {
  return R"({"weight_map":{)" + std::string(members) + "}}";
}

void add_syntax_rows(std::vector<SetRow>& table) {
  const std::string good = good_index().build();
  const std::vector<SetRow> rows{
      fine("an index opens all of its shards", good),
      fine("an index with a total size is fine", good_index().metadata("total_size", "48").build()),
      fine("an index with a total size of another kind is fine",
           good_index()
               .metadata("total_size", "4.8e1")
               .metadata("n", "null")
               .metadata("l", "[1,{}]")
               .build()),
      fine("an index with null metadata is fine",
           R"({"metadata":null,)" + good.substr(good.find("\"weight_map\""))),
      fine("an index with fields that nobody knows is fine",
           R"({"version":[1,{"a":2}],)" + good.substr(1)),
      fine("an index with white space is fine", " \r\n\t" + good + "\n"),
      fine(
          "escaped names are those names",
          mapping(R"("\u0061":"1.safetensors","b":"\u0031.safetensors","c":"2.\u0073afetensors")")),
      refused("an index cut short is malformed", good.substr(0, good.size() - 1) + "^",
              Errc::bad_json),
      refused("an index with a comma too many is malformed", mapping(R"("a":"1.safetensors",^)"),
              Errc::bad_json),
      refused("an index with something behind it is malformed", good + "^x", Errc::bad_json),
      refused("an index that is not UTF-8 is refused", mapping("\"^\xFF\":\"1.safetensors\""),
              Errc::bad_utf8),
      refused("an index without a weight_map is a JSON document", R"(^{"metadata":{}})",
              Errc::json_document),
      refused("a weight_map that is an array is malformed", R"({"weight_map":^[]})",
              Errc::bad_json),
      refused("two weight_maps are refused", R"({"weight_map":{},^"weight_map":{}})",
              Errc::duplicate_key, "weight_map"),
      refused("two metadata are refused", R"({"metadata":{},^"metadata":{},"weight_map":{}})",
              Errc::duplicate_key, "metadata"),
      refused("a key of the metadata twice is refused",
              R"({"metadata":{"a":1,^"a":2},"weight_map":{}})", Errc::duplicate_key, "a"),
      refused("a tensor twice in an index is refused",
              mapping(R"("a":"1.safetensors",^"a":"1.safetensors")"), Errc::duplicate_tensor, "a"),
      refused("a tensor twice in an index, for two files, is refused",
              mapping(R"("a":"1.safetensors",^"a":"2.safetensors")"), Errc::duplicate_tensor, "a"),
      refused("a tensor twice in an index, once with an escape, is refused",
              mapping(R"("a":"1.safetensors",^"\u0061":"1.safetensors")"), Errc::duplicate_tensor,
              "a"),
      refused("a key of the metadata twice, once with an escape, is refused",
              R"({"metadata":{"\u0061":1,^"a":2},"weight_map":{}})", Errc::duplicate_key, "a"),
      refused("two weight_maps, one with an escape, are refused",
              R"({"weight_map":{},^"weight\u005fmap":{}})", Errc::duplicate_key, "weight_map"),
      refused("a byte order mark before an index is malformed", "^\xEF\xBB\xBF" + good,
              Errc::bad_json),
      refused("a NUL behind an index is malformed", good + "^" + std::string(1, '\0'),
              Errc::bad_json),
      refused("a pair of surrogates the wrong way round is malformed in an index",
              mapping(R"("\ude0a^\ud83d":"1.safetensors")"), Errc::bad_json),
      refused("an overlong dot is not UTF-8", mapping("\"a\":\"^\xC0\xAE\xC0\xAE\""),
              Errc::bad_utf8),
      refused("a file name of 1,000,000 digits without quotes is refused",
              mapping(R"("a":^)" + std::string(1'000'000, '9')), Errc::bad_field, "a"),
      fine("numbers of 1,000,000 digits are metadata where a double is as large",
           good_index()
               .metadata("e", "-1e-" + std::string(1'000'000, '9'))
               .metadata("f", "0." + std::string(1'000'000, '0') + "1")
               .metadata("g", "1." + std::string(1'000'000, '9'))
               .build()),
      fine("numbers that no double can be as large as are nothing where nobody reads them",
           R"({"version":1e400,)" + good.substr(1)),
      refused("an index nested too deep is refused",
              R"({"x":)" + std::string(127, '[') + "^[" + std::string(1'000, '['),
              Errc::json_too_deep),
  };
  table.insert(table.end(), rows.begin(), rows.end());
  for (const std::string& number :
       {std::string("1e400"), std::string("-1e400"), std::string("1.8e308"),
        std::string("1.7976931348623159e308"), std::string(310, '9'), std::string(1'000'000, '9'),
        "-1e" + std::string(1'000'000, '9'), "0.0001E+" + std::string(100, '9')}) {
    table.push_back(
        refused("metadata of " + number.substr(0, 30) + " is refused: no double is that large",
                R"({"metadata":{"a":1,"total_size": ^)" + number + R"(},"weight_map":{"a":"b"}})",
                Errc::bad_field, "total_size"));
  }
  for (const std::string_view number :
       {"^Infinity", "-^Infinity", "^NaN", "^nan", "^inf", "-^nan", "0^x10", "0^x1p9", "^+1", "^.5",
        "1.^", "1e^", "0^1", "-^", "1^_000", "1^f"}) {
    table.push_back(
        refused("metadata of " + std::string(number) + " is malformed",
                R"({"metadata":{"a":)" + std::string(number) + R"(},"weight_map":{"a":"b"}})",
                Errc::bad_json));
  }
  for (const std::string_view value : {"1", "null", "true", "[\"1.safetensors\"]", "{}"}) {
    table.push_back(refused("a file name that is " + std::string(value) + " is refused",
                            mapping(R"("a":^)" + std::string(value)), Errc::bad_field, "a"));
  }
}

void add_name_rows(std::vector<SetRow>& table) {
  using std::string_view_literals::operator""sv;
  struct Name {
    std::string_view json;
    std::string_view decoded;
  };
  for (const Name& name :
       {Name{"../1.safetensors", "../1.safetensors"}, Name{"..", ".."}, Name{".", "."},
        Name{"", ""}, Name{"/etc/passwd", "/etc/passwd"},
        Name{"sub/1.safetensors", "sub/1.safetensors"}, Name{"./1.safetensors", "./1.safetensors"},
        Name{R"(..\\1.safetensors)", R"(..\1.safetensors)"},
        Name{R"(C:\\1.safetensors)", R"(C:\1.safetensors)"},
        Name{"C:1.safetensors", "C:1.safetensors"}, Name{R"(\/etc\/passwd)", "/etc/passwd"},
        Name{R"(\u002e\u002e)", ".."}, Name{R"(\u002e\u002e\u002f1)", "../1"},
        Name{R"(..\\..\\1.safetensors)", R"(..\..\1.safetensors)"},
        Name{R"(\\\\server\\1.safetensors)", R"(\\server\1.safetensors)"},
        Name{"1.safetensors/", "1.safetensors/"}, Name{"//host/1", "//host/1"},
        Name{"https://host/1", "https://host/1"}, Name{"file:///etc/passwd", "file:///etc/passwd"},
        // What systems make of a name that is whole elsewhere: another stream of a file, a device,
        // the name without its end.
        Name{"1.safetensors:stream", "1.safetensors:stream"}, Name{"data:,1", "data:,1"},
        Name{"javascript:1", "javascript:1"}, Name{"...", "..."}, Name{".. ", ".. "},
        Name{"1.safetensors.", "1.safetensors."}, Name{"1.safetensors ", "1.safetensors "},
        Name{" ", " "}, Name{"NUL", "NUL"}, Name{"con.safetensors", "con.safetensors"},
        Name{"Aux .safetensors", "Aux .safetensors"}, Name{"PRN.1.gguf", "PRN.1.gguf"},
        Name{"com1", "com1"}, Name{"LPT9.safetensors", "LPT9.safetensors"},
        Name{R"(\u0000)", "\0"sv}, Name{R"(\u0000..\/1)", "\0../1"sv},
        Name{R"(1.safetensors\u0000.txt)", "1.safetensors\0.txt"sv}}) {
    table.push_back(refused(
        "a shard called '" + std::string(name.json) + "' is refused before any file is touched",
        mapping(R"("a":^")" + std::string(name.json) + "\""), Errc::bad_shard_name, name.decoded));
  }
  const SetRow hidden{.fact = "a plain name may begin with dots and hold spaces",
                      .files = {{"..1 .safetensors", shard({"a"})},
                                {kIndex, bytes_of(mapping(R"("a":"..1 .safetensors")"))}},
                      .open = {kIndex},
                      .tensors = {"a@..1 .safetensors"}};
  table.push_back(hidden);
  // None of these means anything but itself, here or anywhere: nothing is decoded a second time.
  for (const std::string_view name : {"%2e%2e",
                                      "%2e%2e%2f1.safetensors",
                                      "..%2f1",
                                      "%2fetc%2fpasswd",
                                      "%00",
                                      "~",
                                      "~root",
                                      "$HOME",
                                      "-rf",
                                      "*",
                                      "console.safetensors",
                                      "com.safetensors",
                                      "com10",
                                      "lpt",
                                      "nullptr.gguf",
                                      "..\u2215..\u22151",
                                      "\uFF0E\uFF0E",
                                      "1.safetensors?token=x#y",
                                      "\u202Egnp",
                                      "a\x7F"}) {
    table.push_back({.fact = "a shard called '" + std::string(name) + "' is that file and no other",
                     .files = {{std::string(name), shard({"a"})},
                               {kIndex, bytes_of(mapping("\"a\":\"" + std::string(name) + "\""))}},
                     .open = {kIndex},
                     .tensors = {"a@" + std::string(name)}});
  }
}

void add_content_rows(std::vector<SetRow>& table) {
  const auto with_second = [](Bytes second) {
    Files files = with_index(good_index().build());
    files[1].second = std::move(second);
    return files;
  };
  Bytes cut = shard({"c"});
  cut.pop_back();
  const std::uint64_t cut_size = cut.size();
  const std::vector<SetRow> rows{
      {.fact = "a shard that is missing is named",
       .files = {{"1.safetensors", shard({"a", "b"})}, {kIndex, bytes_of(good_index().build())}},
       .open = {kIndex},
       .refusal = Errc::missing_shard,
       .blamed = kIndex,
       .subject = "2.safetensors"},
      refused(
          "a tensor that is in no shard is refused",
          mapping(
              R"("a":"1.safetensors","b":"1.safetensors","c":"2.safetensors",^"d":"2.safetensors")"),
          Errc::tensor_not_in_shard, "d"),
      refused("a tensor that is in another shard than the index says is refused",
              mapping(R"("a":"1.safetensors",^"b":"2.safetensors","c":"2.safetensors")"),
              Errc::tensor_not_in_shard, "b"),
      {.fact = "a tensor that the index does not know is odd, and there",
       .files = with_index(
           IndexBuilder().tensor("a", "1.safetensors").tensor("c", "2.safetensors").build()),
       .open = {kIndex},
       .tensors = kAll,
       .odd = {Errc::not_in_index}},
      {.fact = "of a tensor in two shards the one that the index names is there",
       .files = with_second(shard({"b", "c"})),
       .open = {kIndex},
       .tensors = kAll,
       .odd = {Errc::not_in_index}},
      {.fact = "a tensor in two shards that the index does not know is refused",
       .files = {{"1.safetensors", shard({"a", "x"})},
                 {"2.safetensors", shard({"c", "x"})},
                 {kIndex, bytes_of(IndexBuilder()
                                       .tensor("a", "1.safetensors")
                                       .tensor("c", "2.safetensors")
                                       .build())}},
       .open = {kIndex},
       .refusal = Errc::duplicate_tensor,
       .blamed = "2.safetensors",
       .subject = "x"},
      {.fact = "a shard that is a GGUF is refused",
       .files = with_second(GgufBuilder().tensor({.name = "c", .dims = {4}}).build().bytes()),
       .open = {kIndex},
       .refusal = Errc::mixed_formats,
       .blamed = "2.safetensors"},
      {.fact = "a shard that is broken is refused by its own name and byte",
       .files = with_second(cut),
       .open = {kIndex},
       .refusal = Errc::outside_file,
       .blamed = "2.safetensors",
       .subject = "c",
       .offset = cut_size},
      refused("an index that names no tensor is refused", R"({"metadata":{},^"weight_map":{}})",
              Errc::empty_index),
      refused("an index without tensors is refused, whatever else is in it",
              R"( {^"weight_map": {}, "more": 1})", Errc::empty_index),
      {.fact = "a shard of a set is a file of its own",
       .files = with_index(good_index().build()),
       .open = {"2.safetensors"},
       .tensors = {"c@2.safetensors"}},
      {.fact = "an index may have any name",
       .files = {{"1.safetensors", shard({"a"})},
                 {"any", bytes_of(mapping(R"("a":"1.safetensors")"))}},
       .open = {"any"},
       .tensors = {"a@1.safetensors"}},
      {.fact = "an index that names itself is refused as a shard",
       .files = {{kIndex, bytes_of(mapping(R"("a":"model.safetensors.index.json")"))}},
       .open = {kIndex},
       .refusal = Errc::json_document,
       .blamed = kIndex,
       .offset = 0},
  };
  table.insert(table.end(), rows.begin(), rows.end());
}

std::vector<SetRow> rows() {
  std::vector<SetRow> table;
  add_syntax_rows(table);
  add_name_rows(table);
  add_content_rows(table);
  return table;
}

TEST_CASE("an index and its shards are one model, or refused") {
  for (const SetRow& row : index_rows()) check_row(row);
}

TEST_CASE("an index has its own metadata, each with the type that it is written as") {
  const TempDir folder;
  const std::string index = good_index()
                                .metadata("total_size", "18446744073709551615")
                                .metadata("negative", "-9223372036854775808")
                                .metadata("float", "1.5")
                                .metadata("large", "18446744073709551616")
                                .metadata("largest", "-1.7976931348623157e308")
                                .metadata("smallest", "4.9e-324")
                                .metadata("below", "1e-400")
                                .metadata("negative below", "-1e-400")
                                .metadata("negative zero", "-0.0")
                                .metadata("yes", "true")
                                .metadata("no", "false")
                                .metadata("text", R"("a\nb")")
                                .metadata("list", "[1, 2]")
                                .build();
  for (const auto& [name, bytes] : with_index(index)) folder.write(name, bytes);
  const Model model = Model::open(folder / kIndex);
  const Metadata& metadata = model.metadata();
  CHECK(model.is_sharded());
  CHECK(model.format() == Format::safetensors);
  CHECK_FALSE(model.version());
  CHECK_FALSE(model.alignment());
  CHECK(metadata.size() == 13);
  CHECK(metadata.get<std::uint64_t>("total_size") == UINT64_MAX);
  CHECK(metadata.get<std::int64_t>("negative") == INT64_MIN);
  CHECK(metadata.get<double>("float") == 1.5);
  CHECK(metadata.get<double>("large") == 18446744073709551616.0);
  CHECK(metadata.get<double>("largest") == -std::numeric_limits<double>::max());
  CHECK(metadata.get<double>("smallest") == std::numeric_limits<double>::denorm_min());
  // Compared by their bits: what is too small is zero, and keeps its sign.
  const auto bits = [&](std::string_view key) { return metadata.find(key)->bits(); };
  constexpr std::uint64_t kNegativeZero = std::uint64_t{1} << 63;
  CHECK(bits("below") == 0);
  CHECK(bits("negative below") == kNegativeZero);
  CHECK(bits("negative zero") == kNegativeZero);
  CHECK(metadata.get<bool>("yes") == true);
  CHECK(metadata.get<bool>("no") == false);
  CHECK(metadata.get<std::string_view>("text") == "a\nb");
  CHECK(metadata.get<std::string_view>("list") == "[1, 2]");
}

TEST_CASE("shards of an index come in the order of their names") {
  const TempDir folder;
  folder.write("b.safetensors", shard({"y"}));
  folder.write("a.safetensors", shard({"x"}));
  folder.write_text(kIndex, mapping(R"("y":"b.safetensors","x":"a.safetensors")"));
  const Model model = Model::open(folder / kIndex);
  REQUIRE(model.shards().size() == 2);
  CHECK(model.shards()[0].file == "a.safetensors");
  CHECK(model.tensors()[0].name == "x");
  CHECK(std::ranges::equal(model.bytes(model.at("y")), noise(16, 1)));
}

TEST_CASE("the shards of an index may be listed in any order, or without names in its own") {
  const auto data_of = [](std::string_view name) {
    for (const auto& [file, bytes] : with_index(good_index().build())) {
      if (file == name) return ModelData::from_vector(bytes);
    }
    return ModelData();
  };
  const auto names = Model::siblings(data_of(kIndex), "anything");
  CHECK(names == std::vector<std::string>{"1.safetensors", "2.safetensors"});

  const auto model_of = [&](std::vector<std::string> called, std::vector<std::string_view> files) {
    std::vector<Model::Shard> shards;
    shards.push_back({.file = "index", .data = data_of(kIndex)});
    for (std::size_t i = 0; i < files.size(); ++i)
      shards.push_back({.file = called[i], .data = data_of(files[i])});
    return Model::from_shards(std::move(shards));
  };
  const std::vector<std::string_view> ordered{"1.safetensors", "2.safetensors"};
  const std::vector<std::string_view> reversed{"2.safetensors", "1.safetensors"};
  const Model unnamed = model_of({"", ""}, ordered);
  CHECK(unnamed.tensors().size() == 3);
  const Model model = model_of({"2.safetensors.gz", "1.safetensors"}, reversed);
  CHECK(model.shards()[0].file == "1.safetensors");
  CHECK(model.shards()[1].file == "2.safetensors.gz");
  CHECK(model.find("c")->shard == 1);
  CHECK_THROWS_AS(model_of({"", ""}, reversed), Error);
  CHECK_THROWS_AS(model_of({"1.safetensors"}, {ordered[0]}), Error);
  CHECK_THROWS_AS(model_of({"1.safetensors", "3.safetensors"}, ordered), Error);
  CHECK_THROWS_AS(model_of({"1.safetensors", "2.safetensors", "3.safetensors"},
                           {ordered[0], ordered[1], ordered[1]}),
                  Error);
}

TEST_CASE("an index outlives the memory it was read into, and so do its strings") {
  const TempDir folder;
  for (const auto& [name, bytes] :
       with_index(good_index().metadata("k", R"("v\u0061l")").build())) {
    folder.write(name, bytes);
  }
  Model model = Model::open(folder / kIndex);
  const Model moved = std::move(model);
  CHECK(moved.metadata().get<std::string_view>("k") == "val");
  CHECK(moved.find("c") != nullptr);
}

TEST_CASE("a file without a weight_map does not make the library look for files") {
  const TempDir folder;
  folder.write_text("config.json", R"({"architectures":["LlamaForCausalLM"]})");
  try {
    static_cast<void>(Model::open(folder / "config.json"));
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(error.code() == Errc::json_document);
  }
}

}  // namespace

const std::vector<SetRow>& index_rows() {
  static const std::vector<SetRow> kRows = rows();
  return kRows;
}

}  // namespace ballast::test
