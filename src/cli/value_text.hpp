// Values of metadata as people read them, in one line, safe to print.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

#include <ballast/metadata.hpp>

namespace ballast::cli {

/// How much of a value is shown.
struct Room {
  /// No limit; far enough from the end of the type that sums with it do not overflow.
  static constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max() / 8;

  std::size_t columns = kUnlimited;                                    ///< of a terminal
  std::uint64_t elements = std::numeric_limits<std::uint64_t>::max();  ///< of an array
};

/// "u32", "string[]": a type, and what an array holds.
[[nodiscard]] std::string type_text(const Value& value);

/// The value. What does not fit is folded: a string says how long it is, of an array the first
/// elements are shown.
[[nodiscard]] std::string value_text(const Value& value, const Room& room);

}  // namespace ballast::cli
