// The Loader: the same model from pieces of any size as from the whole file, each byte put once
// where it stays.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <ballast/error.hpp>
#include <ballast/loader.hpp>
#include <ballast/model.hpp>

#include "tests/support/gguf_builder.hpp"
#include "tests/support/random.hpp"
#include "tests/support/safetensors_builder.hpp"
#include "tests/unit/storage.hpp"

namespace ballast::test {
namespace {

Sample gguf() {
  return GgufBuilder()
      .entry("general.architecture", "llama")
      .entry("tokens", array_of<std::string>(std::vector<std::string>(3000, "token")))
      .tensor({.name = "a", .dims = {64, 5000}})
      .tensor({.name = "b", .dims = {7}})
      .build();
}

Sample safetensors() {
  return SafetensorsBuilder()
      .header_alignment(1)
      .entry("note", std::string(1001, 'x'))
      .tensor({.name = "a", .dtype = "BF16", .shape = {5000, 64}})
      .tensor({.name = "b", .dtype = "U8", .shape = {7}})
      .build();
}

// Pieces of one size, or, for 0, of random sizes with a seed that a failure shows.
class Pieces {
 public:
  Pieces(std::size_t size, std::uint64_t seed) : size_(size), random_(seed) {}
  std::size_t next(std::size_t left) {
    return std::min(left, size_ != 0 ? size_ : static_cast<std::size_t>(1 + random_.below(9000)));
  }

