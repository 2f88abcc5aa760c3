// Sets of files in a folder that somebody else fills, and goes on filling while it is read: links
// that lead nowhere, what is no file, the same file twice, and shards that are others than they
// were.
#include <unistd.h>

#include <sys/stat.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <ballast/model.hpp>

#include "tests/support/pipe.hpp"
#include "tests/support/safetensors_builder.hpp"
#include "tests/support/sets.hpp"
#include "tests/unit/storage.hpp"

namespace ballast::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kIndex = "model.safetensors.index.json";

Bytes safetensors(const std::string& tensor) {
  return SafetensorsBuilder().tensor({.name = tensor, .shape = {4}}).build().bytes();
}

// A set of two files, by its first file or by its index.
struct Set {
  std::string first;
  std::string second;
  Files files;
};

Set split_set() {
  return {split_name(1, 2),
          split_name(2, 2),
          {{split_name(1, 2),
            split_shard(0, 2, 2, {"a"}).entry("general.architecture", "llama").build().bytes()},
           {split_name(2, 2), split_shard(1, 2, 2, {"b"}).build().bytes()}}};
}

Set index_set() {
  return {
      kIndex,
      "2.safetensors",
      {{"1.safetensors", safetensors("a")},
       {"2.safetensors", safetensors("b")},
       {kIndex,
        bytes_of(
            IndexBuilder().tensor("a", "1.safetensors").tensor("b", "2.safetensors").build())}}};
}

void write(const TempDir& folder, const Set& set) {
  for (const auto& [name, bytes] : set.files) folder.write(name, bytes);
}

void link(const fs::path& to, const fs::path& from) {
  std::error_code unsupported;
  fs::create_symlink(to, from, unsupported);
  if (unsupported) SKIP("no symbolic links here: " << unsupported.message());
}

Error refusal(const fs::path& path, const OpenOptions& options = {}) {
  return error_of([&] { static_cast<void>(Model::open(path, options)); });
}

TEST_CASE("links that lead in a circle are refused with the system's reason, and by their path") {
  for (const Set& set : {split_set(), index_set()}) {
    for (const std::string& name : {set.first, set.second}) {
      CAPTURE(name);
      const TempDir folder;
      write(folder, set);
      fs::remove(folder / name);
      link(folder / "loop", folder / name);
      link(folder / name, folder / "loop");
      const Error error = refusal(folder / set.first);
      CHECK(error.code() == std::errc::too_many_symbolic_link_levels);
      CHECK(error.path() == folder / name);
    }
  }
}

TEST_CASE("a link to a file that is not there is a file that is not there") {
  for (const Set& set : {split_set(), index_set()}) {
    const TempDir folder;
    write(folder, set);
    fs::remove(folder / set.second);
    link(folder / "nothing", folder / set.second);
    const Error error = refusal(folder / set.first);
    CHECK(error.code() == Errc::missing_shard);
    CHECK(error.subject() == set.second);
  }
}

TEST_CASE("a shard that is a folder is refused as one") {
  for (const Set& set : {split_set(), index_set()}) {
    const TempDir folder;
    write(folder, set);
    fs::remove(folder / set.second);
    fs::create_directory(folder / set.second);
    const Error error = refusal(folder / set.first);
    CHECK(error.code() == std::errc::is_a_directory);
    CHECK(error.path() == folder / set.second);
  }
}

TEST_CASE("a shard that is a FIFO or a device is not opened: it would wait, or never end") {
  const std::string what = GENERATE("a FIFO", "/dev/zero", "/dev/null", "/dev/tty");
  if (what.starts_with('/') && !fs::exists(what)) SKIP("there is no " << what);
  for (const Set& set : {split_set(), index_set()}) {
    CAPTURE(what);
    const TempDir folder;
    write(folder, set);
    fs::remove(folder / set.second);
    if (what.starts_with('/')) {
      link(what, folder / set.second);
    } else if (::mkfifo((folder / set.second).c_str(), 0600) != 0 ||
               !fs::is_fifo(folder / set.second)) {  // Node makes a file of it
      SKIP("no FIFOs here");
    }
    const Error error = refusal(folder / set.first);
    CHECK(error.code() == std::errc::operation_not_supported);
    CHECK(error.path() == folder / set.second);
  }
}

