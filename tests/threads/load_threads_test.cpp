// Loads that run at the same time, that have threads of their own, and that somebody else ends.
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>
#include <version>
#ifdef __cpp_lib_jthread
#include <stop_token>
#endif

#include <catch2/catch_test_macros.hpp>

#include <ballast/error.hpp>
#include <ballast/loader.hpp>
#include <ballast/model.hpp>

#include "tests/support/compress.hpp"
#include "tests/support/safetensors_builder.hpp"
#include "tests/support/temp.hpp"
#include "tests/threads/together.hpp"

namespace ballast::test {
namespace {

namespace fs = std::filesystem;

// Large enough for the ways that have threads: of a file that is read, and of a compressed one.
constexpr std::uint64_t kRead = 9'000'000;
constexpr std::uint64_t kDecoded = 5'000'000;

const Bytes& decoded() {
  static const Bytes kBytes = model_bytes(kDecoded);
  return kBytes;
}

Bytes in_two(std::span<const std::byte> bytes) {
  Bytes out = zstd_frame(bytes.first(bytes.size() / 2), {.level = 1});
  append(out, zstd_frame(bytes.subspan(bytes.size() / 2), {.level = 1}));
  return out;
}

/// Members of bgzip, each of which says how large it is (the SAM specification, 4.1).
Bytes bgzip(std::span<const std::byte> bytes) {
  constexpr std::size_t kPart = 0xFF00;
  Bytes out;
  while (!bytes.empty()) {
    const auto part = bytes.first(std::min(kPart, bytes.size()));
    Bytes member = gzip_member(part, {.level = 1, .extra = bytes_of(std::string("BC\2\0\0\0", 6))});
    const std::size_t size = member.size() - 1;
    member[16] = static_cast<std::byte>(size & 0xFF);
    member[17] = static_cast<std::byte>(size >> 8);
    append(out, member);
    bytes = bytes.subspan(part.size());
  }
  return out;
}

/// The same model in every form that is decoded with several threads, or by one that another feeds.
const std::vector<std::pair<std::string, Bytes>>& forms() {
  static const std::vector<std::pair<std::string, Bytes>> kForms{
      {"gzip", gzip_member(decoded(), {.level = 1})},
      {"bgzip", bgzip(decoded())},
      {"zlib", zlib_stream(decoded(), {.level = 1})},
      {"xz", xz_stream(decoded(), {.level = 0, .block_bytes = 1'000'000})},
      {"zstd", zstd_frame(decoded(), {.level = 1})},
      {"zstd in two frames", in_two(decoded())},
      {"LZ4", lz4_frame(decoded(), {.linked = false, .block_log = 20})},
  };
  return kForms;
}

void require_bytes(const ModelData& data, std::span<const std::byte> right) {
  require(data.size() == right.size(), "so many bytes are not right");
  require(std::memcmp(data.bytes().data(), right.data(), right.size()) == 0, "wrong bytes");
}

/// The code that a load ends with; ok where it does not.
template <class Load>
std::error_code refusal_of(Load load) {
  try {
    load();
  } catch (const Error& error) {
    return error.code();
  }
  return Errc::ok;
}

TEST_CASE("a file is opened by many threads at a time") {
  const Bytes bytes = model_bytes(100'000);
  const TempFile file(bytes);
  together([&](std::size_t number) {
    require_bytes(number % 2 == 0 ? ModelData::open(file.path()) : ModelData::read(file.path()),
                  bytes);
  });
}

TEST_CASE("a set is opened by many threads at a time") {
  const TempDir folder;
  folder.write("a.safetensors", SafetensorsBuilder().tensor({.name = "a", .shape = {9}}).build());
  folder.write("b.safetensors", SafetensorsBuilder().tensor({.name = "b", .shape = {9}}).build());
  const fs::path index = folder.write_text(
      "set.safetensors.index.json",
      IndexBuilder().tensor("a", "a.safetensors").tensor("b", "b.safetensors").build());
  together([&](std::size_t) {
    const Model model = Model::open(index);
    require(model.tensors().size() == 2 && model.find("b") != nullptr, "half a set");
  });
}

TEST_CASE("a large file is read by threads, and by several at a time") {
  const Bytes bytes = model_bytes(kRead);
  const TempFile file(bytes);
  together([&](std::size_t) { require_bytes(ModelData::read(file.path()), bytes); }, 3);
}

TEST_CASE("compressed files are decoded by threads, and several at a time") {
  for (const auto& [name, bytes] : forms()) {
    INFO(name);
    const TempFile file(bytes);
    together([&](std::size_t) { require_bytes(ModelData::open(file.path()), decoded()); }, 2);
  }
}

TEST_CASE("a load is cancelled by another thread") {
  for (const auto& [name, bytes] : forms()) {
    INFO(name);
    const TempFile file(bytes);
    std::atomic<bool> is_under_way{false};
    std::atomic<bool> is_cancelled{false};
    std::thread other([&] {
      is_under_way.wait(false);
      is_cancelled = true;
    });
    const OpenOptions options{.progress =
                                  [&](const Progress&) {
                                    is_under_way = true;
                                    is_under_way.notify_all();
                                    while (!is_cancelled) std::this_thread::yield();
                                  },
                              .cancelled = [&] { return is_cancelled.load(); }};
    const std::error_code code =
        refusal_of([&] { static_cast<void>(ModelData::open(file.path(), options)); });
    other.join();
    CHECK(code == Errc::cancelled);
  }
}

#ifdef __cpp_lib_jthread
TEST_CASE("a load is ended by a stop token of another thread") {
  const TempFile file(model_bytes(kRead));
  std::stop_source source;
  std::atomic<bool> is_under_way{false};
  std::thread other([&] {
    is_under_way.wait(false);
    source.request_stop();
  });
  OpenOptions options{.progress = [&](const Progress&) {
    is_under_way = true;
    is_under_way.notify_all();
    while (!source.stop_requested()) std::this_thread::yield();
  }};
  options.stop = source.get_token();
  const std::error_code code =
      refusal_of([&] { static_cast<void>(ModelData::read(file.path(), options)); });
  other.join();
  CHECK(code == Errc::cancelled);
}
#endif

TEST_CASE("what the caller throws ends all threads of a load") {
  for (const auto& [name, bytes] : forms()) {
    INFO(name);
    const TempFile file(bytes);
    int calls = 0;
    const OpenOptions options{.progress = [&](const Progress&) {
      if (++calls == 3) throw std::runtime_error("enough");
    }};
    CHECK_THROWS_AS(ModelData::open(file.path(), options), std::runtime_error);
  }
}

TEST_CASE("damage that several threads meet is one error") {
  for (const auto& [name, bytes] : forms()) {
    INFO(name);
    Bytes damaged = bytes;
    for (std::size_t at = damaged.size() / 4; at < damaged.size() - 100;
         at += damaged.size() / 16) {
      std::fill_n(damaged.begin() + static_cast<std::ptrdiff_t>(at), 64, std::byte{0xFF});
    }
    const TempFile file(damaged);
    together(
        [&](std::size_t) {
          const auto open = [&] { static_cast<void>(ModelData::open(file.path())); };
          require(refusal_of(open) != Errc::ok, "damage is let pass");
        },
        2);
  }
}

TEST_CASE("loaders run side by side") {
  const Bytes bytes = model_bytes(100'000);
  together([&](std::size_t number) {
    Loader loader;
    for (std::span<const std::byte> rest = bytes; !rest.empty();) {
      const std::size_t size = std::min(rest.size(), 1000 * (number + 1));
      loader.push(rest.first(size));
      rest = rest.subspan(size);
    }
    require_bytes(loader.finish(), bytes);
  });
}

}  // namespace
}  // namespace ballast::test
