// Files with one byte changed: each parses or is refused, and what parses is sound.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <catch2/catch_test_macros.hpp>

#include <ballast/format.hpp>

#include "tests/support/gguf_builder.hpp"
#include "tests/support/oracle.hpp"
#include "tests/support/random.hpp"
#include "tests/support/random_model.hpp"
#include "tests/support/safetensors_builder.hpp"

namespace ballast::test {
namespace {

struct Tally {
  int accepted = 0;
  int refused = 0;
  std::uint64_t sum = 0;  // of all that was walked, so that no compiler leaves it out
};

std::uint64_t sum_of(std::string_view text) {
  std::uint64_t sum = 0;
  for (const char c : text) sum += static_cast<unsigned char>(c);
  return sum;
}

// Touches everything that a directory points at, so that a sanitizer sees a view that leads
// outside. Answers something that depends on all of it.
std::uint64_t walk(const Directory& directory) {
  std::uint64_t sum = 0;
  for (const Entry& entry : directory.metadata) {
    sum += sum_of(entry.key) + sum_of(entry.value.get<std::string_view>().value_or(""));
    if (const auto array = entry.value.get<Array>()) {
      for (const Value item : *array) {
        sum += item.bits() + sum_of(item.get<std::string_view>().value_or(""));
      }
    }
  }
  for (const Tensor& tensor : directory.tensors) {
    sum += tensor.elements() + sum_of(tensor.name) + sum_of(tensor.dtype_name);
  }
  return sum;
}

void judge(std::span<const std::byte> bytes, Tally& tally, const std::string& what) {
  try {
    const Directory directory = parse_whole(bytes);
    ++tally.accepted;
    tally.sum += walk(directory);
    if (const std::string fault = layout_fault(directory, bytes.size()); !fault.empty()) {
      FAIL(what << ": accepted, but " << fault);
    }
  } catch (const Error& error) {
    ++tally.refused;
    if (error.code().category() != category() || error.offset().value_or(0) > bytes.size()) {
      FAIL(what << ": " << error.what());
    }
  }
}

// All 255 other values of every byte of the header, and a few of the data.
Tally flip_all(const Sample& file, std::uint64_t header_end) {
  Tally tally;
  const auto exact = std::make_unique<std::byte[]>(file.size());
  std::ranges::copy(file.bytes(), exact.get());
  const std::span<std::byte> bytes(exact.get(), file.size());
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    const std::byte good = bytes[at];
    for (unsigned change = 1; change < 256; ++change) {
      if (at > header_end && change != 1) break;  // data are not looked at
      bytes[at] = good ^ static_cast<std::byte>(change);
      judge(bytes, tally, "byte " + std::to_string(at) + " xor " + std::to_string(change));
    }
    bytes[at] = good;
  }
  return tally;
}

TEST_CASE("every change of one byte of a GGUF parses soundly or is refused") {
  const Sample file =
      GgufBuilder()
          .aligned(32)
          .entry("general.architecture", "llama")
          .entry("flags", array_of<std::int16_t>({1, 2}))
          .entry("words", array_of<std::string>({"a", "bc"}))
          .entry("deep", GgufValue::array(ValueType::array, {array_of<float>({1.0F})}))
          .entry("on", true)
          .tensor({.name = "w", .dims = {32, 2}, .dtype = gguf_id("Q8_0")})
          .tensor({.name = "v", .dims = {5}})
          .tensor({.name = "e", .dims = {0}})
          .tensor({.name = "new", .dims = {3}, .dtype = 77, .nbytes = 40})
          .build();
  const Tally tally = flip_all(file, file.at("data"));
  // A test that accepts everything or refuses everything would hold nothing.
  CHECK(tally.sum != 0);
  CHECK(tally.accepted > 5'000);
  CHECK(tally.refused > 5'000);
}

TEST_CASE("every change of one byte of a safetensors file parses soundly or is refused") {
  const Sample file = SafetensorsBuilder()
                          .entry("format", "pt \u00E9\n")
                          .tensor({.name = "a", .dtype = "F16", .shape = {2, 3}})
                          .tensor({.name = "b\"", .dtype = "F4", .shape = {4}})
                          .tensor({.name = "e", .dtype = "I64", .shape = {0}})
                          .tensor({.name = "s", .dtype = "F32", .shape = {}})
                          .build();
  const Tally tally = flip_all(file, file.at("data"));
  CHECK(tally.accepted > 2'000);
  CHECK(tally.refused > 20'000);
}

TEST_CASE("random models with several bytes changed parse soundly or are refused") {
  const std::uint64_t first = test_seed(9'000);
  Tally tally;
  for (std::uint64_t seed = first; seed < first + 3'000; ++seed) {
    Random random(seed);
    const Format format = random.one_in(2) ? Format::gguf : Format::safetensors;
    Bytes bytes = random_model(format, seed % 64).sample.bytes();
    for (std::uint64_t changes = random.between(1, 6); changes > 0; --changes) {
      // Mostly in the header, which comes first.
      const std::uint64_t within =
          random.one_in(4) ? bytes.size() : std::min<std::uint64_t>(bytes.size(), 400);
      bytes[static_cast<std::size_t>(random.below(within))] = static_cast<std::byte>(random.next());
    }
    if (random.one_in(8)) bytes.resize(static_cast<std::size_t>(random.below(bytes.size())));
    bytes.shrink_to_fit();
    judge(bytes, tally, "BALLAST_TEST_SEED=" + std::to_string(seed));
  }
  CHECK(tally.accepted > 100);
  CHECK(tally.refused > 1'000);
}

}  // namespace
}  // namespace ballast::test
