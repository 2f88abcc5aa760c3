// What the bytes of a compressed model are once they are there: on the heap, never mapped, and
// still those of a file that can be asked about; and a look at the directory alone.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include "tests/support/safetensors_builder.hpp"
#include "tests/unit/compressed.hpp"

namespace ballast::test {
namespace {

TEST_CASE("a compressed file is not mapped, and who insists is told what it is compressed with") {
  if (!BALLAST_HAS_MMAP) SKIP("nothing is mapped on this platform");
  for (const Compression codec : kCompressions) {
    CAPTURE(name(codec));
    const TempFile file(compress(codec, small_model().bytes()));
    const Error error = error_of([&] { return ModelData::open(file.path(), on(Backend::map)); });
    CHECK(error.code() == Errc::not_mappable_compressed);
    CHECK(error.path() == file.path());
    CHECK(error.message().starts_with("compressed with " + std::string(name(codec)) + ","));
#if BALLAST_HAS_MMAP  // else it is not declared
    CHECK(error_of([&] { return ModelData::open_mmap(file.path()); }).code() ==
          Errc::not_mappable_compressed);
#endif
    OpenOptions raw = on(Backend::map);
    raw.decompress = false;
    CHECK(ModelData::open(file.path(), raw).is_mmap());
  }
}

TEST_CASE("the memory of a decoded model takes no advice, and is not given back") {
  const Compression codec = GENERATE(from_range(kCompressions));
  const TempFile file(compress(codec, small_model().bytes()));
  const ModelData data = ModelData::open(file.path());
  CHECK_FALSE(data.is_mmap());
  CHECK(data.advise_sequential().unsupported());
  CHECK(data.advise(Advice::will_need).unsupported());
  CHECK(data.release_cpu_pages().unsupported());
  CHECK(data.path() == file.path());
  CHECK(is_same(data, small_model().bytes()));
}

TEST_CASE("a decoded model knows whether its file is as it was") {
  const Compression codec = GENERATE(from_range(kCompressions));
  CAPTURE(name(codec));
  const TempDir folder;
  const auto path = folder.write("model", compress(codec, small_model().bytes()));
  const ModelData data = ModelData::open(path);
  CHECK(data.unchanged());
  CHECK(data.intact());
  std::filesystem::resize_file(path, 1);
  CHECK_FALSE(data.unchanged());
  CHECK(data.intact());  // its bytes are elsewhere
  std::filesystem::remove(path);
  CHECK_FALSE(data.unchanged());
}

TEST_CASE("what came through a pipe has no file to be asked about") {
  const ModelData data = load(Way::pipe, compress(Compression::xz, small_model().bytes()));
  CHECK(data.unchanged());
  CHECK(data.path().empty());
}

TEST_CASE("a FIFO that compressed bytes come through is decoded") {
  const Fifo fifo(compress(Compression::gzip, small_model().bytes()));
  const ModelData data = ModelData::open(fifo.path());
  CHECK(is_same(data, small_model().bytes()));
  CHECK(data.compression() == Compression::gzip);
  CHECK(data.path() == fifo.path());
}

TEST_CASE("a plain file says of itself that it is not compressed, and is complete") {
  for (const Way way : kWays) {
    const ModelData data = load(way, small_model().bytes());
    CHECK(data.compression() == Compression::none);
    CHECK(data.compressed_size() == 0);
    CHECK(data.is_complete());
  }
}

// ---- The directory alone ------------------------------------------------------------------------

OpenOptions looking() {
  OpenOptions options;
  options.directory_only = true;
  return options;
}

std::vector<Sample> large_models() {
  GgufBuilder gguf;
  SafetensorsBuilder safetensors;
  for (int i = 0; i < 300; ++i) {
    gguf.tensor({.name = "blk." + std::to_string(i), .dims = {1024}});
    safetensors.tensor({.name = "layers." + std::to_string(i), .dtype = "BF16", .shape = {64, 32}});
  }
  return {gguf.build(), safetensors.build()};
}

void check_directory(const Model& looked, const Model& whole) {
  CHECK_FALSE(looked.is_complete());
  REQUIRE(looked.tensors().size() == whole.tensors().size());
  for (std::size_t i = 0; i < whole.tensors().size(); ++i) {
    REQUIRE(looked.tensors()[i].name == whole.tensors()[i].name);
    REQUIRE(looked.tensors()[i].offset == whole.tensors()[i].offset);
    REQUIRE(looked.tensors()[i].nbytes == whole.tensors()[i].nbytes);
  }
  CHECK(looked.metadata().size() == whole.metadata().size());
  const Error error = error_of([&] { static_cast<void>(looked.bytes(looked.tensors()[0])); });
  CHECK(error.code() == Errc::not_loaded);
  CHECK(error.subject() == looked.tensors()[0].name);
}

TEST_CASE("a look at the directory decodes little more than that") {
  for (const Sample& sample : large_models()) {
    const Model whole = Model::from_data(ModelData::borrow(sample.bytes()));
    for (const Compression codec : kCompressions) {
      const Bytes file = compress(codec, sample.bytes(), levels(codec)[0]);
      for (const Way way : {Way::open, Way::read, Way::descriptor, Way::pipe}) {
        CAPTURE(name(codec), name_of(way));
        ModelData data = load(way, file, looking());
        CHECK_FALSE(data.is_complete());
        CHECK(data.size() >= sample.at("data"));
        CHECK(data.size() <= 2 * sample.at("data") + 65'536);
        CHECK(data.size() < sample.size());
        CHECK(data.file_size() == data.size());
        CHECK(std::ranges::equal(data.bytes(), std::span(sample.bytes()).first(data.size())));
        CHECK(data.compression() == codec);
        if (way != Way::pipe) CHECK(data.compressed_size() == file.size());
        CHECK_FALSE(data.is_mmap());
        check_directory(Model::from_data(std::move(data)), whole);
      }
    }
  }
}

TEST_CASE("a look at a compressed model needs no memory for what it claims") {
  const Sample model = GgufBuilder()
                           .tensor({.name = "w", .dims = {std::uint64_t{1} << 40}, .nbytes = 0})
                           .build()
                           .with_tail(noise(1000, 1));
  OpenOptions options = looking();
  options.max_bytes = 100'000;
  for (const Compression codec : kCompressions) {
    const Bytes file = compress(codec, model.bytes());
    CHECK(outcome(Way::open, file) != Errc::ok);
    CHECK_FALSE(load(Way::open, file, options).is_complete());
  }
}

TEST_CASE(
    "a look at a compressed file that ends inside its directory, or is no model, is refused") {
  const Sample model = small_model();
  const std::size_t inside = model.at("tensor[1].name");
  for (const Compression codec : kCompressions) {
    CAPTURE(name(codec));
    const Bytes short_one = compress(codec, std::span(model.bytes()).first(inside));
    CHECK(outcome(Way::open, short_one, looking()) == Errc::truncated);
    CHECK(outcome(Way::open, compress(codec, bytes_of("<html>")), looking()) == Errc::html_page);
    const Bytes whole = compress(codec, model.bytes());
    const Bytes cut(whole.begin(), whole.begin() + 30);
    CHECK(outcome(Way::open, cut, looking()) == Errc::truncated_stream);
  }
}

TEST_CASE("the progress of a look ends with what was decoded") {
  const Sample sample = large_models()[0];
  const Bytes file = compress(Compression::zstd, sample.bytes());
  Progress last;
  OpenOptions options = looking();
  options.progress = [&](const Progress& progress) { last = progress; };
  const TempFile stored(file);
  const ModelData data = ModelData::open(stored.path(), options);
  CHECK(last.done == data.size());
  CHECK(last.total == data.size());
  CHECK(last.input_done > 0);
  CHECK(last.input_done < file.size());
  CHECK(last.input_total == file.size());
}

TEST_CASE("of a plain file a look is the whole of it") {
  const TempFile file(small_model().bytes());
  const ModelData data = ModelData::open(file.path(), looking());
  CHECK(data.is_complete());
  CHECK(is_same(data, small_model().bytes()));
}

TEST_CASE("a look at a compressed index looks at its shards") {
  const TempDir folder;
  const Bytes shard =
      SafetensorsBuilder().tensor({.name = "a", .shape = {100'000}}).build().bytes();
  folder.write("one.safetensors", compress(Compression::zstd, shard));
  const auto path = folder.write(
      "model.safetensors.index.json",
      compress(Compression::gzip, bytes_of(IndexBuilder().tensor("a", "one.safetensors").build())));
  const Model model = Model::open(path, looking());
  CHECK_FALSE(model.is_complete());
  CHECK(model.tensors().size() == 1);
  CHECK(error_of([&] { static_cast<void>(model.bytes(model.at("a"))); }).code() ==
        Errc::not_loaded);
}

}  // namespace
}  // namespace ballast::test
