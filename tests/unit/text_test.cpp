// Strings from files, made safe to show: UTF-8 after RFC 3629, invalid runs after Unicode 15,
// section 3.9.
#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/text.hpp>

#include "tests/support/random.hpp"
#include "tests/support/sample.hpp"

namespace ballast::test {
namespace {

struct Range {
  unsigned low;
  unsigned high;
  [[nodiscard]] bool holds(unsigned byte) const { return byte >= low && byte <= high; }
};

// Table 3-7 of the Unicode standard, row by row, as a second opinion.
const std::vector<std::vector<Range>> kWellFormed{
    {{0x00, 0x7F}},
    {{0xC2, 0xDF}, {0x80, 0xBF}},
    {{0xE0, 0xE0}, {0xA0, 0xBF}, {0x80, 0xBF}},
    {{0xE1, 0xEC}, {0x80, 0xBF}, {0x80, 0xBF}},
    {{0xED, 0xED}, {0x80, 0x9F}, {0x80, 0xBF}},
    {{0xEE, 0xEF}, {0x80, 0xBF}, {0x80, 0xBF}},
    {{0xF0, 0xF0}, {0x90, 0xBF}, {0x80, 0xBF}, {0x80, 0xBF}},
    {{0xF1, 0xF3}, {0x80, 0xBF}, {0x80, 0xBF}, {0x80, 0xBF}},
    {{0xF4, 0xF4}, {0x80, 0x8F}, {0x80, 0xBF}, {0x80, 0xBF}},
};

// How many bytes at the start of `text` are a character (valid), or a maximal subpart of one (not
// valid).
Utf8Step table_step(std::string_view text) {
  std::size_t longest = 1;
  for (const std::vector<Range>& row : kWellFormed) {
    std::size_t matched = 0;
    while (matched < row.size() && matched < text.size() &&
           row[matched].holds(static_cast<unsigned char>(text[matched]))) {
      ++matched;
    }
    if (matched == row.size()) return {0, matched, true};
    longest = std::max(longest, matched);
  }
  return {0, longest, false};
}

void check_step(std::string_view text) {
  const Utf8Step want = table_step(text);
  const Utf8Step got = decode_utf8(text);
  if (got.valid == want.valid && got.length == want.length) return;
  CAPTURE(printable(text), got.valid, want.valid, got.length, want.length);
  FAIL("decode_utf8 disagrees with table 3-7");
}

std::string replaced(std::string_view text) {
  std::string out;
  for (; !text.empty(); text.remove_prefix(decode_utf8(text).length)) {
    const Utf8Step step = decode_utf8(text);
    append_utf8(out, step.valid ? step.character : U'\uFFFD');
  }
  return out;
}

TEST_CASE("every Unicode scalar value survives UTF-8 and back") {
  std::size_t wrong = 0;
  for (char32_t character = 0; character <= 0x10FFFF; ++character) {
    if (character >= 0xD800 && character <= 0xDFFF) continue;
    std::string encoded;
    append_utf8(encoded, character);
    const Utf8Step step = decode_utf8(encoded + "x");
    wrong += !step.valid || step.character != character || step.length != encoded.size() ||
                     !is_utf8(encoded)
                 ? 1U
                 : 0U;
  }
  CHECK(wrong == 0);
}

TEST_CASE(
    "every sequence of up to three bytes is judged as table 3-7 of the Unicode standard does") {
  for (unsigned a = 0; a < 256; ++a) {
    const char first = static_cast<char>(a);
    check_step({&first, 1});
    for (unsigned b = 0; b < 256; ++b) {
      const std::string pair{first, static_cast<char>(b)};
      check_step(pair);
      // The third byte matters at the borders of its range only, but it costs nothing to try more.
      for (const unsigned c :
           {0x00U, 0x41U, 0x7FU, 0x80U, 0x8FU, 0x90U, 0xA0U, 0xBFU, 0xC0U, 0xFFU}) {
        check_step(pair + static_cast<char>(c));
        check_step(pair + static_cast<char>(c) + '\x80');
        check_step(pair + static_cast<char>(c) + '\xC0');
      }
    }
  }
}

TEST_CASE("an invalid run is as long as the maximal subpart of the Unicode standard") {
  const std::string bad = "\uFFFD";
  const auto times = [&](int n) {
    std::string out;
    while (n-- > 0) out += bad;
    return out;
  };
  // Tables 3-8 to 3-11: non-shortest forms, surrogates, other ill-formed sequences, truncated
  // sequences.
  CHECK(replaced("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41") == times(8) + "A");
  CHECK(replaced("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41") == times(8) + "A");
  CHECK(replaced("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42") == times(5) + "A" + times(2) + "B");
  CHECK(replaced("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41") == times(4) + "A");
}

TEST_CASE("the first byte that is not UTF-8 is found wherever it stands") {
  const std::string filler =
      "ASCII, then Zo\u00EB, \u4F60\u597D and \U0001F60A, then more ASCII: 0123456789";
  REQUIRE(is_utf8(filler));
  CHECK(is_utf8(""));
  for (std::size_t at = 0; at <= filler.size(); ++at) {
    if (at < filler.size() && (static_cast<unsigned char>(filler[at]) & 0xC0U) == 0x80) continue;
    std::string broken = filler;
    broken.insert(at, 1, '\xFF');
    CHECK(find_invalid_utf8(broken) == at);
  }
  // Cut inside a character, the fault is where that character begins.
  CHECK(find_invalid_utf8("12345678\xE4\xBD") == 8);
}

TEST_CASE("validation agrees with decoding step by step on random bytes") {
  const std::uint64_t seed = test_seed(20240501);
  CAPTURE(seed);
  Random random(seed);
  const std::vector<std::string_view> pieces{
      "a",    "abcdefgh",     "\u00E9",           "\u20AC",       "\U0001F60A", "\xC3",
      "\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xF0\x9F\x98", "\xC0\xAF",   "\xFF"};
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    const std::uint64_t count = random.below(12);
    for (std::uint64_t i = 0; i < count; ++i) {
      // Mostly good pieces, so that faults also appear late.
      text += pieces[static_cast<std::size_t>(random.below(random.one_in(6) ? pieces.size() : 5))];
    }
    std::size_t want = 0;
    while (want < text.size() && table_step(std::string_view(text).substr(want)).valid) {
      want += table_step(std::string_view(text).substr(want)).length;
    }
    if (want == text.size()) want = std::string_view::npos;
    if (find_invalid_utf8(text) == want) continue;
    CAPTURE(printable(text), want, find_invalid_utf8(text));
    FAIL("find_invalid_utf8 is wrong");
  }
}

TEST_CASE("what repaints, reorders or hides text never reaches a terminal as it is") {
  for (char32_t c = 0; c < 0x20; ++c) CHECK_FALSE(is_printable(c));
  for (char32_t c = 0x7F; c < 0xA0; ++c) CHECK_FALSE(is_printable(c));
  for (const char32_t c :
       {U'\u061C', U'\u200E', U'\u200F', U'\u2028', U'\u2029', U'\u202A', U'\u202B', U'\u202C',
        U'\u202D', U'\u202E', U'\u2066', U'\u2067', U'\u2068', U'\u2069', U'\uFEFF', U'\uFFF9',
        U'\U000E0001', U'\U000E007F'}) {
    CHECK_FALSE(is_printable(c));
  }
  // What has no width makes one name look like another.
  for (char32_t c = 0x200B; c < 0x2010; ++c) CHECK_FALSE(is_printable(c));
  for (char32_t c = 0x2060; c < 0x2070; ++c) CHECK_FALSE(is_printable(c));
  for (const char32_t c : {U'\u00AD', U'\u180E'}) CHECK_FALSE(is_printable(c));
  for (const char32_t c : {U' ', U'a', U'~', U'\u00A0', U'\u00E9', U'\u061B', U'\u061D', U'\u2010',
                           U'\u4F60', U'\U0001F60A'}) {
    CHECK(is_printable(c));
  }
}

TEST_CASE("no character that a display may ignore is shown as it is, and its neighbours are") {
  // DerivedCoreProperties.txt of Unicode 17, Default_Ignorable_Code_Point.
  struct Ignorable {
    char32_t first;
    char32_t last;
  };
  for (const auto& [first, last] :
       {Ignorable{0xAD, 0xAD}, Ignorable{0x34F, 0x34F}, Ignorable{0x61C, 0x61C},
        Ignorable{0x115F, 0x1160}, Ignorable{0x17B4, 0x17B5}, Ignorable{0x180B, 0x180F},
        Ignorable{0x200B, 0x200F}, Ignorable{0x202A, 0x202E}, Ignorable{0x2060, 0x206F},
        Ignorable{0x3164, 0x3164}, Ignorable{0xFE00, 0xFE0F}, Ignorable{0xFEFF, 0xFEFF},
        Ignorable{0xFFA0, 0xFFA0}, Ignorable{0xFFF0, 0xFFF8}, Ignorable{0x1BCA0, 0x1BCA3},
        Ignorable{0x1D173, 0x1D17A}, Ignorable{0xE0000, 0xE0FFF}}) {
    std::size_t shown = 0;
    for (char32_t c = first; c <= last; ++c) shown += is_printable(c) ? 1U : 0U;
    CAPTURE(static_cast<std::uint32_t>(first));
    CHECK(shown == 0);
    // Separators stand before one range, annotations behind another.
    if (first != 0x202A) CHECK(is_printable(first - 1));
    if (last != 0xFFF8) CHECK(is_printable(last + 1));
  }
}

TEST_CASE("a text that is hidden in variation selectors behind a letter becomes visible") {
  std::string name = "weight";
  for (const char c : std::string("payload")) {
    append_utf8(name, 0xE0100 + static_cast<unsigned char>(c));
  }
  CHECK(printable(name).starts_with("weight\\u{0e0170}\\u{0e0161}"));
  CHECK(printable("\u2764\uFE0F") == "\u2764\\u{fe0f}");
}

TEST_CASE("a printable string is escaped without ambiguity") {
  CHECK(printable("blk.0.attn_q.weight") == "blk.0.attn_q.weight");
  CHECK(printable("Zo\u00EB \u4F60\u597D \U0001F60A") == "Zo\u00EB \u4F60\u597D \U0001F60A");
  CHECK(printable("a\nb\rc\td") == "a\\nb\\rc\\td");
  CHECK(printable("\x1B[2J") == "\\x1b[2J");
  CHECK(printable(std::string_view("\0", 1)) == "\\x00");
  CHECK(printable("\x7F") == "\\x7f");
  CHECK(printable("\xFF\xC3") == "\\xff\\xc3");
  CHECK(printable("\u0085") == "\\u{0085}");
  CHECK(printable("model\u202Egpj.exe") == "model\\u{202e}gpj.exe");
  // What stands in the file as a backslash is doubled, so that it is not taken for an escape.
  CHECK(printable("\\n") == "\\\\n");
}

TEST_CASE("a long printable string is cut after whole characters and escapes") {
  CHECK(printable("abcdef", 6) == "abcdef");
  CHECK(printable("abcdefg", 6) == "abc...");
  CHECK(printable("ab\u20ACdefg", 6) ==
        "ab...");  // the euro sign has three bytes and would end at 5
  CHECK(printable("a\x1B\x1B\x1B", 8) == "a\\x1b...");  // no half escape
  const std::string long_name(1'000'000, 'x');
  CHECK(printable(long_name, 120).size() == 120);
}

TEST_CASE("a printable string is always valid UTF-8 without control characters") {
  const std::uint64_t seed = test_seed(7);
  CAPTURE(seed);
  Random random(seed);
  for (int round = 0; round < 2'000; ++round) {
    const Bytes bytes = noise(static_cast<std::size_t>(random.below(64)), random.next());
    const auto limit = static_cast<std::size_t>(random.between(3, 100));
    const std::string shown = printable(text_of(bytes), limit);
    CAPTURE(shown);
    REQUIRE(shown.size() <= limit);
    REQUIRE(is_utf8(shown));
    for (std::string_view rest = shown; !rest.empty();
         rest.remove_prefix(decode_utf8(rest).length)) {
      REQUIRE(is_printable(decode_utf8(rest).character));
    }
  }
}

TEST_CASE("numbers are grouped by thousands") {
  CHECK(grouped(0) == "0");
  CHECK(grouped(999) == "999");
  CHECK(grouped(1'000) == "1,000");
  CHECK(grouped(123'456) == "123,456");
  CHECK(grouped(1'234'567) == "1,234,567");
  CHECK(grouped(UINT64_MAX) == "18,446,744,073,709,551,615");
}

}  // namespace
}  // namespace ballast::test
