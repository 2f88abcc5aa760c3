#include "platform/fault_guard.hpp"

#include <dlfcn.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): <csignal> has no sigaction
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#if __has_include(<link.h>)
#include <link.h>
#endif

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

// Weak: a static program has no dlopen, and the linker would warn of it; older C libraries keep
// both functions in a library that only programs which load modules have.
#pragma weak dladdr
#pragma weak dlopen

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
  std::atomic<bool> is_taken{false};
  Slot* next = nullptr;  // written before the slot can be seen

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

  /// Whether `current` is this action.
  [[nodiscard]] bool is(const struct sigaction& current) const noexcept {
    const bool takes_info = (action.sa_flags & SA_SIGINFO) != 0;
    if (action.sa_flags != current.sa_flags) return false;
    if (takes_info ? action.sa_sigaction != current.sa_sigaction
                   : action.sa_handler != current.sa_handler) {
      return false;
    }
    // Signal by signal: the C library leaves bytes of a mask that hold no signal undefined.
    for (int signal = 1; signal < NSIG; ++signal) {
      if (::sigismember(&action.sa_mask, signal) != ::sigismember(&current.sa_mask, signal)) {
        return false;
      }
    }
    return true;
  }

 private:
  static void unblock(int signal) noexcept {
    sigset_t set;
    ::sigemptyset(&set);
    ::sigaddset(&set, signal);
    ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  }
};

// Another handler that is installed over ours passes on to ours, or does not; the next guard cannot
// know, and installs ours over the other one. So a circle can come about: ours passes on to the
// other handler, which passes on to ours. A second copy of this library in the process is such a
// handler. Each time that one signal comes here again, it goes on to the action before, down to the
// first one.
constexpr std::size_t kMostPrevious = 8;
std::array<Previous, kMostPrevious> previous;  // each is written before the order names it

/// The indices of the actions in `previous`, the newest first, in one word that a handler reads at
/// once.
struct Order {
  static constexpr unsigned kBits = 4;
  static_assert(kMostPrevious * kBits < 64 && kMostPrevious < (1U << kBits));

  std::uint64_t word = 0;  // four bits for the number of actions, then four for each index

  [[nodiscard]] std::size_t size() const noexcept { return digit(0); }
  [[nodiscard]] std::size_t at(std::size_t place) const noexcept { return digit(place + 1); }

  /// The same with `index` as the newest.
  [[nodiscard]] Order with_first(std::size_t index) const noexcept {
    std::uint64_t digits = index;
    unsigned count = 1;
    for (std::size_t place = 0; place < size(); ++place) {
      if (at(place) == index) continue;
      digits |= std::uint64_t{at(place)} << (kBits * count);
      ++count;
    }
    return {digits << kBits | count};
  }

 private:
  [[nodiscard]] std::size_t digit(std::size_t place) const noexcept {
    return (word >> (kBits * place)) & ((1U << kBits) - 1);
  }
};
std::atomic<std::uint64_t> order{0};

/// A signal that is being passed on. The address of its context identifies it: contexts of signals
/// that are being handled lie on different parts of the stacks of the process.
struct Passing {
  std::atomic<std::uintptr_t> context{0};
  std::atomic<std::uintptr_t> frame{0};  // of the handler that has passed it on first
  std::atomic<std::size_t> count{0};

  /// How often it has been passed on before. What a handler that never returned has left behind is
  /// known by its frame: one that calls this one again lies above it on the stack.
  std::size_t enter(std::uintptr_t from) noexcept {
    if (from < frame) return ++count;
    frame = from;
    count = 0;
    return 0;
  }
  void leave(std::uintptr_t signal_context) noexcept {
    frame = 0;
    context.compare_exchange_strong(signal_context, 0);
  }
};
// Not thread_local: the first access of a thread may allocate, which no handler may.
constexpr std::size_t kMostPassing = 64;
std::array<Passing, kMostPassing> passing;

Passing& passing_of(std::uintptr_t context) noexcept {
  for (Passing& known : passing) {
    if (known.context == context) return known;
  }
  for (Passing& free : passing) {
    std::uintptr_t none = 0;
    if (free.context.compare_exchange_strong(none, context)) return free;
  }
  // All are left behind by handlers that never returned: any may be used again.
  Passing& any = passing[context / alignof(std::max_align_t) % kMostPassing];
  any.frame = 0;
  any.context = context;
  return any;
}

// In a circle of several copies of this library each of them has its turn this often.
constexpr std::size_t kMostTurns = 2 * kMostPrevious;

void pass_on(std::size_t turn, int signal, siginfo_t* info, void* context) noexcept {
  const Order now{order};
  if (turn >= kMostTurns) return act_by_default(signal, info->si_code > 0);
  previous[now.at(std::min(turn, now.size() - 1))].pass_on(signal, info, context);
}

