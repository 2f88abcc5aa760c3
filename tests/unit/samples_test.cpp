// The small samples: what `make-samples` writes opens without a complaint, whole or in pieces.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>

#include <catch2/catch_test_macros.hpp>

#include <ballast/model.hpp>

#include "tests/support/samples.hpp"
#include "tests/support/temp.hpp"

namespace ballast::test {
namespace {

// Every tensor with all that it is but its place.
std::map<std::string, std::string> contents(const Model& model) {
  std::map<std::string, std::string> out;
  for (const Tensor& tensor : model.tensors()) {
    std::string& text = out[std::string(tensor.name)];
    text = std::string(tensor.dtype_name);
    for (const std::uint64_t dim : tensor.shape) text += "," + std::to_string(dim);
    text += ":" + std::string(text_of(model.bytes(tensor)));
  }
  return out;
}

TEST_CASE("the samples open without a warning, and hold the same in one file and in several") {
  const TempDir folder;
  write_small_samples(folder.path());
  const auto check = [&](const char* whole_name, const char* set_name, std::size_t files) {
    INFO(whole_name);
    const Model whole = Model::open(folder / whole_name);
    const Model set = Model::open(folder / set_name);
    CHECK(whole.warnings().empty());
    CHECK(whole.verify().empty());
    CHECK(set.warnings().empty());
    CHECK(set.verify().empty());
    CHECK(set.shards().size() == files);
    CHECK(whole.tensors().size() == 20 + (whole.format() == Format::gguf ? 1 : 0));
    CHECK(contents(whole) == contents(set));
  };
  check("tiny.gguf", "tiny-00001-of-00003.gguf", 3);
  check("tiny.safetensors", "tiny.safetensors.index.json", 2);
}

TEST_CASE("the first shard of the split sample holds no tensor") {
  const TempDir folder;
  write_small_samples(folder.path());
  const Model set = Model::open(folder / "tiny-00001-of-00003.gguf");
  CHECK(std::ranges::none_of(set.tensors(), [](const Tensor& t) { return t.shard == 0; }));
  CHECK(set.metadata().get<Array>("tokenizer.ggml.tokens").has_value());
}

TEST_CASE("the samples are the same bytes each time") {
  const TempDir one;
  const TempDir two;
  write_small_samples(one.path());
  write_small_samples(two.path());
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(one.path())) {
    const std::string name = entry.path().filename().string();
    INFO(name);
    CHECK(read_file(entry.path()) == read_file(two / name));
    ++files;
  }
  CHECK(files == 8);
}

TEST_CASE("a large sample is made once, and anew where it is not whole") {
  const TempDir folder;
  const std::filesystem::path path = make_bench_sample(folder.path(), "tensors10k");
  const Bytes good = read_file(path);
  const Model model = Model::open(path);
  CHECK(model.tensors().size() == 10'000);
  const auto made = std::filesystem::last_write_time(path) - std::chrono::hours(1);
  std::filesystem::last_write_time(path, made);
  CHECK(make_bench_sample(folder.path(), "tensors10k") == path);
  // Compared first: libc++ counts time in 128 bits, which Catch2 cannot print.
  const bool left_alone = std::filesystem::last_write_time(path) == made;
  CHECK(left_alone);
  std::filesystem::resize_file(path, 1'000);
  CHECK(make_bench_sample(folder.path(), "tensors10k") == path);
  CHECK(read_file(path) == good);
  CHECK_THROWS_AS(make_bench_sample(folder.path(), "no such sample"), std::runtime_error);
}

}  // namespace
}  // namespace ballast::test
