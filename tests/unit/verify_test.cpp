// Model::verify on mapped files: what it leaves as it was, and bytes that change under it.
#include <algorithm>
#include <cstdint>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <ballast/model.hpp>

#include "tests/support/gguf_builder.hpp"
#include "tests/unit/storage.hpp"

namespace ballast::test {
namespace {

/// What the system says of the mapping that holds an address (proc_pid_smaps(5)).
struct Smaps {
  std::string resident;
  std::string flags;

  friend bool operator==(const Smaps&, const Smaps&) = default;
};

std::optional<Smaps> smaps_of(const std::byte* address) {
  std::ifstream file("/proc/self/smaps");
  std::optional<Smaps> found;
  bool is_here = false;
  for (std::string line; std::getline(file, line);) {
    std::istringstream head(line);
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    char dash = 0;
    if (head >> std::hex >> begin >> dash >> end && dash == '-') {
      const auto at = reinterpret_cast<std::uintptr_t>(address);
      is_here = begin <= at && at < end;
      if (is_here) found.emplace();
    } else if (is_here && line.starts_with("Rss:")) {
      found->resident = line;
    } else if (is_here && line.starts_with("VmFlags:")) {
      found->flags = line;
    }
  }
  return found;
}

/// A model with strings, padding, and so much data that verify() takes several pieces.
Sample large() {
  return GgufBuilder()
      .entry("words", array_of<std::string>({"good", "fine"}))
      .tensor({.name = "a", .dims = {10}})
      .tensor({.name = "b", .dims = {10 * kMiB}})
      .build();
}

Model mapped(const TempFile& file) { return Model::open(file.path(), on(Backend::map)); }

std::size_t count(const std::vector<Warning>& found, Errc code) {
  return static_cast<std::size_t>(std::ranges::count(found, code, &Warning::code));
}

TEST_CASE("verify leaves the pages of a mapped model in memory, and what was advised about them") {
  if (!BALLAST_HAS_MMAP) SKIP("nothing is mapped on this platform");
  const Sample sample = large();
  const TempFile file(sample.bytes());
  const Model model = mapped(file);
  const ModelData& data = model.shards()[0].data;
  if (!data.advise(Advice::random).applied() || !data.advise(Advice::populate_read).applied()) {
    SKIP("this system takes no such advice");
  }
  const std::optional<Smaps> before = smaps_of(data.bytes().data());
  if (!before) SKIP("this system does not tell about mappings");
  CHECK(model.verify().empty());
  const std::optional<Smaps> after = smaps_of(data.bytes().data());
  REQUIRE(after);
  CHECK(after->resident == before->resident);
  CHECK(after->flags == before->flags);
}

TEST_CASE("verify brings back no page of a mapped model that was given back") {
  if (!BALLAST_HAS_MMAP) SKIP("nothing is mapped on this platform");
  const Sample sample = large();
  const TempFile file(sample.bytes());
  const Model model = mapped(file);
  const ModelData& data = model.shards()[0].data;
  if (!data.release_cpu_pages().applied()) SKIP("this system gives no page back");
  const std::optional<Smaps> before = smaps_of(data.bytes().data());
  if (!before) SKIP("this system does not tell about mappings");
  CHECK(model.verify().empty());
  CHECK(smaps_of(data.bytes().data()) == before);
}

TEST_CASE("verify finds in a mapped file, and in one on the heap, what opening leaves alone") {
  const Sample good = GgufBuilder()
                          .entry("words", array_of<std::string>({"good", "\xFF", "fine", "\xFE"}))
                          .tensor({.name = "a", .dims = {10}})
                          .tensor({.name = "b", .dims = {10}})
                          .build();
  const Sample odd = good.with<std::uint8_t>("tensor[0].end", 1);
  const TempFile file(odd.bytes());
  for (const Backend backend : backends()) {
    const std::vector<Warning> found = Model::open(file.path(), on(backend)).verify();
    CHECK(count(found, Errc::nonzero_padding) == 1);
    CHECK(count(found, Errc::not_utf8) == 2);
  }
}

TEST_CASE("verify reads strings and padding of any length, and characters across its pieces") {
  // A character of four bytes at each place relative to the end of a piece of 1 MiB.
  const std::size_t shift = GENERATE(0U, 1U, 2U, 3U, 4U);
  std::string text(3 * kMiB - 64 + shift, 'a');
  for (std::size_t at = 16 * 1024 + shift; at + 4 < text.size(); at += 4) {
    text.replace(at, 4, "\xF0\x9F\x8C\x8D");
  }
  std::string broken = text;
  broken[broken.size() - 40] = '\xFF';
  const std::string cut = text + "\xF0\x9F\x8C";
  const Sample sample = GgufBuilder()
                            .aligned(std::uint32_t{1} << 20)
                            .entry("words", array_of<std::string>({text, broken, "", cut, text}))
                            .tensor({.name = "a", .dims = {10}})
                            .tensor({.name = "b", .dims = {10}})
                            .build();
  const TempFile file(sample.bytes());
  for (const Backend backend : backends()) {
    const std::vector<Warning> found = Model::open(file.path(), on(backend)).verify();
    CHECK(count(found, Errc::not_utf8) == 2);
    CHECK(found.size() == 2);
  }
}

TEST_CASE("verify refuses a mapped file whose strings are no longer those that were parsed") {
  if (!BALLAST_HAS_MMAP) SKIP("nothing is mapped on this platform");
  const Sample sample = GgufBuilder()
                            .entry("words", array_of<std::string>({"good", "fine"}))
                            .tensor({.name = "a", .dims = {10}})
                            .build();
  const TempFile file(sample.bytes());
  const Model model = mapped(file);
  const Array words = model.metadata().get<Array>("words").value();
  const auto at = words.bytes().data() - model.shards()[0].data.bytes().data();
  std::fstream other(file.path(), std::ios::in | std::ios::out | std::ios::binary);
  other.seekp(at);
  other.write("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F", 8);  // the length of the first string
  other.close();
  try {
    static_cast<void>(model.verify());
    FAIL_CHECK("accepted");
  } catch (const Error& error) {
    CHECK(error.code() == Errc::file_changed);
    CHECK(error.path() == file.path().string());
    CHECK(error.offset() == static_cast<std::uint64_t>(at) + 8);
  }
}

}  // namespace
}  // namespace ballast::test
