#include "platform/fault_guard.hpp"

#include <signal.h>  // NOLINT(modernize-deprecated-headers): <csignal> has no sigaction
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <new>
#include <system_error>
#include <utility>

namespace ballast::platform {
namespace {

// A signal handler may use atomic objects that are lock-free, and nothing else that others change
// ([support.signal]).
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
static_assert(std::atomic<void*>::is_always_lock_free);

/// The pages of a mapping, and what they show.
struct Range {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  std::uint64_t offset = 0;  // in the file, of the first byte of the first page
  int descriptor = -1;

  [[nodiscard]] bool holds(std::uintptr_t address) const noexcept {
    return begin <= address && address < end;
  }
};

}  // namespace

/// A range that the handler can read while a thread writes it (a sequence lock), and whether it has
/// faulted. Slots are used again and never freed, so that the handler needs no lock to walk them.
struct FaultGuard::Slot {
  std::atomic<std::uint64_t> version{0};  // odd while the range is being written
  std::atomic<std::uintptr_t> begin{0};
  std::atomic<std::uintptr_t> end{0};
  std::atomic<std::uint64_t> offset{0};
  std::atomic<int> descriptor{-1};
  std::atomic<bool> has_faulted{false};
  bool is_taken = false;  // read and written under the lock
  Slot* next = nullptr;   // written before the slot can be seen

  void write(const Range& range) noexcept {
    const std::uint64_t before = version;
    version.store(before + 1);
    begin.store(range.begin, std::memory_order_release);
    end.store(range.end, std::memory_order_release);
    offset.store(range.offset, std::memory_order_release);
    descriptor.store(range.descriptor, std::memory_order_release);
    version.store(before + 2, std::memory_order_release);
  }

  /// Nothing where it is being written: whoever touches a guarded page keeps its slot as it is.
  [[nodiscard]] Range read() const noexcept {
    const std::uint64_t before = version.load(std::memory_order_acquire);
    Range range;
    range.begin = begin.load(std::memory_order_acquire);
    range.end = end.load(std::memory_order_acquire);
    range.offset = offset.load(std::memory_order_acquire);
    range.descriptor = descriptor.load(std::memory_order_acquire);
    const bool is_whole = before % 2 == 0 && version.load(std::memory_order_relaxed) == before;
    return is_whole ? range : Range{};
  }
};

namespace {

using Slot = FaultGuard::Slot;

std::atomic<Slot*> first_slot{nullptr};
std::atomic<std::uintptr_t> page_bytes{0};  // set before the handler is there

// ---- In the handler: async-signal-safe calls alone (signal-safety(7)), and mmap, which is one
// system call on every system that this is for.

bool put_zeros(std::uintptr_t begin, std::uintptr_t end) noexcept {
  void* const at = reinterpret_cast<void*>(begin);  // NOLINT(performance-no-int-to-ptr)
  return ::mmap(at, end - begin, PROT_READ, MAP_PRIVATE | MAP_ANON | MAP_FIXED, -1, 0) == at;
}

/// The first page that lies wholly behind the end of the file as it is now, or the end.
std::uintptr_t end_of_file(const Range& range) noexcept {
  struct stat status{};
  if (::fstat(range.descriptor, &status) != 0) return range.end;
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size <= range.offset) return range.begin;
  const std::uint64_t left = size - range.offset;
  if (left >= range.end - range.begin) return range.end;
  const std::uintptr_t page = page_bytes;
  return range.begin + (static_cast<std::uintptr_t>(left) + page - 1) / page * page;
}

bool mend(const Range& range, std::uintptr_t address) noexcept {
  const std::uintptr_t page = page_bytes;
  const std::uintptr_t begin = address & ~(page - 1);
  // Of a truncated file all that is gone at once, instead of a signal and a mapping for each page.
  const std::uintptr_t gone = end_of_file(range);
  if (gone <= begin) return put_zeros(gone, range.end);
  // Zeros for one page split the mapping. Where the process may have no more of them, all of it.
  return put_zeros(begin, begin + page) || put_zeros(range.begin, range.end);
}

/// Whether that was a fault in a guarded range, which can be touched again now.
bool mend(std::uintptr_t address) noexcept {
  for (Slot* slot = first_slot; slot != nullptr; slot = slot->next) {
    const Range range = slot->read();
    if (!range.holds(address)) continue;
    slot->has_faulted = true;
    return mend(range, address);
  }
  return false;
}

/// Ends the process as if no handler were there: at once, or where the fault is met again.
void act_by_default(int signal, bool is_fault) noexcept {
  struct sigaction action{};
  action.sa_handler = SIG_DFL;
  ::sigaction(signal, &action, nullptr);
  if (!is_fault) ::raise(signal);
}

/// The handler that was there before one of ours.
struct Previous {
  struct sigaction action{};
  std::atomic<bool> is_spent{false};  // of those that serve once

