// What a load costs, and how it ends: done, refused, cancelled, out of memory, or used wrongly.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <string>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <ballast/error.hpp>
#include <ballast/loader.hpp>
#include <ballast/model.hpp>

#include "tests/support/allocations.hpp"
#include "tests/support/gguf_builder.hpp"
#include "tests/unit/storage.hpp"

namespace ballast::test {
namespace {

Sample gguf() {
  return GgufBuilder()
      .entry("general.architecture", "llama")
      .tensor({.name = "a", .dims = {64, 500}})
      .build();
}

struct Cost {
  std::uint64_t pieces;  // taken from the heap
  std::uint64_t bytes;
};

// What is taken from the heap while a model with that many tensors is pushed. Looking at the
// directory takes some each time, so this tells how often that is done, too.
Cost cost(std::uint64_t tensors, std::size_t piece) {
  GgufBuilder builder;
  for (std::uint64_t i = 0; i < tensors; ++i)
    builder.tensor({.name = "blk." + std::to_string(i), .dims = {8}});
  const Sample sample = builder.build();
  const Allocations allocations;
  Loader loader;
  for (std::size_t at = 0; at < sample.size(); at += piece)
    loader.push(std::span(sample.bytes()).subspan(at, std::min(piece, sample.size() - at)));
  static_cast<void>(loader.finish());
  return {allocations.count(), allocations.bytes()};
}

TEST_CASE("pieces of one byte cost no more looks and copies than pieces of any size") {
  const Cost large = cost(3000, 1 << 20);
  REQUIRE(large.pieces > 10);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{4096}}) {
    CHECK(cost(3000, piece).pieces == large.pieces);
    CHECK(cost(3000, piece).bytes == large.bytes);
  }
}

TEST_CASE("the cost of a load grows with the model, not with its square") {
  const Cost one = cost(1000, 1);
  const Cost eight = cost(8000, 1);
  CAPTURE(one.bytes, eight.bytes);
  CHECK(eight.bytes < 2 * 8 * one.bytes);
}

// Whatever is asked of it, a loader that has ended refuses.
void check_ended(Loader& loader) {
  CHECK(error_of([&] { static_cast<void>(loader.prepare(1)); }).code() == Errc::misuse);
  CHECK(error_of([&] { loader.commit(0); }).code() == Errc::misuse);
  CHECK(error_of([&] { loader.push(bytes_of("x")); }).code() == Errc::misuse);
  CHECK(error_of([&] { static_cast<void>(loader.finish()); }).code() == Errc::misuse);
  CHECK(loader.progress().done == 0);
  CHECK_FALSE(loader.progress().total);
  loader.cancel();
}

TEST_CASE("more bytes than there was room for are not taken") {
  const Sample sample = gguf();
  for (const std::size_t before : {std::size_t{0}, std::size_t{100}, sample.size() - 50}) {
    CAPTURE(before);
    Loader loader;
    loader.push(std::span(sample.bytes()).first(before));
    const std::size_t room = loader.prepare(20).size();
    REQUIRE(room > 0);
    CHECK(error_of([&] { loader.commit(room + 1); }).code() == Errc::misuse);
    check_ended(loader);
  }
}

TEST_CASE("room is given once") {
  Loader loader;
  const std::size_t room = loader.prepare(20).size();
  const Sample sample = gguf();
  static_cast<void>(loader.prepare(10));
  std::ranges::copy(std::span(sample.bytes()).first(10), loader.prepare(10).begin());
  CHECK(room >= 10);
  loader.commit(10);
  CHECK(error_of([&] { loader.commit(1); }).code() == Errc::misuse);
}

TEST_CASE("a loader that has ended refuses what else is asked of it") {
  const Sample sample = gguf();
  Loader finished;
  finished.push(sample.bytes());
  CHECK(copy_of(finished.finish()) == sample.bytes());
  check_ended(finished);

  Loader cancelled;
  cancelled.push(std::span(sample.bytes()).first(1000));
  cancelled.cancel();
  check_ended(cancelled);

  Loader refused;
  CHECK(error_of([&] { refused.push(noise(1000, 1)); }).code() == Errc::unknown_format);
  check_ended(refused);

  Loader moved;
  Loader taken = std::move(moved);
  check_ended(moved);  // NOLINT(bugprone-use-after-move): the very point
  taken.push(sample.bytes());
  CHECK(taken.finish().size() == sample.size());
}

