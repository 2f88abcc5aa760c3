// Shards: how the files of one model find each other. Private.
//
// A split GGUF carries `split.no` (from 0), `split.count` and `split.tensors.count` in its
// metadata, and its files are named PREFIX-00001-of-00004.gguf, numbered from 1 (llama.cpp,
// src/llama-model-loader.cpp at 00347649). A sharded safetensors model has an index, {"metadata":
// {...}, "weight_map": {TENSOR: FILE}}, beside its files.
#pragma once

#include <cstdint>
#include <memory>
#include <memory_resource>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <ballast/directory.hpp>
#include <ballast/metadata.hpp>
#include <ballast/name_index.hpp>

namespace ballast {

/// What a GGUF says of the set it belongs to.
struct Split {
  std::uint64_t number = 0;  ///< from 0
  std::uint64_t count = 1;
  std::optional<std::uint64_t> tensor_total;
};

/// The split keys of a file; a file without them is the only one.
[[nodiscard]] Split split_of(const Metadata& metadata);

/// The names of the second and further files of a set, given the name of its first; empty where
/// that is not named as the first of `count`.
[[nodiscard]] std::vector<std::string> split_names(std::string_view first, std::uint64_t count);

/// The index of a sharded safetensors model.
struct ShardIndex {
  struct Entry {
    std::string_view tensor;
    std::string_view file;
    std::uint64_t offset = 0;  ///< of the entry in the index
  };

  Metadata metadata;
  std::vector<Entry> weights;  ///< in the order of the index
  NameIndex weight_index;
  std::vector<std::string_view> files;  ///< sorted, each once
  std::unique_ptr<std::pmr::monotonic_buffer_resource> arena;

  /// The entry of a tensor, or null.
  [[nodiscard]] const Entry* find(std::string_view tensor) const noexcept;
};

/// Parses a copy of an index: `bytes` may change meanwhile, and need not outlive the call. An index
/// may have as many bytes as a safetensors header (Limits::max_header). Numbers of its metadata are
/// u64, i64 or f64, as they are written; what is neither number, string nor bool is kept as its
/// JSON text. Throws Error: bad_field for a number larger than every double, empty_index where no
/// tensor is named.
[[nodiscard]] ShardIndex parse_index(std::span<const std::byte> bytes, const ParseOptions& options);

}  // namespace ballast
