// safetensors: the format of Hugging Face's models.
//
//     file    u64 length of the header, header, data
//     header  UTF-8 JSON, with or without "__metadata__", offsets counted in the data:
//             { "__metadata__": {"key": "string", ...},
//               "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]},
//               ... }
//
// The tensors fill the data from its first byte to its last, without holes and without overlap.
//
// Source: the reference reader, safetensors/src/tensor.rs at 24b0b28.
#pragma once

#include <ballast/config.hpp>
#include <ballast/directory.hpp>

namespace ballast::safetensors {

/// Whether the bytes begin as a safetensors file does: a plausible length, and JSON. Nine bytes are
/// enough to tell.
[[nodiscard]] BALLAST_API bool matches(std::span<const std::byte> bytes) noexcept;

/// Parses a directory. n log n in the size of the header, and touches nothing behind it. The result
/// holds views into `input.bytes`. Throws Error; what is refused and what only warns stands in the
/// README ("What is accepted").
[[nodiscard]] BALLAST_API Parsed parse(const Input& input, const ParseOptions& options = {});

}  // namespace ballast::safetensors
