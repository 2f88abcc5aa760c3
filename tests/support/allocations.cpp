#include "tests/support/allocations.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::uint64_t> total_bytes{0};
std::atomic<std::uint64_t> total_count{0};
std::atomic<std::uint64_t> largest_piece{0};

void count(std::size_t size) noexcept {
  total_bytes += size;
  ++total_count;
  std::uint64_t seen = largest_piece;
  while (size > seen && !largest_piece.compare_exchange_weak(seen, size)) {
  }
}

// Null where there is no memory.
void* quietly(std::size_t size) noexcept {
  count(size);
  return std::malloc(size == 0 ? 1 : size);
}

void* quietly(std::size_t size, std::align_val_t alignment) noexcept {
  count(size);
  const auto unit = static_cast<std::size_t>(alignment);
  const std::size_t whole = (size + unit - 1) / unit * unit;  // what aligned_alloc demands
  return std::aligned_alloc(unit, whole == 0 ? unit : whole);
}

template <class... Alignment>
void* counted(std::size_t size, Alignment... alignment) {
  if (void* memory = quietly(size, alignment...)) return memory;
  throw std::bad_alloc();
}

}  // namespace

// All forms of [new.delete]: with a sanitizer's own in between, one is not defined by another.
void* operator new(std::size_t size) { return counted(size); }
void* operator new[](std::size_t size) { return counted(size); }
void* operator new(std::size_t size, std::align_val_t unit) { return counted(size, unit); }
void* operator new[](std::size_t size, std::align_val_t unit) { return counted(size, unit); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return quietly(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return quietly(size); }
void* operator new(std::size_t size, std::align_val_t unit, const std::nothrow_t&) noexcept {
  return quietly(size, unit);
}
void* operator new[](std::size_t size, std::align_val_t unit, const std::nothrow_t&) noexcept {
  return quietly(size, unit);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t, const std::nothrow_t&) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::align_val_t, const std::nothrow_t&) noexcept {
  std::free(memory);
}

namespace ballast::test {

Allocations::Allocations() noexcept : bytes_(total_bytes), count_(total_count) {
  largest_piece = 0;
}

std::uint64_t Allocations::bytes() const noexcept { return total_bytes - bytes_; }
std::uint64_t Allocations::count() const noexcept { return total_count - count_; }
std::uint64_t Allocations::largest() const noexcept { return largest_piece; }

}  // namespace ballast::test
