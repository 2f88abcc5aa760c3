// The bytes lie in pages that cannot be accessed. An access raises SIGSEGV: its handler changes the
// bytes by way of another mapping of them, makes the pages readable and sets the processor's trap
// flag (Intel SDM, volume 3, 18.3.1.4). SIGTRAP follows behind the instruction, or behind each step
// of a repeated one, and the pages are closed again.
//
// System calls on them fail with EFAULT.
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstring>
#include <system_error>

#include "tests/changing_bytes/changing_memory.hpp"

namespace ballast::test {
namespace {

constexpr greg_t kTrapFlag = 0x100;
constexpr std::size_t kVector = 64;

std::size_t page_size() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

void require_system(bool done, const char* what) {
  if (!done) throw std::system_error(errno, std::system_category(), what);
}

}  // namespace

struct ChangingMemory::State {
  State(std::span<const std::byte> file, std::span<const std::byte> other) : script(file, other) {
    const std::size_t page = page_size();
    size = (file.size() + page - 1) / page * page;
    if (size == 0) size = page;
    const int descriptor = ::memfd_create("changing", MFD_CLOEXEC);
    require_system(descriptor >= 0 && ::ftruncate(descriptor, static_cast<::off_t>(size)) == 0,
                   "memfd_create");
    // With a page on either side that stays closed.
    void* const place =
        ::mmap(nullptr, size + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require_system(place != MAP_FAILED, "mmap");
    view = static_cast<std::byte*>(place) + page;
    require_system(::mmap(view, size, PROT_READ, MAP_SHARED | MAP_FIXED, descriptor, 0) == view,
                   "mmap");
    void* const written = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    require_system(written != MAP_FAILED, "mmap");
    alias = static_cast<std::byte*>(written);
    ::close(descriptor);
    // The file ends with its page, so that no byte behind it can be read.
    begin = size - file.size();
    if (!file.empty()) std::memcpy(alias + begin, file.data(), file.size());
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    const std::size_t page = page_size();
    ::munmap(view - page, size + 2 * page);
    ::munmap(alias, size);
  }

  void close() const noexcept { ::mprotect(view, size, PROT_NONE); }
  void open() const noexcept { ::mprotect(view, size, PROT_READ); }

  Script script;
  std::byte* view = nullptr;
  std::byte* alias = nullptr;  // the same pages, always writable
  std::size_t size = 0;        // of the pages
  std::size_t begin = 0;       // of the file in them
  bool is_stepping = false;
  struct sigaction before_segv{};
  struct sigaction before_trap{};
};

namespace {

ChangingMemory::State* started = nullptr;

greg_t& flags_of(void* context) {
  return static_cast<::ucontext_t*>(context)->uc_mcontext.gregs[REG_EFL];
}

// The signal is another's: it is raised again by the same instruction.
void leave_to(const struct sigaction& before, int signal) { ::sigaction(signal, &before, nullptr); }

void at_access(int signal, ::siginfo_t* info, void* context) {
  ChangingMemory::State* const state = started;
  if (state == nullptr) return leave_to({}, signal);
  const auto at = reinterpret_cast<std::uintptr_t>(info->si_addr) -
                  reinterpret_cast<std::uintptr_t>(state->view);
  // While the pages are open, only a write can fail. The C library loads whole vectors, some of
  // whose bytes may lie in front of the file.
  if (state->is_stepping || at >= state->size || at + kVector < state->begin) {
    return leave_to(state->before_segv, signal);
  }
  state->script.before_fetch(at < state->begin ? 0 : at - state->begin);
  state->open();
  state->is_stepping = true;
  flags_of(context) |= kTrapFlag;
}

void behind_access(int signal, ::siginfo_t* /*info*/, void* context) {
  ChangingMemory::State* const state = started;
  if (state == nullptr || !state->is_stepping)
    return leave_to(state == nullptr ? decltype(state->before_trap){} : state->before_trap, signal);
  flags_of(context) &= ~kTrapFlag;
  state->is_stepping = false;
  state->script.after_fetch();
  // Where nothing changes any more, or too many fetches were counted, the rest is read at full
  // speed.
  if (!state->script.is_over() && state->script.fetches() < ChangingMemory::affordable_fetches())
    state->close();
}

void handle(int signal, void (*handler)(int, ::siginfo_t*, void*), struct sigaction& before) {
  struct sigaction action{};
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO;
  ::sigemptyset(&action.sa_mask);
  require_system(::sigaction(signal, &action, &before) == 0, "sigaction");
}

}  // namespace

ChangingMemory::ChangingMemory(std::span<const std::byte> file, std::span<const std::byte> other)
    : state_(std::make_unique<State>(file, other)) {}
ChangingMemory::~ChangingMemory() { stop(); }

std::span<const std::byte> ChangingMemory::bytes() const noexcept {
  return {state_->view + state_->begin, state_->script.size()};
}

void ChangingMemory::start(const Plan& plan) {
  stop();
  state_->script.begin({state_->alias + state_->begin, state_->script.size()}, plan);
  handle(SIGSEGV, at_access, state_->before_segv);
  handle(SIGTRAP, behind_access, state_->before_trap);
  started = state_.get();
  state_->close();
}

void ChangingMemory::stop() noexcept {
  if (started != state_.get()) return;
  state_->open();
  started = nullptr;
  ::sigaction(SIGSEGV, &state_->before_segv, nullptr);
  ::sigaction(SIGTRAP, &state_->before_trap, nullptr);
}

std::uint64_t ChangingMemory::fetches() const noexcept { return state_->script.fetches(); }
std::uint64_t ChangingMemory::changes() const noexcept { return state_->script.changes(); }
std::uint64_t ChangingMemory::affordable_fetches() noexcept { return 1'000; }

}  // namespace ballast::test
