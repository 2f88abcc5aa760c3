// An input, taken apart from its front. What is not there is 0, so that every input means
// something.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ballast::test {

class FuzzInput {
 public:
  FuzzInput(const std::uint8_t* data, std::size_t size)
      : left_(reinterpret_cast<const std::byte*>(data), size) {}

  explicit FuzzInput(std::span<const std::byte> bytes) : left_(bytes) {}

  [[nodiscard]] bool empty() const noexcept { return left_.empty(); }
  [[nodiscard]] std::span<const std::byte> rest() const noexcept { return left_; }

  /// So many of the next bytes, or all that are left.
  std::span<const std::byte> take(std::size_t size) noexcept {
    const auto taken = left_.first(std::min(size, left_.size()));
    left_ = left_.subspan(taken.size());
    return taken;
  }
  /// A little-endian number of so many bytes.
  std::uint64_t number(std::size_t size) noexcept {
    std::uint64_t value = 0;
    std::size_t at = 0;
    for (const std::byte byte : take(size)) {
      value |= std::to_integer<std::uint64_t>(byte) << (8 * at++);
    }
    return value;
  }
  std::uint8_t byte() noexcept { return static_cast<std::uint8_t>(number(1)); }
  bool flag() noexcept { return (byte() & 1U) != 0; }
  /// A number below `bound`, which is at most 2^16 and not 0.
  std::size_t below(std::size_t bound) noexcept {
    return static_cast<std::size_t>(number(bound > 256 ? 2 : 1) % bound);
  }
  /// A number of any size, of which small ones, powers of two and the largest are likely.
  std::uint64_t any() noexcept {
    const std::uint8_t kind = byte();
    if (kind < 128) return kind;
    if (kind < 192) return (std::uint64_t{1} << (kind % 64)) - (kind & 1U);
    if (kind < 224) return ~std::uint64_t{0} - (kind % 32);
    return number(8);
  }

 private:
  std::span<const std::byte> left_;
};

}  // namespace ballast::test
