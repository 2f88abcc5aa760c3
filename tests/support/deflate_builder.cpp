#include "tests/support/deflate_builder.hpp"

#include <algorithm>
#include <utility>

#include <zlib.h>

namespace ballast::test {

DeflateBuilder& DeflateBuilder::bits(std::uint32_t value, unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    if (used_ == 8) {
      bytes_.push_back(std::byte{0});
      used_ = 0;
    }
    bytes_.back() |= static_cast<std::byte>((value >> i & 1) << used_++);
  }
  return *this;
}

void DeflateBuilder::align() { used_ = 8; }

DeflateBuilder& DeflateBuilder::stored(std::span<const std::byte> bytes) {
  constexpr std::size_t kMost = 0xFFFF;
  while (!bytes.empty()) {
    const auto part = bytes.first(std::min(kMost, bytes.size()));
    bits(0, 3);
    align();
    append_number(bytes_, part.size(), 2);
    append_number(bytes_, part.size() ^ kMost, 2);
    append(bytes_, part);
    bytes = bytes.subspan(part.size());
  }
  return *this;
}

DeflateBuilder& DeflateBuilder::fixed() {
  literals_.assign(288, 8);
  std::fill(literals_.begin() + 144, literals_.begin() + 256, 9U);
  std::fill(literals_.begin() + 256, literals_.begin() + 280, 7U);
  distances_.assign(32, 5);
  return bits(1, 1).bits(1, 2);
}

DeflateBuilder& DeflateBuilder::dynamic(std::vector<unsigned> literals,
                                        std::vector<unsigned> distances) {
  constexpr std::size_t kCodeLengths = 19;
  // The order of RFC 1951 begins 16, 17, 18, 0, 8, ..., 1, 15: 0 is the fourth, 2 and 1 are late.
  constexpr std::array<unsigned, kCodeLengths> kOrder{16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                                      11, 4,  12, 3, 13, 2, 14, 1, 15};
  std::vector<unsigned> of_lengths(kCodeLengths, 0);
  of_lengths[0] = 1;
  of_lengths[1] = of_lengths[2] = 2;
  bits(1, 1).bits(2, 2);
  bits(static_cast<std::uint32_t>(literals.size() - 257), 5);
  bits(static_cast<std::uint32_t>(distances.size() - 1), 5);
  bits(kCodeLengths - 4, 4);
  for (const unsigned symbol : kOrder) bits(of_lengths[symbol], 3);
  for (const auto* lengths : {&literals, &distances}) {
    for (const unsigned length : *lengths) code(of_lengths, length);
  }
  literals_ = std::move(literals);
  distances_ = std::move(distances);
  return *this;
}

/// Writes a canonical Huffman code (3.2.2), its highest bit first.
DeflateBuilder& DeflateBuilder::code(const std::vector<unsigned>& lengths, std::size_t symbol) {
  const unsigned length = lengths[symbol];
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    const bool is_before = lengths[i] < length || (lengths[i] == length && i < symbol);
    if (lengths[i] != 0 && is_before) value += 1U << (length - lengths[i]);
  }
  for (unsigned i = length; i > 0; --i) bits(value >> (i - 1), 1);
  return *this;
}

Bytes DeflateBuilder::gzip(std::span<const std::byte> decoded,
                           std::span<const std::byte> extra) const {
  Bytes member = bytes_of(std::string("\x1f\x8b\x08\0\0\0\0\0\0\x03", 10));
  if (!extra.empty()) {
    member[3] = std::byte{4};
    append_number(member, extra.size(), 2);
    append(member, extra);
  }
  append(member, bytes_);
  const auto* const begin = reinterpret_cast<const Bytef*>(decoded.data());
  append_number(member, ::crc32(0, begin, static_cast<uInt>(decoded.size())), 4);
  append_number(member, decoded.size(), 4);
  return member;
}

}  // namespace ballast::test
