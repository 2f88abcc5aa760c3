// GGUF's first 24 bytes: magic, version and counts.
#include <cstdint>
#include <limits>
#include <string>

#include <catch2/catch_test_macros.hpp>

#include "tests/support/gguf_builder.hpp"
#include "tests/support/hostile.hpp"

namespace ballast::test {
namespace {

constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();

GgufBuilder small() {
  return GgufBuilder()
      .entry("general.architecture", "llama")
      .tensor({.name = "w", .dims = {4}})
      .tensor({.name = "v", .dims = {32, 2}, .dtype = gguf_id("Q8_0")});
}

std::vector<HostileRow> rows() {
  const Sample good = small().build();
  const Sample bare = GgufBuilder().build();
  std::vector<HostileRow> table{
      {.fact = "a small file with an entry and two tensors is fine", .sample = good},
      {.fact = "24 bytes without entries and tensors are a file", .sample = bare},
      {.fact = "version 2 is read as version 3 is", .sample = small().version(2).build()},
      {.fact = "a file that ends behind its magic is truncated at the version",
       .sample = good.cut_at("version"),
       .refusal = Errc::truncated,
       .at = "version",
       .expected = 8,
       .actual = 4},
      {.fact = "a file that ends inside its version is truncated there",
       .sample = good.cut_at("version", 3),
       .refusal = Errc::truncated,
       .at = "version",
       .expected = 8,
       .actual = 7},
      {.fact = "a file that ends behind its version is truncated at the tensor count",
       .sample = good.cut_at("tensor_count"),
       .refusal = Errc::truncated,
       .at = "tensor_count",
       .expected = 16,
       .actual = 8},
      {.fact = "a file that ends inside its entry count is truncated there",
       .sample = good.cut_at("entry_count", 7),
       .refusal = Errc::truncated,
       .at = "entry_count",
       .expected = 24,
       .actual = 23},
      {.fact = "a magic that reads FUGG is no GGUF",
       .sample = good.with_text("magic", "FUGG"),
       .refusal = Errc::unknown_format,
       .at = "magic"},
      {.fact = "a magic in lower case is no GGUF",
       .sample = good.with_text("magic", "gguf"),
       .refusal = Errc::unknown_format,
       .at = "magic"},
      {.fact = "a GGUF behind seven bytes of something else is no GGUF",
       .sample =
           [&] {
             Sample embedded;
             embedded.mark("magic");
             embedded.write(bytes_of("ARCHIVE"));
             embedded.write(good.bytes());
             return embedded;
           }(),
       .refusal = Errc::unknown_format,
       .at = "magic"},
      {.fact = "2^64-1 tensors are too many",
       .sample = small().tensor_count(kMost).build(),
       .refusal = Errc::too_many_tensors,
       .at = "tensor_count",
       .expected = 1'000'000,
       .actual = kMost},
      {.fact = "2^40 tensors in 24 bytes are too many",
       .sample = bare.with<std::uint64_t>("tensor_count", std::uint64_t{1} << 40),
       .refusal = Errc::too_many_tensors,
       .at = "tensor_count"},
      {.fact = "a tensor over the cap is one too many",
       .sample = small().tensor_count(1'000'001).build(),
       .refusal = Errc::too_many_tensors,
       .at = "tensor_count",
       .expected = 1'000'000,
       .actual = 1'000'001},
      {.fact = "as many tensors as the cap allows must still fit in the file",
       .sample = bare.with<std::uint64_t>("tensor_count", 1'000'000),
       .refusal = Errc::count_too_large,
       .at = "tensor_count",
       .expected = 0,
       .actual = 1'000'000},
      {.fact = "a cap of one tensor refuses two",
       .sample = good,
       .refusal = Errc::too_many_tensors,
       .at = "tensor_count",
       .expected = 1,
       .actual = 2,
       .options = {.limits = {.max_tensors = 1}}},
      {.fact = "a cap of two tensors accepts two",
       .sample = good,
       .options = {.limits = {.max_tensors = 2}}},
      {.fact = "2^64-1 entries are too many",
       .sample = small().entry_count(kMost).build(),
       .refusal = Errc::too_many_entries,
       .at = "entry_count",
       .expected = 1'000'000,
       .actual = kMost},
      {.fact = "an entry over the cap is one too many",
       .sample = small().entry_count(1'000'001).build(),
       .refusal = Errc::too_many_entries,
       .at = "entry_count",
       .actual = 1'000'001},
      {.fact = "as many entries as the cap allows must still fit in the file",
       .sample = bare.with<std::uint64_t>("entry_count", 1'000'000),
       .refusal = Errc::count_too_large,
       .at = "entry_count",
       .expected = 0,
       .actual = 1'000'000},
      {.fact = "a cap of no entries refuses one",
       .sample = good,
       .refusal = Errc::too_many_entries,
       .at = "entry_count",
       .options = {.limits = {.max_entries = 0}}},
      {.fact = "a cap of one entry accepts one",
       .sample = good,
       .options = {.limits = {.max_entries = 1}}},
  };
  for (const std::uint32_t version : {0U, 1U, 4U, 99U, 0x00010003U, 0xFFFFFFFFU}) {
    table.push_back({.fact = "version " + std::to_string(version) + " is refused as a version",
                     .sample = small().version(version).build(),
                     .refusal = Errc::unsupported_version,
                     .at = "version",
                     .expected = 3,
                     .actual = version});
  }
  for (const std::uint32_t version : {1U, 2U, 3U}) {
    table.push_back(
        {.fact = "a big-endian file of version " + std::to_string(version) + " is refused as such",
         .sample = small().version(version).big_endian().build(),
         .refusal = Errc::big_endian,
         .at = "version"});
  }
  return table;
}

TEST_CASE("the header of a GGUF is judged by its first 24 bytes") {
  for (const HostileRow& row : gguf_header_rows()) check_row(row);
}

}  // namespace

const std::vector<HostileRow>& gguf_header_rows() {
  static const std::vector<HostileRow> kRows = rows();
  return kRows;
}

}  // namespace ballast::test
