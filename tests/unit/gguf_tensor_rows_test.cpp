// GGUF's tensor infos: names, dimensions, types and offsets, each by itself.
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "tests/support/gguf_builder.hpp"
#include "tests/support/hostile.hpp"

namespace ballast::test {
namespace {

constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();

// A file of one tensor, then the one in question, whose claimed size is not written.
Sample second(std::string_view dtype, std::vector<std::uint64_t> dims) {
  return GgufBuilder()
      .tensor({.name = "first", .dims = {8}})
      .tensor({.name = "second", .dims = std::move(dims), .dtype = gguf_id(dtype), .nbytes = 0})
      .build();
}

Sample named(std::string name) {
  return GgufBuilder()
      .tensor({.name = "first", .dims = {1}})
      .tensor({.name = std::move(name), .dims = {1}})
      .build();
}

void add_name_rows(std::vector<HostileRow>& table) {
  const Sample two = named("second");
  const std::vector<HostileRow> rows{
      {.fact = "a name of 63 bytes is fine", .sample = named(std::string(63, 'n'))},
      {.fact = "a name of 64 bytes is odd",
       .sample = named(std::string(64, 'n')),
       .odd = {{Errc::long_name, "tensor[1]"}}},
      {.fact = "a name of 65 bytes is refused",
       .sample = named(std::string(65, 'n')),
       .refusal = Errc::name_too_long,
       .at = "tensor[1]",
       .subject = "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
       .expected = 64,
       .actual = 65},
      {.fact = "a name of 2^63 bytes is refused at its length",
       .sample = two.with<std::uint64_t>("tensor[1]", std::uint64_t{1} << 63),
       .refusal = Errc::string_too_long,
       .at = "tensor[1]"},
      {.fact = "a name longer than the file is truncated",
       .sample = two.with<std::uint64_t>("tensor[1]", 5'000),
       .refusal = Errc::truncated,
       .at = "tensor[1].name"},
      {.fact = "an empty name is odd",
       .sample = named(""),
       .odd = {{Errc::empty_name, "tensor[1]"}}},
      {.fact = "two empty names are a name twice",
       .sample = GgufBuilder()
                     .tensor({.name = "", .dims = {1}})
                     .tensor({.name = "", .dims = {1}})
                     .build(),
       .refusal = Errc::duplicate_tensor,
       .at = "tensor[1]"},
      {.fact = "a NUL in a name is odd",
       .sample = named(std::string("a\0b", 3)),
       .odd = {{Errc::nul_in_name, "tensor[1]"}}},
      {.fact = "names that differ behind a NUL are two names",
       .sample = GgufBuilder()
                     .tensor({.name = std::string("a\0b", 3), .dims = {1}})
                     .tensor({.name = std::string("a\0c", 3), .dims = {1}})
                     .build(),
       .odd = {{Errc::nul_in_name, "tensor[0]"}, {Errc::nul_in_name, "tensor[1]"}}},
      {.fact = "a name that is not UTF-8 is odd",
       .sample = named("caf\xE9"),
       .odd = {{Errc::not_utf8, "tensor[1]"}}},
      {.fact = "a name of controls and of text from right to left is fine for the parser",
       .sample = named("\x1B[2J\u202E")},
      {.fact = "a name twice is refused at the second",
       .sample = named("first"),
       .refusal = Errc::duplicate_tensor,
       .at = "tensor[1]",
       .subject = "first"},
      {.fact = "a name may be that of a key",
       .sample = GgufBuilder().entry("w", true).tensor({.name = "w", .dims = {1}}).build()},
  };
  table.insert(table.end(), rows.begin(), rows.end());
}

void add_cut_rows(std::vector<HostileRow>& table) {
  const Sample two = GgufBuilder()
                         .tensor({.name = "the first of two tensors", .dims = {1}})
                         .tensor({.name = "second", .dims = {1, 1}})
                         .build();
  struct Field {
    const char* mark;
    std::uint64_t size;
    std::string_view subject;
  };
  for (const Field& field :
       {Field{"tensor[1]", 8, ""}, Field{"tensor[1].name", 6, ""},
        Field{"tensor[1].rank", 4, "second"}, Field{"tensor[1].dims[0]", 8, "second"},
        Field{"tensor[1].dims[1]", 8, "second"}, Field{"tensor[1].dtype", 4, "second"},
        Field{"tensor[1].offset", 8, "second"}}) {
    const Sample cut = two.cut_at(field.mark, field.size - 1);
    table.push_back(
        {.fact = std::string("a file that ends inside ") + field.mark + " is truncated there",
         .sample = cut,
         .refusal = Errc::truncated,
         .at = field.mark,
         .subject = field.subject,
         .expected = cut.size() + 1,
         .actual = cut.size()});
  }
}

void add_shape_rows(std::vector<HostileRow>& table) {
  const std::vector<HostileRow> rows{
      {.fact = "a tensor of no dimensions is a scalar",
       .sample = GgufBuilder().tensor({.name = "w", .dims = {}}).build()},
      {.fact = "four dimensions are fine",
       .sample = GgufBuilder().tensor({.name = "w", .dims = {2, 1, 3, 2}}).build()},
      {.fact = "five dimensions are odd",
       .sample = GgufBuilder().tensor({.name = "w", .dims = {2, 1, 3, 2, 2}}).build(),
       .odd = {{Errc::many_dimensions, "tensor[0].rank"}}},
      {.fact = "eight dimensions are odd",
       .sample = GgufBuilder().tensor({.name = "w", .dims = {1, 2, 1, 2, 1, 2, 1, 2}}).build(),
       .odd = {{Errc::many_dimensions, "tensor[0].rank"}}},
      {.fact = "nine dimensions are refused",
       .sample = GgufBuilder().tensor({.name = "w", .dims = {1, 1, 1, 1, 1, 1, 1, 1, 1}}).build(),
       .refusal = Errc::too_many_dimensions,
       .at = "tensor[0].rank",
       .subject = "w",
       .expected = 8,
       .actual = 9},
      {.fact = "2^32-1 dimensions are refused",
       .sample = second("F32", {1}).with<std::uint32_t>("tensor[1].rank", 0xFFFFFFFF),
       .refusal = Errc::too_many_dimensions,
       .at = "tensor[1].rank",
       .subject = "second"},
      {.fact = "a dimension of zero makes an empty tensor",
       .sample = GgufBuilder()
                     .tensor({.name = "w", .dims = {4, 0, 4}})
                     .tensor({.name = "v", .dims = {1}})
                     .build()},
      {.fact = "an empty tensor of a quantized type is fine",
       .sample =
           GgufBuilder().tensor({.name = "w", .dims = {256, 0}, .dtype = gguf_id("Q4_K")}).build()},
  };
  table.insert(table.end(), rows.begin(), rows.end());
  struct Overflow {
    const char* fact;
    const char* dtype;
    std::vector<std::uint64_t> dims;
  };
  for (const Overflow& row : std::vector<Overflow>{
           {"2^32 x 2^32 elements of F32 wrap to none and are refused",
            "F32",
            {1ULL << 32, 1ULL << 32}},
           {"2^40 x 2^24 x 4 elements of I8 wrap to none and are refused",
            "I8",
            {1ULL << 40, 1ULL << 24, 4}},
           {"2^64-1 x 2 elements are refused", "I8", {kMost, 2}},
           {"2^62 x 2 x 2 elements are refused", "I8", {1ULL << 62, 2, 2}},
           {"2^62 elements of F32 wrap to no bytes and are refused", "F32", {1ULL << 62}},
           {"2^61 + 1 elements of F64 wrap to eight bytes and are refused",
            "F64",
            {(1ULL << 61) + 1}},
           {"31 x 2^59 elements of Q8_0 make more than 2^64 bytes and are refused",
            "Q8_0",
            {1ULL << 59, 31}},
           {"an overflow before a dimension of zero is refused", "I8", {1ULL << 62, 4, 0}},
       }) {
    table.push_back({.fact = row.fact,
                     .sample = second(row.dtype, row.dims),
                     .refusal = Errc::size_overflow,
                     .at = "tensor[1].rank",
                     .subject = "second"});
  }
  for (const std::uint64_t dim : {1ULL << 63, 0xFFFFFFFFFFFFFFFFULL}) {
    // ggml holds dimensions in an int64_t and refuses these as negative (gguf.cpp:683).
    table.push_back(
        {.fact = "a dimension of " + std::to_string(dim) + " is refused even beside one of zero",
         .sample = second("I8", {0, dim}),
         .refusal = Errc::size_overflow,
         .at = "tensor[1].rank",
         .subject = "second"});
  }
}

void add_dtype_rows(std::vector<HostileRow>& table) {
  for (const GgufType& type : kGgufTypes) {
    const std::uint64_t row = type.block_elements == 0 ? 256 : type.block_elements;
    const Sample sample = GgufBuilder()
                              .tensor({.name = "w", .dims = {row, 3}, .dtype = type.id})
                              .tensor({.name = "v", .dims = {1}})
                              .build();
    if (type.block_elements != 0) {
      table.push_back(
          {.fact = "a tensor of " + std::string(type.name) + " is fine", .sample = sample});
    } else {
      table.push_back(
          {.fact = "the removed type " + std::string(type.name) + " costs its tensor the values",
           .sample = sample,
           .odd = {{Errc::unknown_dtype, "tensor[0].dtype"}}});
    }
    if (type.block_elements < 2) continue;
    for (const std::vector<std::uint64_t>& dims :
         {std::vector<std::uint64_t>{row - 1}, {row + 1}, {row / 2, 2}, {}}) {
      table.push_back(
          {.fact = "a row of " + std::to_string(dims.empty() ? 1 : dims[0]) + " in " +
                   std::string(type.name) + " is refused",
           .sample = GgufBuilder().tensor({.name = "w", .dims = dims, .dtype = type.id}).build(),
           .refusal = Errc::partial_block,
           .at = "tensor[0].rank",
           .subject = "w",
           .expected = row,
           .actual = dims.empty() ? 1 : dims[0]});
    }
  }
  for (const std::uint32_t id : {43U, 255U, 0x01000000U, 0xFFFFFFFFU}) {
    const Sample sample = GgufBuilder()
                              .tensor({.name = "w", .dims = {100}, .dtype = id, .nbytes = 70})
                              .tensor({.name = "v", .dims = {1}})
                              .build();
    table.push_back({.fact = "type id " + std::to_string(id) + " costs its tensor the values",
                     .sample = sample,
                     .odd = {{Errc::unknown_dtype, "tensor[0].dtype"}}});
    table.push_back(
        {.fact = "type id " + std::to_string(id) + " is fine for the last tensor as well",
         .sample = GgufBuilder()
                       .tensor({.name = "v", .dims = {1}})
                       .tensor({.name = "w", .dims = {100}, .dtype = id, .nbytes = 70})
                       .build(),
         .odd = {{Errc::unknown_dtype, "tensor[1].dtype"}}});
  }
  const std::vector<HostileRow> rows{
      {.fact = "elements of an unknown type must fit in 64 bits as well",
       .sample = second("F32", {1ULL << 32, 1ULL << 32}).with<std::uint32_t>("tensor[1].dtype", 99),
       .refusal = Errc::size_overflow,
       .at = "tensor[1].rank",
       .subject = "second"},
      {.fact = "the bytes behind a last tensor of unknown type are taken for its own",
       .sample = GgufBuilder()
                     .tensor({.name = "w", .dims = {1}, .dtype = 99, .nbytes = 8})
                     .trailing(Bytes(1'000, std::byte{0xAA}))
                     .build(),
       .odd = {{Errc::unknown_dtype, "tensor[0].dtype"}}},
  };
  table.insert(table.end(), rows.begin(), rows.end());
}

std::vector<HostileRow> rows() {
  std::vector<HostileRow> table;
  add_name_rows(table);
  add_cut_rows(table);
  add_shape_rows(table);
  add_dtype_rows(table);
  return table;
}

TEST_CASE("the tensor infos of a GGUF are judged one by one") {
  for (const HostileRow& row : gguf_tensor_rows()) check_row(row);
}

}  // namespace

const std::vector<HostileRow>& gguf_tensor_rows() {
  static const std::vector<HostileRow> kRows = rows();
  return kRows;
}

}  // namespace ballast::test
