#include "cli/filter.hpp"

#include <algorithm>

#include <ballast/text.hpp>

namespace ballast::cli {
namespace {

constexpr std::string_view kGlobCharacters = "*?[";

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

char32_t lower(char32_t c) noexcept { return c >= U'A' && c <= U'Z' ? c - U'A' + U'a' : c; }

// One character; each invalid run counts as one that equals only itself by its first byte.
struct Character {
  char32_t value;
  std::size_t length;
};

Character first_character(std::string_view text) noexcept {
  const Utf8Step step = decode_utf8(text);
  constexpr char32_t kBehindUnicode = 0x110000;
  const auto byte = static_cast<unsigned char>(text.front());
  return {step.valid ? lower(step.character) : kBehindUnicode + byte, step.length};
}

// What one element of a glob, other than a star, says to one character.
struct Match {
  bool matched;
  std::size_t pattern_length;  // of the element
};

// A set whose bracket is never closed is an ordinary bracket, as in the shell.
std::optional<Match> match_set(std::string_view pattern, char32_t c) noexcept {
  std::size_t i = 1;
  const bool negated = i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^');
  if (negated) ++i;
  bool found = false;
  for (bool first = true; i < pattern.size(); first = false) {
    if (pattern[i] == ']' && !first) return Match{found != negated, i + 1};
    const Character low = first_character(pattern.substr(i));
    i += low.length;
    char32_t high = low.value;
    if (i + 1 < pattern.size() && pattern[i] == '-' && pattern[i + 1] != ']') {
      const Character end = first_character(pattern.substr(i + 1));
      high = end.value;
      i += 1 + end.length;
    }
    found = found || (low.value <= c && c <= high);
  }
  return std::nullopt;
}

Match match_element(std::string_view pattern, char32_t c) noexcept {
  if (pattern.front() == '?') return {true, 1};
  if (pattern.front() == '[') {
    if (const auto set = match_set(pattern, c)) return *set;
  }
  const Character wanted = first_character(pattern);
  return {wanted.value == c, wanted.length};
}

// Only the last star has to be tried again (an earlier one that takes more can do no better), so
// the cost is at most the product of both lengths.
bool matches_glob(std::string_view pattern, std::string_view name) noexcept {
  std::optional<std::string_view> behind_star;
  std::string_view retry;
  while (!name.empty()) {
    if (!pattern.empty() && pattern.front() == '*') {
      pattern.remove_prefix(1);
      behind_star = pattern;
      retry = name;
      continue;
    }
    const Character c = first_character(name);
    const Match match = pattern.empty() ? Match{false, 0} : match_element(pattern, c.value);
    if (match.matched) {
      pattern.remove_prefix(match.pattern_length);
      name.remove_prefix(c.length);
    } else if (behind_star.has_value()) {
      retry.remove_prefix(first_character(retry).length);
      name = retry;
      pattern = *behind_star;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*') == std::string_view::npos;
}

bool contains(std::string_view name, std::string_view piece) noexcept {
  const auto same = [](char a, char b) { return lower(a) == b; };
  return std::search(name.begin(), name.end(), piece.begin(), piece.end(), same) != name.end() ||
         piece.empty();
}

}  // namespace

Filter::Filter(std::optional<std::string> pattern) : pattern_(std::move(pattern)) {
  if (!pattern_.has_value()) return;
  is_glob_ = pattern_->find_first_of(kGlobCharacters) != std::string::npos;
  std::transform(pattern_->begin(), pattern_->end(), pattern_->begin(),
                 [](char c) { return lower(c); });
}

bool Filter::matches(std::string_view name) const {
  if (!pattern_.has_value()) return true;
  return is_glob_ ? matches_glob(*pattern_, name) : contains(name, *pattern_);
}

}  // namespace ballast::cli
