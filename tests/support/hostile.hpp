// Tables of odd and hostile files: one row is one file and the answer that is due.
//
// A row is a valid file with one thing changed. It says whether the file is refused or accepted
// with warnings, which byte is at fault, by the mark of the builder, and which tensor or key. Where
// a refusal has no single byte at fault the rows follow one reading throughout: a bad field, the
// field; a shape that makes no size, the rank word or the shape; two tensors that do not go
// together, the description of the later one; bytes that are missing or too many, the place where
// they should begin or end.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <ballast/directory.hpp>
#include <ballast/error.hpp>

#include "tests/support/sample.hpp"

namespace ballast::test {

/// Said in place of a mark: no byte is at fault.
inline constexpr std::string_view kNowhere = "nowhere";

struct Odd {
  Errc code;
  std::string_view at;
};

struct HostileRow {
  std::string fact;  ///< what holds, as a sentence
  Sample sample;
  Errc refusal = Errc::ok;     ///< ok: accepted
  std::string_view at = {};    ///< of a refusal: the mark of the byte at fault, or kNowhere
  std::string_view subject{};  ///< of a refusal: the name of the tensor or key
  std::vector<Odd> odd{};      ///< accepted with exactly these warnings, in this order
  std::optional<std::uint64_t>
      expected{};  ///< of a refusal: the number that was expected, where the row fixes it
  std::optional<std::uint64_t> actual{};  ///< and the one that was found
  ParseOptions options{};
};

using HostileTable = const std::vector<HostileRow>& (*)();

/// Parses a row's file and checks everything that the row says, and for every accepted file the
/// layout of its tensors. Answers the codes that it saw.
std::set<Errc> check_row(const HostileRow& row);

// The tables, each with a test of its own in the file of its name; the test of completeness runs
// all of them.
[[nodiscard]] const std::vector<HostileRow>& gguf_header_rows();  // unit/gguf_header_rows_test.cpp
[[nodiscard]] const std::vector<HostileRow>& gguf_entry_rows();   // unit/gguf_entry_rows_test.cpp
[[nodiscard]] const std::vector<HostileRow>& gguf_tensor_rows();  // unit/gguf_tensor_rows_test.cpp
[[nodiscard]] const std::vector<HostileRow>& gguf_data_rows();    // unit/gguf_data_rows_test.cpp
[[nodiscard]] const std::vector<HostileRow>&
safetensors_json_rows();  // unit/safetensors_json_rows_test.cpp
[[nodiscard]] const std::vector<HostileRow>&
safetensors_tensor_rows();  // unit/safetensors_tensor_rows_test.cpp
[[nodiscard]] const std::vector<HostileRow>& format_rows();     // unit/format_rows_test.cpp
[[nodiscard]] const std::vector<HostileRow>& gguf_bomb_rows();  // unit/gguf_bomb_rows_test.cpp
[[nodiscard]] const std::vector<HostileRow>&
safetensors_bomb_rows();  // unit/safetensors_bomb_rows_test.cpp

inline constexpr HostileTable kHostileTables[]{
    gguf_header_rows, gguf_entry_rows,       gguf_tensor_rows,
    gguf_data_rows,   safetensors_json_rows, safetensors_tensor_rows,
    format_rows,      gguf_bomb_rows,        safetensors_bomb_rows,
};

}  // namespace ballast::test
