// What `ballast inspect` shows, in its two forms.
#pragma once

#include <string_view>

#include <ballast/model.hpp>

#include "cli/filter.hpp"
#include "cli/output.hpp"
#include "cli/value_text.hpp"

namespace ballast::cli {

/// Elements of an array that are shown where not all are asked for.
inline constexpr std::size_t kFirstElements = 8;

struct Selection {
  Filter filter;      ///< of tensors and metadata keys
  bool full = false;  ///< whole arrays and strings
};

/// The facts as one JSON object. Its form is an interface; `ballast inspect --help` describes it.
void write_json(Output& output, const Model& model, const Selection& selection);

/// How much room the tables have, and what they may use.
struct Look {
  bool colour = false;
  std::size_t columns = Room::kUnlimited;  ///< what is wider is folded
};

/// The facts as tables for people. `path` is the model as it was named; it may be any bytes.
void write_tables(Output& output, const Model& model, std::string_view path,
                  const Selection& selection, const Look& look);

/// "mmap" where all files are mapped, else "heap".
[[nodiscard]] std::string_view storage_name(const Model& model);

/// What the first of its files that is compressed is compressed with.
[[nodiscard]] Compression compression_of(const Model& model);

}  // namespace ballast::cli
