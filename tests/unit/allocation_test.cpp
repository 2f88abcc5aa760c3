// What parsing takes from the heap: what is in the file, never what the file claims.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/format.hpp>

#include "tests/support/allocations.hpp"
#include "tests/support/gguf_builder.hpp"
#include "tests/support/hostile.hpp"
#include "tests/support/safetensors_builder.hpp"

namespace ballast::test {
namespace {

constexpr std::uint64_t kLittle = 64 << 10;

// What is taken from the heap until the bytes are parsed or refused.
std::uint64_t taken(std::span<const std::byte> bytes, std::optional<std::uint64_t> total) {
  const Allocations allocations;
  try {
    static_cast<void>(parse({bytes, total}));
  } catch (const Error&) {
    return allocations.bytes();
  }
  return allocations.bytes();
}

std::uint64_t taken(const Sample& sample) { return taken(sample.bytes(), sample.size()); }

TEST_CASE("the counter counts") {
  const Allocations allocations;
  const std::vector<std::byte> some(12'345);
  // Shown, because memory of which nobody would ever know need not be taken.
  CAPTURE(static_cast<const void*>(some.data()));
  CHECK(allocations.bytes() >= some.size());
  CHECK(allocations.largest() >= some.size());
  CHECK(allocations.count() >= 1);
}

TEST_CASE("24 bytes that claim any number of tensors and entries take little memory") {
  const Sample bare = GgufBuilder().build();
  for (const std::uint64_t count : {std::uint64_t{1}, std::uint64_t{1'000'000},
                                    std::uint64_t{1} << 40, std::uint64_t{UINT64_MAX}}) {
    CAPTURE(count);
    CHECK(taken(bare.with<std::uint64_t>("tensor_count", count)) < kLittle);
    CHECK(taken(bare.with<std::uint64_t>("entry_count", count)) < kLittle);
    // While nobody knows the size of the file, a count cannot be refused for it, and must not be
    // believed either.
    CHECK(taken(bare.with<std::uint64_t>("tensor_count", count).bytes(), std::nullopt) < kLittle);
    CHECK(taken(bare.with<std::uint64_t>("entry_count", count).bytes(), std::nullopt) < kLittle);
  }
}

TEST_CASE("lengths and counts inside a GGUF take no memory before they are held against the file") {
  const Sample sample = GgufBuilder()
                            .entry("text", "value")
                            .entry("words", array_of<std::string>({"a", "b"}))
                            .tensor({.name = "w", .dims = {1}})
                            .build();
  for (const std::uint64_t claim : {std::uint64_t{1} << 25, std::uint64_t{1} << 32,
                                    std::uint64_t{1} << 62, std::uint64_t{UINT64_MAX}}) {
    for (const char* mark :
         {"entry[0]", "entry[0].value", "entry[1].value.count", "entry[1].value[0]", "tensor[0]"}) {
      CAPTURE(claim, mark);
      const Sample lying = sample.with<std::uint64_t>(mark, claim);
      CHECK(taken(lying) < kLittle);
      CHECK(taken(lying.bytes(), std::nullopt) < kLittle);
    }
  }
}

TEST_CASE("a safetensors length takes no memory before it is held against the file") {
  const Sample sample = SafetensorsBuilder().tensor({.name = "w", .shape = {1}}).build();
  for (const std::uint64_t claim :
       {std::uint64_t{1'000}, std::uint64_t{100'000'000}, std::uint64_t{UINT64_MAX}}) {
    CHECK(taken(sample.with<std::uint64_t>("length", claim)) < kLittle);
    CHECK(taken(sample.with<std::uint64_t>("length", claim).bytes(), std::nullopt) < kLittle);
  }
}

TEST_CASE("a vocabulary takes no memory until it is asked for") {
  std::vector<std::string> words;
  for (int i = 0; i < 100'000; ++i) words.push_back("word" + std::to_string(i));
  const Sample sample = GgufBuilder().entry("tokens", array_of<std::string>(words)).build();
  const Allocations allocations;
  const Directory directory = parse_whole(sample.bytes());
  CHECK(allocations.bytes() < 4'096);
  std::uint64_t length = 0;
  const Array tokens = directory.metadata.get<Array>("tokens").value();
  for (const Value word : tokens) {
    length += word.get<std::string_view>().value().size();
  }
  CHECK(length > 800'000);
  CHECK(allocations.bytes() < 4'096);
}

TEST_CASE("memory grows with the tensors that are there, not faster") {
  const auto gguf = [](std::uint64_t count) {
    GgufBuilder builder;
    for (std::uint64_t i = 0; i < count; ++i)
      builder.tensor({.name = "blk." + std::to_string(i), .dims = {8}});
    return builder.build();
  };
  const auto safetensors = [](std::uint64_t count) {
    SafetensorsBuilder builder;
    for (std::uint64_t i = 0; i < count; ++i)
      builder.tensor({.name = "blk." + std::to_string(i), .shape = {8}});
    return builder.build();
  };
  for (const std::uint64_t count : {500U, 4'000U}) {
    CAPTURE(count);
    CHECK(taken(gguf(count)) < kLittle + count * 300);
    CHECK(taken(safetensors(count)) <
          kLittle + count * 600);  // tensors are not counted before they are read
  }
}

TEST_CASE("a file of nothing but oddities keeps a few warnings and counts the rest") {
  GgufBuilder builder;
  for (std::uint64_t i = 0; i < 5'000; ++i) {
    builder.tensor({.name = "new" + std::to_string(i), .dims = {1}, .dtype = 99, .nbytes = 1});
  }
  const Sample sample = builder.build();
  const Directory directory = parse_whole(sample.bytes());
  CHECK(directory.warnings.size() < 20);
  REQUIRE_FALSE(directory.warnings.empty());
  CHECK(directory.warnings.back().message.find("more like it") != std::string::npos);
}

TEST_CASE("no refusal takes memory out of proportion to its file") {
  for (const HostileTable table : kHostileTables) {
    for (const HostileRow& row : table()) {
      if (row.refusal == Errc::ok) continue;
      const Allocations allocations;
      try {
        static_cast<void>(parse_whole(row.sample.bytes(), row.options));
      } catch (const Error&) {  // that it is the right one is checked elsewhere
      }
      INFO(row.fact);
      CHECK(allocations.largest() < kLittle + 16 * row.sample.size());
    }
  }
}

}  // namespace
}  // namespace ballast::test