void handle(int signal, siginfo_t* info, void* context) {
  const int error = errno;
  const bool is_fault = info->si_code > 0;
  if (!is_fault || !mend(reinterpret_cast<std::uintptr_t>(info->si_addr))) {
    const auto at = reinterpret_cast<std::uintptr_t>(context);
    Passing& current = passing_of(at);
    const std::size_t turn =
        current.enter(reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)));
    pass_on(turn, signal, info, context);
    if (turn == 0) current.leave(at);
  }
  errno = error;
}

[[noreturn]] void throw_error(int error) { throw std::system_error(error, std::system_category()); }

// ---- The code of the handler

#if __has_include(<link.h>)
bool is_within(const dl_phdr_info& object, std::uintptr_t address) noexcept {
  return std::any_of(object.dlpi_phdr, object.dlpi_phdr + object.dlpi_phnum, [&](const auto& part) {
    const std::uintptr_t begin = object.dlpi_addr + part.p_vaddr;
    return part.p_type == PT_LOAD && address - begin < part.p_memsz;
  });
}

/// Whether the handler is a part of the program itself, which is the first object
/// (dl_iterate_phdr(3)).
bool is_in_program() noexcept {
  bool found = false;
  const auto look = [](dl_phdr_info* object, std::size_t, void* result) {
    *static_cast<bool*>(result) = is_within(*object, reinterpret_cast<std::uintptr_t>(&handle));
    return 1;
  };
  ::dl_iterate_phdr(look, &found);
  return found;
}
#else
bool is_in_program() noexcept { return false; }
#endif

/// Keeps the code in memory to the end of the process: dlclose(3) must not take a handler away that
/// the system or another handler will call. Not a link option (-z nodelete): a shared library of
/// the user's may hold the static one, and who asks for no guard can still unload.
void keep_loaded() {
  static std::atomic<bool> is_kept{false};
  if (is_kept) return;
  if (!is_in_program()) {
    Dl_info own{};
    if (::dladdr == nullptr || ::dlopen == nullptr ||
        ::dladdr(reinterpret_cast<void*>(&handle), &own) == 0 ||
        ::dlopen(own.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE) == nullptr) {
      throw_error(ENOTSUP);
    }
  }
  is_kept = true;
}

// ---- Under the lock

/// A lock for a few instructions. A process that was forked meanwhile has none of the other
/// threads, so it takes the lock that one of them held there; what the lock keeps is whole at any
/// time.
class ForkProofLock {
 public:
  void lock() noexcept {
    const pid_t own = ::getpid();
    for (;;) {
      pid_t holder = 0;
      if (holder_.compare_exchange_strong(holder, own)) return;
      if (holder != own && holder_.compare_exchange_strong(holder, own)) return;
      std::this_thread::yield();
    }
  }
  void unlock() noexcept { holder_ = 0; }

 private:
  std::atomic<pid_t> holder_{0};
};
ForkProofLock install_lock;

bool is_ours(const struct sigaction& action) noexcept {
  return (action.sa_flags & SA_SIGINFO) != 0 && action.sa_sigaction == &handle;
}

/// Where `current` stands in `previous`: where it was before, or behind the others.
std::size_t index_of(const struct sigaction& current) {
  const std::size_t known = Order{order}.size();
  for (std::size_t i = 0; i < known; ++i) {
    if (!previous[i].is(current)) continue;
    previous[i].is_spent = false;
    return i;
  }
  if (known == kMostPrevious) throw_error(EAGAIN);
  previous[known].action = current;
  return known;
}

void install() {
  struct sigaction current{};
  if (::sigaction(SIGBUS, nullptr, &current) != 0) throw_error(errno);
  if (is_ours(current)) return;
  order = Order{order}.with_first(index_of(current)).word;
  struct sigaction own{};
  own.sa_sigaction = &handle;
  // On the stack that a thread may have for signals: its own may be at its end.
  own.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  ::sigemptyset(&own.sa_mask);
  if (::sigaction(SIGBUS, &own, nullptr) != 0) throw_error(errno);
}

/// A slot that nobody has.
Slot* take_slot() {
  for (Slot* slot = first_slot; slot != nullptr; slot = slot->next) {
    if (!slot->is_taken.exchange(true)) return slot;
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
  keep_loaded();  // before the lock: a library's initialisation has the loader's, and may want this
  const std::scoped_lock lock(install_lock);
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
  slot_->is_taken = false;
}

bool FaultGuard::has_faulted() const noexcept { return slot_ != nullptr && slot_->has_faulted; }

}  // namespace ballast::platform
