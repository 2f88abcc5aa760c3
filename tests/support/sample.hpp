// Bytes of a file made for a test, with the place of everything in them.
//
// A builder writes a valid file and marks where each element lies; a test turns it into an invalid
// one by a single mutation at a mark, and names the same mark as the place where it expects the
// error. So no test counts bytes by hand.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ballast::test {

using Bytes = std::vector<std::byte>;

/// The bytes of a string literal or string, NULs included.
[[nodiscard]] Bytes bytes_of(std::string_view text);

/// The same bytes as text.
[[nodiscard]] std::string_view text_of(std::span<const std::byte> bytes) noexcept;

/// Bytes that look random and are the same for the same seed on every machine.
[[nodiscard]] Bytes noise(std::size_t size, std::uint64_t seed);

void append(Bytes& out, std::span<const std::byte> more);

/// The low `size` bytes of a number, little-endian.
void append_number(Bytes& out, std::uint64_t number, std::size_t size);

/// A file made for a test. Every mutation answers a new one, so that a row of a table is one
/// expression.
class Sample {
 public:
  Sample() = default;
  explicit Sample(Bytes bytes) : bytes_(std::move(bytes)) {}

  [[nodiscard]] const Bytes& bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }

  /// Where the element of that name lies; fails the test run where there is none.
  [[nodiscard]] std::uint64_t at(std::string_view mark) const;
  [[nodiscard]] bool has(std::string_view mark) const { return marks_.contains(mark); }
  /// Names the present end of the bytes, for builders.
  void mark(std::string name) { mark(std::move(name), bytes_.size()); }
  void mark(std::string name, std::uint64_t place) {
    marks_.insert_or_assign(std::move(name), place);
  }

  /// For builders, which write from the front to the back.
  void write(std::span<const std::byte> more) { append(bytes_, more); }
  void write_number(std::uint64_t number, std::size_t size) { append_number(bytes_, number, size); }
  void fill_to(std::uint64_t size, std::byte filler) { bytes_.resize(size, filler); }

  /// The same with the number at a mark replaced, as many bytes as T has.
  template <std::unsigned_integral T>
  [[nodiscard]] Sample with(std::string_view mark, T number) const {
    Bytes encoded;
    append_number(encoded, number, sizeof(T));
    return with_bytes(mark, encoded);
  }
  /// The same with the bytes at a mark overwritten.
  [[nodiscard]] Sample with_bytes(std::string_view mark,
                                  std::span<const std::byte> replacement) const;
  [[nodiscard]] Sample with_text(std::string_view mark, std::string_view replacement) const;
  /// Only the first `size` bytes.
  [[nodiscard]] Sample cut(std::uint64_t size) const;
  /// Only what lies before a mark, and `more` bytes of what follows it.
  [[nodiscard]] Sample cut_at(std::string_view mark, std::uint64_t more = 0) const {
    return cut(at(mark) + more);
  }
  [[nodiscard]] Sample with_tail(std::span<const std::byte> tail) const;

 private:
  Bytes bytes_;
  std::map<std::string, std::uint64_t, std::less<>> marks_;
};

}  // namespace ballast::test