  void pass_on(int signal, siginfo_t* info, void* context) noexcept {
    const bool is_fault = info->si_code > 0;  // else somebody has sent it (sigaction(2))
    const bool takes_info = (action.sa_flags & SA_SIGINFO) != 0;
    const bool is_ignored = !takes_info && action.sa_handler == SIG_IGN;
    if (is_ignored && !is_fault) return;
    // Nobody can ignore a fault: the system does not let them either.
    if (is_ignored || (!takes_info && action.sa_handler == SIG_DFL)) {
      return act_by_default(signal, is_fault);
    }
    if ((action.sa_flags & static_cast<int>(SA_RESETHAND)) != 0 && is_spent.exchange(true)) {
      return act_by_default(signal, is_fault);
    }
    // The mask that it asked for. The one before comes back at the end of the handler.
    ::pthread_sigmask(SIG_BLOCK, &action.sa_mask, nullptr);
    if ((action.sa_flags & SA_NODEFER) != 0) unblock(signal);
    if (takes_info) return action.sa_sigaction(signal, info, context);
    action.sa_handler(signal);
  }

  [[nodiscard]] bool is_no_handler() const noexcept {
    return (action.sa_flags & SA_SIGINFO) == 0 &&
           (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN);
  }

 private:
  static void unblock(int signal) noexcept {
    sigset_t set;
    ::sigemptyset(&set);
    ::sigaddset(&set, signal);
    ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  }
};

// A handler of somebody else that was installed over ours may pass on to it, or may not. So the
// next guard installs one more of ours over it, which passes on to that one, and which is another
// function: each of ours has one predecessor, and no circle can come about.
constexpr std::size_t kMostHandlers = 8;
std::array<Previous, kMostHandlers> previous;  // each is written before its handler is installed

template <std::size_t Index>
void handle(int signal, siginfo_t* info, void* context) {
  const int error = errno;
  const bool is_fault = info->si_code > 0;
  if (!is_fault || !mend(reinterpret_cast<std::uintptr_t>(info->si_addr))) {
    previous[Index].pass_on(signal, info, context);
  }
  errno = error;
}

template <std::size_t... Index>
constexpr auto handlers_of(std::index_sequence<Index...>) {
  return std::array{&handle<Index>...};
}
constexpr auto kHandlers = handlers_of(std::make_index_sequence<kMostHandlers>());

// ---- Under the lock

std::mutex mutex;
std::size_t installed = 0;  // how many of the handlers have been

[[noreturn]] void throw_error(int error) { throw std::system_error(error, std::system_category()); }

bool is_ours(const struct sigaction& action) noexcept {
  return (action.sa_flags & SA_SIGINFO) != 0 &&
         std::find(kHandlers.begin(), kHandlers.end(), action.sa_sigaction) != kHandlers.end();
}

/// The place of a handler that may be installed over `current`: one that has not been yet, or, over
/// none at all, one that was over none before.
std::size_t place_over(const struct sigaction& current) {
  Previous now;
  now.action = current;
  if (now.is_no_handler()) {
    for (std::size_t i = 0; i < installed; ++i) {
      if (previous[i].is_no_handler() && previous[i].action.sa_handler == current.sa_handler) {
        return i;
      }
    }
  }
  if (installed == kMostHandlers) throw_error(EAGAIN);
  return installed;
}

void install() {
  struct sigaction current{};
  if (::sigaction(SIGBUS, nullptr, &current) != 0) throw_error(errno);
  if (is_ours(current)) return;
  const std::size_t place = place_over(current);
  if (place == installed) previous[place].action = current;
  struct sigaction own{};
  own.sa_sigaction = kHandlers[place];
  // On the stack that a thread may have for signals: its own may be at its end.
  own.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  ::sigemptyset(&own.sa_mask);
  if (::sigaction(SIGBUS, &own, nullptr) != 0) throw_error(errno);
  installed = std::max(installed, place + 1);
}

/// A slot that nobody has.
Slot* take_slot() {
  for (Slot* slot = first_slot; slot != nullptr; slot = slot->next) {
    if (!std::exchange(slot->is_taken, true)) return slot;
  }
  Slot* const slot = new Slot;  // NOLINT(cppcoreguidelines-owning-memory): it stays
  slot->is_taken = true;
  slot->next = first_slot;
  first_slot = slot;
  return slot;
}

}  // namespace

FaultGuard FaultGuard::over(std::span<const std::byte> bytes, const File& file,
                            std::uint64_t offset) {
  const std::scoped_lock lock(mutex);
  page_bytes = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  install();
  const std::uintptr_t page = page_bytes;
  const auto begin = reinterpret_cast<std::uintptr_t>(bytes.data());
  const std::uintptr_t lead = begin & (page - 1);
  Slot* const slot = take_slot();
  slot->has_faulted = false;
  slot->write({.begin = begin - lead,
               .end = (begin + bytes.size() + page - 1) & ~(page - 1),
               .offset = offset - lead,
               .descriptor = file.descriptor()});
  return FaultGuard(slot);
}

FaultGuard::FaultGuard(FaultGuard&& other) noexcept : slot_(std::exchange(other.slot_, nullptr)) {}

FaultGuard& FaultGuard::operator=(FaultGuard&& other) noexcept {
  FaultGuard taken(std::move(other));
  std::swap(slot_, taken.slot_);
  return *this;
}

FaultGuard::~FaultGuard() {
  if (slot_ == nullptr) return;
  slot_->write({});
  const std::scoped_lock lock(mutex);
  slot_->is_taken = false;
}

bool FaultGuard::has_faulted() const noexcept { return slot_ != nullptr && slot_->has_faulted; }

}  // namespace ballast::platform
