#include "platform/mapped_file.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <system_error>
#include <utility>

namespace ballast::platform {
namespace {

// madvise(2) with its numbers, never posix_madvise(3): glibc turns POSIX_MADV_DONTNEED into
// nothing. Advice that a system lacks is a number too, so that the code below is the same
// everywhere.
constexpr int kAbsent = -1;
#ifdef MADV_POPULATE_READ
constexpr int kPopulateRead = MADV_POPULATE_READ;
#elif defined(__linux__)
constexpr int kPopulateRead =
    22;  // asm-generic/mman-common.h, since 5.14; older C libraries do not know it
#else
constexpr int kPopulateRead = kAbsent;
#endif
#ifdef MADV_COLD
constexpr int kCold = MADV_COLD;
#else
constexpr int kCold = kAbsent;
#endif
#ifdef MADV_PAGEOUT
constexpr int kPageOut = MADV_PAGEOUT;
#else
constexpr int kPageOut = kAbsent;
#endif
#ifdef MADV_HUGEPAGE
constexpr int kHugePage = MADV_HUGEPAGE;
#else
constexpr int kHugePage = kAbsent;
#endif

constexpr int native(Hint hint) noexcept {
  switch (hint) {
    case Hint::sequential:
      return MADV_SEQUENTIAL;
    case Hint::random:
      return MADV_RANDOM;
    case Hint::will_need:
      return MADV_WILLNEED;
    case Hint::populate_read:
      return kPopulateRead;
    case Hint::cold:
      return kCold;
    case Hint::page_out:
      return kPageOut;
    case Hint::huge_page:
      return kHugePage;
  }
  return kAbsent;
}

// Linux reads at most max(read_ahead_kb, max_sectors_kb) for one MADV_WILLNEED and says nothing
// about the rest (mm/readahead.c, force_page_cache_ra): of 512 MiB, 8 were read where this was
// measured. 128 KiB is the default of read_ahead_kb, so that a request of that size is served
// whole; a GiB that is cached already costs 20 ms of calls.
constexpr std::size_t kReadAheadStep = std::size_t{128} << 10;

std::size_t page_size() noexcept { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

/// How far an address lies into its page.
std::size_t page_offset(const std::byte* address) noexcept {
  return reinterpret_cast<std::uintptr_t>(address) & (page_size() - 1);
}

const std::byte* page_floor(const std::byte* address) noexcept {
  return address - page_offset(address);
}

const std::byte* page_ceiling(const std::byte* address) noexcept {
  const std::size_t into = page_offset(address);
  return into == 0 ? address : address + (page_size() - into);
}

/// Whole pages, from one boundary to another.
struct Pages {
  const std::byte* begin;
  const std::byte* end;

  // The calls below change what is mapped, never the bytes, and take no const.
  [[nodiscard]] void* address() const noexcept { return const_cast<std::byte*>(begin); }
  [[nodiscard]] std::size_t size() const noexcept { return static_cast<std::size_t>(end - begin); }
};

Pages pages_touched_by(std::span<const std::byte> range) noexcept {
  return {page_floor(range.data()), page_ceiling(range.data() + range.size())};
}

int advise(Pages pages, int advice) noexcept {
  if (pages.begin >= pages.end) return 0;
  if (::madvise(pages.address(), pages.size(), advice) == 0) return 0;
  // EINVAL: a kernel that does not know this advice, or not for this file system; the range is fine
  // by construction.
  return errno == EINVAL ? kUnsupported : errno;
}

int advise_in_steps(Pages pages, int advice) noexcept {
  while (pages.begin < pages.end) {
    const std::byte* const next = pages.begin + std::min(pages.size(), kReadAheadStep);
    if (const int error = advise({pages.begin, next}, advice); error != 0) return error;
    pages.begin = next;
  }
  return 0;
}

}  // namespace

Mapping Mapping::map(const File& file, std::uint64_t offset, std::size_t length) {
  const std::size_t lead = offset & (page_size() - 1);  // mmap(2) wants whole pages
  if (length > std::numeric_limits<std::size_t>::max() - lead) {
    throw std::system_error(std::make_error_code(std::errc::value_too_large));
  }
  void* const base = ::mmap(nullptr, lead + length, PROT_READ, MAP_SHARED, file.descriptor(),
                            static_cast<off_t>(offset - lead));
  const int error =
      errno;  // memory for the exception is taken before it is made, and may set another
  if (base == MAP_FAILED) throw std::system_error(error, std::system_category());
  return Mapping({static_cast<const std::byte*>(base) + lead, length});
}

Mapping::Mapping(Mapping&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  Mapping taken(std::move(other));
  std::swap(bytes_, taken.bytes_);
  return *this;
}

Mapping::~Mapping() {
  if (bytes_.empty()) return;
  const Pages pages = pages_touched_by(bytes_);
  ::munmap(pages.address(), pages.size());
}

int Mapping::advise(Hint hint, std::size_t offset, std::size_t length) const noexcept {
  const int advice = native(hint);
  if (advice == kAbsent) return kUnsupported;
  if (length == 0) return 0;
  const Pages pages = pages_touched_by(bytes_.subspan(offset, length));
  return hint == Hint::will_need ? advise_in_steps(pages, advice) : platform::advise(pages, advice);
}

int Mapping::release(std::size_t offset, std::size_t length) const noexcept {
  const std::byte* const begin = bytes_.data() + offset;
  const std::byte* const end = begin + length;
  const bool at_start = offset == 0;
  const bool at_end = length == bytes_.size() - offset;
  const Pages pages{at_start ? page_floor(begin) : page_ceiling(begin),
                    at_end ? page_ceiling(end) : page_floor(end)};
  return platform::advise(pages, MADV_DONTNEED);
}

}  // namespace ballast::platform