TEST_CASE("errors say what the input was, from the first call to the last") {
  const LoaderOptions named{.path = "https://example.org/model.gguf"};
  const Error refused = error_of([&] { Loader(named).push(noise(1000, 2)); });
  CHECK(refused.code() == Errc::unknown_format);
  CHECK(refused.path() == named.path);
  LoaderOptions large = named;
  large.total = 1000;
  large.max_bytes = 999;
  const Error too_large = error_of([&] { Loader{large}; });
  CHECK(too_large.code() == Errc::too_large);
  CHECK(too_large.path() == named.path);
  Loader short_one(named);
  short_one.push(std::span(gguf().bytes()).first(2000));
  CHECK(error_of([&] { static_cast<void>(short_one.finish()); }).path() == named.path);
  Loader whole(named);
  whole.push(gguf().bytes());
  const ModelData data = whole.finish();
  CHECK(data.path() == named.path);
  CHECK(data.unchanged());
}

TEST_CASE("what one vector cannot hold is refused before it is allocated, and says what can") {
  const std::uint64_t most = std::vector<std::byte>().max_size();  // 2 GiB - 1 byte on wasm32
  const std::uint64_t more = most + 1 + GENERATE(0U, 1U);
  const std::uint64_t anything = std::numeric_limits<std::uint64_t>::max();
  const Allocations allocations;
  const Error announced = error_of([&] { Loader({.total = more, .max_bytes = anything}); });
  CHECK(announced.code() == Errc::vector_limit);
  CHECK(announced.expected() == more);
  CHECK(announced.actual() == most);
  CHECK(announced.message().find("shards") != std::string::npos);
  CHECK(announced.message().find("wasm64") != std::string::npos);
  const Error allowed = error_of([&] { Loader({.total = more, .max_bytes = most}); });
  CHECK(allowed.code() == Errc::too_large);
  CHECK(allocations.bytes() < 100'000);
}

TEST_CASE("a directory needs no room for what follows it") {
  const Sample sample = gguf();
  const std::uint64_t most = sample.size() - 1;
  CHECK(error_of([&] { Loader({.total = sample.size(), .max_bytes = most}); }).code() ==
        Errc::too_large);
  Loader loader({.total = sample.size(), .max_bytes = most, .directory_only = true});
  loader.push(sample.bytes());
  REQUIRE(loader.has_directory());
  const Model model = Model::from_data(loader.finish());
  CHECK(model.tensors().size() == 1);
  CHECK_FALSE(model.is_complete());
}

TEST_CASE("a directory may claim more than one vector holds: nobody announced it") {
  const std::uint64_t most = std::vector<std::byte>().max_size();
  const std::uint64_t dim = most / 4 / 32 * 32 + 32;
  const Sample sample = GgufBuilder()
                            .tensor({.name = "w", .dims = {dim}, .nbytes = 0})
                            .build()
                            .with_tail(noise(1000, 1));
  const Allocations allocations;
  const Error error = error_of([&] {
    Loader loader({.max_bytes = std::numeric_limits<std::uint64_t>::max()});
    loader.push(sample.bytes());
    static_cast<void>(loader.finish());
  });
  CHECK(error.code() == Errc::vector_limit);
  CHECK(allocations.bytes() < 200'000);
}

TEST_CASE("a file that one vector cannot hold is not read, and the refusal says what can") {
  const std::uint64_t most = std::vector<std::byte>().max_size();
  if (most > std::uint64_t{1} << 40) SKIP("no file is larger than a vector can be here");
  const TempDir folder;
  const auto path = sparse_file(folder, most + 1);
  const Allocations allocations;
  const Error error = error_of([&] { return Model::open(path, on(Backend::heap)); });
  CHECK(error.code() == Errc::vector_limit);
  CHECK(error.path() == path);
  CHECK(error.expected() == most + 1);
  CHECK(allocations.bytes() < 200'000);
}

}  // namespace
}  // namespace ballast::test