TEST_CASE("a FIFO that is listed is read like any other file") {
  const Set set = split_set();
  const TempDir folder;
  write(folder, set);
  const Fifo fifo(set.files[1].second);
  const std::array paths{folder / set.first, fifo.path()};
  const Model model = Model::open_shards(paths);
  CHECK(model.tensors().size() == 2);
}

TEST_CASE("the first shard under the name of the second is not the second, however it got there") {
  const Set set = split_set();
  using Copy = std::function<void(const fs::path&, const fs::path&)>;
  for (const Copy& copy : {Copy([](const auto& from, const auto& to) { fs::copy(from, to); }),
                           Copy([](const auto& from, const auto& to) { link(from, to); }),
                           Copy([](const auto& from, const auto& to) {
                             std::error_code unsupported;
                             fs::create_hard_link(from, to, unsupported);
                             if (unsupported) fs::copy(from, to);
                           })}) {
    const TempDir folder;
    write(folder, set);
    fs::remove(folder / set.second);
    copy(folder / set.first, folder / set.second);
    const Error error = refusal(folder / set.first);
    CHECK(error.code() == Errc::wrong_shard);
    CHECK(error.path() == folder / set.second);
    CHECK(error.expected() == 1);
    CHECK(error.actual() == 0);
  }
}

TEST_CASE("a file that says it is shard 2^64-1 is not shard 0 by addition") {
  const TempFile file(GgufBuilder()
                          .entry("split.no", UINT64_MAX)
                          .entry("split.count", std::uint64_t{3})
                          .build()
                          .bytes(),
                      split_name(1, 3));
  const Error error = refusal(file.path());
  CHECK(error.code() == Errc::not_first_shard);
  CHECK(error.actual() == UINT64_MAX);
}

// ---- Files that are others than they were -------------------------------------------------------

/// Opens a set, on the heap, and does something to its folder once the first file is there.
template <class Act>
Model opened_while(const TempDir& folder, const Set& set, Act act) {
  OpenOptions options = on(Backend::heap);
  bool done = false;
  options.progress = [&](const Progress& progress) {
    if (done || progress.done != progress.total) return;
    done = true;
    act();
  };
  return Model::open(folder / set.first, options);
}

struct Change {
  std::string fact;
  Bytes second;  // what the second shard becomes; nothing: it goes
  Errc refusal = Errc::ok;
  std::string blamed{};
};

TEST_CASE("a shard of a split GGUF that is replaced before it is opened is judged as it is then") {
  const Set set = split_set();
  const auto shard = [](std::string_view tensor) {
    return split_shard(1, 2, 2, {std::string(tensor)});
  };
  Bytes shorter = shard("b").build().bytes();
  shorter.resize(shorter.size() - 20);
  const std::vector<Change> changes{
      {"by another one of the set", shard("c").build().bytes()},
      {"by one that says it is of another architecture, which the first shard decides",
       shard("c").entry("general.architecture", "other").build().bytes()},
      {"by one that ends too early", shorter, Errc::outside_file, set.second},
      {"by one with more tensors", split_shard(1, 2, 2, {"b", "c"}).build().bytes(),
       Errc::wrong_tensor_total, set.first},
      {"by one without tensors", split_shard(1, 2, 2, {}).build().bytes(), Errc::wrong_tensor_total,
       set.first},
      {"by one of a model with more tensors", split_shard(1, 2, 3, {"b"}).build().bytes(),
       Errc::wrong_shard, set.second},
      {"by one of a set of three", split_shard(1, 3, 2, {"b"}).build().bytes(), Errc::wrong_shard,
       set.second},
      {"by the first", set.files[0].second, Errc::wrong_shard, set.second},
      {"by one that has the tensor of the first", shard("a").build().bytes(),
       Errc::duplicate_tensor, set.second},
      {"by a safetensors file", safetensors("b"), Errc::mixed_formats, set.second},
      {"by a web page", bytes_of("<!DOCTYPE html><html></html>"), Errc::html_page, set.second},
      {"by nothing", {}, Errc::missing_shard, set.first},
  };
  for (const Change& change : changes) {
    CAPTURE(change.fact);
    const TempDir folder;
    write(folder, set);
    const auto act = [&] {
      fs::remove(folder / set.second);
      if (!change.second.empty()) folder.write(set.second, change.second);
    };
    if (change.refusal != Errc::ok) {
      const Error error = error_of([&] { static_cast<void>(opened_while(folder, set, act)); });
      CHECK(name(error.code()) == name(change.refusal));
      CHECK(error.path() == folder / change.blamed);
      continue;
    }
    const Model model = opened_while(folder, set, act);
    CHECK(model.metadata().get<std::string_view>("general.architecture") == "llama");
    CHECK(model.find("b") == nullptr);
    CHECK(std::ranges::equal(model.bytes(model.at("c")), noise(16, 1)));
  }
}

