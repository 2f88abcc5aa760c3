// The formats, told apart by content. The only place that knows all of them: a new one is a file of
// its own and one line in format.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <ballast/compression.hpp>
#include <ballast/config.hpp>
#include <ballast/directory.hpp>

namespace ballast {

/// Whether the bytes begin like JSON, as the index of a sharded safetensors model does.
[[nodiscard]] BALLAST_API bool is_json(std::span<const std::byte> bytes) noexcept;

/// Whether the bytes begin as a file of one of the formats does. 16 bytes are enough to tell.
[[nodiscard]] BALLAST_API bool begins_model(std::span<const std::byte> bytes) noexcept;

/// What a file that begins with these bytes is compressed with. A plain safetensors file may begin
/// with the two bytes of gzip or zlib, which then are the length of its header: nine bytes tell
/// that apart.
[[nodiscard]] BALLAST_API Compression compression_of(std::span<const std::byte> bytes) noexcept;

/// Parses the directory of a file of any format. Bytes that are no model are refused by what they
/// are (an HTML page, a Git LFS pointer, a zip archive, ...). The result holds views into
/// `input.bytes`. Throws Error.
[[nodiscard]] BALLAST_API Parsed parse(const Input& input, const ParseOptions& options = {});

/// Parses the directory of a whole file that is in memory. Throws Error.
[[nodiscard]] BALLAST_API Directory parse_whole(std::span<const std::byte> bytes,
                                                const ParseOptions& options = {});
/// The directory of a vector that is gone a moment later would dangle.
template <class Byte, class Allocator>
Directory parse_whole(const std::vector<Byte, Allocator>&& bytes,
                      const ParseOptions& options = {}) = delete;

}  // namespace ballast
