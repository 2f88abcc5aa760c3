// GGUF files whose numbers were chosen: products, sums and lengths that come to something small or
// to nothing once they wrap, lengths whose lower half is true, arrays in arrays, and names that are
// weapons.
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/format.hpp>
#include <ballast/metadata.hpp>

#include "tests/support/gguf_builder.hpp"
#include "tests/support/hostile.hpp"
#include "tests/support/weapons.hpp"

namespace ballast::test {
namespace {

constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t kHalf = std::uint64_t{1} << 63;
constexpr std::uint64_t kWord = std::uint64_t{1} << 32;

// 7 of them are 3 x 2^64 + 1, and 3 of the next one 2^64 + 2.
constexpr std::uint64_t kSeventh = 0x6DB6'DB6D'B6DB'6DB7;
constexpr std::uint64_t kThird = 0x5555'5555'5555'5556;

// A tensor, and as many bytes of it as somebody would expect whose numbers wrap.
Sample wrapping(std::string_view dtype, std::vector<std::uint64_t> dims) {
  const std::uint32_t id = gguf_id(dtype);
  const std::uint64_t wrapped = gguf_nbytes(id, dims);
  if (wrapped >= 300) throw std::logic_error("these dimensions do not wrap");
  return GgufBuilder()
      .tensor({.name = "w", .dims = std::move(dims), .dtype = id, .nbytes = wrapped})
      .build();
}

void add_product_rows(std::vector<HostileRow>& table) {
  constexpr std::uint64_t kBlocksOf34 =
      kMost / 34 + 1;  // times 34 they are a few bytes more than 2^64
  constexpr std::uint64_t kBlocksOf292 = kMost / 292 + 1;
  struct Row {
    const char* fact;
    const char* dtype;
    std::vector<std::uint64_t> dims;
  };
  const std::vector<Row> rows{
      {"7 x 7905747460161236407 elements wrap to one and are refused", "I8", {7, kSeventh}},
      {"the same the other way round are refused", "I8", {kSeventh, 7}},
      {"the same between ones are refused", "I8", {1, 7, 1, kSeventh}},
      {"3 x 6148914691236517206 elements wrap to two and are refused", "F32", {3, kThird}},
      {"2^16 x 2^16 x 2^16 x 2^16 elements wrap to none and are refused",
       "F32",
       {1U << 16, 1U << 16, 1U << 16, 1U << 16}},
      {"2^62 x 4 elements wrap to none and are refused", "I8", {1ULL << 62, 4}},
      {"(2^32+1) x (2^32-1) elements, one fewer than 2^64, are refused for their bytes",
       "F16",
       {kWord + 1, kWord - 1}},
      {"2^62 + 1 elements of F32 wrap to four bytes and are refused", "F32", {(1ULL << 62) + 1}},
      {"2^60 + 1 elements of F64 in each of 2 rows wrap to 16 bytes and are refused",
       "F64",
       {(1ULL << 60) + 1, 2}},
      {"blocks of Q8_0 that wrap to a few bytes are refused", "Q8_0", {32, kBlocksOf34}},
      {"blocks of Q8_K that wrap to a few bytes are refused", "Q8_K", {256, kBlocksOf292}},
  };
  for (const Row& row : rows) {
    const bool overflows = gguf_nbytes(gguf_id(row.dtype), row.dims) >= 300;
    table.push_back({.fact = row.fact,
                     .sample = overflows ? GgufBuilder()
                                               .tensor({.name = "w",
                                                        .dims = row.dims,
                                                        .dtype = gguf_id(row.dtype),
                                                        .nbytes = 0})
                                               .build()
                                         : wrapping(row.dtype, row.dims),
                     .refusal = Errc::size_overflow,
                     .at = "tensor[0].rank",
                     .subject = "w"});
  }
}

void add_sum_rows(std::vector<HostileRow>& table) {
  const auto placed = [](std::uint64_t offset, std::uint64_t half, std::uint32_t alignment) {
    GgufBuilder builder;
    if (alignment != 0) builder.aligned(alignment);
    return builder.tensor({.name = "a", .dims = {1}, .offset = 0})
        .tensor(
            {.name = "b", .dims = {half, 2}, .dtype = gguf_id("I8"), .offset = offset, .nbytes = 0})
        .build()
        .with_tail(Bytes(64));
  };
  // The data begin at byte 160: what is chosen to come to 2^64 with it has to be known to be it.
  const std::uint64_t data = placed(0, 1, 0).at("data");
  const std::vector<std::pair<std::string, Sample>> rows{
      {"an offset and a size of 2^63 each wrap to nothing and are refused",
       placed(kHalf, kHalf / 2, 0)},
      {"an offset that comes to 2^64 with where the data begin is refused", placed(0 - data, 1, 0)},
      {"a size that comes to 2^64 with its offset and where the data begin is refused",
       placed(kHalf, (kHalf - data) / 2, 0)},
      {"a size that comes to 2^64 - 2 so, and is padded to 2^64, is refused",
       placed(kHalf, (kHalf - data) / 2 - 1, 0)},
      {"a size that comes to 2^64 when it is padded to 2^20 is refused",
       placed(0 - (std::uint64_t{2} << 20), 1U << 19, 1U << 20)},
  };
  for (const auto& [fact, sample] : rows) {
    table.push_back({.fact = fact,
                     .sample = sample,
                     .refusal = Errc::size_overflow,
                     .at = "tensor[1]",
                     .subject = "b"});
  }
}

// Every place of a length, with one that is too long, and one whose lower half is the true one.
void add_length_rows(std::vector<HostileRow>& table) {
  const Sample sample =
      GgufBuilder()
          .entry("k", "text")
          .entry("words", array_of<std::string>({"ab", "text"}))
          .entry("deep", GgufValue::array(ValueType::array, {array_of<std::string>({"text"})}))
          .tensor({.name = "wxyz", .dims = {1}})
          .build();
  struct Place {
    const char* what;
    const char* length;
    const char* bytes;
    std::string_view subject;
    std::uint64_t size;
  };
  ParseOptions uncapped;
  uncapped.limits.max_string = kMost;
  for (const Place& place :
       {Place{"a key", "entry[0]", "entry[0].key", "", 1},
        Place{"a string", "entry[0].value", "entry[0].value.text", "k", 4},
        Place{"a string of an array", "entry[1].value[1]", "entry[1].value[1].text", "words", 4},
        Place{"a string of an array in an array", "entry[2].value[0][0]",
              "entry[2].value[0][0].text", "deep", 4},
        Place{"a name", "tensor[0]", "tensor[0].name", "", 4}}) {
    for (const std::uint64_t length :
         {kWord, kWord + place.size, kHalf, kHalf + place.size, kMost, kMost - 7,
          kMost - sample.at(place.bytes), 0 - sample.at(place.bytes) + place.size}) {
      const Sample lying = sample.with<std::uint64_t>(place.length, length);
      const std::string fact =
          std::string(place.what) + " of " + std::to_string(length) + " bytes is refused";
      table.push_back({.fact = fact,
                       .sample = lying,
                       .refusal = Errc::string_too_long,
                       .at = place.length,
                       .subject = place.subject,
                       .actual = length});
      table.push_back({.fact = fact + " where no string is too long, too",
                       .sample = lying,
                       .refusal = Errc::truncated,
                       .at = place.bytes,
                       .subject = place.subject,
                       .actual = sample.size(),
                       .options = uncapped});
    }
  }
}

// Arrays in arrays, the last of them of strings, without a tree, which would be taken down
// recursively.
Sample nested_100000() {
  Bytes raw;
  for (int i = 0; i < 100'000; ++i) {
    append_number(raw, static_cast<std::uint64_t>(ValueType::array), 4);
    append_number(raw, 1, 8);
  }
  append_number(raw, static_cast<std::uint64_t>(ValueType::string), 4);
  append_number(raw, 0, 8);
  Sample sample = GgufBuilder().raw_entry("deep", 9, std::move(raw)).build();
  sample.mark("too deep", sample.at("entry[0].value") + std::uint64_t{12} * kMaxArrayDepth);
  return sample;
}

void add_array_rows(std::vector<HostileRow>& table) {
  const auto of_strings = [](int depth) {
    GgufValue value = array_of<std::string>({"a", ""});
    while (--depth > 0) value = GgufValue::array(ValueType::array, {std::move(value)});
    return value;
  };
  const GgufValue empty = GgufValue::array(ValueType::string, {});
  const std::vector<GgufValue> many(50'000, empty);
  const std::vector<HostileRow> rows{
      {.fact = "arrays of strings nested four deep are odd",
       .sample = GgufBuilder().entry("k", of_strings(4)).build(),
       .odd = {{Errc::nested_array, "entry[0].value.items"}}},
      {.fact = "arrays of strings nested five deep are refused",
       .sample = GgufBuilder().entry("k", of_strings(5)).build(),
       .refusal = Errc::array_too_deep,
       .at = "entry[0].value[0][0][0].items",
       .subject = "k",
       .expected = 4},
      {.fact = "100,000 arrays in arrays are too many, whatever limit is asked for",
       .sample = nested_100000(),
       .refusal = Errc::array_too_deep,
       .at = "too deep",
       .subject = "deep",
       .expected = kMaxArrayDepth,
       .options = {.limits = {.max_array_depth = 1'000'000}}},
      {.fact = "50,000 empty arrays of strings in an array are odd once",
       .sample = GgufBuilder().entry("k", GgufValue::array(ValueType::array, many)).build(),
       .odd = {{Errc::nested_array, "entry[0].value.items"}}},
      {.fact = "counts of two arrays, one in the other, that multiply to 2^64 are refused",
       .sample = GgufBuilder()
                     .entry("k", GgufValue::array(ValueType::array, {empty}))
                     .build()
                     .with<std::uint64_t>("entry[0].value.count", kWord)
                     .with<std::uint64_t>("entry[0].value[0].count", kWord),
       .refusal = Errc::count_too_large,
       .at = "entry[0].value.count",
       .subject = "k",
       .expected = 1,
       .actual = kWord},
      {.fact = "a count of 2^32 + 1 strings, of which one is there, is refused",
       .sample = GgufBuilder()
                     .entry("k", array_of<std::string>({"a"}))
                     .build()
                     .with<std::uint64_t>("entry[0].value.count", kWord + 1),
       .refusal = Errc::count_too_large,
       .at = "entry[0].value.count",
       .subject = "k",
       .expected = 1,
       .actual = kWord + 1},
  };
  table.insert(table.end(), rows.begin(), rows.end());
}

void add_name_rows(std::vector<HostileRow>& table) {
  GgufBuilder keys;
  GgufBuilder names;
  for (const std::string& weapon : weapons()) {
    keys.entry(weapon, weapon);
    names.tensor({.name = weapon, .dims = {1}});
  }
  HostileRow named{.fact = "weapons are names of tensors like any other, but for a NUL",
                   .sample = names.build()};
  std::size_t count = 0;
  static std::vector<std::string> marks;  // rows keep views of them
  marks.reserve(weapons().size());
  for (const std::string& weapon : weapons()) {
    const std::size_t place = count++;
    if (weapon.find('\0') == std::string::npos) continue;
    marks.push_back("tensor[" + std::to_string(place) + "]");
    named.odd.push_back({Errc::nul_in_name, marks.back()});
  }
  const std::string e_acute = "\u00E9";
  const auto of = [](std::string name) {
    return GgufBuilder().tensor({.name = std::move(name), .dims = {1}}).build();
  };
  const std::vector<HostileRow> rows{
      named,
      {.fact = "weapons are keys and values like any other", .sample = keys.build()},
      {.fact = "a name of 64 bytes that ends in a character of two is odd for its length",
       .sample = of(std::string(62, 'n') + e_acute),
       .odd = {{Errc::long_name, "tensor[0]"}}},
      {.fact = "a name of 64 bytes that ends in half a character is odd for that, too",
       .sample = of(std::string(63, 'n') + e_acute[0]),
       .odd = {{Errc::not_utf8, "tensor[0]"}, {Errc::long_name, "tensor[0]"}}},
      {.fact = "a name whose last character passes byte 64 is refused",
       .sample = of(std::string(63, 'n') + e_acute),
       .refusal = Errc::name_too_long,
       .at = "tensor[0]",
       .subject = "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn\u00E9",
       .expected = 64,
       .actual = 65},
      {.fact = "a NUL in byte 64 of a name is odd, and not its end",
       .sample = of(std::string(63, 'n') + '\0'),
       .odd = {{Errc::nul_in_name, "tensor[0]"}, {Errc::long_name, "tensor[0]"}}},
  };
  table.insert(table.end(), rows.begin(), rows.end());
}

std::vector<HostileRow> rows() {
  std::vector<HostileRow> table;
  add_product_rows(table);
  add_sum_rows(table);
  add_length_rows(table);
  add_array_rows(table);
  add_name_rows(table);
  return table;
}

TEST_CASE("numbers of a GGUF that were chosen to wrap, and names that are weapons, do nothing") {
  for (const HostileRow& row : gguf_bomb_rows()) check_row(row);
}

TEST_CASE("a tensor and a key that are weapons are found by exactly those bytes") {
  GgufBuilder builder;
  for (const std::string& weapon : weapons())
    builder.entry(weapon, weapon).tensor({.name = weapon, .dims = {1}});
  const Sample sample = builder.build();
  const Directory directory = parse_whole(sample.bytes());
  const NameList names{std::span<const Tensor>(directory.tensors), &Tensor::name};
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < weapons().size(); ++i) {
    const std::string& weapon = weapons()[i];
    wrong += directory.tensor_index.find(names, weapon) == i ? 0U : 1U;
    wrong += directory.metadata.get<std::string_view>(weapon) == weapon ? 0U : 1U;
    // What stops at a NUL, or leaves away what is not seen, finds another one, or none.
    const std::string cut = weapon.substr(0, weapon.size() - 1);
    wrong += directory.tensor_index.find(names, cut) ? 1U : 0U;
    wrong += directory.metadata.find(cut) == nullptr ? 0U : 1U;
  }
  CHECK(wrong == 0);
}

}  // namespace

const std::vector<HostileRow>& gguf_bomb_rows() {
  static const std::vector<HostileRow> kRows = rows();
  return kRows;
}

}  // namespace ballast::test
