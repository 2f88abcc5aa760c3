// Deflate streams bit by bit (RFC 1951), with blocks that no compressor writes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tests/support/sample.hpp"

namespace ballast::test {

/// A deflate stream under construction.
class DeflateBuilder {
 public:
  /// Stored blocks (3.2.4), none of them the last.
  DeflateBuilder& stored(std::span<const std::byte> bytes);
  /// Begins the last block, with the fixed codes (3.2.6).
  DeflateBuilder& fixed();
  /// Begins the last block, with codes of these lengths (3.2.7): 257 to 288 for literals and
  /// lengths, 1 to 32 for distances; each length is 0 to 2.
  DeflateBuilder& dynamic(std::vector<unsigned> literals, std::vector<unsigned> distances);
  /// A literal, a length, or 256 for the end of the block.
  DeflateBuilder& literal(std::size_t symbol) { return code(literals_, symbol); }
  DeflateBuilder& distance(std::size_t symbol) { return code(distances_, symbol); }
  /// The lowest bits of a number, as they are.
  DeflateBuilder& bits(std::uint32_t value, unsigned count);

  /// The stream in a gzip member, whose trailer is for `decoded`. `extra` is FEXTRA without its
  /// size.
  [[nodiscard]] Bytes gzip(std::span<const std::byte> decoded,
                           std::span<const std::byte> extra = {}) const;

 private:
  DeflateBuilder& code(const std::vector<unsigned>& lengths, std::size_t symbol);
  void align();

  Bytes bytes_;
  unsigned used_ = 8;  // bits of the last byte
  std::vector<unsigned> literals_;
  std::vector<unsigned> distances_;
};

}  // namespace ballast::test
