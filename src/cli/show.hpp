// What `show` shows of a tensor: rows of it, number by number, and what they are like.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include <ballast/model.hpp>
#include <ballast/values.hpp>

#include "cli/output.hpp"

namespace ballast::cli {

/// A number of a tensor: float where float holds all of its dtype, else what the dtype is.
using Number = std::variant<float, double, std::int64_t, std::uint64_t>;

/// What is shown.
struct Shown {
  const Model& model;
  const Tensor& tensor;
  std::uint64_t begin;  ///< the first row
  std::uint64_t end;    ///< one behind the last
  Statistics statistics;
  bool has_values;  ///< false where only statistics are wanted
  bool has_rows;    ///< whether the rows were named, so that all of them are wanted

  /// Numbers in a row: twice its elements for complex ones.
  [[nodiscard]] std::uint64_t row_size() const;
  /// `count` numbers of a row, from number `first` on.
  [[nodiscard]] std::vector<Number> numbers(std::uint64_t row, std::uint64_t first,
                                            std::uint64_t count) const;
};

/// For people: at most `columns` wide.
void write_show_table(Output& output, const Shown& shown, std::size_t columns, bool colour);

/// For programs.
void write_show_json(Output& output, const Shown& shown);

}  // namespace ballast::cli
