#include "platform/memory.hpp"

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "platform/cancellation.hpp"

namespace ballast::platform {
namespace {

constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();

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

std::size_t physical_memory() noexcept {
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long page = ::sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page <= 0) return kNoLimit;
  const auto count = static_cast<std::size_t>(pages);
  const auto size = static_cast<std::size_t>(page);
  return count > kNoLimit / size ? kNoLimit : count * size;
}

template <class Resource>
std::size_t resource_limit(Resource resource) noexcept {
  rlimit limit{};
  if (::getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return kNoLimit;
  return static_cast<std::size_t>(std::min<std::uint64_t>(limit.rlim_cur, kNoLimit));
}

/// The process's control group below /sys/fs/cgroup (cgroups(7), version 2: the line "0::/path").
std::optional<std::filesystem::path> control_group() {
  std::ifstream file("/proc/self/cgroup");
  constexpr std::string_view kVersion2 = "0::/";
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(kVersion2)) return line.substr(kVersion2.size());
  }
  return std::nullopt;
}

std::size_t memory_max(const std::filesystem::path& group) {
  std::ifstream file(group / "memory.max");
  std::uint64_t limit = 0;
  if (!(file >> limit)) return kNoLimit;  // no such file, or "max"
  return static_cast<std::size_t>(std::min<std::uint64_t>(limit, kNoLimit));
}

/// The least of all groups from the process's own to the root: each limits everything below it.
std::size_t control_group_limit() {
  const std::optional<std::filesystem::path> group = control_group();
  if (!group) return kNoLimit;
  std::filesystem::path at = "/sys/fs/cgroup";
  std::size_t limit = memory_max(at);
  for (const std::filesystem::path& name : *group) {
    at /= name;
    limit = std::min(limit, memory_max(at));
  }
  return limit;
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

std::size_t memory_limit() {
  const CancellationOff off;
  return std::min({physical_memory(), resource_limit(RLIMIT_AS), resource_limit(RLIMIT_DATA),
                   control_group_limit()});
}

}  // namespace ballast::platform
