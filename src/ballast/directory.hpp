// Directory: what a parser finds in one file: where each tensor lies and what the metadata say.
//
// Names, keys, sizes and offsets are the directory's own. The strings and arrays of GGUF metadata
// are views of the bytes that were parsed, and so is all of a safetensors header whose bytes cannot
// change (Input::is_stable): a directory must not outlive its bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <ballast/config.hpp>
#include <ballast/error.hpp>
#include <ballast/metadata.hpp>
#include <ballast/name_index.hpp>
#include <ballast/tensor.hpp>

namespace ballast {

enum class Format : std::uint8_t { gguf, safetensors };

/// "gguf", "safetensors".
[[nodiscard]] BALLAST_API std::string_view name(Format format) noexcept;

/// How much a file may ask for. Every limit has a default that no honest model reaches.
struct Limits {
  /// Tensors in one file. The largest published models have some ten thousand.
  std::uint64_t max_tensors = 1'000'000;
  /// Metadata entries in one file. Models have tens.
  std::uint64_t max_entries = 1'000'000;
  /// Bytes of one string: chat templates and licences reach a few hundred kilobytes.
  std::uint64_t max_string = std::uint64_t{64} << 20;
  /// Bytes of `general.alignment`: alignments over a huge page serve nobody and make padding
  /// overflow.
  std::uint64_t max_alignment = std::uint64_t{1} << 20;
  /// How deep GGUF arrays may nest, up to kMaxArrayDepth; no known writer nests them at all.
  std::uint32_t max_array_depth = 4;
  /// Bytes of a safetensors header: the reference reader's own limit.
  std::uint64_t max_header = 100'000'000;
  /// Bytes after the last tensor that only warn.
  std::uint64_t max_trailing = std::uint64_t{1} << 20;
};

struct ParseOptions {
  Limits limits{};
  /// Accept trailing bytes in safetensors (up to max_trailing, with a warning), as some readers do.
  bool lenient = false;
  /// Most bytes that parsers may copy out of the files of a model: safetensors headers, an index,
  /// GGUF's keys and names. More is refused with Errc::too_large before it is copied. A million
  /// tensors take 60 MiB.
  std::uint64_t max_bytes = std::uint64_t{256} << 20;
};

/// What a parser is given: the first bytes of a file, or all of them.
struct Input {
  std::span<const std::byte> bytes;
  /// The size of the whole file; empty while nobody knows it (a stream), and then nothing is
  /// checked against it.
  std::optional<std::uint64_t> total;
  /// Whether the bytes stay as they are while the directory is in use. Bytes of a mapped file, and
  /// others that another process or thread may write, are not stable; a safetensors header is then
  /// copied before it is parsed.
  bool is_stable = false;

  /// The whole file at once.
  static Input whole(std::span<const std::byte> bytes) noexcept {
    return {.bytes = bytes, .total = bytes.size()};
  }
  template <class Byte, class Allocator>
  static Input whole(const std::vector<Byte, Allocator>&& bytes) = delete;  // would dangle
};

struct Directory {
  Format format = Format::gguf;
  /// GGUF's version; empty for safetensors, which has none.
  std::optional<std::uint32_t> version;
  /// GGUF's alignment in bytes; empty for safetensors, which has none.
  std::optional<std::uint64_t> alignment;
  /// Byte in the file where the data of the tensors begins; where there is no tensor, where the
  /// header ends.
  std::uint64_t data_offset = 0;
  /// End of the last tensor in the file, and that end with its padding (safetensors: the same).
  /// Empty where the last tensor has no known size and the size of the file was not given.
  std::optional<std::uint64_t> data_end;
  std::optional<std::uint64_t> padded_end;
  Metadata metadata;
  std::vector<Tensor> tensors;  ///< in the order in which the file lists them
  NameIndex tensor_index;
  std::vector<Warning> warnings;
  /// Bytes that the parser copied out of the file, which count for ParseOptions::max_bytes.
  std::uint64_t copied_bytes = 0;
  /// Names, keys, strings that had to be decoded, and shapes of more than four dimensions.
  std::unique_ptr<std::pmr::monotonic_buffer_resource> arena;

  /// The tensor of that name, or null. Constant time.
  [[nodiscard]] BALLAST_API const Tensor* find(std::string_view name) const noexcept;
};

/// What a parser answers: a directory, or that it has to see more of the file first.
struct Parsed {
  std::optional<Directory> directory;
  /// Without a directory: how many bytes from the start of the file it takes to get further, more
  /// than were given. There may be more to ask for after that.
  std::uint64_t needed = 0;
};

}  // namespace ballast
