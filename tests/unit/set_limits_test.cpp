// max_bytes, and the limit where the caller gives none: for all files of a model together, on every
// way in.
#include <sys/resource.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <ballast/ballast.h>
#include <ballast/loader.hpp>
#include <ballast/model.hpp>

#include "tests/support/allocations.hpp"
#include "tests/support/compress.hpp"
#include "tests/support/pipe.hpp"
#include "tests/support/safetensors_builder.hpp"
#include "tests/support/sets.hpp"
#include "tests/unit/storage.hpp"

namespace ballast::test {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kElements = 5'000;

/// A set of three files, with its index where it has one; the first is the one that is opened.
struct Set {
  Files files;
  std::uint64_t heap_bytes = 0;  // of what is decoded, or read
};

Bytes packed(Bytes plain, bool is_compressed) {
  return is_compressed ? gzip_member(plain, {.level = 1}) : std::move(plain);
}

Set split_set(bool is_compressed) {
  Set set;
  for (unsigned i = 0; i < 3; ++i) {
    Bytes plain = GgufBuilder()
                      .entry("split.no", static_cast<std::uint16_t>(i))
                      .entry("split.count", std::uint16_t{3})
                      .entry("split.tensors.count", 3)
                      .tensor({.name = std::to_string(i), .dims = {kElements}})
                      .build()
                      .bytes();
    set.heap_bytes += plain.size();
    set.files.emplace_back(split_name(i + 1, 3) + (is_compressed ? ".gz" : ""),
                           packed(std::move(plain), is_compressed));
  }
  return set;
}

Set index_set(bool is_compressed) {
  IndexBuilder index;
  Set set;
  set.files.resize(1);
  for (const char* name : {"a", "b", "c"}) {
    Bytes plain = SafetensorsBuilder().tensor({.name = name, .shape = {kElements}}).build().bytes();
    set.heap_bytes += plain.size();
    index.tensor(name, std::string(name) + ".safetensors");
    set.files.emplace_back(std::string(name) + ".safetensors" + (is_compressed ? ".gz" : ""),
                           packed(std::move(plain), is_compressed));
  }
  Bytes plain = bytes_of(index.build());
  set.heap_bytes += plain.size();
  set.files.front() = {is_compressed ? "m.index.json.gz" : "m.index.json",
                       packed(std::move(plain), is_compressed)};
  return set;
}

std::size_t tensors_in(const Model& model) { return model.tensors().size(); }

using Open = std::function<Model(const TempDir&, const Set&, const OpenOptions&)>;

Model open_first(const TempDir& folder, const Set& set, const OpenOptions& options) {
  return Model::open(folder / set.files.front().first, options);
}

Model open_all(const TempDir& folder, const Set& set, const OpenOptions& options) {
  std::vector<fs::path> paths;
  for (const auto& [name, bytes] : set.files) paths.push_back(folder / name);
  return Model::open_shards(paths, options);
}

Model load_all(const TempDir& folder, const Set& set, const OpenOptions& options) {
  std::vector<Model::Shard> shards;
  std::uint64_t used = options.used_bytes;
  for (const auto& [name, bytes] : set.files) {
    Loader loader({.max_bytes = options.max_bytes,
                   .used_bytes = used,
                   .accept_index = true,
                   .path = folder / name});
    loader.push(bytes);
    shards.push_back({.file = name, .data = loader.finish()});
    used += shards.back().data.size();
  }
  return Model::from_shards(std::move(shards));
}

/// With so many bytes it opens, and with one fewer it is the last file that is too much.
void check_bound(const Open& open, const Set& set, OpenOptions options) {
  const TempDir folder;
  for (const auto& [name, bytes] : set.files) folder.write(name, bytes);
  options.max_bytes = set.heap_bytes;
  CHECK(tensors_in(open(folder, set, options)) == 3);
  options.max_bytes = set.heap_bytes - 1;
  const Error error = error_of([&] { static_cast<void>(open(folder, set, options)); });
  CHECK(error.code() == Errc::too_large);
  CHECK(error.path() == folder / set.files.back().first);
  CHECK(error.expected() == set.heap_bytes);
  CHECK(error.actual() == set.heap_bytes - 1);
  // Other files may have taken some already.
  options.max_bytes = set.heap_bytes + 7;
  options.used_bytes = 7;
  CHECK(tensors_in(open(folder, set, options)) == 3);
  options.used_bytes = 8;
  CHECK(error_of([&] { static_cast<void>(open(folder, set, options)); }).expected() ==
        set.heap_bytes + 8);
}

TEST_CASE("max_bytes is for all files of a set together, read, decoded or pushed") {
  for (const bool is_compressed : {false, true}) {
    for (const Set& set : {split_set(is_compressed), index_set(is_compressed)}) {
      CAPTURE(is_compressed, set.files.front().first);
      for (const Open& open : {Open(open_first), Open(open_all), Open(load_all)})
        check_bound(open, set, on(Backend::heap));
    }
  }
}

TEST_CASE("mapped files of a set do not count for max_bytes") {
  if (!BALLAST_HAS_MMAP) SKIP("nothing is mapped on this platform");
  for (const Set& set : {split_set(false), index_set(false)}) {
    const TempDir folder;
    for (const auto& [name, bytes] : set.files) folder.write(name, bytes);
    OpenOptions options;
    options.max_bytes = 0;
    CHECK(tensors_in(open_first(folder, set, options)) == 3);
    CHECK(tensors_in(open_all(folder, set, options)) == 3);
  }
}

TEST_CASE("what comes by a pipe counts with the files of its set") {
  const Set set = split_set(false);
  const TempDir folder;
  folder.write(set.files[0].first, set.files[0].second);
  folder.write(set.files[2].first, set.files[2].second);
  OpenOptions options = on(Backend::heap);
  for (const std::uint64_t fewer : {0U, 1U}) {
    const Fifo fifo(set.files[1].second);
    const std::vector<fs::path> paths{folder / set.files[0].first, fifo.path(),
                                      folder / set.files[2].first};
    options.max_bytes = set.heap_bytes - fewer;
    const auto open = [&] { return Model::open_shards(paths, options); };
    if (fewer == 0) {
      CHECK(tensors_in(open()) == 3);
    } else {
      const Error error = error_of([&] { static_cast<void>(open()); });
      CHECK(error.code() == Errc::too_large);
      CHECK(error.path() == paths.back());
    }
  }
}

// ---- The C API ----------------------------------------------------------------------------------

TEST_CASE("the C API holds what loaders have brought against max_bytes, together") {
  const Set set = split_set(false);
  ballast_options* options = ballast_options_create();
  for (const std::uint64_t fewer : {0U, 1U}) {
    REQUIRE(ballast_options_set(options, BALLAST_OPTION_MAX_BYTES, set.heap_bytes - fewer) == 0);
    std::vector<ballast_data*> data;
    std::vector<const char*> names;
    for (const auto& [name, bytes] : set.files) {
      ballast_loader* loader = nullptr;
      data.push_back(nullptr);
      names.push_back(name.c_str());
      REQUIRE(ballast_loader_create(options, &loader, nullptr) == 0);
      REQUIRE(ballast_loader_push(loader, bytes.data(), bytes.size(), nullptr) == 0);
      REQUIRE(ballast_loader_finish(loader, &data.back(), nullptr) == 0);
      ballast_loader_free(loader);
    }
    ballast_model* model = nullptr;
    ballast_error* error = nullptr;
    const int code =
        ballast_model_from_data(data.data(), names.data(), data.size(), options, &model, &error);
    CHECK(code == (fewer == 0 ? BALLAST_OK : BALLAST_ERRC_too_large));
    if (error != nullptr) {
      CHECK(error->path == set.files.back().first);
      CHECK(error->expected == set.heap_bytes);
      CHECK(error->actual == set.heap_bytes - 1);
    }
    ballast_error_free(error);
    ballast_model_close(model);
    for (ballast_data* const left : data) CHECK(left == nullptr);
  }
  ballast_options_free(options);
}

TEST_CASE("a loader of the C API is told what other files have taken") {
  const Bytes bytes = split_set(false).files.front().second;
  ballast_options* options = ballast_options_create();
  REQUIRE(ballast_options_set(options, BALLAST_OPTION_TOTAL, bytes.size()) == 0);
  REQUIRE(ballast_options_set(options, BALLAST_OPTION_MAX_BYTES, bytes.size() + 99) == 0);
  REQUIRE(ballast_options_set(options, BALLAST_OPTION_USED_BYTES, 99) == 0);
  ballast_loader* loader = nullptr;
  CHECK(ballast_loader_create(options, &loader, nullptr) == 0);
  ballast_loader_free(loader);
  REQUIRE(ballast_options_set(options, BALLAST_OPTION_USED_BYTES, 100) == 0);
  ballast_error* error = nullptr;
  CHECK(ballast_loader_create(options, &loader, &error) == BALLAST_ERRC_too_large);
  CHECK(error->expected == bytes.size() + 100);
  CHECK(error->actual == bytes.size() + 99);
  ballast_error_free(error);
  ballast_options_free(options);
}

TEST_CASE("bytes that the caller of the C API brings do not count for max_bytes") {
  const Bytes bytes = SafetensorsBuilder().tensor({.name = "a", .shape = {4}}).build().bytes();
  ballast_options* options = ballast_options_create();
  REQUIRE(ballast_options_set(options, BALLAST_OPTION_MAX_BYTES, 0) == 0);
  ballast_data* data = nullptr;
  REQUIRE(ballast_data_from_memory(bytes.data(), bytes.size(), nullptr, nullptr, &data, nullptr) ==
          0);
  ballast_model* model = nullptr;
  CHECK(ballast_model_from_data(&data, nullptr, 1, options, &model, nullptr) == BALLAST_OK);
  ballast_model_close(model);
  ballast_options_free(options);
}

// ---- Where the caller gives no limit ------------------------------------------------------------

/// Lets the process have so much more data than it has (RLIMIT_DATA; VmData counts the same).
LoweredLimit more_data(std::uint64_t bytes) {
  if (!BALLAST_HAS_MMAP || kSanitizer) SKIP("the memory of this process cannot be limited");
  require_proc();
  return {RLIMIT_DATA, static_cast<std::size_t>(process_status("VmData") * 1024 + bytes)};
}

TEST_CASE("without max_bytes a set may take what the process can get, each file however small") {
  const TempDir folder;
  std::vector<fs::path> paths;
  constexpr std::uint64_t kSize = 40 * kMiB;
  for (const char* name : {"a", "b", "c"}) {
    const Sample sample =
        SafetensorsBuilder()
            .tensor({.name = name, .dtype = "U8", .shape = {kSize}, .end = kSize, .data = Bytes{}})
            .build();
    paths.push_back(folder.write(name, sample.bytes()));
    fs::resize_file(paths.back(), sample.at("data") + kSize);
  }
  const std::uint64_t size = fs::file_size(paths.front());
  const LoweredLimit limit = more_data(110 * kMiB);
  const Error error =
      error_of([&] { static_cast<void>(Model::open_shards(paths, on(Backend::heap))); });
  CHECK(error.code() == Errc::too_large);
  CHECK(error.path() == paths.back());
  CHECK(error.expected() == 3 * size);
  CHECK(error.actual() > 80 * kMiB);
  CHECK(error.actual() < 120 * kMiB);
}

TEST_CASE("without max_bytes what has no end is collected up to what the process can get") {
  if (!fs::exists("/dev/zero")) SKIP("there is no /dev/zero");
  const LoweredLimit limit = more_data(160 * kMiB);
  const Error error = error_of([&] { static_cast<void>(ModelData::open("/dev/zero")); });
  CHECK(error.code() == Errc::too_large);
  CHECK(error.path() == "/dev/zero");
  CHECK(error.actual() < 160 * kMiB);
}

TEST_CASE("a pipe or a device that brings no model is refused as soon as that is seen") {
  const Fifo garbage(Bytes(3 * kMiB, std::byte{'x'}));
  const Allocations allocations;
  if (fs::exists("/dev/zero")) {
    CHECK(error_of([] { static_cast<void>(Model::open("/dev/zero")); }).code() ==
          Errc::unknown_format);
  }
  const auto open = [&] { static_cast<void>(Model::open(garbage.path())); };
  CHECK(error_of(open).code() == Errc::unknown_format);
  CHECK(allocations.largest() < kMiB);
}

TEST_CASE("an index may still come by a pipe") {
  const Set set = index_set(false);
  const TempDir folder;
  for (const auto& [name, bytes] : set.files) folder.write(name, bytes);
  const Fifo index(set.files.front().second);
  std::vector<fs::path> paths{index.path()};
  for (std::size_t i = 1; i < set.files.size(); ++i) paths.push_back(folder / set.files[i].first);
  CHECK(tensors_in(Model::open_shards(paths)) == 3);
}

}  // namespace
}  // namespace ballast::test
