// Random models are written, opened in every way there is, and compared in everything.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/model.hpp>

#include "tests/support/random.hpp"
#include "tests/support/random_model.hpp"
#include "tests/support/temp.hpp"

namespace ballast::test {
namespace {

Model from_memory(const RandomModel& model) {
  return Model::from_data(ModelData::from_vector(model.sample.bytes()));
}

TEST_CASE("what was written is what is read, for random models of both formats") {
  const std::uint64_t first = test_seed(1);
  for (const Format format : {Format::gguf, Format::safetensors}) {
    for (std::uint64_t seed = first; seed < first + 500; ++seed) {
      const RandomModel written = random_model(format, seed);
      const Model opened = from_memory(written);
      const std::string what = difference(written, opened);
      if (what.empty()) continue;
      FAIL(name(format) << " of BALLAST_TEST_SEED=" << seed << " differs in " << what);
    }
  }
}

TEST_CASE("a model is the same from a mapping, from the heap and after a move") {
  const TempDir folder;
  const std::uint64_t first = test_seed(1'000);
  for (const Format format : {Format::gguf, Format::safetensors}) {
    for (std::uint64_t seed = first; seed < first + 20; ++seed) {
      CAPTURE(name(format), seed);
      const RandomModel written = random_model(format, seed);
      const std::filesystem::path path = folder.write("model", written.sample);
      CHECK(difference(written, Model::open(path)) == "");
      OpenOptions heap;
      heap.backend = Backend::heap;
      Model on_heap = Model::open(path, heap);
      CHECK(difference(written, on_heap) == "");
      const Model moved = std::move(on_heap);
      CHECK(difference(written, moved) == "");
    }
  }
}

TEST_CASE("a model inside a bigger file is the same as by itself, at any place") {
  const TempDir folder;
  for (const Format format : {Format::gguf, Format::safetensors}) {
    const RandomModel written = random_model(format, test_seed(7));
    for (const std::size_t before : {1U, 7U, 64U, 4'097U}) {
      CAPTURE(name(format), before);
      Bytes archive = noise(before, 1);
      append(archive, written.sample.bytes());
      append(archive, noise(10'000, 2));
      OpenOptions options;
      options.offset = before;
      options.length = written.sample.size();
      CHECK(difference(written, Model::open(folder.write("archive", archive), options)) == "");
    }
  }
}

TEST_CASE("the comparison sees every difference") {
  const std::uint64_t seed = test_seed(42);
  CAPTURE(seed);
  for (const Format format : {Format::gguf, Format::safetensors}) {
    std::uint64_t rich = seed;
    while (random_model(format, rich).tensors.size() < 2 ||
           random_model(format, rich).entries.size() < 3 ||
           random_model(format, rich).tensors[1].data.empty()) {
      ++rich;
    }
    const RandomModel written = random_model(format, rich);
    const Model opened = from_memory(written);
    REQUIRE(difference(written, opened) == "");
    const auto changed = [&](auto change) {
      RandomModel other = written;
      change(other);
      return !difference(other, opened).empty();
    };
    CHECK(changed([](RandomModel& m) { m.tensors.pop_back(); }));
    CHECK(changed([](RandomModel& m) { m.entries.pop_back(); }));
    CHECK(changed([](RandomModel& m) { m.tensors[1].name += "x"; }));
    CHECK(changed([](RandomModel& m) { m.tensors[1].dtype = "other"; }));
    CHECK(changed([](RandomModel& m) { m.tensors[1].shape.push_back(1); }));
    CHECK(changed([](RandomModel& m) { m.tensors[1].data.back() ^= std::byte{1}; }));
    CHECK(changed([](RandomModel& m) { m.entries[2].first += "x"; }));
    CHECK(changed([](RandomModel& m) { m.entries[2].second = GgufValue(std::uint16_t{12345}); }));
  }
}

}  // namespace
}  // namespace ballast::test
