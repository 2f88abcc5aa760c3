// Numbers as people read them, and floats as every reader gets them back.
#pragma once

#include <cstdint>
#include <string>

namespace ballast::cli {

/// Three digits and a decimal unit: "668 MB", "7.24 GB"; below a thousand exactly: "512 bytes".
[[nodiscard]] std::string human_bytes(std::uint64_t bytes);

/// Three digits and the unit in which parameters are counted: "135 M", "7.24 B"; "512".
[[nodiscard]] std::string human_count(std::uint64_t count);

/// The fewest digits that read back to the same number of the same type. They are laid out as
/// ECMAScript lays out numbers (Number::toString: "0.1", "1e+21", "1"), so that JavaScript can
/// write the same, whatever version of whatever library formats numbers there. Two things that JSON
/// has no number for are words: "NaN", "Infinity", "-Infinity". Negative zero is "-0.0", which no
/// reader takes for an integer.
[[nodiscard]] std::string shortest(float number);
[[nodiscard]] std::string shortest(double number);

}  // namespace ballast::cli
