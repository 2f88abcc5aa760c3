#include "cli/layout.hpp"

#include <algorithm>
#include <array>
#include <span>

#include <ballast/text.hpp>

namespace ballast::cli {
namespace {

constexpr std::string_view kEllipsis = "...";

struct Range {
  char32_t first;
  char32_t last;
};

// General categories Mn and Me, and the joiners and selectors of Cf: the blocks in which scripts
// with many speakers keep them (Unicode 15, UnicodeData.txt).
constexpr auto kZeroWidth = std::to_array<Range>({
    {0x0300, 0x036F},   {0x0483, 0x0489}, {0x0591, 0x05BD}, {0x05BF, 0x05BF}, {0x05C1, 0x05C2},
    {0x05C4, 0x05C5},   {0x05C7, 0x05C7}, {0x0610, 0x061A}, {0x064B, 0x065F}, {0x0670, 0x0670},
    {0x06D6, 0x06DC},   {0x06DF, 0x06E4}, {0x06E7, 0x06E8}, {0x06EA, 0x06ED}, {0x0711, 0x0711},
    {0x0730, 0x074A},   {0x0900, 0x0902}, {0x093A, 0x093A}, {0x093C, 0x093C}, {0x0941, 0x0948},
    {0x094D, 0x094D},   {0x0951, 0x0957}, {0x0981, 0x0981}, {0x09BC, 0x09BC}, {0x09C1, 0x09C4},
    {0x09CD, 0x09CD},   {0x0A3C, 0x0A51}, {0x0ABC, 0x0ABC}, {0x0AC1, 0x0AC8}, {0x0ACD, 0x0ACD},
    {0x0BC0, 0x0BC0},   {0x0BCD, 0x0BCD}, {0x0C3E, 0x0C40}, {0x0C46, 0x0C56}, {0x0CBC, 0x0CBC},
    {0x0CCC, 0x0CCD},   {0x0D41, 0x0D44}, {0x0D4D, 0x0D4D}, {0x0E31, 0x0E31}, {0x0E34, 0x0E3A},
    {0x0E47, 0x0E4E},   {0x0EB1, 0x0EB1}, {0x0EB4, 0x0EBC}, {0x0EC8, 0x0ECE}, {0x0F71, 0x0F7E},
    {0x102D, 0x1030},   {0x1032, 0x1037}, {0x1039, 0x103A}, {0x135D, 0x135F}, {0x17B4, 0x17B5},
    {0x17B7, 0x17BD},   {0x17C6, 0x17C6}, {0x17C9, 0x17D3}, {0x1AB0, 0x1ACE}, {0x1DC0, 0x1DFF},
    {0x200B, 0x200F},   {0x2060, 0x2064}, {0x20D0, 0x20F0}, {0x302A, 0x302D}, {0x3099, 0x309A},
    {0xFB1E, 0xFB1E},   {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}, {0xFEFF, 0xFEFF}, {0xE0000, 0xE007F},
    {0xE0100, 0xE01EF},
});

// East_Asian_Width W and F (Unicode 15, EastAsianWidth.txt), adjacent blocks joined.
constexpr auto kWide = std::to_array<Range>({
    {0x1100, 0x115F},   {0x231A, 0x231B},   {0x2329, 0x232A},   {0x23E9, 0x23EC},
    {0x23F0, 0x23F0},   {0x23F3, 0x23F3},   {0x25FD, 0x25FE},   {0x2614, 0x2615},
    {0x2648, 0x2653},   {0x267F, 0x267F},   {0x2693, 0x2693},   {0x26A1, 0x26A1},
    {0x26AA, 0x26AB},   {0x26BD, 0x26BE},   {0x26C4, 0x26C5},   {0x26CE, 0x26CE},
    {0x26D4, 0x26D4},   {0x26EA, 0x26EA},   {0x26F2, 0x26F3},   {0x26F5, 0x26F5},
    {0x26FA, 0x26FA},   {0x26FD, 0x26FD},   {0x2705, 0x2705},   {0x270A, 0x270B},
    {0x2728, 0x2728},   {0x274C, 0x274C},   {0x274E, 0x274E},   {0x2753, 0x2755},
    {0x2757, 0x2757},   {0x2795, 0x2797},   {0x27B0, 0x27B0},   {0x27BF, 0x27BF},
    {0x2B1B, 0x2B1C},   {0x2B50, 0x2B50},   {0x2B55, 0x2B55},   {0x2E80, 0x3029},
    {0x302E, 0x303E},   {0x3041, 0x3098},   {0x309B, 0x4DBF},   {0x4E00, 0xA4C6},
    {0xA960, 0xA97C},   {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},   {0xFE10, 0xFE19},
    {0xFE30, 0xFE6B},   {0xFF01, 0xFF60},   {0xFFE0, 0xFFE6},   {0x16FE0, 0x18D08},
    {0x1AFF0, 0x1B2FB}, {0x1F004, 0x1F004}, {0x1F0CF, 0x1F0CF}, {0x1F18E, 0x1F18E},
    {0x1F191, 0x1F19A}, {0x1F200, 0x1F265}, {0x1F300, 0x1F320}, {0x1F32D, 0x1F335},
    {0x1F337, 0x1F37C}, {0x1F37E, 0x1F393}, {0x1F3A0, 0x1F3CA}, {0x1F3CF, 0x1F3D3},
    {0x1F3E0, 0x1F3F0}, {0x1F3F4, 0x1F3F4}, {0x1F3F8, 0x1F43E}, {0x1F440, 0x1F440},
    {0x1F442, 0x1F4FC}, {0x1F4FF, 0x1F53D}, {0x1F54B, 0x1F54E}, {0x1F550, 0x1F567},
    {0x1F57A, 0x1F57A}, {0x1F595, 0x1F596}, {0x1F5A4, 0x1F5A4}, {0x1F5FB, 0x1F64F},
    {0x1F680, 0x1F6C5}, {0x1F6CC, 0x1F6CC}, {0x1F6D0, 0x1F6D2}, {0x1F6D5, 0x1F6D7},
    {0x1F6DC, 0x1F6DF}, {0x1F6EB, 0x1F6EC}, {0x1F6F4, 0x1F6FC}, {0x1F7E0, 0x1F7EB},
    {0x1F7F0, 0x1F7F0}, {0x1F90C, 0x1F93A}, {0x1F93C, 0x1F945}, {0x1F947, 0x1F9FF},
    {0x1FA70, 0x1FAF8}, {0x20000, 0x2FFFD}, {0x30000, 0x3FFFD},
});

bool contains(std::span<const Range> ranges, char32_t character) noexcept {
  const auto is_before = [character](const Range& range) { return range.last < character; };
  const auto found = std::partition_point(ranges.begin(), ranges.end(), is_before);
  return found != ranges.end() && found->first <= character;
}

}  // namespace

std::size_t display_width(char32_t character) noexcept {
  if (character < 0x300) return 1;  // Latin, and nearly every name of a tensor
  if (contains(kZeroWidth, character)) return 0;
  return contains(kWide, character) ? 2 : 1;
}

std::size_t display_width(std::string_view text) noexcept {
  std::size_t width = 0;
  while (!text.empty()) {
    const Utf8Step step = decode_utf8(text);
    width += display_width(step.character);
    text.remove_prefix(step.length);
  }
  return width;
}

std::string_view fitting_prefix(std::string_view text, std::size_t width) noexcept {
  std::size_t end = 0;
  while (end < text.size()) {
    const Utf8Step step = decode_utf8(text.substr(end));
    const std::size_t columns = display_width(step.character);
    if (columns > width) break;
    width -= columns;
    end += step.length;
  }
  return text.substr(0, end);
}

std::string_view fitting_suffix(std::string_view text, std::size_t width) noexcept {
  std::size_t left = display_width(text);
  while (left > width) {
    const Utf8Step step = decode_utf8(text);
    left -= display_width(step.character);
    text.remove_prefix(step.length);
  }
  return text;
}

std::string fold_end(std::string_view text, std::size_t width) {
  if (display_width(text) <= width) return std::string(text);
  const std::size_t kept = width - std::min(width, kEllipsis.size());
  return std::string(fitting_prefix(text, kept)) + std::string(kEllipsis);
}

std::string fold_middle(std::string_view text, std::size_t width) {
  if (display_width(text) <= width) return std::string(text);
  const std::size_t kept = width - std::min(width, kEllipsis.size());
  std::string folded(fitting_prefix(text, kept - kept / 2));
  folded += kEllipsis;
  folded += fitting_suffix(text, kept / 2);
  return folded;
}

std::string align_left(std::string_view text, std::size_t width) {
  std::string out(text);
  const std::size_t columns = display_width(text);
  out.append(width - std::min(width, columns), ' ');
  return out;
}

std::string align_right(std::string_view text, std::size_t width) {
  const std::size_t columns = display_width(text);
  return std::string(width - std::min(width, columns), ' ').append(text);
}

std::string wrap(std::string_view text, std::size_t columns, std::size_t first,
                 std::size_t others) {
  std::string out(first, ' ');
  std::size_t used = first;
  for (bool is_first = true; !text.empty(); is_first = false) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    const std::size_t width = display_width(word);
    if (!is_first && used + 1 + width > columns) {
      out.append("\n").append(others, ' ');
      used = others;
    } else if (!is_first) {
      out += ' ';
      ++used;
    }
    out += word;
    used += width;
  }
  return out + "\n";
}

}  // namespace ballast::cli
