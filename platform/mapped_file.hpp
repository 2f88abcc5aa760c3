// Mapping: a range of a file that is mapped into memory, shared and read-only, and advice to the
// system about it.
//
// One folder beside this header implements it for systems that map files (posix), another for those
// that do not (heap): there, map() throws errc::not_supported, and that is all there is. The build
// picks the folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "platform/file.hpp"

namespace ballast::platform {

/// What the system can be told about pages (madvise(2)).
enum class Hint : std::uint8_t {
  sequential,
  random,
  will_need,
  populate_read,
  cold,
  page_out,
  huge_page,
};

/// A mapped range of a file. Move-only; its bytes stay where they are when it is moved. A
/// moved-from Mapping is empty.
class Mapping {
 public:
  /// Maps `length` bytes, which must be at least one, from a byte of the file; no alignment is
  /// asked of either. The file may be closed afterwards. Pages are read when they are touched, none
  /// at once.
  [[nodiscard]] static Mapping map(const File& file, std::uint64_t offset, std::size_t length);

  Mapping() noexcept = default;
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  ~Mapping();

  /// The bytes that were asked for.
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }

  // Both take a range inside bytes() and answer 0, an errno, or kUnsupported.

  /// Advises every page that the range touches.
  [[nodiscard]] int advise(Hint hint, std::size_t offset, std::size_t length) const noexcept;
  /// Takes every page that lies wholly inside the range out of memory (MADV_DONTNEED); touching it
  /// brings it back from the page cache. The partial pages at the two ends of bytes() count as
  /// whole: no other byte of this mapping lies there.
  [[nodiscard]] int release(std::size_t offset, std::size_t length) const noexcept;

 private:
  explicit Mapping(std::span<const std::byte> bytes) noexcept : bytes_(bytes) {}

  std::span<const std::byte> bytes_;
};

}  // namespace ballast::platform