 private:
  std::size_t size_;
  Random random_;
};

ModelData load(std::span<const std::byte> bytes, Pieces pieces, const LoaderOptions& options) {
  Loader loader(options);
  while (!bytes.empty()) {
    const std::size_t count = pieces.next(bytes.size());
    loader.push(bytes.first(count));
    bytes = bytes.subspan(count);
  }
  return loader.finish();
}

Bytes loaded(std::span<const std::byte> bytes, Pieces pieces, const LoaderOptions& options = {}) {
  return copy_of(load(bytes, pieces, options));
}

Errc refusal(std::span<const std::byte> bytes, const LoaderOptions& options = {}) {
  try {
    static_cast<void>(load(bytes, Pieces(100, 0), options));
  } catch (const Error& error) {
    return static_cast<Errc>(error.code().value());
  }
  return Errc::ok;
}

TEST_CASE("pieces of any size make the same bytes as the whole file") {
  const Sample sample = GENERATE(gguf(), safetensors());
  const std::size_t size = GENERATE(1UL, 2UL, 3UL, 7UL, 511UL, 512UL, 4096UL, 1UL << 20, 0UL);
  const bool total_known = GENERATE(false, true);
  const std::uint64_t seed = test_seed(20261122);
  CAPTURE(size, total_known, seed);
  LoaderOptions options;
  if (total_known) options.total = sample.size();
  const ModelData data = load(sample.bytes(), Pieces(size, seed), options);
  CHECK(std::ranges::equal(data.bytes(), sample.bytes()));
  CHECK_FALSE(data.is_mmap());
  CHECK(reinterpret_cast<std::uintptr_t>(data.bytes().data() + sample.at("data")) % 64 == 0);
}

TEST_CASE("once the directory is there, bytes land where they stay") {
  const Sample sample = GENERATE(gguf(), safetensors());
  Loader loader;
  const std::size_t half = sample.size() - 1000;
  loader.push(std::span(sample.bytes()).first(half));
  const std::span<std::byte> room = loader.prepare(5000);
  REQUIRE(room.size() == 1000);  // up to the end of the model, which nobody announced
  CHECK(loader.progress().total == sample.size());
  std::ranges::copy(std::span(sample.bytes()).last(1000), room.begin());
  const std::byte* put = room.data();
  loader.commit(1000);
  const ModelData data = loader.finish();
  CHECK(put == data.bytes().data() + half);
}

TEST_CASE("what prepare gives and commit takes need not be the same") {
  const Sample sample = gguf();
  Loader loader;
  for (std::size_t at = 0; at < sample.size();) {
    const std::span<std::byte> room = loader.prepare(100);
    REQUIRE_FALSE(room.empty());
    const std::size_t count =
        std::min(std::max<std::size_t>(1, room.size() / 3), sample.size() - at);
    std::ranges::copy(std::span(sample.bytes()).subspan(at, count), room.begin());
    loader.commit(count);
    loader.commit(0);
    at += count;
    CHECK(loader.progress().done == at);
  }
  CHECK(copy_of(loader.finish()) == sample.bytes());
}

TEST_CASE("what is no model is refused when its first 512 bytes are there") {
  Loader loader;
  const std::string page = "<!DOCTYPE html>" + std::string(2000, ' ');
  loader.push(std::as_bytes(std::span(page)).first(511));
  try {
    loader.push(std::as_bytes(std::span(page)).subspan(511, 1));
    FAIL("was taken");
  } catch (const Error& error) {
    CHECK(error.code() == Errc::html_page);
  }
}

TEST_CASE("a short page is refused when the input ends") {
  const std::string page = "<html></html>";
  CHECK(refusal(std::as_bytes(std::span(page))) == Errc::html_page);
  CHECK(refusal({}) == Errc::empty_file);
}

TEST_CASE("bytes that are no model are kept where no model is required") {
  const Bytes bytes = noise(GENERATE(0UL, 1UL, 511UL, 512UL, 70'000UL, 3'000'000UL), 7);
  LoaderOptions options{.require_model = false};
  if (GENERATE(false, true)) options.total = bytes.size();
  CHECK(loaded(bytes, Pieces(0, 3), options) == bytes);
}

TEST_CASE("an input that ends too early says how much is missing") {
  const Sample sample = gguf();
  const std::size_t cut = GENERATE(1UL, 100UL, 1'000'000UL);
  const std::span<const std::byte> there = std::span(sample.bytes()).first(sample.size() - cut);
  CHECK(refusal(there, {.total = sample.size()}) == Errc::incomplete_input);
  const Error error = error_of([&] { static_cast<void>(load(there, Pieces(100, 0), {})); });
  const bool in_padding = sample.at("data.end") < there.size();
  CHECK(error.code() == (in_padding ? Errc::partial_padding : Errc::outside_file));
  CHECK(error.actual() == there.size());
}

TEST_CASE("more bytes than were announced are refused") {
  const Sample sample = gguf();
  CHECK(refusal(sample.with_tail(bytes_of("x")).bytes(), {.total = sample.size()}) ==
        Errc::file_changed);
}

TEST_CASE("trailing bytes are counted, warned about and not kept") {
  const Sample sample = gguf().with_tail(noise(70'000, 1));
  const ModelData data = load(sample.bytes(), Pieces(0, 5), {});
  CHECK(data.size() == gguf().size());
  CHECK(data.file_size() == sample.size());
  Model mapped = Model::from_data(ModelData::from_vector(sample.bytes()));
  Model pushed = Model::from_data(load(sample.bytes(), Pieces(0, 5), {}));
  CHECK(pushed.file_bytes() == mapped.file_bytes());
  REQUIRE(pushed.warnings().size() == 1);
  REQUIRE(mapped.warnings().size() == 1);
  CHECK(pushed.warnings()[0].message == mapped.warnings()[0].message);
}

TEST_CASE("too many trailing bytes are refused as they come") {
  LoaderOptions options;
  options.parse.limits.max_trailing = 1000;
  CHECK(refusal(gguf().with_tail(noise(1000, 1)).bytes(), options) == Errc::ok);
  CHECK(refusal(gguf().with_tail(noise(1001, 1)).bytes(), options) == Errc::trailing_bytes);
}

TEST_CASE("two models glued together are told apart from trailing bytes") {
  const Sample sample = GENERATE(gguf(), safetensors());
  CHECK(refusal(sample.with_tail(sample.bytes()).bytes()) == Errc::glued_files);
}

TEST_CASE("what follows a model is judged alike in memory and in pieces") {
  const Bytes other = GENERATE(gguf().bytes(), safetensors().bytes(), noise(500, 9));
  const std::uint64_t last = GENERATE(1U, 29U, 30U, 31U, 32U);  // bytes of the last tensor
  const bool padded = GENERATE(false, true);
  GgufBuilder builder = GgufBuilder().entry("note", std::string(1000, 'x'));
  builder.tensor({.name = "w", .dims = {last}, .dtype = gguf_id("I8")});
  if (!padded) builder.without_final_padding();
  const Sample model = GENERATE(false, true) ? safetensors() : builder.build();
  const Sample both = model.with_tail(other);
  CAPTURE(other.size(), last, padded, both.size());
  const auto outcome = [](const auto& data) {
    try {
      static_cast<void>(Model::from_data(data()));
    } catch (const Error& error) {
      return std::string(error.name());
    }
    return std::string("accepted");
  };
  CHECK(outcome([&] { return load(both.bytes(), Pieces(700, 0), {}); }) ==
        outcome([&] { return ModelData::from_vector(both.bytes()); }));
}

TEST_CASE("a last tensor of unknown size needs the size of the input") {
  const Sample sample =
      GgufBuilder().tensor({.name = "new", .dims = {32}, .dtype = 99, .nbytes = 2048}).build();
  CHECK(refusal(sample.bytes()) == Errc::unknown_end);
  const ModelData data = load(sample.bytes(), Pieces(10, 0), {.total = sample.size()});
  CHECK(data.size() == sample.size());
}

TEST_CASE("a last tensor may come without its padding") {
  const Sample sample =
      GgufBuilder().tensor({.name = "w", .dims = {7}}).without_final_padding().build();
  CHECK(loaded(sample.bytes(), Pieces(5, 0)) == sample.bytes());
}

TEST_CASE("max_bytes is checked before the model is allocated") {
  const Sample sample = GgufBuilder()
                            .tensor({.name = "w", .dims = {1ULL << 40}, .nbytes = 0})
                            .build()
                            .with_tail(noise(1000, 1));
  try {
    static_cast<void>(load(sample.bytes(), Pieces(0, 1), {.max_bytes = 1 << 20}));
    FAIL("was taken");
  } catch (const Error& error) {
    CHECK(error.code() == Errc::too_large);
    CHECK(error.actual() == 1 << 20);
  }
}

TEST_CASE("a cancelled loader holds nothing") {
  Loader loader;
  loader.push(std::span(gguf().bytes()).first(1000));
  loader.cancel();
  CHECK(loader.progress().done == 0);
}

}  // namespace
}  // namespace ballast::test
