// Headers of safetensors that were chosen: products and sums that wrap, JSON that is much of one
// thing, and names that are weapons. A caret marks the byte at fault.
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/format.hpp>

#include "tests/support/hostile.hpp"
#include "tests/support/safetensors_builder.hpp"
#include "tests/support/weapons.hpp"

namespace ballast::test {
namespace {

constexpr int kMany = 1'000'000;

std::string repeated(std::string_view text, int times) {
  std::string out;
  out.reserve(text.size() * static_cast<std::size_t>(times));
  while (times-- > 0) out += text;
  return out;
}

// One tensor with a field that readers ignore.
std::string with_field(std::string_view json) {
  return R"({"w":{"extra":)" + std::string(json) +
         R"(,"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
}

// One tensor of that name, as JSON has it between quotes.
std::string named(std::string_view name) {
  return R"({")" + std::string(name) + R"(":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
}

std::string with_metadata(std::string_view json) {
  return R"({"__metadata__":)" + std::string(json) +
         R"(,"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
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

// Bits, elements and ends that wrap, with as many bytes of data as they wrap to.
void add_size_rows(std::vector<HostileRow>& table) {
  struct Row {
    const char* fact;
    const char* dtype;
    const char* shape;
    std::size_t wrapped;
  };
  for (const Row& row : {
           Row{"7 x 7905747460161236407 elements wrap to one and are refused", "U8",
               "[7,7905747460161236407]", 1},
           Row{"2^63 x 2 elements wrap to none and are refused", "U8", "[9223372036854775808,2]",
               0},
           Row{"2^63 + 1 rows of two wrap to two elements and are refused", "U8",
               "[9223372036854775809,2]", 2},
           Row{"four times 2^16 elements wrap to none and are refused", "F32",
               "[65536,65536,65536,65536]", 0},
           Row{"2^61 + 1 bytes wrap to eight bits and are refused", "U8", "[2305843009213693953]",
               1},
           Row{"2^60 + 1 elements of 16 bits wrap to two bytes and are refused", "F16",
               "[1152921504606846977]", 2},
           Row{"2^62 + 2 elements of four bits wrap to one byte and are refused", "F4",
               "[4611686018427387906]", 1},
           Row{"2^58 + 1 complex elements wrap to eight bytes and are refused", "C64",
               "[288230376151711745]", 8},
       }) {
    const std::string size = std::to_string(row.wrapped);
    table.push_back({.fact = row.fact,
                     .sample = safetensors_with(R"({^"w":{"dtype":")" + std::string(row.dtype) +
                                                    R"(","shape":)" + row.shape +
                                                    R"(,"data_offsets":[0,)" + size + "]}}",
                                                row.wrapped),
                     .refusal = Errc::size_overflow,
                     .at = "here",
                     .subject = "w"});
  }
  // Ends that come to 2^64, or to the byte behind the header, with where the data begin.
  struct Place {
    const char* fact;
    const char* offsets;
    Errc code;
  };
  for (const Place& place : {
           Place{"offsets of [2^64-9, 2^64-1] are refused as too large a sum",
                 "[18446744073709551607,18446744073709551615]", Errc::size_overflow},
           Place{"offsets whose end wraps to the header are refused as too large a sum",
                 "[18446744073709551530,18446744073709551538]", Errc::size_overflow},
       }) {
    table.push_back(refused(
        place.fact,
        R"({^"w":{"dtype":"U8","shape":[8],"data_offsets":)" + std::string(place.offsets) + "}}",
        place.code, "w"));
  }
}

void add_json_rows(std::vector<HostileRow>& table) {
  const std::string digits = repeated("9", kMany);
  const std::vector<HostileRow> rows{
      fine("an ignored number may have 1,000,000 digits", with_field(digits)),
      fine("so may its fraction and its exponent",
           with_field("0." + repeated("0", kMany) + "1e-" + digits)),
      fine("a list of 1,000,000 numbers is ignored",
           with_field("[" + repeated("1e9,", kMany - 1) + "0]")),
      fine("1,000,000 fields of the same name are ignored",
           with_field("{" + repeated(R"("x":0,)", kMany - 1) + R"("x":0})")),
      refused("a dimension of 1,000,000 digits is refused",
              R"({"w":{"dtype":"F32","shape":[^)" + digits + R"(],"data_offsets":[0,8]}})",
              Errc::bad_field, "w"),
      refused("a dimension of 1,000,000 zeros is refused",
              R"({"w":{"dtype":"F32","shape":[^)" + repeated("0", kMany) +
                  R"(2],"data_offsets":[0,8]}})",
              Errc::bad_field, "w"),
      refused("a dimension with an exponent of 1,000,000 digits is refused",
              R"({"w":{"dtype":"F32","shape":[^2e)" + repeated("0", kMany) +
                  R"(],"data_offsets":[0,8]}})",
              Errc::bad_field, "w"),
      refused("an offset of 1,000,000 digits is refused",
              R"({"w":{"dtype":"F32","shape":[2],"data_offsets":^[0,)" + digits + "]}}",
              Errc::bad_field, "w"),
      fine("a name of 1,000,000 escapes is a name", named(repeated(R"(\u0061)", kMany))),
      fine("a name of 1,000,000 NULs is a name", named(repeated(R"(\u0000)", kMany))),
      fine("a name of 1,000,000 pairs of surrogates is a name",
           named(repeated(R"(\ud83d\ude0a)", kMany))),
      fine("a key and a value of 1,000,000 escapes are metadata",
           with_metadata("{\"" + repeated(R"(\n)", kMany) + "\":\"" + repeated(R"(\\)", kMany) +
                         "\"}")),
      refused("of 1,000,000 high surrogates the second is malformed",
              named(R"(\ud83d\ud83d^)" + repeated(R"(\ud83d)", kMany - 2)), Errc::bad_json),
      refused("a pair of surrogates the wrong way round is malformed", named(R"(\ude0a^\ud83d)"),
              Errc::bad_json),
      refused("a pair of surrogates that is cut by the end of the string is malformed",
              named(R"(\ud83d^)"), Errc::bad_json),
      refused("half a pair as an escape and half as bytes is not UTF-8",
              named("\\ud83d^\xED\xB8\x8A"), Errc::bad_utf8),
      refused("a pair of surrogates in six bytes is not UTF-8", named("^\xED\xA0\xBD\xED\xB8\x8A"),
              Errc::bad_utf8),
      refused("an overlong NUL is not UTF-8", named("a^\xC0\x80"), Errc::bad_utf8),
      refused("an overlong slash of three bytes is not UTF-8", named("a^\xE0\x80\xAF"),
              Errc::bad_utf8),
      refused("an overlong slash of four bytes is not UTF-8", named("a^\xF0\x80\x80\xAF"),
              Errc::bad_utf8),
      refused("a sequence of five bytes is not UTF-8", named("a^\xF8\x88\x80\x80\x80"),
              Errc::bad_utf8),
      refused("an overlong quote ends no string", named("a^\xC0\xA2"), Errc::bad_utf8),
      refused("a byte order mark of UTF-16 is not UTF-8", "^\xFF\xFE{}", Errc::bad_utf8),
      refused("a byte order mark between tokens is malformed",
              R"({"w":^)"
              "\xEF\xBB\xBF"
              R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
              Errc::bad_field, "w"),
      refused("a field twice, once with an escape, is refused at the second",
              R"({"w":{"shape":[2],"dtype":"F32","data_offsets":[0,8],"sh\u0061pe":^[2]}})",
              Errc::duplicate_field, "w"),
      refused("offsets twice, once with an escape, are refused at the second",
              R"({"w":{"data\u005foffsets":[0,8],"shape":[2],"data_offsets":^[0,8]}})",
              Errc::duplicate_field, "w"),
      refused("metadata twice, once with an escape, are refused",
              R"({"__metadata__":{},^"__metadata\u005f_":{}})", Errc::duplicate_key,
              "__metadata__"),
  };
  table.insert(table.end(), rows.begin(), rows.end());
}

void add_name_rows(std::vector<HostileRow>& table) {
  SafetensorsBuilder builder;
  for (const std::string& weapon : weapons())
    builder.entry(weapon, weapon).tensor({.name = weapon, .dtype = "U8", .shape = {1}});
  table.push_back(
      {.fact = "weapons are names, keys and values like any other", .sample = builder.build()});
  SafetensorsBuilder strange;
  for (const std::string& weapon : weapons())
    strange.tensor({.name = weapon, .dtype = weapon, .shape = {0}, .end = 0, .data = Bytes()});
  HostileRow unknown{.fact = "weapons are dtypes that nobody knows", .sample = strange.build()};
  // The first eight are told of, the others are counted.
  unknown.odd = {{Errc::unknown_dtype, "tensor[0].dtype"}, {Errc::unknown_dtype, "tensor[1].dtype"},
                 {Errc::unknown_dtype, "tensor[2].dtype"}, {Errc::unknown_dtype, "tensor[3].dtype"},
                 {Errc::unknown_dtype, "tensor[4].dtype"}, {Errc::unknown_dtype, "tensor[5].dtype"},
                 {Errc::unknown_dtype, "tensor[6].dtype"}, {Errc::unknown_dtype, "tensor[7].dtype"},
                 {Errc::unknown_dtype, kNowhere}};
  table.push_back(std::move(unknown));
}

std::vector<HostileRow> rows() {
  std::vector<HostileRow> table;
  add_size_rows(table);
  add_json_rows(table);
  add_name_rows(table);
  return table;
}

TEST_CASE(
    "a header of safetensors that was chosen to wrap, to be slow or to deceive does nothing") {
  for (const HostileRow& row : safetensors_bomb_rows()) check_row(row);
}

TEST_CASE("a tensor and a key of safetensors that are weapons are found by exactly those bytes") {
  SafetensorsBuilder builder;
  for (const std::string& weapon : weapons())
    builder.entry(weapon, weapon).tensor({.name = weapon, .dtype = "U8", .shape = {1}});
  const Sample sample = builder.build();
  const Directory directory = parse_whole(sample.bytes());
  const NameList names{std::span<const Tensor>(directory.tensors), &Tensor::name};
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < weapons().size(); ++i) {
    const std::string& weapon = weapons()[i];
    wrong += directory.tensor_index.find(names, weapon) == i ? 0U : 1U;
    wrong += directory.metadata.get<std::string_view>(weapon) == weapon ? 0U : 1U;
    wrong += directory.tensor_index.find(names, weapon + " ") ? 1U : 0U;
  }
  CHECK(wrong == 0);
}

}  // namespace

const std::vector<HostileRow>& safetensors_bomb_rows() {
  static const std::vector<HostileRow> kRows = rows();
  return kRows;
}

}  // namespace ballast::test
