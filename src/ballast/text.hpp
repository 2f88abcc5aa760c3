// Strings that come from files, made safe to show.
//
// A model file is written by a stranger, and its names and metadata are any bytes at all: an escape
// sequence that repaints the terminal, a right-to-left override that disguises a name, bytes that
// are not UTF-8. These functions are what stands between such strings and a screen.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <ballast/config.hpp>

namespace ballast {

/// One decoded character, or one maximal run of bytes that is not UTF-8.
struct Utf8Step {
  char32_t character = 0;  ///< meaningless where `valid` is false
  std::size_t length = 0;  ///< bytes consumed, at least 1
  bool valid = false;
};

/// Decodes the first character of `text`, which must not be empty. Overlong forms, surrogates and
/// everything over U+10FFFF are not valid (RFC 3629); an invalid run is as long as the Unicode
/// standard's "maximal subpart" (3.9).
[[nodiscard]] BALLAST_API Utf8Step decode_utf8(std::string_view text) noexcept;

/// The position of the first byte that is not UTF-8; npos where all are.
[[nodiscard]] BALLAST_API std::size_t find_invalid_utf8(std::string_view text) noexcept;

[[nodiscard]] inline bool is_utf8(std::string_view text) noexcept {
  return find_invalid_utf8(text) == std::string_view::npos;
}

/// Whether a character may reach a terminal as it is: no control character, no line or paragraph
/// separator, nothing that changes the direction of the text around it, and nothing that Unicode
/// lets a display ignore (Default_Ignorable_Code_Point): variation selectors, which emoji use, too,
/// tags, fillers, characters without a width.
[[nodiscard]] BALLAST_API bool is_printable(char32_t character) noexcept;

/// `text` with everything that must not reach a terminal escaped: \n, \x1b for bytes, \u{202e} for
/// characters, and backslashes doubled, so that the result is unambiguous. Longer than `max_bytes`,
/// it ends in "..." after whole characters.
[[nodiscard]] BALLAST_API std::string printable(std::string_view text,
                                                std::size_t max_bytes = std::string_view::npos);

/// A number with thousands separated: 1,234,567.
[[nodiscard]] BALLAST_API std::string grouped(std::uint64_t number);

/// Appends a character as UTF-8; `character` must be a Unicode scalar value.
BALLAST_API void append_utf8(std::string& out, char32_t character);

}  // namespace ballast
