// GGUF's data: where tensors lie in the file and beside each other, padding, and what comes after.
#include <cstdint>
#include <string>

#include <catch2/catch_test_macros.hpp>

#include "tests/support/gguf_builder.hpp"
#include "tests/support/hostile.hpp"
#include "tests/support/safetensors_builder.hpp"

namespace ballast::test {
namespace {

// Three tensors of 40 bytes, each padded to 64.
GgufBuilder three() {
  return GgufBuilder()
      .tensor({.name = "a", .dims = {10}})
      .tensor({.name = "b", .dims = {10}})
      .tensor({.name = "c", .dims = {10}});
}

// Two I8 tensors that each claim 0x7FFFFFFFFFFFFFC0 bytes (ggml's MEM_SIZE_OVERFLOW).
GgufBuilder two_halves_of_memory() {
  constexpr std::uint64_t kHalf = 0x7FFFFFFFFFFFFFC0;
  return GgufBuilder()
      .tensor({.name = "a", .dims = {kHalf}, .dtype = gguf_id("I8"), .offset = 0, .nbytes = 0})
      .tensor({.name = "b", .dims = {kHalf}, .dtype = gguf_id("I8"), .offset = kHalf, .nbytes = 0});
}

// A tensor that ends 16 bytes before 2^64, and would be padded to 32.
Sample nearly_all_of_memory() {
  const auto of = [](std::uint64_t half) {
    return GgufBuilder()
        .tensor({.name = "w", .dims = {half, 2}, .dtype = gguf_id("I8"), .nbytes = 0})
        .build();
  };
  return of((UINT64_MAX - 15 - of(1).at("data")) / 2);
}

void add_offset_rows(std::vector<HostileRow>& table) {
  const Sample good = three().build();
  for (const std::uint64_t offset : {1U, 8U, 16U, 63U, 65U}) {
    table.push_back(
        {.fact = "offset " + std::to_string(offset) + " is not aligned to 32 and refused",
         .sample = good.with<std::uint64_t>("tensor[1].offset", offset),
         .refusal = Errc::misaligned_offset,
         .at = "tensor[1].offset",
         .subject = "b",
         .expected = 32,
         .actual = offset});
  }
  const std::vector<HostileRow> rows{
      {.fact = "tensors packed without padding under an alignment of 32 are refused",
       .sample = three().layout_alignment(1).build(),
       .refusal = Errc::misaligned_offset,
       .at = "tensor[1].offset",
       .subject = "b",
       .expected = 32,
       .actual = 40},
      {.fact = "tensors laid out for 32 under an alignment of 64 are refused",
       .sample = GgufBuilder()
                     .entry("general.alignment", std::uint32_t{64})
                     .tensor({.name = "a", .dims = {2}})
                     .tensor({.name = "b", .dims = {2}})
                     .build(),
       .refusal = Errc::misaligned_offset,
       .at = "tensor[1].offset",
       .subject = "b",
       .expected = 64,
       .actual = 32},
      {.fact = "an offset of 2^64-32 is refused as too large a sum",
       .sample = good.with<std::uint64_t>("tensor[2].offset", UINT64_MAX - 31),
       .refusal = Errc::size_overflow,
       .at = "tensor[2]",
       .subject = "c"},
      {.fact = "an offset of 2^40 lies outside the file",
       .sample = good.with<std::uint64_t>("tensor[2].offset", std::uint64_t{1} << 40),
       .refusal = Errc::outside_file,
       .at = "end",
       .subject = "c",
       .expected = good.at("data") + (std::uint64_t{1} << 40) + 40,
       .actual = good.size()},
      {.fact = "a size that wraps when it is padded is refused",
       .sample =
           GgufBuilder()
               .tensor({.name = "w", .dims = {INT64_MAX, 2}, .dtype = gguf_id("I8"), .nbytes = 0})
               .build(),
       .refusal = Errc::size_overflow,
       .at = "tensor[0]",
       .subject = "w"},
      {.fact = "an end that fits in 64 bits and does not when it is padded is refused",
       .sample = nearly_all_of_memory(),
       .refusal = Errc::size_overflow,
       .at = "tensor[0]",
       .subject = "w"},
      {.fact = "4 x (2^30-1) x (2^30+1) elements of F32 make 2^64-16 bytes and are refused",
       .sample =
           GgufBuilder()
               .tensor({.name = "a", .dims = {8}})
               .tensor({.name = "b", .dims = {4, (1ULL << 30) - 1, (1ULL << 30) + 1}, .nbytes = 0})
               .build(),
       .refusal = Errc::size_overflow,
       .at = "tensor[1]",
       .subject = "b"},
      {.fact = "two tensors that together wrap around memory are refused",
       .sample = two_halves_of_memory().entry("general.architecture", "llama").build(),
       .refusal = Errc::size_overflow,
       .at = "tensor[1]",
       .subject = "b"},
      {.fact = "two tensors that together nearly fill 64 bits lie outside the file",
       .sample = two_halves_of_memory().build(),
       .refusal = Errc::outside_file,
       .at = "end",
       .subject = "b"},
  };
  table.insert(table.end(), rows.begin(), rows.end());
}

void add_neighbour_rows(std::vector<HostileRow>& table) {
  const Sample good = three().build();
  const auto placed = [](std::vector<std::uint64_t> offsets) {
    GgufBuilder builder;
    for (std::size_t i = 0; i < offsets.size(); ++i) {
      builder.tensor(
          {.name = std::string(1, static_cast<char>('a' + i)), .dims = {10}, .offset = offsets[i]});
    }
    return builder.build();
  };
  const std::vector<HostileRow> rows{
      {.fact = "two tensors on the same bytes overlap",
       .sample = good.with<std::uint64_t>("tensor[1].offset", 0),
       .refusal = Errc::overlap,
       .at = "tensor[1]",
       .subject = "b",
       .expected = good.at("data") + 40,
       .actual = good.at("data")},
      {.fact = "two tensors that share their last bytes overlap",
       .sample = good.with<std::uint64_t>("tensor[2].offset", 96),
       .refusal = Errc::overlap,
       .at = "tensor[2]",
       .subject = "c",
       .expected = good.at("data") + 104,
       .actual = good.at("data") + 96},
      {.fact = "a tensor inside another that is listed later overlaps",
       .sample = GgufBuilder()
                     .tensor({.name = "inner", .dims = {1}, .offset = 32})
                     .tensor({.name = "outer", .dims = {100}, .offset = 0, .nbytes = 400})
                     .build(),
       .refusal = Errc::overlap,
       .at = "tensor[0]",
       .subject = "inner"},
      {.fact = "a tensor that ends inside one of unknown size cannot be told, and one that begins "
               "before it can",
       .sample = GgufBuilder()
                     .tensor({.name = "known", .dims = {10}, .offset = 0})
                     .tensor({.name = "new", .dims = {10}, .dtype = 99, .offset = 32})
                     .build(),
       .refusal = Errc::overlap,
       .at = "tensor[1]",
       .subject = "new"},
      {.fact = "a hole between tensors is odd",
       .sample = placed({0, 128, 192}),
       .odd = {{Errc::hole, "tensor[0].padded"}}},
      {.fact = "a hole before the first tensor is odd",
       .sample = placed({32, 96}),
       .odd = {{Errc::hole, "data"}}},
      {.fact = "what lies behind a tensor of unknown size is no hole",
       .sample = GgufBuilder()
                     .tensor({.name = "new", .dims = {10}, .dtype = 99, .offset = 0})
                     .tensor({.name = "known", .dims = {10}, .offset = 4'096})
                     .build(),
       .odd = {{Errc::unknown_dtype, "tensor[0].dtype"}}},
      {.fact = "tensors out of order are odd",
       .sample = placed({64, 0, 128}),
       .odd = {{Errc::out_of_order, "tensor[1]"}}},
      {.fact = "tensors in reverse order are odd, each one that steps back",
       .sample = placed({128, 64, 0}),
       .odd = {{Errc::out_of_order, "tensor[1]"}, {Errc::out_of_order, "tensor[2]"}}},
      {.fact = "empty tensors may share an offset with each other and with a full one",
       .sample = GgufBuilder()
                     .tensor({.name = "e1", .dims = {0}})
                     .tensor({.name = "e2", .dims = {5, 0}})
                     .tensor({.name = "w", .dims = {10}})
                     .tensor({.name = "e3", .dims = {0}})
                     .tensor({.name = "e4", .dims = {0}})
                     .build()},
      {.fact = "an empty tensor inside another overlaps nothing",
       .sample = GgufBuilder()
                     .tensor({.name = "w", .dims = {100}})
                     .tensor({.name = "e", .dims = {0}, .offset = 32})
                     .tensor({.name = "v", .dims = {1}, .offset = 416})
                     .build()},
      {.fact = "an empty tensor at the very end of the file is inside",
       .sample = GgufBuilder()
                     .tensor({.name = "w", .dims = {8}})
                     .tensor({.name = "e", .dims = {0}})
                     .build()},
      {.fact = "an empty tensor behind the end of the file is outside",
       .sample = GgufBuilder()
                     .tensor({.name = "w", .dims = {8}})
                     .tensor({.name = "e", .dims = {0}})
                     .build()
                     .with<std::uint64_t>("tensor[1].offset", 64),
       .refusal = Errc::outside_file,
       .at = "end",
       .subject = "e"},
      {.fact = "a file of empty tensors may end with its header",
       .sample = GgufBuilder()
                     .tensor({.name = "e", .dims = {0}})
                     .tensor({.name = "f", .dims = {0}})
                     .build()
                     .cut_at("infos.end")},
  };
  table.insert(table.end(), rows.begin(), rows.end());
}

void add_end_rows(std::vector<HostileRow>& table) {
  constexpr std::size_t kCap = std::size_t{1} << 20;
  const Bytes other = SafetensorsBuilder().tensor({.name = "w", .shape = {1}}).build().bytes();
  const Sample good = three().build();
  const Sample unpadded = three().without_final_padding().build();
  // A cut file has its end elsewhere.
  const auto cut = [](Sample sample, std::uint64_t size) {
    sample = sample.cut(size);
    sample.mark("end");
    return sample;
  };
  const std::vector<HostileRow> rows{
      {.fact = "a last tensor without its padding is fine", .sample = unpadded},
      {.fact = "a last tensor with some of its padding, but not all, was cut",
       .sample = cut(good, good.size() - 1),
       .refusal = Errc::partial_padding,
       .at = "end",
       .subject = "c",
       .expected = good.size(),
       .actual = good.size() - 1},
      {.fact = "a last tensor that lacks a byte is outside the file",
       .sample = cut(unpadded, unpadded.size() - 1),
       .refusal = Errc::outside_file,
       .at = "end",
       .subject = "c",
       .expected = unpadded.size(),
       .actual = unpadded.size() - 1},
      {.fact =
           "a file that ends in the middle of its data says by how much the last tensor is short",
       .sample = cut(good, good.at("tensor[1].data") + 10),
       .refusal = Errc::outside_file,
       .at = "end",
       .subject = "c",
       .expected = good.at("tensor[2].end")},
      {.fact = "a file that ends with its header lacks all data",
       .sample = cut(good, good.at("infos.end")),
       .refusal = Errc::outside_file,
       .at = "end",
       .subject = "c"},
      {.fact = "padding between header and data that is not zero is odd",
       .sample = good.with<std::uint8_t>("infos.end", 1),
       .odd = {{Errc::nonzero_padding, "infos.end"}}},
      {.fact = "padding between tensors that is not zero is left to verify",
       .sample = good.with<std::uint8_t>("tensor[0].end", 1)},
      {.fact = "a file without tensors may be padded",
       .sample =
           GgufBuilder().entry("a", true).trailing(Bytes(32 - (24 + 8 + 1 + 4 + 1) % 32)).build()},
      {.fact = "one byte behind the end is odd",
       .sample = three().trailing(Bytes(1)).build(),
       .odd = {{Errc::trailing_bytes, "padded.end"}}},
      {.fact = "one byte behind a file without tensors and its padding is odd",
       .sample =
           [] {
             Sample sample = GgufBuilder().build();
             sample.write(Bytes(8));
             sample.mark("padded");
             sample.write(Bytes(1));
             return sample;
           }(),
       .odd = {{Errc::trailing_bytes, "padded"}}},
      {.fact = "a mebibyte behind the end is odd",
       .sample = three().trailing(noise(kCap, 1)).build(),
       .odd = {{Errc::trailing_bytes, "padded.end"}}},
      {.fact = "a mebibyte and a byte behind the end are refused",
       .sample = three().trailing(noise(kCap + 1, 1)).build(),
       .refusal = Errc::trailing_bytes,
       .at = "padded.end",
       .expected = good.size(),
       .actual = good.size() + kCap + 1},
      {.fact = "a cap of no trailing bytes refuses one",
       .sample = three().trailing(Bytes(1)).build(),
       .refusal = Errc::trailing_bytes,
       .at = "padded.end",
       .options = {.limits = {.max_trailing = 0}}},
      {.fact = "two files glued together are refused where the second begins",
       .sample = three().trailing(good.bytes()).build(),
       .refusal = Errc::glued_files,
       .at = "padded.end"},
      {.fact = "glued behind the last tensor instead of its padding, they are refused as well",
       .sample = three().without_final_padding().trailing(good.bytes()).build(),
       .refusal = Errc::glued_files,
       .at = "data.end"},
      {.fact = "glued files are called that, however long the second is",
       .sample = three().trailing(good.with_tail(Bytes(2 * kCap)).bytes()).build(),
       .refusal = Errc::glued_files,
       .at = "padded.end"},
      {.fact = "a model of another format behind a GGUF is glued to it, too",
       .sample = three().trailing(other).build(),
       .refusal = Errc::glued_files,
       .at = "padded.end",
       .expected = good.size(),
       .actual = good.size() + other.size()},
      {.fact = "a GGUF without tensors and another one glued to it are refused",
       .sample = GgufBuilder().trailing(good.bytes()).build(),
       .refusal = Errc::glued_files,
       .at = "padded.end"},
  };
  table.insert(table.end(), rows.begin(), rows.end());
}

std::vector<HostileRow> rows() {
  std::vector<HostileRow> table;
  add_offset_rows(table);
  add_neighbour_rows(table);
  add_end_rows(table);
  return table;
}

TEST_CASE("the data of a GGUF are judged as a whole") {
  for (const HostileRow& row : gguf_data_rows()) check_row(row);
}

}  // namespace

const std::vector<HostileRow>& gguf_data_rows() {
  static const std::vector<HostileRow> kRows = rows();
  return kRows;
}

}  // namespace ballast::test
