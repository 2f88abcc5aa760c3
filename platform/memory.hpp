// The memory that a model is loaded into where it is not mapped: one std::vector<std::byte,
// PlacingAllocator> of exactly the size that is needed.
//
//   * Its elements are not zeroed first: a pass over a model that is about to be overwritten
//   anyway.
//   * Large ones lie on huge pages where the system has them: filling 4 KiB pages costs several
//   times the copy.
//   * Its first byte can be placed at a given address modulo 64, so that something inside it, such
//   as the data of the
//     tensors after a header of odd length, begins at a multiple of 64.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

namespace ballast::platform {

/// A cache line, and the widest vector register (AVX-512).
inline constexpr std::size_t kPlacementUnit = 64;

/// Memory whose address is `residue` modulo kPlacementUnit; `size` bytes of any content. Throws
/// std::bad_alloc.
[[nodiscard]] std::byte* allocate_placed(std::size_t size, std::size_t residue);
/// Gives it back; `size` as it was asked for.
void free_placed(std::byte* memory, std::size_t size) noexcept;

/// So little that it is not worth asking for the limit, which costs a few system calls: where even
/// this is too much, the allocation says so.
inline constexpr std::size_t kAlwaysFits = std::size_t{64} << 20;

/// The most bytes that this process can get at this moment: what is free of physical memory and
/// swap, or less where a limit leaves less (getrlimit(2), control groups, the system's promises
/// where it never makes more of them than it can keep). Physical memory where the system does not
/// say what is free, and the largest std::size_t where it says nothing. Other processes may take it
/// first, so the allocation may still fail.
[[nodiscard]] std::size_t memory_limit();

/// An allocator that places, and default-initialises what `vector(n)` and `resize(n)` make: for
/// bytes, leaves it alone.
///
/// Any two of them can free each other's memory, because an address says how it was placed. So they
/// are always equal, and moving a vector never copies its elements, whatever the residues; they go
/// along with the move.
template <class T>
class PlacingAllocator {
  static_assert(alignof(T) == 1, "a placed element may have any address");

 public:
  using value_type = T;
  using is_always_equal = std::true_type;
  using propagate_on_container_move_assignment = std::true_type;
  using propagate_on_container_swap = std::true_type;

  PlacingAllocator() noexcept = default;
  /// `residue` is what the first element's address shall be modulo kPlacementUnit.
  explicit PlacingAllocator(std::size_t residue) noexcept
      : residue_(static_cast<std::uint8_t>(residue % kPlacementUnit)) {}
  template <class U>
  PlacingAllocator(
      const PlacingAllocator<U>& other) noexcept  // NOLINT(*-explicit-*): allocators convert
      : residue_(static_cast<std::uint8_t>(other.residue())) {}

  [[nodiscard]] std::size_t residue() const noexcept { return residue_; }

  [[nodiscard]] T* allocate(std::size_t count) {
    if (count > static_cast<std::size_t>(PTRDIFF_MAX) / sizeof(T))
      throw std::bad_array_new_length();
    return reinterpret_cast<T*>(allocate_placed(count * sizeof(T), residue_));
  }
  void deallocate(T* memory, std::size_t count) noexcept {
    free_placed(reinterpret_cast<std::byte*>(memory), count * sizeof(T));
  }

  template <class U>
  void construct(U* element) noexcept(std::is_nothrow_default_constructible_v<U>) {
    ::new (static_cast<void*>(element)) U;  // without (), which would make it zero
  }
  template <class U, class... Arguments>
  void construct(U* element, Arguments&&... arguments) {
    std::construct_at(element, std::forward<Arguments>(arguments)...);
  }

  friend bool operator==(const PlacingAllocator&, const PlacingAllocator&) noexcept { return true; }

 private:
  std::uint8_t residue_ = 0;
};

using PlacedBytes = std::vector<std::byte, PlacingAllocator<std::byte>>;

}  // namespace ballast::platform
