// fetch: reads memory that another process or thread may write, exactly once. Private.
//
// A mapped file changes when another process writes to it. A value that is checked in the mapping
// and used from the mapping may be another one by then, even where the source reads it once: a
// compiler may load an ordinary object again instead of keeping it in a register. What a parser
// reads goes through these functions, and is checked and used in memory of our own.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstring>
#include <span>
#include <type_traits>

namespace ballast {

/// The value of type T at `at`, which need not be aligned: one load, never repeated.
template <class T>
[[nodiscard]] inline T fetch(const void* at) noexcept {
  static_assert(std::is_trivially_copyable_v<T>);
#ifdef __GNUC__  // which can load an unaligned value as volatile
  struct [[gnu::packed, gnu::may_alias]] Unaligned {
    T value;
  };
  return static_cast<const volatile Unaligned*>(at)->value;
#else
  T value;
  std::memcpy(&value, at, sizeof value);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  return value;
#endif
}

/// Copies `from` to the start of `to`, which must have room for it. Later reads of `to` see the
/// copy: the compiler must not replace them by reads of `from`.
inline void fetch(std::span<const std::byte> from, void* to) noexcept {
  if (from.empty()) return;
  std::memcpy(to, from.data(), from.size());
#ifdef __GNUC__  // whose optimiser knows what this reads and writes
  asm volatile("" : : "r"(to) : "memory");
#else
  std::atomic_signal_fence(std::memory_order_seq_cst);
#endif
}

}  // namespace ballast
