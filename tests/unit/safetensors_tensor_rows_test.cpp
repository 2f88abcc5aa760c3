// The tensors of safetensors: their fields, their sizes and their places in the data.
//
// A caret marks the byte at fault.
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "tests/support/gguf_builder.hpp"
#include "tests/support/hostile.hpp"
#include "tests/support/safetensors_builder.hpp"

namespace ballast::test {
namespace {

// The description of one tensor, with 8 bytes of data.
HostileRow refused(std::string fact, std::string_view description, Errc code) {
  return {.fact = std::move(fact),
          .sample = safetensors_with(R"({"w":)" + std::string(description) + "}", 8),
          .refusal = code,
          .at = "here",
          .subject = "w"};
}

HostileRow fine(std::string fact, std::string_view description, std::size_t data_size = 8) {
  return {.fact = std::move(fact),
          .sample = safetensors_with(R"({"w":)" + std::string(description) + "}", data_size)};
}

// A tensor whose shape or size is at fault: the error stands where its description begins.
HostileRow misshapen(std::string fact, std::string_view dtype, std::string_view shape,
                     std::size_t data_size, Errc code) {
  const std::string size = std::to_string(data_size);
  return {
      .fact = std::move(fact),
      .sample = safetensors_with(R"({^"w":{"dtype":")" + std::string(dtype) + R"(","shape":)" +
                                     std::string(shape) + R"(,"data_offsets":[0,)" + size + "]}}",
                                 data_size),
      .refusal = code,
      .at = "here",
      .subject = "w"};
}

void add_field_rows(std::vector<HostileRow>& table) {
  const std::vector<HostileRow> rows{
      refused("a tensor without a dtype is refused", R"(^{"shape":[2],"data_offsets":[0,8]})",
              Errc::missing_field),
      refused("a tensor without a shape is refused", R"(^{"dtype":"F32","data_offsets":[0,8]})",
              Errc::missing_field),
      refused("a tensor without offsets is refused", R"(^{"dtype":"F32","shape":[2]})",
              Errc::missing_field),
      refused("a tensor without anything is refused", "^{}", Errc::missing_field),
      refused("a field in capitals is not that field",
              R"(^{"Dtype":"F32","shape":[2],"data_offsets":[0,8]})", Errc::missing_field),
      refused("two dtypes are refused at the second",
              R"({"dtype":"F32","dtype":^"F32","shape":[2],"data_offsets":[0,8]})",
              Errc::duplicate_field),
      refused("two shapes are refused at the second",
              R"({"dtype":"F32","shape":[2],"shape":^[2],"data_offsets":[0,8]})",
              Errc::duplicate_field),
      refused("two offsets are refused at the second",
              R"({"dtype":"F32","shape":[2],"data_offsets":[0,8],"data_offsets":^[0,8]})",
              Errc::duplicate_field),
      refused("two fields that are equal once they are decoded are refused",
              R"({"dtype":"F32","shape":[2],"data_offsets":[0,8],"\u0064type":^"F32"})",
              Errc::duplicate_field),
  };
  table.insert(table.end(), rows.begin(), rows.end());
  for (const std::string_view value : {"[]", "\"F32\"", "1", "null", "true"}) {
    table.push_back(refused("a tensor described by " + std::string(value) + " is refused",
                            "^" + std::string(value), Errc::bad_field));
  }
  for (const std::string_view value : {"1", "null", "[\"F32\"]", "{}", "true"}) {
    table.push_back(
        refused("a dtype of " + std::string(value) + " is refused",
                R"({"dtype":^)" + std::string(value) + R"(,"shape":[2],"data_offsets":[0,8]})",
                Errc::bad_field));
  }
  for (const std::string_view value : {"2", "\"2\"", "null", "{}"}) {
    table.push_back(
        refused("a shape of " + std::string(value) + " is refused",
                R"({"dtype":"F32","shape":^)" + std::string(value) + R"(,"data_offsets":[0,8]})",
                Errc::bad_field));
  }
  table.push_back(refused("a hexadecimal dimension is malformed behind its zero",
                          R"({"dtype":"F32","shape":[0^x2],"data_offsets":[0,8]})",
                          Errc::bad_json));
  table.back().subject = {};
  // What JSON calls a number, and what it does not.
  for (const std::string_view dim :
       {"-1", "-0", "1.5", "2.0", "2e0", "2E0", "20e-1", "\"2\"", "null", "true", "[2]", "{}", "02",
        "+2", "2.", "18446744073709551616", "99999999999999999999999999999999", "NaN", ""}) {
    table.push_back(
        refused("a dimension of " + std::string(dim) + " is refused",
                R"({"dtype":"F32","shape":[1,^)" + std::string(dim) + R"(],"data_offsets":[0,8]})",
                Errc::bad_field));
  }
  for (const std::string_view offsets :
       {"8", "\"0,8\"", "null", "{}", "[]", "[0]", "[0,8,8]", "[8,0]", "[-0,8]", "[0,-8]",
        "[0,8.0]", "[0,8e0]", "[\"0\",8]", "[null,8]", "[0,[8]]", "[0,08]",
        "[0,18446744073709551616]"}) {
    table.push_back(
        refused("offsets of " + std::string(offsets) + " are refused",
                R"({"dtype":"F32","shape":[2],"data_offsets":^)" + std::string(offsets) + "}",
                Errc::bad_field));
  }
}

void add_shape_rows(std::vector<HostileRow>& table) {
  for (const SafetensorsType& type : kSafetensorsTypes) {
    table.push_back(
        {.fact = "a tensor of " + std::string(type.name) + " is fine",
         .sample = SafetensorsBuilder()
                       .tensor({.name = "w", .dtype = std::string(type.name), .shape = {3, 4}})
                       .build()});
  }
  const auto of_rank = [](std::size_t rank) {
    return SafetensorsBuilder()
        .tensor({.name = "w", .dtype = "U8", .shape = std::vector<std::uint64_t>(rank, 1)})
        .build();
  };
  const HostileRow too_many{.fact = "1,025 dimensions are refused",
                            .sample = of_rank(1'025),
                            .refusal = Errc::too_many_dimensions,
                            .at = "tensor[0].shape",
                            .subject = "w",
                            .expected = 1'024,
                            .actual = 1'025};
  const std::vector<HostileRow> rows{
      fine("a tensor of no dimensions is a scalar",
           R"({"dtype":"F64","shape":[],"data_offsets":[0,8]})"),
      {.fact = "20 dimensions are fine", .sample = of_rank(20)},
      {.fact = "1,024 dimensions are fine", .sample = of_rank(1'024)},
      too_many,
      fine("a dimension of zero makes an empty tensor",
           R"({"dtype":"F32","shape":[3,0],"data_offsets":[0,0]})", 0),
      fine("[0, 2^63, 4] is empty, read from left to right",
           R"({"dtype":"U8","shape":[0,9223372036854775808,4],"data_offsets":[0,0]})", 0),
      fine("[0, 2^64-1] is empty",
           R"({"dtype":"U8","shape":[0,18446744073709551615],"data_offsets":[0,0]})", 0),
      misshapen("[2^63, 4, 0] does not fit", "U8", "[9223372036854775808,4,0]", 0,
                Errc::size_overflow),
      misshapen("2^32 x 2^32 elements wrap to none and are refused", "F32",
                "[4294967296,4294967296]", 0, Errc::size_overflow),
      misshapen("2^61 elements of 64 bits wrap to none and are refused", "F64",
                "[2305843009213693952]", 0, Errc::size_overflow),
      misshapen("2^64-1 elements of 8 bits are refused", "U8", "[18446744073709551615]", 8,
                Errc::size_overflow),
      misshapen("an odd number of four-bit elements is refused", "F4", "[3]", 2,
                Errc::partial_block),
      misshapen("two six-bit elements, which make twelve bits, are refused", "F6_E2M3", "[2]", 2,
                Errc::partial_block),
      misshapen("a six-bit scalar is refused", "F6_E3M2", "[]", 1, Errc::partial_block),
      fine("rows of one four-bit element are fine where the whole is whole bytes",
           R"({"dtype":"F4","shape":[16,1],"data_offsets":[0,8]})"),
      fine("four-bit shapes count elements, not bytes",
           R"({"dtype":"F4","shape":[2,8],"data_offsets":[0,8]})"),
      misshapen("a tensor with a byte too few is refused", "F32", "[2]", 7, Errc::size_mismatch),
      misshapen("a tensor with a byte too many is refused", "F32", "[2]", 9, Errc::size_mismatch),
      misshapen("a full shape without data is refused", "F32", "[2]", 0, Errc::size_mismatch),
      misshapen("an empty shape with data is refused", "F32", "[0]", 8, Errc::size_mismatch),
      misshapen("a scalar with the data of two is refused", "F32", "[]", 8, Errc::size_mismatch),
      misshapen("four-bit data of twice the size are refused", "F4", "[16]", 16,
                Errc::size_mismatch),
  };
  table.insert(table.end(), rows.begin(), rows.end());
}

void add_dtype_rows(std::vector<HostileRow>& table) {
  for (const std::string_view dtype : {"X9", "f32", "F128", "Q4_K", "unknown", "", "F32 "}) {
    table.push_back({.fact = "the dtype '" + std::string(dtype) + "' costs its tensor the values",
                     .sample = SafetensorsBuilder()
                                   .tensor({.name = "v", .dtype = "U8", .shape = {3}})
                                   .tensor({.name = "w",
                                            .dtype = std::string(dtype),
                                            .shape = {5},
                                            .begin = 3,
                                            .end = 8,
                                            .data = Bytes(5)})
                                   .build(),
                     .odd = {{Errc::unknown_dtype, "tensor[1].dtype"}}});
  }
  const HostileRow escaped{.fact = "a dtype that has to be decoded may be unknown as well",
                           .sample = safetensors_with(
                               R"({"w":{"dtype":^"\u0051","shape":[5],"data_offsets":[0,8]}})", 8),
                           .odd = {{Errc::unknown_dtype, "here"}}};
  table.push_back(escaped);
  table.push_back(misshapen("elements of an unknown dtype must fit in 64 bits as well", "X9",
                            "[4294967296,4294967296]", 8, Errc::size_overflow));
}

void add_name_rows(std::vector<HostileRow>& table) {
  constexpr std::string_view kFirst = R"(:{"dtype":"U8","shape":[4],"data_offsets":[0,4]})";
  constexpr std::string_view kSecond = R"(:{"dtype":"U8","shape":[4],"data_offsets":[4,8]})";
  const auto pair = [&](std::string_view a, std::string_view b) {
    return "{" + std::string(a) + std::string(kFirst) + ",^" + std::string(b) +
           std::string(kSecond) + "}";
  };
  const auto twice = [&](std::string fact, std::string_view a, std::string_view b,
                         std::string_view subject) {
    return HostileRow{.fact = std::move(fact),
                      .sample = safetensors_with(pair(a, b), 8),
                      .refusal = Errc::duplicate_tensor,
                      .at = "here",
                      .subject = subject};
  };
  HostileRow long_name{
      .fact = "a name over the cap of strings is refused",
      .sample = SafetensorsBuilder().tensor({.name = "name", .shape = {2}}).build(),
      .refusal = Errc::string_too_long,
      .at = "tensor[0]",
      .subject = "name",
      .expected = 3,
      .actual = 4};
  long_name.options.limits.max_string = 3;
  HostileRow too_many{.fact = "tensors over the cap are refused",
                      .sample = safetensors_with(pair(R"("a")", R"("b")"), 8),
                      .refusal = Errc::too_many_tensors,
                      .at = "here",
                      .subject = "b",
                      .expected = 1,
                      .actual = 2};
  too_many.options.limits.max_tensors = 1;
  const std::vector<HostileRow> rows{
      twice("a name twice is refused, whatever the ranges", R"("w")", R"("w")", "w"),
      twice("an empty name twice is refused", R"("")", R"("")", ""),
      twice("names that are equal once the first is decoded are refused", R"("\u0077")", R"("w")",
            "w"),
      twice("names that are equal once the second is decoded are refused", R"("w")", R"("\u0077")",
            "w"),
      twice("names that are equal once both are decoded are refused", R"("\u00E9")", R"("\u00e9")",
            "\u00E9"),
      {.fact = "names in two normal forms of Unicode are two names",
       .sample = SafetensorsBuilder()
                     .tensor({.name = "\u00E9", .dtype = "U8", .shape = {1}})
                     .tensor({.name = "e\u0301", .dtype = "U8", .shape = {1}})
                     .build()},
      long_name,
      too_many,
  };
  table.insert(table.end(), rows.begin(), rows.end());
}

void add_place_rows(std::vector<HostileRow>& table) {
  const auto pair = [](std::vector<std::uint64_t> offsets) {
    return SafetensorsBuilder()
        .tensor({.name = "a",
                 .dtype = "U8",
                 .shape = {offsets[1] - offsets[0]},
                 .begin = offsets[0],
                 .end = offsets[1]})
        .tensor({.name = "b",
                 .dtype = "U8",
                 .shape = {offsets[3] - offsets[2]},
                 .begin = offsets[2],
                 .end = offsets[3]})
        .build();
  };
  const auto at = [](std::string fact, Sample sample, Errc code, std::string_view mark,
                     std::string_view subject) {
    return HostileRow{.fact = std::move(fact),
                      .sample = std::move(sample),
                      .refusal = code,
                      .at = mark,
                      .subject = subject};
  };
  const std::vector<HostileRow> rows{
      {.fact = "tensors in any order are fine", .sample = pair({4, 8, 0, 4})},
      at("two tensors on the same bytes are refused", pair({0, 4, 0, 4}), Errc::overlap,
         "tensor[1]", "b"),
      at("two tensors that share a byte are refused", pair({0, 4, 3, 7}), Errc::overlap,
         "tensor[1]", "b"),
      at("a tensor inside another is refused", pair({0, 8, 2, 4}), Errc::overlap, "tensor[1]", "b"),
      at("of two tensors that overlap the later in the file is named", pair({3, 7, 0, 4}),
         Errc::overlap, "tensor[0]", "a"),
      at("a hole of one byte is refused", pair({0, 4, 5, 9}), Errc::hole, "tensor[1]", "b"),
      at("data that do not begin at 0 are refused", pair({1, 4, 4, 8}), Errc::hole, "tensor[0]",
         "a"),
      at("an end of 2^64-1 is refused as too large a sum",
         safetensors_with(
             R"({^"w":{"dtype":"X","shape":[],"data_offsets":[0,18446744073709551615]}})", 8),
         Errc::size_overflow, "here", "w"),
      {.fact = "empty tensors may share an offset, at the start, in the middle and at the end",
       .sample = SafetensorsBuilder()
                     .tensor({.name = "e1", .shape = {0}})
                     .tensor({.name = "e2", .shape = {7, 0}})
                     .tensor({.name = "a", .shape = {2}})
                     .tensor({.name = "e3", .shape = {0}})
                     .tensor({.name = "b", .shape = {2}})
                     .tensor({.name = "e4", .shape = {0}})
                     .tensor({.name = "e5", .shape = {0}})
                     .build()},
      {.fact = "an empty tensor may be listed behind the full one that begins at its place",
       .sample = pair({0, 8, 0, 0})},
      at("an empty tensor inside another is refused, as the reference reader does",
         pair({0, 8, 4, 4}), Errc::overlap, "tensor[1]", "b"),
      at("an empty tensor behind the end leaves a hole", pair({0, 8, 9, 9}), Errc::hole,
         "tensor[1]", "b"),
  };
  table.insert(table.end(), rows.begin(), rows.end());
}

void add_end_rows(std::vector<HostileRow>& table) {
  constexpr std::size_t kCap = std::size_t{1} << 20;
  const SafetensorsBuilder builder =
      SafetensorsBuilder()
          .tensor({.name = "late", .dtype = "U8", .shape = {4}, .begin = 4, .end = 8})
          .tensor({.name = "early", .dtype = "U8", .shape = {4}, .begin = 0, .end = 4});
  const Sample good = builder.build();
  const auto cut = [&](std::uint64_t size) {
    Sample sample = good.cut(size);
    sample.mark("end");
    return sample;
  };
  const auto trailing = [&](std::size_t size) {
    SafetensorsBuilder longer = builder;
    return longer.trailing(noise(size, 3)).build();
  };
  ParseOptions lenient;
  lenient.lenient = true;
  SafetensorsBuilder glued = builder;
  const Sample other = SafetensorsBuilder(builder).trailing(GgufBuilder().build().bytes()).build();
  const std::vector<HostileRow> rows{
      {.fact = "data that lack a byte are refused",
       .sample = cut(good.size() - 1),
       .refusal = Errc::outside_file,
       .at = "end",
       .subject = "late",
       .expected = good.size(),
       .actual = good.size() - 1},
      {.fact = "a file that ends with its header lacks all data",
       .sample = cut(good.at("header.end")),
       .refusal = Errc::outside_file,
       .at = "end",
       .subject = "late"},
      {.fact = "a byte behind the data is refused",
       .sample = trailing(1),
       .refusal = Errc::trailing_bytes,
       .at = "data.end",
       .expected = good.size(),
       .actual = good.size() + 1},
      {.fact = "a byte behind a header without tensors is refused",
       .sample = safetensors_with("{}", 1),
       .refusal = Errc::trailing_bytes,
       .at = "data"},
      {.fact = "lenient, a byte behind the data is odd",
       .sample = trailing(1),
       .odd = {{Errc::trailing_bytes, "data.end"}},
       .options = lenient},
      {.fact = "lenient, a mebibyte behind the data is odd",
       .sample = trailing(kCap),
       .odd = {{Errc::trailing_bytes, "data.end"}},
       .options = lenient},
      {.fact = "lenient, a mebibyte and a byte behind the data are refused",
       .sample = trailing(kCap + 1),
       .refusal = Errc::trailing_bytes,
       .at = "data.end",
       .options = lenient},
      {.fact = "lenient, missing data are still refused",
       .sample = cut(good.size() - 1),
       .refusal = Errc::outside_file,
       .at = "end",
       .subject = "late",
       .options = lenient},
      {.fact = "two files glued together are refused where the second begins",
       .sample = glued.trailing(good.bytes()).build(),
       .refusal = Errc::glued_files,
       .at = "data.end",
       .expected = good.size()},
      {.fact = "a model of another format behind safetensors is glued to it, too",
       .sample = other,
       .refusal = Errc::glued_files,
       .at = "data.end",
       .expected = good.size(),
       .actual = other.size()},
      {.fact = "lenient, that is refused all the same",
       .sample = other,
       .refusal = Errc::glued_files,
       .at = "data.end",
       .options = {.lenient = true}},
      {.fact = "lenient, two files glued together are refused all the same",
       .sample = glued.trailing(good.bytes()).build(),
       .refusal = Errc::glued_files,
       .at = "data.end",
       .options = lenient},
  };
  table.insert(table.end(), rows.begin(), rows.end());
}

std::vector<HostileRow> rows() {
  std::vector<HostileRow> table;
  add_field_rows(table);
  add_shape_rows(table);
  add_dtype_rows(table);
  add_name_rows(table);
  add_place_rows(table);
  add_end_rows(table);
  return table;
}

TEST_CASE("the tensors of safetensors are judged one by one and together") {
  for (const HostileRow& row : safetensors_tensor_rows()) check_row(row);
}

}  // namespace

const std::vector<HostileRow>& safetensors_tensor_rows() {
  static const std::vector<HostileRow> kRows = rows();
  return kRows;
}

}  // namespace ballast::test
