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

void* counted(std::size_t size) {
  count(size);
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}

void* counted(std::size_t size, std::align_val_t alignment) {
  count(size);
  const auto unit = static_cast<std::size_t>(alignment);
  const std::size_t whole = (size + unit - 1) / unit * unit;  // what aligned_alloc demands
  if (void* memory = std::aligned_alloc(unit, whole == 0 ? unit : whole)) return memory;
  throw std::bad_alloc();
}

}  // namespace

// [new.delete]: these are all that need replacing; the others are defined by them.
void* operator new(std::size_t size) { return counted(size); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return counted(size, alignment);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace ballast::test {

Allocations::Allocations() noexcept : bytes_(total_bytes), count_(total_count) {
  largest_piece = 0;
}

std::uint64_t Allocations::bytes() const noexcept { return total_bytes - bytes_; }
std::uint64_t Allocations::count() const noexcept { return total_count - count_; }
std::uint64_t Allocations::largest() const noexcept { return largest_piece; }

}  // namespace ballast::test
