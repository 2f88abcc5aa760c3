// What the tests of compressed models share: the ways in which such bytes come to memory, and what
// there is to say about what came of it.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ballast/error.hpp>
#include <ballast/loader.hpp>
#include <ballast/model.hpp>

#include "tests/support/compress.hpp"
#include "tests/support/gguf_builder.hpp"
#include "tests/support/pipe.hpp"
#include "tests/unit/storage.hpp"

namespace ballast::test {

/// A way in which the bytes of a file come to memory.
enum class Way : std::uint8_t { open, read, descriptor, pipe, push };
inline constexpr std::array kWays{Way::open, Way::read, Way::descriptor, Way::pipe, Way::push};
/// A pipe is a process at its other end, which takes milliseconds.
inline constexpr std::array kFastWays{Way::open, Way::push};

[[nodiscard]] inline std::string_view name_of(Way way) {
  constexpr std::array<std::string_view, 5> kNames{"open", "read", "descriptor", "pipe", "push"};
  return kNames[static_cast<std::size_t>(way)];
}

/// Pushes bytes into a loader, in pieces of one size; then they are all there.
inline ModelData push(std::span<const std::byte> bytes, const LoaderOptions& options = {},
                      std::size_t piece = 1000) {
  Loader loader(options);
  while (!bytes.empty()) {
    const std::size_t size = std::min(piece, bytes.size());
    loader.push(bytes.first(size));
    bytes = bytes.subspan(size);
  }
  return loader.finish();
}

/// What a loader has of the options for opening a file.
inline LoaderOptions loading(const OpenOptions& options) {
  return {.max_bytes = options.max_bytes,
          .decompress = options.decompress,
          .decode = options.decode,
          .parse = options.parse};
}

/// Brings a file of these bytes to memory.
inline ModelData load(Way way, std::span<const std::byte> bytes, const OpenOptions& options = {}) {
  if (way == Way::push) return push(bytes, loading(options));
  if (way == Way::pipe) return ModelData::open_descriptor(Pipe(bytes).reader(), options);
  const TempFile file(bytes);
  if (way == Way::open) return ModelData::open(file.path(), options);
  if (way == Way::read) return ModelData::read(file.path(), options);
  const int descriptor = ::open(file.path().c_str(), O_RDONLY | O_CLOEXEC);
  struct Closing {
    int descriptor;
    ~Closing() { ::close(descriptor); }
  } const closing{descriptor};
  return ModelData::open_descriptor(descriptor, options);
}

/// The code that loading a file of these bytes and opening it as a model ends with.
inline std::error_code outcome(Way way, std::span<const std::byte> bytes,
                               const OpenOptions& options = {}) {
  try {
    static_cast<void>(Model::from_data(load(way, bytes, options), options.parse));
  } catch (const Error& error) {
    return error.code();
  }
  return Errc::ok;
}

/// The error that it ends with; fails the test where there is none.
inline Error refusal(Way way, std::span<const std::byte> bytes, const OpenOptions& options = {}) {
  return error_of(
      [&] { static_cast<void>(Model::from_data(load(way, bytes, options), options.parse)); });
}

/// Whether the bytes are these; a failed comparison prints neither.
inline bool is_same(const ModelData& data, const Bytes& bytes) {
  return std::ranges::equal(data.bytes(), bytes);
}

/// A model of some 3 kB that compresses to a few hundred bytes.
inline Sample small_model() {
  return GgufBuilder()
      .entry("general.architecture", "llama")
      .entry("words", array_of<std::string>(std::vector<std::string>(20, "word")))
      .tensor({.name = "a", .dims = {64}, .data = noise(256, 1)})
      .tensor({.name = "b", .dims = {512}, .data = Bytes(2048, std::byte{7})})
      .build();
}

/// A model whose data are `bytes` zeros: what compresses as well as anything can.
inline Sample model_of_zeros(std::size_t bytes) {
  return GgufBuilder()
      .entry("general.architecture", "llama")
      .tensor({.name = "w", .dims = {bytes / 4}, .data = Bytes(bytes)})
      .build();
}

}  // namespace ballast::test
