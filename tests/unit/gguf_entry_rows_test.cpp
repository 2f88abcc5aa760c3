// GGUF's metadata: keys, value types, strings, arrays and the alignment.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "tests/support/gguf_builder.hpp"
#include "tests/support/hostile.hpp"

namespace ballast::test {
namespace {

constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t kHalf = std::uint64_t{1} << 63;

const std::vector<std::pair<std::string, GgufValue>> kEveryType{
    {"u8", std::uint8_t{200}},
    {"i8", std::int8_t{-100}},
    {"u16", std::uint16_t{60'000}},
    {"i16", std::int16_t{-30'000}},
    {"u32", std::uint32_t{4'000'000'000}},
    {"i32", std::int32_t{-2'000'000'000}},
    {"f32", 1.5F},
    {"bool", true},
    {"string", "text"},
    {"array", array_of<std::uint16_t>({1, 2, 3})},
    {"u64", kMost},
    {"i64", std::int64_t{-1}},
    {"f64", 2.5},
};

// Arrays in arrays, `depth` of them in all.
GgufValue nested(int depth) {
  GgufValue value = array_of<std::uint8_t>({1});
  while (--depth > 0) value = GgufValue::array(ValueType::array, {std::move(value)});
  return value;
}

// The same without building a tree, which would be taken down recursively.
Sample nested_100000() {
  Bytes raw;
  for (int i = 0; i < 100'000; ++i) {
    append_number(raw, static_cast<std::uint64_t>(ValueType::array), 4);
    append_number(raw, 1, 8);
  }
  append_number(raw, static_cast<std::uint64_t>(ValueType::u8), 4);
  append_number(raw, 0, 8);
  return GgufBuilder().raw_entry("deep", 9, std::move(raw)).build();
}

Sample with_alignment(std::uint32_t alignment) {
  return GgufBuilder()
      .aligned(alignment)
      .tensor({.name = "w", .dims = {3}})
      .tensor({.name = "v", .dims = {2}})
      .build();
}

void add_key_rows(std::vector<HostileRow>& table) {
  const Sample one = GgufBuilder().entry("key", std::uint32_t{7}).build();
  const std::vector<HostileRow> rows{
      {.fact = "a key of 2^63 bytes is refused at its length",
       .sample = one.with<std::uint64_t>("entry[0]", kHalf),
       .refusal = Errc::string_too_long,
       .at = "entry[0]",
       .expected = std::uint64_t{64} << 20,
       .actual = kHalf},
      {.fact = "a key of 2^64-1 bytes is refused at its length",
       .sample = one.with<std::uint64_t>("entry[0]", kMost),
       .refusal = Errc::string_too_long,
       .at = "entry[0]"},
      {.fact = "a key longer than the file is truncated",
       .sample = one.with<std::uint64_t>("entry[0]", 1'000),
       .refusal = Errc::truncated,
       .at = "entry[0].key",
       .expected = 24 + 8 + 1'000,
       .actual = one.size()},
      {.fact = "a key over the cap of strings is refused",
       .sample = one,
       .refusal = Errc::string_too_long,
       .at = "entry[0]",
       .expected = 2,
       .actual = 3,
       .options = {.limits = {.max_string = 2}}},
      {.fact = "an empty key is refused",
       .sample = GgufBuilder().entry("another", true).entry("", true).build(),
       .refusal = Errc::empty_key,
       .at = "entry[1]",
       .actual = 1},
      {.fact = "a key of 65,535 bytes is fine",
       .sample = GgufBuilder().entry(std::string(65'535, 'k'), true).build()},
      {.fact = "a key of 65,536 bytes is odd",
       .sample = GgufBuilder().entry(std::string(65'536, 'k'), true).build(),
       .odd = {{Errc::long_key, "entry[0]"}}},
      {.fact = "a key that is not UTF-8 is odd",
       .sample = GgufBuilder().entry("k\xFF", true).build(),
       .odd = {{Errc::not_utf8, "entry[0]"}}},
      {.fact = "a key in capitals, with spaces and without dots is fine",
       .sample = GgufBuilder().entry("Zo\u00EB's KEY", true).build()},
      {.fact = "a key twice is refused at the second",
       .sample = GgufBuilder().entry("a", true).entry("b", true).entry("a", true).build(),
       .refusal = Errc::duplicate_key,
       .at = "entry[2]",
       .subject = "a"},
      {.fact = "a key twice with values of two types is refused as well",
       .sample = GgufBuilder().entry("a", true).entry("a", "text").build(),
       .refusal = Errc::duplicate_key,
       .at = "entry[1]",
       .subject = "a"},
      {.fact = "keys that differ in case only are two keys",
       .sample = GgufBuilder().entry("a", true).entry("A", true).build()},
      {.fact = "a file that ends inside the length of a key is truncated there",
       .sample = GgufBuilder()
                     .entry("a", std::uint64_t{1})
                     .entry("b", std::uint64_t{1})
                     .build()
                     .cut_at("entry[1]", 7),
       .refusal = Errc::truncated,
       .at = "entry[1]"},
      {.fact = "a file that ends inside a value type is truncated there",
       .sample = GgufBuilder().entry("a key", true).build().cut_at("entry[0].type", 3),
       .refusal = Errc::truncated,
       .at = "entry[0].type",
       .subject = "a key"},
  };
  table.insert(table.end(), rows.begin(), rows.end());
}

void add_value_rows(std::vector<HostileRow>& table) {
  for (const auto& [type, value] : kEveryType) {
    // The first entry keeps the count of entries plausible when the last one is cut.
    const Sample sample =
        GgufBuilder().entry("long", std::string(20, 'x')).entry("k", value).build();
    table.push_back({.fact = "a value of type " + type + " is fine", .sample = sample});
    if (value.type == ValueType::string || value.type == ValueType::array) continue;
    table.push_back(
        {.fact = "a file that ends inside a value of type " + type + " is truncated there",
         .sample = sample.cut(sample.size() - 1),
         .refusal = Errc::truncated,
         .at = "entry[1].value",
         .subject = "k",
         .expected = sample.size(),
         .actual = sample.size() - 1});
  }
  for (const std::uint32_t type : {13U, 255U, 0x08000000U, 0xFFFFFFFFU}) {
    table.push_back(
        {.fact = "value type " + std::to_string(type) + " is refused at the type",
         .sample = GgufBuilder().entry("a", true).raw_entry("k", type, Bytes(8)).build(),
         .refusal = Errc::bad_value_type,
         .at = "entry[1].type",
         .subject = "k",
         .expected = 12,
         .actual = type});
  }
  const Sample text = GgufBuilder().entry("k", "some text").build();
  const std::vector<HostileRow> rows{
      {.fact = "a string of 2^63 bytes is refused at its length",
       .sample = text.with<std::uint64_t>("entry[0].value", kHalf),
       .refusal = Errc::string_too_long,
       .at = "entry[0].value",
       .subject = "k",
       .actual = kHalf},
      {.fact = "a string longer than the file is truncated",
       .sample = text.with<std::uint64_t>("entry[0].value", 10),
       .refusal = Errc::truncated,
       .at = "entry[0].value.text",
       .subject = "k",
       .expected = text.size() + 1,
       .actual = text.size()},
      {.fact = "a string over the cap is refused",
       .sample = text,
       .refusal = Errc::string_too_long,
       .at = "entry[0].value",
       .subject = "k",
       .expected = 8,
       .actual = 9,
       .options = {.limits = {.max_string = 8}}},
      {.fact = "a string as long as the cap is fine",
       .sample = text,
       .options = {.limits = {.max_string = 9}}},
      {.fact = "a string that is not UTF-8 is odd",
       .sample = GgufBuilder().entry("k", "caf\xE9").build(),
       .odd = {{Errc::not_utf8, "entry[0].value"}}},
      {.fact = "an empty string and one with a NUL are fine",
       .sample = GgufBuilder().entry("k", "").entry("l", std::string(3, '\0')).build()},
      {.fact = "a bool of 2 is odd",
       .sample = GgufBuilder().entry("k", GgufValue::raw(ValueType::boolean, 2)).build(),
       .odd = {{Errc::bad_bool, "entry[0].value"}}},
      {.fact = "the first odd bool of an array is named",
       .sample =
           GgufBuilder()
               .entry("k", GgufValue::array(ValueType::boolean,
                                            {true, false, GgufValue::raw(ValueType::boolean, 255),
                                             GgufValue::raw(ValueType::boolean, 2)}))
               .build(),
       .odd = {{Errc::bad_bool, "entry[0].value[2]"}}},
      {.fact = "a bool of 128 is odd too",
       .sample = GgufBuilder().entry("k", GgufValue::raw(ValueType::boolean, 128)).build(),
       .odd = {{Errc::bad_bool, "entry[0].value"}}},
  };
  table.insert(table.end(), rows.begin(), rows.end());
}

void add_array_rows(std::vector<HostileRow>& table) {
  for (const auto& [type, value] : kEveryType) {
    table.push_back({.fact = "an empty array of " + type + " is fine",
                     .sample = GgufBuilder().entry("k", GgufValue::array(value.type, {})).build(),
                     .odd = value.type == ValueType::array
                                ? std::vector<Odd>{{Errc::nested_array, "entry[0].value.items"}}
                                : std::vector<Odd>{}});
    // The counts that a careless multiplication turns into 0 or something small, and the ones that
    // none does.
    const std::uint64_t width = std::max<std::uint64_t>(width_of(value.type), 1);
    for (const std::uint64_t count :
         std::set<std::uint64_t>{kMost, kHalf, kMost / width, kMost / width / 2 + 1}) {
      table.push_back({.fact = std::to_string(count) + " elements of type " + type +
                               " are more than the file holds",
                       .sample = GgufBuilder()
                                     .entry("k", GgufValue::array(value.type, {}))
                                     .build()
                                     .with<std::uint64_t>("entry[0].value.count", count),
                       .refusal = Errc::count_too_large,
                       .at = "entry[0].value.count",
                       .subject = "k",
                       .expected = 0,
                       .actual = count});
    }
  }
  const Sample words = GgufBuilder().entry("k", array_of<std::string>({"ab", "cd", "ef"})).build();
  const Sample numbers = GgufBuilder().entry("k", array_of<std::uint32_t>({1, 2, 3})).build();
  const std::vector<HostileRow> rows{
      {.fact = "one number more than the file holds is refused at the count",
       .sample = numbers.with<std::uint64_t>("entry[0].value.count", 4),
       .refusal = Errc::count_too_large,
       .at = "entry[0].value.count",
       .subject = "k",
       .expected = 3,
       .actual = 4},
      {.fact = "an element type of 13 is refused at the type",
       .sample = numbers.with<std::uint32_t>("entry[0].value", 13),
       .refusal = Errc::bad_value_type,
       .at = "entry[0].value",
       .subject = "k",
       .actual = 13},
      {.fact = "a file that ends inside an element type is truncated there",
       .sample = numbers.cut_at("entry[0].value", 3),
       .refusal = Errc::truncated,
       .at = "entry[0].value",
       .subject = "k"},
      {.fact = "a file that ends inside a count is truncated there",
       .sample = numbers.cut_at("entry[0].value.count", 7),
       .refusal = Errc::truncated,
       .at = "entry[0].value.count",
       .subject = "k"},
      {.fact = "a string of 2^63 bytes in an array is refused at its length",
       .sample = words.with<std::uint64_t>("entry[0].value[1]", kHalf),
       .refusal = Errc::string_too_long,
       .at = "entry[0].value[1]",
       .subject = "k",
       .actual = kHalf},
      {.fact = "a string of 2^64-1 bytes in an array is refused at its length",
       .sample = words.with<std::uint64_t>("entry[0].value[2]", kMost),
       .refusal = Errc::string_too_long,
       .at = "entry[0].value[2]",
       .subject = "k"},
      {.fact = "a string of an array that is longer than the file is truncated",
       .sample = words.with<std::uint64_t>("entry[0].value[2]", 3),
       .refusal = Errc::truncated,
       .at = "entry[0].value[2].text",
       .subject = "k",
       .expected = words.size() + 1,
       .actual = words.size()},
      {.fact = "a file that ends inside the length of a string of an array is truncated there",
       .sample = GgufBuilder()
                     .entry("k", array_of<std::string>({"0123456789", "x"}))
                     .build()
                     .cut_at("entry[0].value[1]", 7),
       .refusal = Errc::truncated,
       .at = "entry[0].value[1]",
       .subject = "k"},
      {.fact = "a string of an array over the cap is refused",
       .sample = words,
       .refusal = Errc::string_too_long,
       .at = "entry[0].value[0]",
       .subject = "k",
       .options = {.limits = {.max_string = 1}}},
      {.fact = "an array of arrays is odd",
       .sample = GgufBuilder().entry("k", nested(2)).build(),
       .odd = {{Errc::nested_array, "entry[0].value.items"}}},
      {.fact = "arrays nested four deep are odd once",
       .sample = GgufBuilder().entry("k", nested(4)).build(),
       .odd = {{Errc::nested_array, "entry[0].value.items"}}},
      {.fact = "arrays nested five deep are refused",
       .sample = GgufBuilder().entry("k", nested(5)).build(),
       .refusal = Errc::array_too_deep,
       .at = "entry[0].value[0][0][0].items",
       .subject = "k",
       .expected = 4},
      {.fact = "arrays nested 100,000 deep are refused at the fifth",
       .sample =
           [] {
             const Sample named = GgufBuilder().entry("deep", nested(5)).build();
             const Sample deep = nested_100000();
             Sample marked;
             marked.write(std::span(deep.bytes()).first(named.at("entry[0].value[0][0][0].items")));
             marked.mark("the fifth array");
             marked.write(std::span(deep.bytes()).subspan(marked.size()));
             return marked;
           }(),
       .refusal = Errc::array_too_deep,
       .at = "the fifth array",
       .subject = "deep"},
      {.fact = "a cap of one array refuses an array in it",
       .sample = GgufBuilder().entry("k", nested(2)).build(),
       .refusal = Errc::array_too_deep,
       .at = "entry[0].value.items",
       .subject = "k",
       .expected = 1,
       .options = {.limits = {.max_array_depth = 1}}},
      {.fact = "a bad element type inside a nested array is refused at that type",
       .sample = GgufBuilder()
                     .entry("k", nested(3))
                     .build()
                     .with<std::uint32_t>("entry[0].value[0][0]", 99),
       .refusal = Errc::bad_value_type,
       .at = "entry[0].value[0][0]",
       .subject = "k",
       .actual = 99},
      {.fact = "a count inside a nested array is held against the file as well",
       .sample = GgufBuilder()
                     .entry("k", nested(3))
                     .build()
                     .with<std::uint64_t>("entry[0].value[0][0].count", 2),
       .refusal = Errc::count_too_large,
       .at = "entry[0].value[0][0].count",
       .subject = "k",
       .expected = 1,
       .actual = 2},
      {.fact = "strings of an array that are not UTF-8 are left to verify",
       .sample = GgufBuilder().entry("k", array_of<std::string>({"\xFF"})).build()},
  };
  table.insert(table.end(), rows.begin(), rows.end());
}

void add_alignment_rows(std::vector<HostileRow>& table) {
  for (const std::uint32_t alignment : {8U, 16U, 32U, 64U, 4'096U, 1U << 20}) {
    table.push_back({.fact = "an alignment of " + std::to_string(alignment) + " is fine",
                     .sample = with_alignment(alignment)});
  }
  for (const std::uint32_t alignment : {1U, 2U, 4U}) {
    table.push_back({.fact = "an alignment of " + std::to_string(alignment) + " is odd",
                     .sample = with_alignment(alignment),
                     .odd = {{Errc::odd_alignment, "entry[0].value"}}});
  }
  for (const std::uint32_t alignment : {0U, 3U, 13U, 24U, 33U, 1U << 21, 1U << 31, 0xFFFFFFFFU}) {
    table.push_back({.fact = "an alignment of " + std::to_string(alignment) + " is refused",
                     .sample = GgufBuilder()
                                   .entry("general.alignment", alignment)
                                   .tensor({.name = "w", .dims = {3}})
                                   .build(),
                     .refusal = Errc::bad_alignment,
                     .at = "entry[0].value",
                     .expected = 1U << 20,
                     .actual = alignment});
  }
  for (const auto& [type, value] : kEveryType) {
    if (value.type == ValueType::u32) continue;
    table.push_back({.fact = "an alignment of type " + type + " is refused at its type",
                     .sample = GgufBuilder().entry("general.alignment", value).build(),
                     .refusal = Errc::bad_alignment,
                     .at = "entry[0].type"});
  }
  const std::vector<HostileRow> rows{
      {.fact = "an alignment of 32 as u64 is refused all the same",
       .sample = GgufBuilder().entry("general.alignment", std::uint64_t{32}).build(),
       .refusal = Errc::bad_alignment,
       .at = "entry[0].type"},
      {.fact = "an alignment over the cap that was asked for is refused",
       .sample = with_alignment(64),
       .refusal = Errc::bad_alignment,
       .at = "entry[0].value",
       .expected = 32,
       .actual = 64,
       .options = {.limits = {.max_alignment = 32}}},
      {.fact = "an alignment that comes last holds all the same",
       .sample = GgufBuilder()
                     .layout_alignment(64)
                     .entry("a", true)
                     .entry("general.alignment", std::uint32_t{64})
                     .tensor({.name = "w", .dims = {3}})
                     .tensor({.name = "v", .dims = {3}})
                     .build()},
      {.fact = "two alignments are refused as a key twice",
       .sample = GgufBuilder().aligned(64).aligned(32).build(),
       .refusal = Errc::duplicate_key,
       .at = "entry[1]",
       .subject = "general.alignment"},
  };
  table.insert(table.end(), rows.begin(), rows.end());
}

std::vector<HostileRow> rows() {
  std::vector<HostileRow> table;
  add_key_rows(table);
  add_value_rows(table);
  add_array_rows(table);
  add_alignment_rows(table);
  return table;
}

TEST_CASE("the metadata of a GGUF are judged entry by entry") {
  for (const HostileRow& row : gguf_entry_rows()) check_row(row);
}

}  // namespace

const std::vector<HostileRow>& gguf_entry_rows() {
  static const std::vector<HostileRow> kRows = rows();
  return kRows;
}

}  // namespace ballast::test