TEST_CASE("a shard of an index that is replaced before it is opened is judged as it is then") {
  const Set set = index_set();
  const std::vector<Change> changes{
      {"by one with another tensor", safetensors("c"), Errc::tensor_not_in_shard, kIndex},
      {"by the first", safetensors("a"), Errc::tensor_not_in_shard, kIndex},
      {"by a GGUF", split_shard(0, 1, 1, {"b"}).build().bytes(), Errc::mixed_formats, set.second},
      {"by the index", set.files[2].second, Errc::json_document, set.second},
      {"by nothing", {}, Errc::missing_shard, kIndex},
  };
  for (const Change& change : changes) {
    CAPTURE(change.fact);
    const TempDir folder;
    write(folder, set);
    const Error error = error_of([&] {
      static_cast<void>(opened_while(folder, set, [&] {
        fs::remove(folder / set.second);
        if (!change.second.empty()) folder.write(set.second, change.second);
      }));
    });
    CHECK(name(error.code()) == name(change.refusal));
    CHECK(error.path() == folder / change.blamed);
  }
}

TEST_CASE("the first file of a set may be replaced once it is there") {
  for (const Set& set : {split_set(), index_set()}) {
    const TempDir folder;
    write(folder, set);
    const Model model = opened_while(folder, set, [&] {
      fs::remove(folder / set.first);
      folder.write_text(set.first, "something else");
    });
    CHECK(model.tensors().size() == 2);
    CHECK(std::ranges::equal(model.bytes(model.at("b")), noise(16, 1)));
  }
}

TEST_CASE("a shard that shrinks while it is read is refused with what was there") {
  const Set set = split_set();
  const TempDir folder;
  write(folder, set);
  OpenOptions options = on(Backend::heap);
  unsigned begun = 0;
  options.progress = [&](const Progress& progress) {
    if (progress.done == 0 && ++begun == 2) fs::resize_file(folder / set.second, 10);
  };
  const Error error = refusal(folder / set.first, options);
  CHECK(error.code() == Errc::file_changed);
  CHECK(error.path() == folder / set.second);
  CHECK(error.actual() == 10);
}

TEST_CASE("a shard that is changed under a mapped set says so, and no other does") {
  if (!BALLAST_HAS_MMAP) SKIP("nothing is mapped on this platform");
  const Set set = split_set();
  const TempDir folder;
  write(folder, set);
  const Model model = Model::open(folder / set.first, on(Backend::map));
  fs::resize_file(folder / set.second, 0);
  CHECK(model.shards()[0].data.unchanged());
  CHECK(model.shards()[0].data.intact());
  CHECK_FALSE(model.shards()[1].data.unchanged());
  CHECK_FALSE(model.shards()[1].data.intact());
  CHECK(error_of([&] { static_cast<void>(model.verify()); }).code() == Errc::file_changed);
}

}  // namespace
}  // namespace ballast::test
