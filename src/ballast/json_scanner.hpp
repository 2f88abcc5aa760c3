// JsonScanner: pulls values off a JSON text, one after the other, without building a tree. Private.
//
// It reads the two JSON documents of this library, the header of safetensors and the index of its
// shards, whose shapes are known in advance, so its caller asks for what must come next. It is as
// strict as RFC 8259: no comments, no trailing commas, no control characters in strings, no lone
// surrogates. The text must be UTF-8 already.
//
// The first failure wins and sticks, as with Cursor: everything after it is empty, zero or false.
//
// The smallest steps are always inlined: there are a dozen of them to every tensor, and with
// link-time optimisation compilers otherwise call them, which costs a third more instructions.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory_resource>
#include <optional>
#include <string_view>

#include <ballast/error.hpp>

namespace ballast {

class JsonScanner {
 public:
  /// How deep values may nest, as in the reference reader of safetensors (serde_json).
  static constexpr std::uint32_t kMaxDepth = 128;

  /// Scans `text`, which begins at byte `base` of its file. Strings with escapes are decoded into
  /// `arena`.
  JsonScanner(std::string_view text, std::uint64_t base, std::pmr::memory_resource& arena) noexcept
      : begin_(text.data()), at_(begin_), end_(begin_ + text.size()), base_(base), arena_(&arena) {}

  [[nodiscard]] bool stopped() const noexcept { return problem_.has_value(); }
  [[nodiscard]] const std::optional<Problem>& problem() const noexcept { return problem_; }
  void fail(const Problem& problem) noexcept;
  /// The text is malformed here: `what` says what was expected.
  void malformed(std::string_view what) noexcept;

  /// Byte in the file of the next value, white space skipped.
  [[nodiscard]] std::uint64_t offset() noexcept {
    skip_space();
    return base_ + static_cast<std::uint64_t>(at_ - begin_);
  }
  /// The first character of the next value, NUL at the end of the text.
  [[nodiscard, gnu::always_inline]] char peek() noexcept {
    skip_space();
    return at_ == end_ ? '\0' : *at_;
  }

  /// Takes the character that must come next; `what` says what it means.
  [[gnu::always_inline]] void expect(char character, std::string_view what) noexcept {
    if (peek() == character && at_ != end_) {
      ++at_;
    } else {
      malformed(what);
    }
  }

  /// Walks an object: for (bool more = scanner.open_object(); more; more = scanner.next_member()) {
  /// key(); value... }
  [[nodiscard]] bool open_object() noexcept { return open('{', '}', "an object was expected"); }
  [[nodiscard]] bool next_member() noexcept { return next('}', "',' or '}' was expected"); }
  /// Walks an array in the same way.
  [[nodiscard]] bool open_array() noexcept { return open('[', ']', "an array was expected"); }
  [[nodiscard]] bool next_element() noexcept { return next(']', "',' or ']' was expected"); }

  /// The key of a member, with its colon.
  [[nodiscard]] std::string_view key() {
    const std::string_view text = string();
    expect(':', "':' was expected");
    return text;
  }
  /// Takes exactly this literal, if it comes next; else takes nothing. No white space is skipped.
  /// Its length is a constant, so that the comparison takes a few instructions and no call.
  template <std::size_t kSize>
  // NOLINTNEXTLINE(*-avoid-c-arrays): a string literal
  [[nodiscard, gnu::always_inline]] bool take(const char (&text)[kSize]) noexcept {
    constexpr std::size_t kLength = kSize - 1;  // without its NUL
    if (static_cast<std::size_t>(end_ - at_) < kLength) return false;
    if (std::memcmp(at_, text, kLength) != 0) return false;
    at_ += kLength;
    return true;
  }
  /// Takes plain characters up to a quote, which stays; empty where something else ends them.
  [[nodiscard]] std::string_view take_plain() noexcept {
    const char* start = at_;
    at_ = find_special(at_, end_);
    if (at_ == end_ || *at_ != '"') return {};
    return {start, static_cast<std::size_t>(at_ - start)};
  }
  /// Takes a whole number that comes next; empty, and nothing taken, where none does. No white
  /// space is skipped.
  [[nodiscard]] std::optional<std::uint64_t> take_number() noexcept;
  /// A place to go back to. What was opened since must be closed again.
  [[nodiscard]] const char* place() const noexcept { return at_; }
  void go_back(const char* place) noexcept { at_ = place; }

