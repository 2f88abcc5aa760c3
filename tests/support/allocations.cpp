#include "tests/support/allocations.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::uint64_t> total_bytes{0};
std::atomic<std::uint64_t> total_count{0};
std::atomic<std::uint64_t> largest_piece{0};
std::atomic<std::int64_t> live{0};

// Allocations until one fails, where any is to: it is 0 then. Below that, those that came after it.
std::atomic<bool> is_to_fail{false};
std::atomic<bool> is_lasting{false};
std::atomic<std::int64_t> left{0};
std::atomic<bool> fired{false};
thread_local int pauses = 0;

bool fails() noexcept {
  if (!is_to_fail || pauses != 0) return false;
  const std::int64_t now = --left;
  if (now > 0 || (now < 0 && !is_lasting)) return false;
  fired = true;
  return true;
}

void count(std::size_t size) noexcept {
  total_bytes += size;
  ++total_count;
  std::uint64_t seen = largest_piece;
  while (size > seen && !largest_piece.compare_exchange_weak(seen, size)) {
  }
}

void* counted_piece(void* memory) noexcept {
  if (memory != nullptr) ++live;
  return memory;
}

void give_back(void* memory) noexcept {
  if (memory != nullptr) --live;
  std::free(memory);
}

// Null where there is no memory.
void* quietly(std::size_t size) noexcept {
  count(size);
  return fails() ? nullptr : counted_piece(std::malloc(size == 0 ? 1 : size));
}

void* quietly(std::size_t size, std::align_val_t alignment) noexcept {
  count(size);
  const auto unit = static_cast<std::size_t>(alignment);
  const std::size_t whole = (size + unit - 1) / unit * unit;  // what aligned_alloc demands
  return fails() ? nullptr : counted_piece(std::aligned_alloc(unit, whole == 0 ? unit : whole));
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
void operator delete(void* memory) noexcept { give_back(memory); }
void operator delete[](void* memory) noexcept { give_back(memory); }
void operator delete(void* memory, std::size_t) noexcept { give_back(memory); }
void operator delete[](void* memory, std::size_t) noexcept { give_back(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { give_back(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { give_back(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { give_back(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { give_back(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { give_back(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { give_back(memory); }
void operator delete(void* memory, std::align_val_t, const std::nothrow_t&) noexcept {
  give_back(memory);
}
void operator delete[](void* memory, std::align_val_t, const std::nothrow_t&) noexcept {
  give_back(memory);
}

namespace ballast::test {

Allocations::Allocations() noexcept : bytes_(total_bytes), count_(total_count) {
  largest_piece = 0;
}

std::uint64_t Allocations::bytes() const noexcept { return total_bytes - bytes_; }
std::uint64_t Allocations::count() const noexcept { return total_count - count_; }
std::uint64_t Allocations::largest() const noexcept { return largest_piece; }

std::int64_t live_pieces() noexcept { return live; }

FailingAllocations::FailingAllocations(std::uint64_t nth, bool lasting) noexcept {
  fired = false;
  is_lasting = lasting;
  left = static_cast<std::int64_t>(nth);
  is_to_fail = true;
}
FailingAllocations::~FailingAllocations() { is_to_fail = false; }

bool FailingAllocations::has_fired() const noexcept { return fired; }

AllocationsPaused::AllocationsPaused() noexcept { ++pauses; }
AllocationsPaused::~AllocationsPaused() { --pauses; }

bool are_allocations_paused() noexcept { return pauses != 0; }

}  // namespace ballast::test
