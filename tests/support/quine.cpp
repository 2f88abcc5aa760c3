#include "tests/support/quine.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace ballast::test {
namespace {

// RFC 1951, 3.2.4: a block that is stored, and not the last. Five bytes, and then the literal.
Bytes literal(std::size_t size) {
  Bytes out{std::byte{0}};
  append_number(out, size, 2);
  append_number(out, ~size, 2);
  return out;
}

// The bits of a block of fixed codes, first bit first.
class Bits {
 public:
  Bits& number(unsigned value, unsigned bits) {
    for (unsigned i = 0; i < bits; ++i) bit((value >> i) & 1);
    return *this;
  }
  Bits& code(unsigned value, unsigned bits) {  // Huffman codes have their first bit on top
    while (bits-- > 0) bit((value >> bits) & 1);
    return *this;
  }
  [[nodiscard]] Bytes bytes() const { return bytes_; }

 private:
  void bit(unsigned value) {
    if (used_ % 8 == 0) bytes_.emplace_back();
    if (value != 0) bytes_.back() |= std::byte{1} << (used_ % 8);
    ++used_;
  }
  Bytes bytes_;
  unsigned used_ = 0;
};

// What repeats the last 20 bytes in five: twice ten of them, each 7 bits of length and 8 of
// distance, with 3 before and 7 behind.
Bytes repeat_20() {
  Bits bits;
  bits.number(0, 1).number(1, 2);
  for (int i = 0; i < 2; ++i) bits.code(264 - 256, 7).code(8, 5).number(20 - 17, 3);
  return bits.code(0, 7).bytes();
}

// What repeats the last 12 bytes in four and is the last block.
Bytes repeat_12() {
  return Bits()
      .number(1, 1)
      .number(1, 2)
      .code(265 - 256, 7)
      .number(12 - 11, 1)
      .code(6, 5)
      .number(12 - 9, 2)
      .code(0, 7)
      .bytes();
}

// RFC 1952: a header of 15 bytes with a file name of four.
Bytes header(std::string_view name) {
  Bytes out = bytes_of(std::string_view("\x1F\x8B\x08\x08\0\0\0\0\0\xFF", 10));
  append(out, bytes_of(name));
  out.push_back(std::byte{0});
  return out;
}

constexpr std::size_t kSize = 194;

Bytes file(std::string_view name, std::uint32_t checksum) {
  const Bytes start = header(name);
  const Bytes l20 = literal(20);
  const Bytes l5 = literal(5);
  const Bytes l0 = literal(0);
  const Bytes l12 = literal(12);
  const Bytes r20 = repeat_20();
  const Bytes r12 = repeat_12();
  Bytes end;
  append_number(end, checksum, 4);
  append_number(end, kSize, 4);
  Bytes out;
  const auto put = [&](std::initializer_list<const Bytes*> parts) {
    for (const Bytes* part : parts) append(out, *part);
  };
  put({&start});                        // prints:
  put({&l20, &start, &l20});            // start l20
  put({&r20});                          // start l20
  put({&l5, &r20});                     // r20
  put({&l5, &l5});                      // l5
  put({&l20, &r20, &l5, &l5, &l20});    // r20 l5 l5 l20
  put({&r20});                          // r20 l5 l5 l20
  put({&l20, &r20, &l20, &r20, &l20});  // r20 l20 r20 l20
  put({&r20});                          // r20 l20 r20 l20
  put({&l20, &r20, &l0, &l0, &l12});    // r20 l0 l0 l12
  put({&r20, &l0, &l0});                // r20 l0 l0 l12
  put({&l12, &r12, &end});              // r12 end
  put({&r12});                          // r12 end
  put({&end});
  return out;
}

std::uint32_t crc32(std::span<const std::byte> bytes) {
  std::uint32_t crc = ~0U;
  for (const std::byte byte : bytes) {
    crc ^= std::to_integer<std::uint32_t>(byte);
    for (int i = 0; i < 8; ++i) crc = (crc >> 1) ^ ((crc & 1U) != 0 ? 0xEDB88320U : 0U);
  }
  return ~crc;
}

// The checksum that is its file's own. A CRC is linear but for a constant, so that each bit of it
// is a sum of bits of what is looked for: 32 equations, solved by elimination. Nothing where they
// contradict each other.
std::optional<std::uint32_t> own_checksum(std::string_view name) {
  const std::uint32_t constant = crc32(file(name, 0));
  std::array<std::uint64_t, 32> rows{};  // bit 32: the constant
  for (unsigned column = 0; column < 32; ++column) {
    const std::uint32_t bit = 1U << column;
    const std::uint32_t changed = crc32(file(name, bit)) ^ constant ^ bit;
    for (unsigned row = 0; row < 32; ++row)
      rows[row] |= std::uint64_t{(changed >> row) & 1U} << column;
  }
  for (unsigned row = 0; row < 32; ++row) rows[row] |= std::uint64_t{(constant >> row) & 1U} << 32;
  for (unsigned column = 0; column < 32; ++column) {
    unsigned pivot = column;
    while (pivot < 32 && ((rows[pivot] >> column) & 1U) == 0) ++pivot;
    if (pivot == 32) return std::nullopt;
    std::swap(rows[pivot], rows[column]);
    for (unsigned row = 0; row < 32; ++row) {
      if (row != column && ((rows[row] >> column) & 1U) != 0) rows[row] ^= rows[column];
    }
  }
  std::uint32_t checksum = 0;
  for (unsigned row = 0; row < 32; ++row)
    checksum |= static_cast<std::uint32_t>(rows[row] >> 32) << row;
  return checksum;
}

}  // namespace

Bytes gzip_quine() {
  constexpr std::string_view kName = "self";
  const std::optional<std::uint32_t> checksum = own_checksum(kName);
  if (!checksum) throw std::logic_error("no checksum is its own");
  Bytes quine = file(kName, *checksum);
  if (quine.size() != kSize) throw std::logic_error("the size in the file is not its size");
  return quine;
}

}  // namespace ballast::test
