#include <ballast/text.hpp>

#include <array>
#include <cstring>
#include <span>
#include <utility>

#include <ballast/fetch.hpp>

namespace ballast {
namespace {

constexpr std::uint64_t kHighBits = 0x8080808080808080U;

// The number of ASCII bytes at the start of `text`.
std::size_t ascii_prefix(std::string_view text) noexcept {
  std::array<std::uint64_t, 4> words{};
  std::size_t at = 0;
  for (; text.size() - at >= sizeof words; at += sizeof words) {
    std::memcpy(words.data(), text.data() + at, sizeof words);
    if (((words[0] | words[1] | words[2] | words[3]) & kHighBits) != 0) break;
  }
  while (at < text.size() && static_cast<unsigned char>(text[at]) < 0x80) ++at;
  return at;
}

struct LeadByte {
  std::size_t length = 0;  // of the whole sequence; 0: no lead byte
  char32_t bits = 0;       // that the lead byte contributes
  unsigned char low =
      0x80;  // bounds of the second byte, which is where overlong forms, surrogates and
  unsigned char high = 0xBF;  // what is over U+10FFFF show (Unicode 15, table 3-7)
};

LeadByte lead_byte(unsigned char byte) noexcept {
  if (byte < 0x80) return {1, byte};
  if (byte < 0xC2) return {};
  if (byte < 0xE0) return {2, byte & 0x1FU};
  if (byte == 0xE0) return {3, 0, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0xDU, 0x80, 0x9F};
  if (byte < 0xF0) return {3, byte & 0x0FU};
  if (byte == 0xF0) return {4, 0, 0x90, 0xBF};
  if (byte < 0xF4) return {4, byte & 0x07U};
  if (byte == 0xF4) return {4, 0x4U, 0x80, 0x8F};
  return {};
}

// Characters that change how the text around them is shown, or are not shown at all, so that two
// names look like one or a name carries a hidden text: controls, line separators, bidirectional
// controls (UAX #9, table 4), annotations (U+FFF9 to U+FFFB), and every code point with
// Default_Ignorable_Code_Point (DerivedCoreProperties.txt, the same in Unicode 14 to 17). A sorted
// list of closed ranges.
constexpr std::array<std::pair<char32_t, char32_t>, 19> kUnprintable{{
    {0x00, 0x1F},     {0x7F, 0x9F},       {0xAD, 0xAD},       {0x034F, 0x034F},   {0x061C, 0x061C},
    {0x115F, 0x1160}, {0x17B4, 0x17B5},   {0x180B, 0x180F},   {0x200B, 0x200F},   {0x2028, 0x202E},
    {0x2060, 0x206F}, {0x3164, 0x3164},   {0xFE00, 0xFE0F},   {0xFEFF, 0xFEFF},   {0xFFA0, 0xFFA0},
    {0xFFF0, 0xFFFB}, {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A}, {0xE0000, 0xE0FFF},
}};

void append_hex(std::string& out, std::uint32_t value, int digits) {
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) {
    out.push_back("0123456789abcdef"[(value >> shift) & 0xF]);
  }
}

std::string escaped(std::string_view bytes, const Utf8Step& step) {
  std::string out;
  if (step.valid && is_printable(step.character) && step.character != '\\')
    return std::string(bytes);
  if (bytes == "\n") return "\\n";
  if (bytes == "\t") return "\\t";
  if (bytes == "\r") return "\\r";
  if (bytes == "\\") return "\\\\";
  if (step.valid && step.character >= 0x80) {
    out.append("\\u{");
    append_hex(out, step.character, step.character > 0xFFFF ? 6 : 4);
    return out.append("}");
  }
  for (const char byte : bytes) {
    out.append("\\x");
    append_hex(out, static_cast<unsigned char>(byte), 2);
  }
  return out;
}

}  // namespace

Utf8Step decode_utf8(std::string_view text) noexcept {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  LeadByte lead = lead_byte(byte(0));
  if (lead.length == 0) return {0, 1, false};
  for (std::size_t i = 1; i < lead.length; ++i) {
    if (i == text.size() || byte(i) < lead.low || byte(i) > lead.high) return {0, i, false};
    lead.bits = (lead.bits << 6) | (byte(i) & 0x3FU);
    lead.low = 0x80;
    lead.high = 0xBF;
  }
  return {lead.bits, lead.length, true};
}

std::size_t find_invalid_utf8(std::string_view text) noexcept {
  std::size_t at = 0;
  while (at < text.size()) {
    at += ascii_prefix(text.substr(at));
    // A run of other characters is common where one is (Cyrillic, Chinese, byte-level tokens): stay
    // here for a while.
    for (int i = 0; i < 8 && at < text.size(); ++i) {
      const Utf8Step step = decode_utf8(text.substr(at));
      if (!step.valid) return at;
      at += step.length;
    }
  }
  return std::string_view::npos;
}

bool is_printable(char32_t character) noexcept {
  for (const auto& [first, last] : kUnprintable) {
    if (character < first) return true;
    if (character <= last) return false;
  }
  return true;
}

std::string printable(std::string_view text, std::size_t max_bytes) {
  constexpr std::string_view kMore = "...";
  std::string out;
  std::size_t cut = 0;  // the longest length that leaves room for kMore
  while (!text.empty()) {
    // A character that is judged and then read again could have become an escape sequence.
    std::array<char, 4> bytes;
    const std::string_view next = text.substr(0, bytes.size());
    fetch(std::as_bytes(std::span(next)), bytes.data());
    const std::string_view copy(bytes.data(), next.size());
    const Utf8Step step = decode_utf8(copy);
    out.append(escaped(copy.substr(0, step.length), step));
    if (out.size() > max_bytes) {
      out.resize(cut);
      return out.append(kMore);
    }
    if (out.size() + kMore.size() <= max_bytes) cut = out.size();
    text.remove_prefix(step.length);
  }
  return out;
}

std::string grouped(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3;) {
    at -= 3;
    digits.insert(at, 1, ',');
  }
  return digits;
}

void append_utf8(std::string& out, char32_t character) {
  const auto put = [&out](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  const auto tail = [&](int shift) { put(0x80U | ((character >> shift) & 0x3FU)); };
  if (character < 0x80) return put(character);
  if (character < 0x800) {
    put(0xC0U | (character >> 6));
  } else if (character < 0x10000) {
    put(0xE0U | (character >> 12));
    tail(6);
  } else {
    put(0xF0U | (character >> 18));
    tail(12);
    tail(6);
  }
  tail(0);
}

}  // namespace ballast
