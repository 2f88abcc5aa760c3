#include "tests/faults/heap.hpp"

#include <atomic>
#include <cerrno>
#include <cstddef>

#include "tests/support/allocations.hpp"

namespace {

std::atomic<bool> is_to_fail{false};
std::atomic<bool> is_lasting{false};
std::atomic<std::int64_t> left{0};
std::atomic<bool> fired{false};

bool fails() noexcept {
  if (!is_to_fail || ballast::test::are_allocations_paused()) return false;
  const std::int64_t now = --left;
  if (now > 0 || (now < 0 && !is_lasting)) return false;
  fired = true;
  errno = ENOMEM;
  return true;
}

}  // namespace

// glibc's own, under the names that it has for programs which bring another malloc.
extern "C" {

void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);

__attribute__((visibility("default"))) void* malloc(std::size_t size) noexcept {
  return fails() ? nullptr : __libc_malloc(size);
}

__attribute__((visibility("default"))) void* calloc(std::size_t count, std::size_t size) noexcept {
  return fails() ? nullptr : __libc_calloc(count, size);
}

__attribute__((visibility("default"))) void* realloc(void* memory, std::size_t size) noexcept {
  return fails() ? nullptr : __libc_realloc(memory, size);
}

}  // extern "C"

namespace ballast::test {

FailingHeap::FailingHeap(std::uint64_t nth, bool lasting) noexcept {
  fired = false;
  is_lasting = lasting;
  left = static_cast<std::int64_t>(nth);
  is_to_fail = true;
}
FailingHeap::~FailingHeap() { is_to_fail = false; }

bool FailingHeap::has_fired() const noexcept { return fired; }

}  // namespace ballast::test
