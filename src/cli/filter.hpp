// Filter: which names a user wants to see.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ballast::cli {

/// A pattern over names. With one of the characters * ? [ it is a glob that the whole name must
/// match: * stands for any characters, ? for one, [a-z] for one of a set, [!a-z] for one that is
/// not in it. Without them it is a piece of text that the name must contain. The letters A to Z
/// match in either case. No pattern matches everything.
class Filter {
 public:
  Filter() = default;
  explicit Filter(std::optional<std::string> pattern);

  [[nodiscard]] bool matches(std::string_view name) const;
  /// Whether there is a pattern at all.
  [[nodiscard]] bool is_active() const noexcept { return pattern_.has_value(); }

 private:
  std::optional<std::string> pattern_;  // in lower case
  bool is_glob_ = false;
};

}  // namespace ballast::cli
