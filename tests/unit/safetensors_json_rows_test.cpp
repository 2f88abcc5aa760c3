// The header of safetensors as JSON: its length, its syntax, its strings and its __metadata__.
//
// A caret marks the byte at fault.
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include <catch2/catch_test_macros.hpp>

#include <ballast/text.hpp>

#include "tests/support/hostile.hpp"
#include "tests/support/safetensors_builder.hpp"

namespace ballast::test {
namespace {

constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
constexpr std::string_view kTensor = R"("w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";

std::string with_tensor(std::string_view before, std::string_view after = "") {
  return "{" + std::string(before) + std::string(kTensor) + std::string(after) + "}";
}

// A header of one tensor with one more field in its description, which readers ignore.
std::string with_field(std::string_view json) {
  return R"({"w":{"extra":)" + std::string(json) +
         R"(,"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
}

HostileRow fine(std::string fact, std::string_view header) {
  return {.fact = std::move(fact), .sample = safetensors_with(header, 8)};
}

HostileRow refused(std::string fact, std::string_view header, Errc code,
                   std::string_view subject = {}) {
  return {.fact = std::move(fact),
          .sample = safetensors_with(header, 8),
          .refusal = code,
          .at = "here",
          .subject = subject};
}

std::string repeated(std::string_view text, int times) {
  std::string out;
  while (times-- > 0) out += text;
  return out;
}

void add_length_rows(std::vector<HostileRow>& table) {
  const Sample good = safetensors_with(with_tensor(""), 8);
  const std::vector<HostileRow> rows{
      {.fact = "a header of one tensor and its data are fine", .sample = good},
      {.fact = "a header of two characters is fine", .sample = safetensors_with("{}")},
      {.fact = "a header longer than the file is truncated",
       .sample = good.cut(good.at("header.end") - 1),
       .refusal = Errc::truncated,
       .at = "header",
       .expected = good.at("header.end"),
       .actual = good.at("header.end") - 1},
      {.fact = "a header whose length reaches a byte behind the file is truncated",
       .sample = good.with<std::uint64_t>("length", good.size() - 8 + 1),
       .refusal = Errc::truncated,
       .at = "header",
       .expected = good.size() + 1,
       .actual = good.size()},
      {.fact = "a header of 100,000,000 bytes may be, and is truncated in a small file",
       .sample = good.with<std::uint64_t>("length", 100'000'000),
       .refusal = Errc::truncated,
       .at = "header",
       .expected = 100'000'008},
      {.fact = "a header of 100,000,001 bytes is too large",
       .sample = good.with<std::uint64_t>("length", 100'000'001),
       .refusal = Errc::header_too_large,
       .at = "length",
       .expected = 100'000'000,
       .actual = 100'000'001},
      {.fact = "a header of 2^63 bytes is too large",
       .sample = good.with<std::uint64_t>("length", std::uint64_t{1} << 63),
       .refusal = Errc::header_too_large,
       .at = "length"},
      {.fact = "a header of 2^64-1 bytes is too large",
       .sample = good.with<std::uint64_t>("length", kMost),
       .refusal = Errc::header_too_large,
       .at = "length",
       .actual = kMost},
      {.fact = "a header of 2^64-8 bytes, whose end wraps to 0, is too large",
       .sample = good.with<std::uint64_t>("length", kMost - 7),
       .refusal = Errc::header_too_large,
       .at = "length"},
      {.fact = "a header over the cap that was asked for is too large",
       .sample = good,
       .refusal = Errc::header_too_large,
       .at = "length",
       .expected = kTensor.size() + 1,
       .actual = kTensor.size() + 2,
       .options = {.limits = {.max_header = kTensor.size() + 1}}},
      {.fact = "a header as long as the cap is fine",
       .sample = good,
       .options = {.limits = {.max_header = kTensor.size() + 2}}},
      {.fact = "a header of one byte is no JSON object",
       .sample = safetensors_with("{"),
       .refusal = Errc::bad_json,
       .at = "header.end"},
      {.fact = "a length that ends inside the JSON makes it malformed",
       .sample = safetensors_with(with_tensor("").insert(kTensor.size() + 1, "^"), 8)
                     .with<std::uint64_t>("length", kTensor.size() + 1),
       .refusal = Errc::bad_json,
       .at = "here"},
  };
  table.insert(table.end(), rows.begin(), rows.end());
}

void add_syntax_rows(std::vector<HostileRow>& table) {
  const std::vector<HostileRow> rows{
      fine("white space around the header is fine", " \t\r\n" + with_tensor("") + " \t\r\n "),
      fine("white space everywhere is fine",
           "{ \"w\" : {\n\"dtype\"\t: \"F32\" ,\r\"shape\" : [ 2 ] , \"data_offsets\" : [ 0 , 8 ] "
           "} }"),
      fine("the fields of a tensor come in any order",
           R"({"w":{"data_offsets":[0,8],"shape":[2],"dtype":"F32"}})"),
      refused("a byte order mark is malformed", "^\xEF\xBB\xBF" + with_tensor(""), Errc::bad_json),
      refused("NULs in place of the padding are malformed",
              with_tensor("") + "^" + std::string("\0\0", 2), Errc::bad_json),
      refused("a NUL in front is malformed", "^" + std::string(1, '\0') + with_tensor(""),
              Errc::bad_json),
      refused("a form feed is no white space", with_tensor("") + "^\f", Errc::bad_json),
      refused("a second object is malformed", with_tensor("") + "^{}", Errc::bad_json),
      refused("a tilde behind the object is malformed", with_tensor("") + "^~", Errc::bad_json),
      refused("a comma before the brace is malformed", with_tensor("", ",^"), Errc::bad_json),
      refused("a comma in front is malformed", with_tensor("^,"), Errc::bad_json),
      refused("two commas are malformed", with_tensor("", ",^,\"v\":{}"), Errc::bad_json),
      refused("a missing comma is malformed", with_tensor("", "^\"v\":{}"), Errc::bad_json),
      refused("a missing colon is malformed", with_tensor(R"("a" ^{},)"), Errc::bad_json),
      refused("a key without quotes is malformed", with_tensor("^a:{},"), Errc::bad_json),
      refused("a key in single quotes is malformed", with_tensor("^'a':{},"), Errc::bad_json),
      refused("a comment is malformed", with_tensor("^/* */"), Errc::bad_json),
      refused("a brace that is not closed is malformed", "{" + std::string(kTensor) + "^",
              Errc::bad_json),
      refused("a bracket closed by a brace is malformed",
              R"({"w":{"dtype":"F32","shape":[2^},"data_offsets":[0,8]}})", Errc::bad_json),
      refused("an array in place of the object is malformed", "^[" + with_tensor("") + "]",
              Errc::bad_json),
      refused("a string in place of the object is malformed", "^\"w\"", Errc::bad_json),
      refused("a number in place of the object is malformed", "^42", Errc::bad_json),
      refused("null in place of the object is malformed", "^null", Errc::bad_json),
      refused("nothing but white space is malformed", "    ^", Errc::bad_json),
      refused("a word that JSON has not is malformed in an ignored field", with_field("^True"),
              Errc::bad_json),
      refused("NaN is malformed in an ignored field", with_field("^NaN"), Errc::bad_json),
      refused("a word that goes on is malformed", with_field("null^x"), Errc::bad_json),
      refused("a number that begins with a plus is malformed", with_field("^+1"), Errc::bad_json),
      refused("a number that begins with a point is malformed", with_field("^.5"), Errc::bad_json),
      refused("a number that ends in a point is malformed", with_field("1.^"), Errc::bad_json),
      refused("an exponent without digits is malformed", with_field("1e^"), Errc::bad_json),
      refused("an exponent of a sign alone is malformed", with_field("1e+^"), Errc::bad_json),
      refused("a leading zero is malformed", with_field("0^1"), Errc::bad_json),
      refused("a minus alone is malformed", with_field("-^"), Errc::bad_json),
      refused("a hexadecimal number is malformed", with_field("0^x10"), Errc::bad_json),
      refused("an escape of two digits is malformed in an ignored field", with_field(R"("\u00^")"),
              Errc::bad_json),
      refused("an escape with a letter over f is malformed in an ignored key",
              with_field(R"({"\u00^g0":1})"), Errc::bad_json),
      refused("half of a surrogate pair is malformed in an ignored field",
              with_field(R"("\ud83d^")"), Errc::bad_json),
      fine("an ignored field may hold any JSON",
           with_field(R"({"a":[1,-2.5e-300,true,false,null,"\u00e9",[],{}],"":{"b":[[]]}})")),
      fine("an ignored field may hold a number of 1,000 digits",
           with_field(std::string(1'000, '9'))),
      fine("an ignored field may hold a number no double has", with_field("-1e99999")),
      fine("an ignored field may hold minus zero", with_field("-0")),
      fine("an ignored field twice is ignored twice",
           R"({"w":{"x":1,"x":2,"dtype":"F32","shape":[2],"data_offsets":[0,8]}})"),
  };
  table.insert(table.end(), rows.begin(), rows.end());
}

void add_depth_rows(std::vector<HostileRow>& table) {
  // The header is one level and the description another, so 126 more make 128.
  const auto arrays = [](int depth) { return repeated("[", depth) + repeated("]", depth); };
  const auto objects = [](int depth) {
    return repeated(R"({"x":)", depth) + "1" + repeated("}", depth);
  };
  table.push_back(fine("arrays nested 128 deep are ignored", with_field(arrays(126))));
  table.push_back(fine("objects nested 128 deep are ignored", with_field(objects(126))));
  table.push_back(refused("an array 129 deep is refused",
                          with_field(repeated("[", 126) + "^[]" + repeated("]", 126)),
                          Errc::json_too_deep));
  table.push_back(refused("an object 129 deep is refused",
                          with_field(repeated("[", 126) + "^{}" + repeated("]", 126)),
                          Errc::json_too_deep));
  table.push_back(refused("white space does not move the place of the array that is too deep",
                          with_field(repeated("[ ", 126) + "^[   ]" + repeated(" ]", 126)),
                          Errc::json_too_deep));
  table.push_back(refused(
      "arrays 100,000 deep are refused at the 129th",
      with_field(repeated("[", 126) + "^[" + repeated("[", 99'999) + repeated("]", 100'126)),
      Errc::json_too_deep));
  table.push_back(refused("arrays that are never closed are refused at the 129th",
                          R"({"w":{"x":)" + repeated("[", 126) + "^[" + repeated("[", 99'999),
                          Errc::json_too_deep));
  table.push_back(fine("arrays beside each other are not deep",
                       with_field("[" + repeated("[],", 100'000) + "1]")));
}

void add_string_rows(std::vector<HostileRow>& table) {
  const auto named = [](std::string_view name) {
    return R"({")" + std::string(name) + R"(":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  };
  const std::vector<HostileRow> rows{
      fine("every short escape is fine", named(R"(\"\\\/\b\f\n\r\t)")),
      fine("an escape by number is fine, in capitals and small letters",
           named(R"(\u00e9\u00E9\u20AC)")),
      fine("a NUL by escape is fine", named(R"(a\u0000b)")),
      fine("a pair of surrogates is fine", named(R"(\ud83d\ude0a\uDBFF\uDFFF)")),
      fine("characters of two, three and four bytes are fine", named("\u00E9\u20AC\U0001F60A")),
      fine("a DEL is fine", named("\x7F")),
      fine("an empty name is fine", named("")),
      fine("a name of 100,000 bytes is fine", named(std::string(100'000, 'n'))),
      fine("an escaped field name is that field",
           R"({"w":{"\u0064type":"F32","sh\u0061pe":[2],"data\u005foffsets":[0,8]}})"),
      fine("an escaped __metadata__ is the metadata",
           R"({"\u005f_metadata__":{"a":"b"},)" + std::string(kTensor) + "}"),
      fine("an escaped dtype is that dtype",
           R"({"w":{"dtype":"\u004632","shape":[2],"data_offsets":[0,8]}})"),
      refused("a high surrogate alone is malformed", named(R"(\ud83d^x)"), Errc::bad_json),
      refused("a high surrogate before another escape is malformed", named(R"(\ud83d^\n)"),
              Errc::bad_json),
      refused("a high surrogate before a character is malformed", named(R"(\ud83d\u0041^)"),
              Errc::bad_json),
      refused("two high surrogates are malformed", named(R"(\ud83d\ud83d^)"), Errc::bad_json),
      refused("a low surrogate alone is malformed", named(R"(\ude0a^)"), Errc::bad_json),
      refused("an escape of three digits is malformed", named(R"(\u00e^)"), Errc::bad_json),
      refused("an escape with a letter over f is malformed", named(R"(\u00^g0)"), Errc::bad_json),
      refused("an escape that JSON has not is malformed", named(R"(^\x41)"), Errc::bad_json),
      refused("a capital U is no escape", named(R"(^\U0041)"), Errc::bad_json),
      refused("a backslash before the end is malformed", R"({"w\"})" + std::string("^"),
              Errc::bad_json),
      refused("a string without an end is malformed", R"({"w)" + std::string("^"), Errc::bad_json),
  };
  table.insert(table.end(), rows.begin(), rows.end());
  for (int c = 0; c < 0x20; ++c) {
    const std::string control(1, static_cast<char>(c));
    table.push_back(refused("control character " + std::to_string(c) + " in a string is malformed",
                            named("some name^" + control), Errc::bad_json));
    table.push_back(
        refused("control character " + std::to_string(c) + " behind an escape is malformed",
                named("\\n^" + control), Errc::bad_json));
  }
  // Every kind of invalid UTF-8 at every distance from the start of a machine word.
  for (const std::string_view bad :
       {"\xFF", "\x80", "\xC3", "\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82"}) {
    for (std::size_t before = 0; before < 9; ++before) {
      table.push_back(refused("'" + printable(bad) + "' after " + std::to_string(before) +
                                  " characters of a name is refused",
                              named(std::string(before, 'n') + "^" + std::string(bad)),
                              Errc::bad_utf8));
    }
  }
  table.push_back(refused("invalid UTF-8 in an ignored field is refused", with_field("\"^\xFF\""),
                          Errc::bad_utf8));
  table.push_back(refused("invalid UTF-8 in the padding is refused", with_tensor("") + " ^\xFF",
                          Errc::bad_utf8));
  table.push_back(refused("UTF-8 is judged before the syntax", "{,,,^\xFF}", Errc::bad_utf8));
}

void add_metadata_rows(std::vector<HostileRow>& table) {
  const auto metadata = [](std::string_view json) {
    return R"({"__metadata__":)" + std::string(json) + "," + std::string(kTensor) + "}";
  };
  const std::vector<HostileRow> rows{
      fine("metadata of strings are fine", metadata(R"({"a":"b","":"","\u0000":"\ud83d\ude0a"})")),
      fine("empty metadata are fine", metadata("{}")),
      fine("null metadata are fine", metadata("null")),
      fine("metadata may come last", with_tensor("", R"(,"__metadata__":{"a":"b"})")),
      fine("a tensor may be called metadata",
           R"({"metadata":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})"),
      refused("metadata that are a word which begins as null does are malformed", metadata("^nul"),
              Errc::bad_json),
      refused(
          "metadata twice are refused",
          R"({"__metadata__":{"a":"b"},^"__metadata__":{"c":"d"},)" + std::string(kTensor) + "}",
          Errc::duplicate_key, "__metadata__"),
      refused("null metadata and then others are metadata twice",
              R"({"__metadata__":null,^"__metadata__":{"c":"d"},)" + std::string(kTensor) + "}",
              Errc::duplicate_key, "__metadata__"),
      refused("a key of the metadata twice is refused", metadata(R"({"a":"b","c":"d",^"a":"b"})"),
              Errc::duplicate_key, "a"),
      refused("a key of the metadata that is equal once it is decoded is refused",
              metadata(R"({"ab":"1",^"a\u0062":"2"})"), Errc::duplicate_key, "ab"),
  };
  table.insert(table.end(), rows.begin(), rows.end());
  for (const std::string_view value : {"[]", "\"text\"", "1", "true"}) {
    table.push_back(refused("metadata that are " + std::string(value) + " are refused",
                            metadata("^" + std::string(value)), Errc::bad_field, "__metadata__"));
  }
  for (const std::string_view value :
       {"1", "-1.5", "true", "false", "null", "{}", "[]", "[\"x\"]"}) {
    table.push_back(refused("a value of the metadata that is " + std::string(value) + " is refused",
                            metadata(R"({"a":"b","k":^)" + std::string(value) + "}"),
                            Errc::bad_field, "k"));
  }
  HostileRow too_many = refused("entries over the cap are refused",
                                metadata(R"({"a":"b",^"c":"d"})"), Errc::too_many_entries);
  too_many.options.limits.max_entries = 1;
  too_many.subject = "c";
  too_many.expected = 1;
  table.push_back(too_many);
  HostileRow long_value = refused("a string of the metadata over the cap is refused",
                                  metadata(R"({"a":^"bcdef"})"), Errc::string_too_long, "a");
  long_value.options.limits.max_string = 4;
  long_value.expected = 4;
  long_value.actual = 5;
  table.push_back(long_value);
  HostileRow long_key = refused("a key of the metadata over the cap is refused",
                                metadata(R"({^"abcde":"f"})"), Errc::string_too_long, "abcde");
  long_key.options.limits.max_string = 4;
  table.push_back(long_key);
}

std::vector<HostileRow> rows() {
  std::vector<HostileRow> table;
  add_length_rows(table);
  add_syntax_rows(table);
  add_depth_rows(table);
  add_string_rows(table);
  add_metadata_rows(table);
  return table;
}

TEST_CASE("the header of safetensors is judged as JSON") {
  for (const HostileRow& row : safetensors_json_rows()) check_row(row);
}

}  // namespace

const std::vector<HostileRow>& safetensors_json_rows() {
  static const std::vector<HostileRow> kRows = rows();
  return kRows;
}

}  // namespace ballast::test
