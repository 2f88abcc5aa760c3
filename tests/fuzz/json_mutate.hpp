// Changes JSON so that most of it stays JSON: whole values, keys and members are what changes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fuzz/mutate.hpp"

namespace ballast::test {

/// A string, a number, a word, or a bracket with all that it encloses.
struct JsonPiece {
  std::size_t begin = 0;
  std::size_t end = 0;
};

inline std::size_t end_of_string(std::string_view text, std::size_t at) {
  for (++at; at < text.size() && text[at] != '"'; ++at) at += text[at] == '\\' ? 1 : 0;
  return std::min(at + 1, text.size());
}

/// Every piece of a text, however malformed that is.
inline std::vector<JsonPiece> json_pieces(std::string_view text) {
  constexpr std::string_view kBetween = "{}[],: \n\t\r\"";
  std::vector<JsonPiece> pieces;
  std::vector<std::size_t> open;  // positions in `pieces`
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const char first = text[at];
    if (first == '"') {
      at = end_of_string(text, at);
      pieces.push_back({begin, at});
    } else if (first == '{' || first == '[') {
      open.push_back(pieces.size());
      pieces.push_back({begin, ++at});
    } else if (first == '}' || first == ']') {
      ++at;
      if (open.empty()) continue;
      pieces[open.back()].end = at;
      open.pop_back();
    } else if (kBetween.find(first) != std::string_view::npos) {
      ++at;
    } else {
      at = std::min(text.find_first_of(kBetween, at), text.size());
      pieces.push_back({begin, at});
    }
  }
  return pieces;
}

inline std::string interesting_value(Random& random) {
  constexpr std::array<std::string_view, 24> kValues{"0",
                                                     "-1",
                                                     "1e5",
                                                     "0.5",
                                                     "18446744073709551615",
                                                     "18446744073709551616",
                                                     "null",
                                                     "true",
                                                     "[]",
                                                     "{}",
                                                     "[0]",
                                                     "[0,0]",
                                                     "[0,1]",
                                                     R"("F32")",
                                                     R"("F4")",
                                                     R"("")",
                                                     R"("\u0000")",
                                                     R"("\ud83d\ude00")",
                                                     R"("\ud83d")",
                                                     R"("..")",
                                                     R"("a/b")",
                                                     R"("\"\\\/\b\f\n\r\t")",
                                                     R"("__metadata__")",
                                                     "01"};
  if (random.one_in(8)) return std::string(1 + random.below(140), '[');
  if (random.one_in(4)) return std::to_string(interesting_number(random, random.below(300)));
  return std::string(random.pick(kValues));
}

/// One change: a value for another, a piece twice, gone, or in another's place.
inline void mutate_json(std::string& text, Random& random) {
  const std::vector<JsonPiece> pieces = json_pieces(text);
  if (pieces.empty()) {
    text = "{}";
    return;
  }
  const JsonPiece piece = random.pick(pieces);
  const JsonPiece other = random.pick(pieces);
  const std::string copy = text.substr(other.begin, other.end - other.begin);
  const std::size_t length = piece.end - piece.begin;
  switch (random.below(6)) {
    case 0:
      text.replace(piece.begin, length, copy);
      break;
    case 1: {  // a member, or an element, of its own
      const std::size_t behind = piece.end;
      text.insert(behind,
                  random.one_in(2) ? "," + copy : "," + copy + ":" + interesting_value(random));
      break;
    }
    case 2: {  // with the comma behind it
      const bool has_comma = piece.end < text.size() && text[piece.end] == ',';
      text.erase(piece.begin, length + (has_comma ? 1 : 0));
      break;
    }
    case 3:  // a character of a string as an escape
      if (text[piece.begin] == '"' && length > 2) {
        constexpr std::string_view kDigits = "0123456789abcdef";
        const auto code = static_cast<unsigned char>(text[piece.begin + 1]);
        std::string escape = "\\u00";
        escape += kDigits[code >> 4];
        escape += kDigits[code & 15];
        text.replace(piece.begin + 1, 1, escape);
        break;
      }
      [[fallthrough]];
    default:
      text.replace(piece.begin, length, interesting_value(random));
      break;
  }
}

}  // namespace ballast::test
