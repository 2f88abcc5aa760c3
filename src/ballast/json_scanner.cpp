#include <ballast/json_scanner.hpp>

#include <algorithm>
#include <bit>
#include <bitset>
#include <cstring>
#include <string>

#include <ballast/text.hpp>

namespace ballast {
namespace {

// How many digits there are at `at`, from 1 to 7, and their value; 0 where there are none, more, or
// too few bytes to load eight. Digits are told apart and added up eight at a time: a byte over '9'
// shows in its high bit, and three multiplications pair, quadruple and join them. ("Quickly parsing
// eight digits", D. Lemire, 2018.)
std::ptrdiff_t few_digits(const char* at, const char* end, std::uint64_t& value) noexcept {
  constexpr std::uint64_t kZeros = 0x3030303030303030U;
  constexpr std::uint64_t kOverNine = 0x7676767676767676U;  // carries into the high bit from 10 on
  constexpr std::uint64_t kHighs = 0x8080808080808080U;
  if (end - at < 8) return 0;
  std::uint64_t word = 0;
  std::memcpy(&word, at, sizeof word);
  word ^= kZeros;
  const std::uint64_t others = ((word + kOverNine) | word) & kHighs;
  const int count = std::countr_zero(others) / 8;  // 8 where all are digits
  if (count == 0 || count == 8) return 0;
  word <<= 64 - 8 * count;  // zeros in front
  word = word * 10 + (word >> 8);
  value = (((word & 0x000000FF000000FFU) * 0x000F424000000064U) +
           (((word >> 16) & 0x000000FF000000FFU) * 0x0000271000000001U)) >>
          32;
  return count;
}

}  // namespace

void JsonScanner::fail(const Problem& problem) noexcept {
  if (!stopped()) problem_ = problem;
  end_ = at_;
}

void JsonScanner::malformed(std::string_view what) noexcept {
  fail({.code = Errc::bad_json, .offset = offset(), .word = what});
}

void JsonScanner::too_deep() noexcept {
  const auto bracket = static_cast<std::uint64_t>(at_ - begin_) - 1;
  fail({.code = Errc::json_too_deep, .offset = base_ + bracket, .expected = kMaxDepth});
}

// A string from `start` to its closing quote, with escapes; decoding never makes it longer.
std::string_view JsonScanner::decoded(const char* start) {
  const char* scan = at_;
  at_ = start;
  skip_string();
  if (stopped()) return {};
  const char* closing = at_ - 1;
  at_ = scan;
  auto* text = static_cast<char*>(arena_->allocate(static_cast<std::size_t>(closing - start), 1));
  char* out = std::copy(start, scan, text);
  while (at_ != closing && !stopped()) {
    const char* plain = at_;
    at_ = find_special(at_, closing);
    out = std::copy(plain, at_, out);
    if (at_ != closing) decode_escape(out);
  }
  if (stopped()) return {};
  at_ = closing + 1;
  return {text, static_cast<std::size_t>(out - text)};
}

// Decodes the escape at at_, whose backslash and next character are there.
void JsonScanner::decode_escape(char*& out) noexcept {
  constexpr std::string_view kLetters = "\"\\/bfnrt";
  constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
  ++at_;
  const char letter = *at_++;
  if (const std::size_t which = kLetters.find(letter); which != std::string_view::npos) {
    *out++ = kMeanings[which];
    return;
  }
  std::string encoded;  // at most four bytes, which no std::string allocates for
  append_utf8(encoded, unicode_escape());
  out = std::copy(encoded.begin(), encoded.end(), out);
}

char32_t JsonScanner::unicode_escape() noexcept {
  const char32_t high = hex4();
  if (high < 0xD800 || high > 0xDFFF) return high;
  const bool pair = high < 0xDC00 && end_ - at_ >= 2 && at_[0] == '\\' && at_[1] == 'u';
  if (pair) at_ += 2;
  const char32_t low = pair ? hex4() : 0;
  if (low >= 0xDC00 && low <= 0xDFFF) return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
  malformed("half of a surrogate pair stands alone");
  return 0;
}

char32_t JsonScanner::hex4() noexcept {
  char32_t value = 0;
  for (int i = 0; i < 4; ++i) {
    const char digit = at_ != end_ ? *at_ : '\0';
    if (is_digit(digit)) {
      value = value * 16 + static_cast<char32_t>(digit - '0');
    } else if ((digit | 0x20) >= 'a' && (digit | 0x20) <= 'f') {
      value = value * 16 + static_cast<char32_t>((digit | 0x20) - 'a' + 10);
    } else {
      malformed("four hexadecimal digits were expected");
      return 0;
    }
    ++at_;
  }
  return value;
}

// From behind the opening quote to behind the closing one.
void JsonScanner::skip_string() noexcept {
  constexpr std::string_view kEscapes = "\"\\/bfnrtu";
  while (!stopped()) {
    at_ = find_special(at_, end_);
    if (at_ == end_) return malformed("the string has no end");
    if (*at_ == '"') {
      ++at_;
      return;
    }
    if (*at_ != '\\') {
      return fail({.code = Errc::bad_json,
                   .offset = base_ + static_cast<std::uint64_t>(at_ - begin_),
                   .word = "a control character stands in a string"});
    }
    if (end_ - at_ < 2 || kEscapes.find(at_[1]) == std::string_view::npos) {
      return malformed("there is no such escape");
    }
    const bool is_unicode = at_[1] == 'u';
    at_ += 2;
    if (is_unicode) static_cast<void>(unicode_escape());
  }
}

std::optional<std::uint64_t> JsonScanner::take_number() noexcept {
  constexpr std::ptrdiff_t kAlwaysFit = 19;  // digits; twenty may or may not
  std::uint64_t value = 0;
  const char* at = at_ + few_digits(at_, end_, value);
  if (at == at_) {  // none, or more than a few
    for (; at != end_ && is_digit(*at); ++at) value = value * 10 + static_cast<unsigned>(*at - '0');
  }
  const std::ptrdiff_t digits = at - at_;
  if (digits == 0 || digits > kAlwaysFit + 1 || (digits > 1 && *at_ == '0')) return std::nullopt;
  // Numbers of twenty digits begin at 10^19. Up to 2^64 they keep their size; beyond, they wrapped
  // to less than that.
  if (digits > kAlwaysFit && (*at_ != '1' || value < 10'000'000'000'000'000'000U)) {
    return std::nullopt;
  }
  if (at != end_ && (*at == '.' || *at == 'e' || *at == 'E')) return std::nullopt;
  at_ = at;
  return value;
}

std::string_view JsonScanner::skip() {
  std::bitset<kMaxDepth + 1> is_object;  // of what is open, by depth
  const char* start = (skip_space(), at_);
  const std::uint32_t outside = depth_;
  do {
    const char first = peek();
    bool more = false;  // whether a value comes next, inside what is open
    if (first == '{' || first == '[') {
      if (depth_ < kMaxDepth) is_object[depth_ + 1] = first == '{';
      more = first == '{' ? open_object() : open_array();
    } else {
      skip_scalar();
    }
    while (!more && depth_ > outside && !stopped())
      more = is_object[depth_] ? next_member() : next_element();
    if (more && is_object[depth_]) static_cast<void>(key());
  } while (depth_ > outside && !stopped());
  return {start, static_cast<std::size_t>(at_ - start)};
}

void JsonScanner::skip_scalar() noexcept {
  const char first = peek();
  if (first == '"') {
    ++at_;
    return skip_string();
  }
  if (first == 't') return skip_word("true");
  if (first == 'f') return skip_word("false");
  if (first == 'n') return skip_word("null");
  skip_number();
}

void JsonScanner::skip_word(std::string_view word) noexcept {
  if (std::string_view(at_, static_cast<std::size_t>(end_ - at_)).starts_with(word)) {
    at_ += word.size();
  } else {
    malformed("a value was expected");
  }
}

void JsonScanner::skip_number() noexcept {
  if (peek() == '-') ++at_;
  if (at_ == end_ || !is_digit(*at_)) return malformed("a value was expected");
  if (*at_ == '0') {
    ++at_;
  } else {
    skip_digits();
  }
  if (at_ != end_ && *at_ == '.') {
    ++at_;
    skip_digits();
  }
  if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
    ++at_;
    if (at_ != end_ && (*at_ == '+' || *at_ == '-')) ++at_;
    skip_digits();
  }
}

void JsonScanner::skip_digits() noexcept {
  if (at_ == end_ || !is_digit(*at_)) return malformed("a digit was expected");
  while (at_ != end_ && is_digit(*at_)) ++at_;
}

}  // namespace ballast
