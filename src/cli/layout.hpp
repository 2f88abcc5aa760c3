// Text in columns: how wide it is on a terminal, and how it is made to fit.
//
// All text here is safe to print already (text.hpp, printable()).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace ballast::cli {

/// Columns that a character takes: 2 for the wide ones of East Asia and emoji, 0 for combining
/// marks and joiners. A table of the blocks that matter, the same in every locale and on every
/// system.
[[nodiscard]] std::size_t display_width(char32_t character) noexcept;
[[nodiscard]] std::size_t display_width(std::string_view text) noexcept;

/// The longest beginning, in whole characters, that takes at most `width` columns.
[[nodiscard]] std::string_view fitting_prefix(std::string_view text, std::size_t width) noexcept;
/// The longest end of that kind.
[[nodiscard]] std::string_view fitting_suffix(std::string_view text, std::size_t width) noexcept;

/// The text where it fits; else its beginning and "...".
[[nodiscard]] std::string fold_end(std::string_view text, std::size_t width);
/// The text where it fits; else its beginning, "..." and its end, because names differ at both
/// ends.
[[nodiscard]] std::string fold_middle(std::string_view text, std::size_t width);

/// Text with spaces up to `width` columns: behind it (names), or before it (numbers).
[[nodiscard]] std::string align_left(std::string_view text, std::size_t width);
[[nodiscard]] std::string align_right(std::string_view text, std::size_t width);

/// The text on as many lines as it takes, broken at spaces, each line ended; the first is indented
/// by `first`, the others by `others`. A word that is wider than a line stays whole.
[[nodiscard]] std::string wrap(std::string_view text, std::size_t columns, std::size_t first,
                               std::size_t others);

}  // namespace ballast::cli
