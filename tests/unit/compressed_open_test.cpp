// Compressed models are the models that were compressed: every sample and every small file of the
// corpus, through every codec at its lowest, default and highest level, by every way to memory.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <ballast/format.hpp>

#include "tests/support/samples.hpp"
#include "tests/unit/compressed.hpp"

namespace ballast::test {
namespace {

namespace fs = std::filesystem;

// What is larger takes seconds at the highest levels.
constexpr std::uintmax_t kSmall = 320'000;

std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    const std::string suffix = entry.path().extension().string();
    const bool is_model = suffix == ".gguf" || suffix == ".safetensors";
    if (entry.is_regular_file() && is_model && entry.file_size() <= kSmall)
      files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

// The corpus of fixtures_test.cpp.
fs::path corpus() {
  const char* named = std::getenv("BALLAST_FIXTURES");
  const fs::path folder =
      named != nullptr ? fs::path(named) : fs::path(BALLAST_SOURCE_DIR) / "../shared/fixtures";
  if (!fs::exists(folder / "truth")) SKIP("no corpus: name its folder with BALLAST_FIXTURES");
  return folder;
}

// Everything that a model says about itself.
std::string text_of(const Model& model) {
  std::string out = std::string(name(model.format())) + " " + std::to_string(model.file_bytes()) +
                    " " + std::to_string(model.metadata().size()) + "\n";
  for (const Tensor& tensor : model.tensors()) {
    out += std::string(tensor.name) + " " + std::string(tensor.dtype_name) + " " +
           std::to_string(tensor.offset) + " " + std::to_string(tensor.nbytes.value_or(0)) + "\n";
  }
  for (const Warning& warning : model.warnings())
    out += warning.message + " at " + std::to_string(warning.offset.value_or(0)) + "\n";
  return out;
}

// What loading and opening end with: a model, or a refusal.
struct Verdict {
  std::string text;
  std::error_code code{};
  std::optional<Model> model{};
};

template <class Load>
Verdict verdict(Load loaded) {
  try {
    Model model = Model::from_data(loaded());
    std::string text = "accepted: " + text_of(model);
    return {std::move(text), {}, std::move(model)};
  } catch (const Error& error) {
    const std::string at = std::to_string(error.offset().value_or(0));
    return {"refused: " + error.message() + " at " + at, error.code(), {}};
  }
}

// What a file becomes that is larger by its own account than it is: piece by piece that shows only
// at its end, or where so much may not be had.
bool is_about_size(const std::error_code& code) {
  return code == Errc::outside_file || code == Errc::ratio_too_high || code == Errc::too_large ||
         code == Errc::vector_limit;
}

struct Plain {
  explicit Plain(const fs::path& file)
      : bytes(read_file(file)), due(verdict([this] { return ModelData::borrow(bytes); })) {}
  Bytes bytes;
  Verdict due;
};

void check_same(Way way, const Plain& plain, Compression codec, const Bytes& compressed) {
  INFO("by " << name_of(way));
  const Verdict found = verdict([&] { return load(way, compressed); });
  if (plain.due.code == Errc::outside_file) {
    CHECK(is_about_size(found.code));
    return;
  }
  CHECK(found.text == plain.due.text);
  if (!found.model) return;
  const ModelData& data = found.model->shards()[0].data;
  CHECK(std::ranges::equal(data.bytes(), std::span(plain.bytes).first(data.size())));
  CHECK(data.file_size() == plain.bytes.size());
  CHECK(data.compression() == codec);
  CHECK(data.compressed_size() == compressed.size());
  CHECK(data.is_complete());
}

void check_levels(const fs::path& file, Compression codec, std::span<const Way> ways) {
  INFO(file);
  const Plain plain(file);
  // What is refused takes no more of the decoder at one level than at another.
  for (const int level : plain.due.model ? levels(codec) : std::vector{levels(codec)[1]}) {
    INFO(name(codec) << " at level " << level);
    const Bytes compressed = compress(codec, plain.bytes, level);
    for (const Way way : ways) check_same(way, plain, codec, compressed);
  }
}

TEST_CASE("the samples are the same through every codec, at every level, by every way") {
  const Compression codec = GENERATE(from_range(kCompressions));
  const TempDir folder;
  write_small_samples(folder.path());
  const std::vector<fs::path> files = files_in(folder.path());
  REQUIRE(files.size() >= 5);
  constexpr std::array kWithoutPipes{Way::open, Way::read, Way::descriptor, Way::push};
  for (const fs::path& file : files) check_levels(file, codec, kWithoutPipes);
  const Plain any(files.front());
  check_same(Way::pipe, any, codec, compress(codec, any.bytes));
}

TEST_CASE("the small files of the corpus are the same through every codec and at every level") {
  const fs::path root = corpus();
  const Compression codec = GENERATE(from_range(kCompressions));
  const std::vector<fs::path> files = files_in(root);
  REQUIRE(files.size() > 100);
  constexpr std::array kWaysOfAll{Way::read, Way::push};
  for (const fs::path& file : files) check_levels(file, codec, kWaysOfAll);
}

TEST_CASE("a compressed model lies as a plain one does: one vector, its data at a multiple of 64") {
  const Sample model = small_model();
  for (const Compression codec : kCompressions) {
    const Bytes compressed = compress(codec, model.bytes());
    for (const Way way : kWays) {
      CAPTURE(name(codec), name_of(way));
      const ModelData data = load(way, compressed);
      CHECK(is_same(data, model.bytes()));
      CHECK(reinterpret_cast<std::uintptr_t>(data.bytes().data() + model.at("data")) % 64 == 0);
      CHECK_FALSE(data.is_mmap());
      CHECK(data.intact());
    }
  }
}

TEST_CASE("a compressed model inside a bigger file is decoded from there") {
  const Sample model = small_model();
  for (const Compression codec : kCompressions) {
    CAPTURE(name(codec));
    const Bytes compressed = compress(codec, model.bytes());
    Bytes whole = noise(1001, 1);
    append(whole, compressed);
    append(whole, noise(500, 2));
    OpenOptions options;
    options.offset = 1001;
    options.length = compressed.size();
    for (const Way way : {Way::open, Way::descriptor, Way::pipe})
      CHECK(is_same(load(way, whole, options), model.bytes()));
    options.length.reset();
    CHECK(outcome(Way::open, whole, options) == Errc::garbage_after_stream);
  }
}

}  // namespace
}  // namespace ballast::test
