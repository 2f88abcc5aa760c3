// Deflate streams that some decoders accept and zlib refuses: every way in treats them alike, but
// for the codes that RFC 1951 reserves, which libdeflate accepts in a member of bgzip.
#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "tests/support/deflate_builder.hpp"
#include "tests/unit/compressed.hpp"

namespace ballast::test {
namespace {

constexpr std::size_t kHistory = 32'768;  // the farthest that a distance reaches
constexpr std::size_t kEndOfBlock = 256;

enum class Rule : std::uint8_t { valid, invalid, reserved };

/// A last block, and the bytes that it decodes to where a decoder accepts it.
struct Ending {
  std::string what;
  Bytes decoded;
  std::function<void(DeflateBuilder&)> write;
  Rule rule;
};

/// "A", "B" and the end of the block as literals of one or two bits.
std::vector<unsigned> literals(std::size_t count) {
  std::vector<unsigned> lengths(count, 0);
  lengths['A'] = lengths['B'] = 2;
  lengths[kEndOfBlock] = 1;
  return lengths;
}

std::function<void(DeflateBuilder&)> coded(std::vector<unsigned> literal_lengths,
                                           std::vector<unsigned> distance_lengths) {
  return [=](DeflateBuilder& out) {
    out.dynamic(literal_lengths, distance_lengths);
    out.literal('A').literal('B').literal(kEndOfBlock);
  };
}

/// The bytes before the last block are `history`.
std::vector<Ending> endings(const Bytes& history) {
  // 3.2.5: code 30 would follow 24577 and its 13 bits, code 286 the longest length.
  constexpr std::size_t kFar = 24'577;
  const auto far = history.end() - static_cast<std::ptrdiff_t>(kFar);
  using enum Rule;
  const Bytes ab = bytes_of("AB");
  auto incomplete = literals(257);
  incomplete[kEndOfBlock] = 2;
  return {
      {"two complete codes", ab, coded(literals(257), {1, 1}), valid},
      {"one distance code of one bit", ab, coded(literals(257), {1}), valid},
      {"one distance code of two bits", ab, coded(literals(257), {2}), invalid},
      {"literal codes that leave a gap", ab, coded(incomplete, {1}), invalid},
      {"31 distance codes", ab, coded(literals(257), std::vector<unsigned>(31, 0)), reserved},
      {"32 distance codes", ab, coded(literals(257), std::vector<unsigned>(32, 0)), reserved},
      {"287 literal codes", ab, coded(literals(287), {1}), reserved},
      {"288 literal codes", ab, coded(literals(288), {1}), reserved},
      {"distance code 30", Bytes(far, far + 3),
       [](DeflateBuilder& out) {
         out.fixed().literal(257).distance(30).bits(0, 13).literal(kEndOfBlock);
       },
       reserved},
      {"length code 286", Bytes(258, history.back()),
       [](DeflateBuilder& out) { out.fixed().literal(286).distance(0).literal(kEndOfBlock); },
       reserved},
  };
}

/// A model that ends with these bytes, large enough to be decoded as a whole file.
Bytes model_with(std::span<const std::byte> history, const Bytes& end) {
  Bytes data(1'200'000);
  append(data, history);
  append(data, end);
  data.insert(data.begin(), 32 - data.size() % 32, std::byte{0});  // no padding behind the tensor
  constexpr std::uint32_t kI8 = 24;
  return GgufBuilder()
      .entry("general.architecture", "llama")
      .tensor({.name = "w", .dims = {data.size()}, .dtype = kI8, .data = data})
      .build()
      .bytes();
}

Bytes one_member(const Bytes& model, const Ending& ending) {
  DeflateBuilder out;
  out.stored(std::span(model).first(model.size() - ending.decoded.size()));
  ending.write(out);
  return out.gzip(model);
}

Bytes bgzip_member(const DeflateBuilder& stream, std::span<const std::byte> decoded) {
  Bytes member = stream.gzip(decoded, bytes_of(std::string("BC\2\0\0\0", 6)));
  const std::size_t size = member.size() - 1;
  member[16] = static_cast<std::byte>(size & 0xFF);
  member[17] = static_cast<std::byte>(size >> 8);
  return member;
}

/// The last member holds the history and the ending.
Bytes bgzip(const Bytes& model, const Ending& ending) {
  constexpr std::size_t kMember = 60'000;
  const std::size_t last = kHistory + ending.decoded.size();
  Bytes file;
  std::span<const std::byte> rest(model);
  while (rest.size() > last) {
    const auto part = rest.first(std::min(kMember, rest.size() - last));
    DeflateBuilder member;
    member.stored(part).fixed().literal(kEndOfBlock);
    append(file, bgzip_member(member, part));
    rest = rest.subspan(part.size());
  }
  DeflateBuilder member;
  member.stored(rest.first(kHistory));
  ending.write(member);
  append(file, bgzip_member(member, rest));
  return file;
}

std::string verdict(Way way, const Bytes& file, const Bytes& model) {
  try {
    return is_same(load(way, file), model) ? "the model" : "another model";
  } catch (const Error& error) {
    return error.message();
  }
}

/// Whether a file is decoded member by member, each of which is in memory.
bool has_members(Way way) { return way != Way::pipe && way != Way::push; }

TEST_CASE("every way into memory accepts the same deflate streams") {
  const Bytes history = noise(kHistory, 3);
  for (const Ending& ending : endings(history)) {
    const Bytes model = model_with(history, ending.decoded);
    const Bytes file = one_member(model, ending);
    const Bytes members = bgzip(model, ending);
    INFO(ending.what);
    const std::string streamed = verdict(Way::push, file, model);
    CHECK((streamed == "the model") == (ending.rule == Rule::valid));
    for (const Way way : kWays) {
      CHECK(verdict(way, file, model) == streamed);
      const std::string by_members = verdict(way, members, model);
      const bool may_accept = ending.rule == Rule::reserved && has_members(way);
      if (!(may_accept && by_members == "the model")) CHECK(by_members == streamed);
    }
  }
}

}  // namespace
}  // namespace ballast::test
