// WarningList: collects what is odd while a file is parsed. Private.
//
// A hostile file can be odd a million times. The first few findings of each code are kept, the rest
// are counted.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <ballast/error.hpp>
#include <ballast/text.hpp>

namespace ballast {

class WarningList {
 public:
  void add(const Problem& problem) {
    if (++counts_[static_cast<std::size_t>(problem.code)] > kKept) return;
    warnings_.push_back({problem.code, problem.offset, problem.message()});
  }

  /// All warnings, with one more for each code that was met more often than kept.
  [[nodiscard]] std::vector<Warning> finish() && {
    for (std::size_t code = 0; code < counts_.size(); ++code) {
      if (counts_[code] <= kKept) continue;
      std::string message("and ");
      message.append(grouped(counts_[code] - kKept)).append(" more like it");
      warnings_.push_back({static_cast<Errc>(code), std::nullopt, std::move(message)});
    }
    return std::move(warnings_);
  }

  static constexpr std::uint64_t kKept = 8;

 private:
  std::array<std::uint64_t, kErrcCount + 1> counts_{};
  std::vector<Warning> warnings_;
};

}  // namespace ballast
