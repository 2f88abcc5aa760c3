// The JSON of safetensors headers, against another reader of JSON: what one calls malformed, so
// does the other.
//
// Boost.JSON, strict, with the same depth. It is stricter in one thing: a number too large for a
// double is an error there, even where nobody asks for it.
#ifdef BALLAST_TEST_HAS_BOOST_JSON

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>
#include <catch2/catch_test_macros.hpp>

#include <ballast/format.hpp>
#include <ballast/safetensors.hpp>
#include <ballast/text.hpp>

#include "tests/support/random.hpp"
#include "tests/support/safetensors_builder.hpp"

namespace ballast::test {
namespace {

enum class Verdict : std::uint8_t { good, malformed, refused_for_another_reason };

Verdict ours(std::string_view header) {
  const Sample sample = [&] {
    Sample out;
    out.write_number(header.size(), 8);
    out.write(bytes_of(header));
    return out;
  }();
  try {
    static_cast<void>(safetensors::parse({sample.bytes(), std::nullopt}));
    return Verdict::good;
  } catch (const Error& error) {
    const bool syntax = error.code() == Errc::bad_json || error.code() == Errc::bad_utf8 ||
                        error.code() == Errc::json_too_deep;
    return syntax ? Verdict::malformed : Verdict::refused_for_another_reason;
  }
}

struct Theirs {
  bool good = false;
  bool number_too_large = false;
};

Theirs theirs(std::string_view header) {
  boost::json::parse_options options;
  options.max_depth = 128;
  boost::json::error_code error;
  const boost::json::value value = boost::json::parse(header, error, {}, options);
  return {!error && value.is_object(), error == boost::json::error::exponent_overflow};
}

void compare(std::string_view header) {
  const Theirs expected = theirs(header);
  if (expected.number_too_large) return;
  const Verdict verdict = ours(header);
  const bool wrong = expected.good ? verdict == Verdict::malformed : verdict == Verdict::good;
  if (wrong)
    FAIL((expected.good ? "refused, but good JSON: " : "accepted, but malformed: ")
         << printable(header));
}

// Headers whose ignored fields hold every kind of JSON.
const std::vector<std::string> kSeeds{
    R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
    R"({"__metadata__":{"a":"b\n\u00e9","c":"\ud83d\ude0a"},"w":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})",
    R"({"w":{"x":[1,-2.5e-3,true,false,null,"s",{"y":[]},{}],"dtype":"F32","shape":[2],"data_offsets":[0,8]}} )",
    R"( { "w" : { "x" : { "a" : [ [ ] , { } ] , "b" : 0.0 , "c" : 1E+2 } , "dtype":"U8","shape":[0],"data_offsets":[0,0]}})",
    "{\"w\\\"\\\\\\/"
    "\\b\\f\\n\\r\\t\":{\"dtype\":\"X\",\"shape\":[1,2,3],\"data_offsets\":[0,3]},\"\u00E9\u4F60\":"
    "{}}",
    "{}",
};

const std::vector<std::string> kPieces{"{",
                                       "}",
                                       "[",
                                       "]",
                                       ",",
                                       ":",
                                       "\"",
                                       "\\",
                                       "\\\"",
                                       "\\u",
                                       "\\u0041",
                                       "\\ud83d",
                                       "\\ude0a",
                                       "0",
                                       "1",
                                       "-",
                                       "+",
                                       ".",
                                       "e",
                                       "E",
                                       "00",
                                       "1e5",
                                       "-0",
                                       "1.5",
                                       "true",
                                       "false",
                                       "null",
                                       "nul",
                                       " ",
                                       "\t",
                                       "\n",
                                       "\r",
                                       "\f",
                                       "\x01",
                                       "\x7F",
                                       "\xC3\xA9",
                                       "\xC3",
                                       "\xFF",
                                       "\xED\xA0\x80",
                                       "\xF0\x9F\x98\x8A",
                                       "\xEF\xBB\xBF",
                                       "a",
                                       "[]",
                                       "{}",
                                       ",,",
                                       "/*",
                                       "//",
                                       "'",
                                       "NaN",
                                       "Infinity"};

std::string mutated(std::string text, Random& random) {
  for (std::uint64_t changes = random.between(1, 3); changes > 0; --changes) {
    const auto at = static_cast<std::size_t>(random.below(text.size() + 1));
    const std::string& piece = random.pick(kPieces);
    switch (random.below(4)) {
      case 0:
        text.insert(at, piece);
        break;
      case 1:
        text.replace(at, 1, piece);
        break;
      case 2:
        text.erase(at, static_cast<std::size_t>(random.between(1, 4)));
        break;
      default:
        text.insert(at, text.substr(static_cast<std::size_t>(random.below(text.size() + 1)),
                                    static_cast<std::size_t>(random.below(12))));
    }
  }
  return text;
}

TEST_CASE("good headers are good to both readers of JSON") {
  for (const std::string& seed : kSeeds) {
    CAPTURE(seed);
    CHECK(theirs(seed).good);
    CHECK(ours(seed) != Verdict::malformed);
  }
}

TEST_CASE("two readers of JSON agree on 100,000 mutated headers") {
  const std::uint64_t first = test_seed(1);
  int good = 0;
  for (std::uint64_t seed = first; seed < first + 100'000; ++seed) {
    Random random(seed);
    const std::string header = mutated(random.pick(kSeeds), random);
    INFO("BALLAST_TEST_SEED=" << seed);
    compare(header);
    good += theirs(header).good ? 1 : 0;
  }
  // Both kinds must be there in numbers, or the comparison holds nothing.
  CHECK(good > 5'000);
  CHECK(good < 95'000);
}

TEST_CASE("two readers of JSON agree on how deep is too deep") {
  for (int depth = 120; depth < 135; ++depth) {
    for (const auto& [open, close] :
         {std::pair<std::string, std::string>{"[", "]"}, {"{\"a\":", "}"}}) {
      std::string inner = "1";
      for (int i = 0; i < depth; ++i) inner.insert(0, open).append(close);
      const std::string header =
          R"({"w":{"x":)" + inner + R"(,"dtype":"U8","shape":[0],"data_offsets":[0,0]}})";
      CAPTURE(depth);
      CHECK((ours(header) == Verdict::good) == theirs(header).good);
    }
  }
}

}  // namespace
}  // namespace ballast::test

#endif  // BALLAST_TEST_HAS_BOOST_JSON
