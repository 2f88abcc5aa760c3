// Files that are not all there: every prefix, of known and of unknown size.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include <catch2/catch_test_macros.hpp>

#include <ballast/format.hpp>

#include "tests/support/oracle.hpp"
#include "tests/support/random.hpp"
#include "tests/support/random_model.hpp"

namespace ballast::test {
namespace {

// The first bytes of a file in memory of their own, so that a sanitizer sees every byte that is
// read behind them.
class Prefix {
 public:
  Prefix(std::span<const std::byte> whole, std::size_t size)
      : bytes_(std::make_unique<std::byte[]>(size)), size_(size) {
    std::ranges::copy(whole.first(size), bytes_.get());
  }
  [[nodiscard]] std::span<const std::byte> bytes() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<std::byte[]> bytes_;
  std::size_t size_;
};

// Everything that a directory says, but for what only the end of the file can tell.
std::string text_of(const Directory& directory) {
  std::string out =
      std::string(name(directory.format)) + " " + std::to_string(directory.version.value_or(0)) +
      " " + std::to_string(directory.alignment.value_or(0)) + " " +
      std::to_string(directory.data_offset) + " " + std::to_string(directory.data_end.value_or(0)) +
      " " + std::to_string(directory.padded_end.value_or(0)) + "\n";
  for (const Entry& entry : directory.metadata) {
    out += std::string(entry.key) + " " + std::string(name(entry.value.type())) + " " +
           std::to_string(entry.value.bits()) + " " +
           std::string(entry.value.get<std::string_view>().value_or("")) + " " +
           std::to_string(entry.offset) + "\n";
  }
  for (const Tensor& tensor : directory.tensors) {
    out += std::string(tensor.name) + " " + std::string(tensor.dtype_name) + " " +
           std::to_string(tensor.offset) + " " + std::to_string(tensor.nbytes.value_or(0));
    for (const std::uint64_t dim : tensor.shape) out += "," + std::to_string(dim);
    out += "\n";
  }
  for (const Warning& warning : directory.warnings) out += warning.message + "\n";
  return out;
}

// A model with tensors that have data, so that its end matters.
RandomModel rich_model(Format format, std::uint64_t seed) {
  RandomModel model = random_model(format, seed);
  while (model.tensors.size() < 3 || model.tensors.back().data.size() < 3 ||
         model.entries.size() < 3 || model.sample.size() > 6'000) {
    model = random_model(format, ++seed);
  }
  return model;
}

// Where the header ends, with the padding behind it, which is looked at as well.
std::uint64_t header_end(const RandomModel& model) { return model.sample.at("data"); }

TEST_CASE("a file that was cut anywhere is refused, but where only its last padding is missing") {
  for (const Format format : {Format::gguf, Format::safetensors}) {
    for (std::uint64_t seed = test_seed(1); seed < test_seed(1) + 10; ++seed) {
      const RandomModel model = rich_model(format, seed);
      const Sample& file = model.sample;
      for (std::size_t size = 0; size < file.size(); ++size) {
        const Prefix prefix(file.bytes(), size);
        std::string refusal;
        try {
          const Directory directory = parse_whole(prefix.bytes());
          if (!layout_fault(directory, size).empty())
            FAIL("accepted with tensors outside the file");
        } catch (const Error& error) {
          refusal = error.what();
          if (error.offset().value_or(0) > size) FAIL("an offset behind the end: " << refusal);
        }
        if (refusal.empty() == (size == file.at("data.end"))) continue;
        FAIL(name(format) << ", seed " << seed << ", cut at " << size << " of " << file.size()
                          << ": " << (refusal.empty() ? "accepted" : refusal));
      }
    }
  }
}

TEST_CASE(
    "the first bytes of a file of known size ask for more or give the directory of the whole") {
  for (const Format format : {Format::gguf, Format::safetensors}) {
    const RandomModel model = rich_model(format, test_seed(100));
    const Sample& file = model.sample;
    const std::string whole = text_of(parse_whole(file.bytes()));
    for (std::size_t size = 0; size < file.size(); ++size) {
      CAPTURE(name(format), size);
      const Prefix prefix(file.bytes(), size);
      const Parsed parsed = parse({prefix.bytes(), file.size()});
      REQUIRE(parsed.directory.has_value() == (size >= header_end(model)));
      if (parsed.directory) {
        REQUIRE(text_of(*parsed.directory) == whole);
      } else {
        REQUIRE(parsed.needed > size);
        REQUIRE(parsed.needed <= file.size());
      }
    }
  }
}

TEST_CASE(
    "the first bytes of a file of unknown size ask for more or give the directory of the whole") {
  for (const Format format : {Format::gguf, Format::safetensors}) {
    const RandomModel model = rich_model(format, test_seed(200));
    const Sample& file = model.sample;
    const std::string whole = text_of(parse_whole(file.bytes()));
    for (std::size_t size = 0; size < file.size(); ++size) {
      CAPTURE(name(format), size);
      const Prefix prefix(file.bytes(), size);
      const Parsed parsed = parse({prefix.bytes(), std::nullopt});
      REQUIRE(parsed.directory.has_value() == (size >= header_end(model)));
      if (parsed.directory) {
        REQUIRE(text_of(*parsed.directory) == whole);
      } else {
        REQUIRE(parsed.needed > size);
      }
    }
  }
}

TEST_CASE(
    "giving what is asked for comes to an end, and doubling reads little more than the header") {
  for (const Format format : {Format::gguf, Format::safetensors}) {
    const RandomModel model = rich_model(format, test_seed(300));
    const Sample& file = model.sample;
    std::uint64_t given = 0;
    std::uint64_t rounds = 0;
    for (Parsed parsed = parse({{}, std::nullopt}); !parsed.directory; ++rounds) {
      REQUIRE(parsed.needed > given);
      given = std::min<std::uint64_t>(std::max(parsed.needed, 2 * given), file.size());
      const Prefix prefix(file.bytes(), given);
      parsed = parse({prefix.bytes(), given == file.size() ? std::optional(given) : std::nullopt});
    }
    CHECK(rounds <= 16);  // 6,000 bytes at most, doubled from one
  }
}

TEST_CASE("a header that lies about its counts asks for no more than the next thing it needs") {
  // A stream of unknown size must not be read to its end because somebody wrote a large number.
  const Sample file = GgufBuilder().entry("k", array_of<std::uint64_t>({1, 2, 3})).build();
  const Sample huge = file.with<std::uint64_t>("entry[0].value.count", std::uint64_t{1} << 40);
  const Parsed parsed = parse({huge.bytes(), std::nullopt});
  CHECK_FALSE(parsed.directory);
  CHECK(parsed.needed == huge.at("entry[0].value.items") + (std::uint64_t{8} << 40));
  // The caller sees how much that is before a byte of it is read; with the size known it is
  // refused.
  CHECK_THROWS_AS(static_cast<void>(parse({huge.bytes(), 1'000'000})), Error);
}

TEST_CASE("the padding behind a header is judged alike from every way in") {
  const Sample file =
      GgufBuilder().padding(std::byte{0xAA}).tensor({.name = "w", .dims = {64}}).build();
  REQUIRE(file.at("data") > file.at("infos.end"));
  const std::string whole = text_of(parse_whole(file.bytes()));
  for (std::size_t size = file.at("infos.end"); size < file.size(); ++size) {
    const Prefix prefix(file.bytes(), size);
    const Parsed parsed = parse({prefix.bytes(), file.size()});
    if (!parsed.directory) {
      REQUIRE(parsed.needed > size);
      continue;  // asking for the padding first is fine
    }
    CAPTURE(size, file.at("infos.end"), file.at("data"));
    REQUIRE(text_of(*parsed.directory) == whole);
  }
}

}  // namespace
}  // namespace ballast::test
