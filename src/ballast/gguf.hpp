// GGUF: the format of llama.cpp and its family. Versions 2 and 3, little-endian.
//
//     file    "GGUF", u32 version, u64 tensor count, u64 entry count,
//             entries, tensors, padding, data
//     entry   string key, u32 type, value
//     tensor  string name, u32 rank, u64 dimensions[rank] (the contiguous one first),
//             u32 dtype, u64 offset in the data
//     string  u64 length, bytes
//     array   u32 element type, u64 count, elements
//
// The data begin at the next multiple of the alignment (metadata `general.alignment`, else 32),
// each tensor's offset is a multiple of it, and so is, padded, each tensor's end.
//
// Sources: ggml/docs/gguf.md (the specification) and ggml/src/gguf.cpp (the reference reader) at
// d99724f2.
#pragma once

#include <ballast/config.hpp>
#include <ballast/directory.hpp>

namespace ballast::gguf {

/// Whether the bytes begin as a GGUF file does. Four bytes are enough to tell.
[[nodiscard]] BALLAST_API bool matches(std::span<const std::byte> bytes) noexcept;

/// Parses a directory. Linear in the size of the header, and touches nothing behind it. The result
/// holds views into `input.bytes`. Throws Error; what is refused and what only warns stands in the
/// README ("What is accepted").
[[nodiscard]] BALLAST_API Parsed parse(const Input& input, const ParseOptions& options = {});

}  // namespace ballast::gguf
