// Tables of sets of files: one row is a folder, the file in it that is opened, and the answer that
// is due.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ballast/error.hpp>

#include "tests/support/gguf_builder.hpp"
#include "tests/support/sample.hpp"

namespace ballast::test {

using Files = std::vector<std::pair<std::string, Bytes>>;

struct SetRow {
  std::string fact;  ///< what holds, as a sentence
  Files files;
  std::vector<std::string> open;  ///< one path, or the explicit list of all files
  Errc refusal = Errc::ok;        ///< ok: accepted
  std::string blamed = {};        ///< of a refusal: the file that its path names
  std::string_view subject{};     ///< of a refusal: the name of the tensor, key or file
  std::optional<std::uint64_t> offset{};
  std::vector<std::string> tensors{};  ///< accepted with exactly these tensors, each as NAME@SHARD
  std::vector<Errc> odd{};             ///< accepted with exactly these warnings
};

using SetTable = const std::vector<SetRow>& (*)();

/// Writes a row's files, opens them and checks everything that the row says; for every accepted set
/// also that each tensor has its bytes. Answers the codes that it saw.
std::set<Errc> check_row(const SetRow& row);

/// "model-00002-of-00003.gguf": names count from 1.
[[nodiscard]] std::string split_name(unsigned number, unsigned count,
                                     std::string_view prefix = "model");

/// A shard of a split GGUF, `number` counted from 0 as in its metadata, with a tensor of each name.
[[nodiscard]] GgufBuilder split_shard(unsigned number, unsigned count, int total,
                                      const std::vector<std::string>& tensors);

// The tables, each with a test of its own in the file of its name; the test of completeness runs
// all of them.
[[nodiscard]] const std::vector<SetRow>& split_rows();  // unit/split_rows_test.cpp
[[nodiscard]] const std::vector<SetRow>& index_rows();  // unit/index_rows_test.cpp

inline constexpr SetTable kSetTables[]{split_rows, index_rows};

}  // namespace ballast::test
