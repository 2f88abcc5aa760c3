#include "platform/memory.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace ballast::platform {
namespace {

// The huge page of x86-64, and of AArch64 with 4 KiB pages.
constexpr std::size_t kHugePage = std::size_t{2} << 20;

// Two huge pages at least: below that, setting up a mapping and trimming it costs more than small
// pages do.
constexpr std::size_t kMapFrom = 2 * kHugePage;

bool is_mapped(std::size_t size) noexcept { return size >= kMapFrom; }

std::size_t round_up(std::size_t size, std::size_t unit) noexcept {
  return (size + unit - 1) / unit * unit;
}

std::size_t whole_pages(std::size_t size) noexcept {
  return round_up(size, static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)));
}

void unmap(std::byte* begin, std::size_t size) noexcept {
  if (size > 0) ::munmap(begin, size);
}

/// Zero pages from the system, at a multiple of kHugePage: more than is needed, and then both ends
/// given back.
std::byte* map_huge(std::size_t size) {
  const std::size_t wanted = whole_pages(size);
  const std::size_t reserved = wanted + kHugePage;
  void* const raw =
      ::mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
  if (raw == MAP_FAILED) throw std::bad_alloc();
  auto* const begin = static_cast<std::byte*>(raw);
  const auto address = reinterpret_cast<std::uintptr_t>(begin);
  const std::size_t lead = round_up(address, kHugePage) - address;
  unmap(begin, lead);
  unmap(begin + lead + wanted, reserved - lead - wanted);
#ifdef MADV_HUGEPAGE
  ::madvise(begin + lead, wanted,
            MADV_HUGEPAGE);  // refused where there are none: slower, not wrong
#endif
  return begin + lead;
}

}  // namespace

std::byte* allocate_placed(std::size_t size, std::size_t residue) {
  if (is_mapped(size)) return map_huge(size + residue) + residue;
  return static_cast<std::byte*>(::operator new(size + residue, std::align_val_t{kPlacementUnit})) +
         residue;
}

void free_placed(std::byte* memory, std::size_t size) noexcept {
  const std::size_t residue = reinterpret_cast<std::uintptr_t>(memory) % kPlacementUnit;
  if (is_mapped(size)) return unmap(memory - residue, whole_pages(size + residue));
  ::operator delete(memory - residue, std::align_val_t{kPlacementUnit});
}

}  // namespace ballast::platform
