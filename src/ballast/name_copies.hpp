// NameCopies: keys and names, copied out of bytes that may change, so that what is validated,
// compared and indexed is what the caller sees later. Private.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <span>
#include <string_view>

#include <ballast/fetch.hpp>

namespace ballast {

class NameCopies {
 public:
  explicit NameCopies(std::uint64_t max_bytes) noexcept : max_bytes_(max_bytes) {}

  /// A copy, or an empty name where there is no room for one.
  [[nodiscard, gnu::always_inline]] std::string_view copy(std::string_view name) noexcept {
    if (name.size() > static_cast<std::size_t>(end_ - at_)) return {};
    char* const to = at_;
    fetch(std::as_bytes(std::span(name)), to);
    at_ += name.size();
    return {to, name.size()};
  }

  /// Makes room for a name of `size` bytes. All later names together take at most `most` bytes.
  /// False where the budget does not allow it.
  [[nodiscard]] bool make_room(std::size_t size, std::size_t most,
                               std::pmr::memory_resource& arena) {
    const std::uint64_t budget = max_bytes_ - taken_;
    if (size > budget) return false;
    const std::uint64_t block = std::min({budget, std::uint64_t{block_}, std::uint64_t{most}});
    size = std::max(size, static_cast<std::size_t>(block));
    block_ = std::min(2 * block_, kLargestBlock);
    at_ = static_cast<char*>(arena.allocate(size, 1));
    end_ = at_ + size;
    taken_ += size;
    return true;
  }

  /// The bytes that copies take once there is one of `size` more.
  [[nodiscard]] std::uint64_t needed(std::size_t size) const noexcept {
    return taken_ - static_cast<std::size_t>(end_ - at_) + size;
  }
  [[nodiscard]] std::uint64_t max_bytes() const noexcept { return max_bytes_; }

 private:
  static constexpr std::size_t kLargestBlock = std::size_t{64} << 10;

  char* at_ = nullptr;
  char* end_ = nullptr;
  std::size_t block_ = 1024;  // the next one
  std::uint64_t taken_ = 0;   // by all blocks
  std::uint64_t max_bytes_;
};

}  // namespace ballast