  /// A string, decoded.
  [[nodiscard]] std::string_view string() {
    expect('"', "a string was expected");
    if (stopped()) return {};
    const char* start = at_;
    at_ = find_special(at_, end_);
    if (at_ != end_ && *at_ == '"') return {start, static_cast<std::size_t>(at_++ - start)};
    return decoded(start);
  }
  /// A whole number from 0 to 2^64 - 1, written without sign, fraction and exponent; empty, and not
  /// a failure of the syntax, where another value stands here (which is then not taken).
  [[nodiscard]] std::optional<std::uint64_t> whole_number() noexcept {
    skip_space();
    return take_number();
  }
  /// Steps over any value, and gives its text.
  std::string_view skip();
  /// Nothing but white space may be left.
  void finish() noexcept {
    if (peek() != '\0' || at_ != end_) malformed("nothing more was expected");
  }

 private:
  static bool is_digit(char character) noexcept { return character >= '0' && character <= '9'; }
  static const char* find_special(const char* at, const char* end) noexcept;

  [[gnu::always_inline]] void skip_space() noexcept {
    if (at_ == end_ || *at_ > ' ') return;  // as in nearly every header, which has no spaces
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\t' || *at_ == '\r')) ++at_;
  }

  [[nodiscard]] bool open(char bracket, char closing, std::string_view what) noexcept {
    expect(bracket, what);
    if (++depth_ > kMaxDepth) too_deep();
    if (stopped()) return false;
    if (peek() != closing) return true;
    ++at_;
    --depth_;
    return false;
  }

  [[nodiscard]] bool next(char closing, std::string_view what) noexcept {
    const char character = peek();
    if (character == ',') {
      ++at_;
      return true;
    }
    if (character != closing) {
      malformed(what);
      return false;
    }
    ++at_;
    --depth_;
    return false;
  }

  void too_deep() noexcept;
  [[nodiscard]] std::string_view decoded(const char* start);
  void decode_escape(char*& out) noexcept;
  [[nodiscard]] char32_t unicode_escape() noexcept;
  [[nodiscard]] char32_t hex4() noexcept;
  void skip_string() noexcept;
  void skip_scalar() noexcept;
  void skip_number() noexcept;
  void skip_digits() noexcept;
  void skip_word(std::string_view word) noexcept;

  const char* begin_;
  const char* at_;
  const char* end_;
  std::uint64_t base_;
  std::pmr::memory_resource* arena_;
  std::uint32_t depth_ = 0;
  std::optional<Problem> problem_;
};

// The first character from `at` on that ends a run of plain ones (a quote, a backslash, a control
// character), or `end`.
//
// Eight at a time: a byte below n borrows when n is subtracted, which shows in its high bit. Bytes
// behind the first such one may be marked wrongly by its borrow, and only the first counts. ("Bit
// Twiddling Hacks", S. E. Anderson: haszero, hasless.)
inline const char* JsonScanner::find_special(const char* at, const char* end) noexcept {
  constexpr std::uint64_t kOnes = 0x0101010101010101U;
  constexpr std::uint64_t kHighs = 0x8080808080808080U;
  for (std::uint64_t word = 0; end - at >= 8; at += 8) {
    std::memcpy(&word, at, sizeof word);
    const std::uint64_t quote = word ^ (kOnes * '"');
    const std::uint64_t backslash = word ^ (kOnes * '\\');
    const std::uint64_t borrowed = ((quote - kOnes) & ~quote) | ((backslash - kOnes) & ~backslash) |
                                   ((word - kOnes * 0x20) & ~word);
    if ((borrowed & kHighs) != 0) return at + std::countr_zero(borrowed & kHighs) / 8;
  }
  while (at != end && *at != '"' && *at != '\\' && static_cast<unsigned char>(*at) >= 0x20) ++at;
  return at;
}

}  // namespace ballast
