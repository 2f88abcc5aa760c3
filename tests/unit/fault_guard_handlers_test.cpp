// The handler of the fault guards among other handlers for SIGBUS. Each test has a process of its
// own, because handlers are a process's.
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "tests/support/child.hpp"
#include "tests/unit/storage.hpp"

namespace ballast::test {
namespace {

namespace fs = std::filesystem;

std::size_t page() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

std::byte touch(const std::byte* at) { return *static_cast<const volatile std::byte*>(at); }

/// A file of two pages that is mapped, and then cut.
class CutFile {
 public:
  explicit CutFile(bool guarded) : file_(noise(2 * page(), 1)) {
    OpenOptions options = on(Backend::map);
    options.fault_guard = guarded;
    data_ = ModelData::open(file_.path(), options);
    fs::resize_file(file_.path(), 0);
  }

  [[nodiscard]] const std::byte* begin() const { return data_.bytes().data(); }
  /// Whether it reads as zeros, which only a guard lets it.
  [[nodiscard]] bool reads_as_zeros() const {
    return touch(begin()) == std::byte{0} && touch(begin() + page()) == std::byte{0} &&
           data_.damaged();
  }

 private:
  TempFile file_;
  ModelData data_;
};

// ---- Handlers of somebody else ------------------------------------------------------------------

sigjmp_buf back;
volatile sig_atomic_t calls = 0;
void* volatile where = nullptr;
volatile sig_atomic_t user_blocked = 0;

void leap(int, siginfo_t* info, void*) {
  calls = calls + 1;
  where = info->si_addr;
  sigset_t now;
  ::sigemptyset(&now);
  ::pthread_sigmask(SIG_BLOCK, nullptr, &now);
  user_blocked = ::sigismember(&now, SIGUSR1);
  siglongjmp(back, 1);
}

void leap_simply(int) {
  calls = calls + 1;
  siglongjmp(back, 1);
}

void count(int) { calls = calls + 1; }

struct sigaction under{};

/// As crash reporters do: says something, and passes on.
void report(int signal, siginfo_t* info, void* context) {
  calls = calls + 1;
  if (calls > 100) ::_exit(9);  // round and round
  if ((under.sa_flags & SA_SIGINFO) != 0) return under.sa_sigaction(signal, info, context);
  if (under.sa_handler != SIG_DFL && under.sa_handler != SIG_IGN) return under.sa_handler(signal);
  ::sigaction(signal, &under, nullptr);
}

struct sigaction install(void (*handler)(int, siginfo_t*, void*), int flags = 0) {
  struct sigaction own{};
  own.sa_sigaction = handler;
  own.sa_flags = SA_SIGINFO | flags;
  ::sigemptyset(&own.sa_mask);
  ::sigaddset(&own.sa_mask, SIGUSR1);
  struct sigaction before{};
  ::sigaction(SIGBUS, &own, &before);
  return before;
}

void install_simple(void (*handler)(int), int flags = 0) {
  struct sigaction own{};
  own.sa_handler = handler;
  own.sa_flags = flags;
  ::sigemptyset(&own.sa_mask);
  ::sigaction(SIGBUS, &own, nullptr);
}

/// Whether touching it leads to a handler that leaps.
bool leaps(const std::byte* at) {
  if (sigsetjmp(back, 1) != 0) return true;
  touch(at);
  return false;
}

/// A sanitizer reports what ends a process, and exits; then there is no signal to be seen.
bool by_bus_error(const Ended& ended) {
  return ended.by_signal ? ended.number == SIGBUS : ended.number != 0 && ended.number != 3;
}

/// For a process that is about to be ended, of which a sanitizer would say much.
void be_quiet() {
  if (std::freopen("/dev/null", "w", stderr) == nullptr) ::_exit(3);
}

// ---- None ---------------------------------------------------------------------------------------

TEST_CASE("no guard is set unless it is asked for: a file that is cut ends the process") {
  CHECK(by_bus_error(in_child([] {
    be_quiet();
    const CutFile file(false);
    touch(file.begin());
  })));
}

TEST_CASE("a guard helps its own files alone") {
  CHECK(by_bus_error(in_child([] {
    be_quiet();
    const CutFile other(false);
    const CutFile file(true);
    expect(file.reads_as_zeros(), "a guarded file reads as zeros");
    touch(other.begin());
  })));
}

TEST_CASE("a guard that has gone helps nobody") {
  CHECK(by_bus_error(in_child([] {
    be_quiet();
    {
      const CutFile file(true);
    }
    const CutFile other(false);
    touch(other.begin());
  })));
}

TEST_CASE("a SIGBUS that somebody sends ends a process that has no other handler") {
  CHECK(by_bus_error(in_child([] {
    be_quiet();
    const CutFile file(true);
    ::raise(SIGBUS);
    ::_exit(3);
  })));
}

TEST_CASE("the guard's handler leaves errno alone, whatever the one before does to it") {
  CHECK(in_child([] {
          install_simple([](int) { errno = 5; });
          const CutFile file(true);
          errno = 1234;
          ::raise(SIGBUS);
          expect(errno == 1234, "errno is as it was");
          touch(file.begin() + page());
          expect(errno == 1234, "errno is as it was");
        }).well());
}

// ---- One before ---------------------------------------------------------------------------------

TEST_CASE("a handler that was there before gets every fault but those of guarded files") {
  CHECK(in_child([] {
          static_cast<void>(install(leap));
          const CutFile file(true);
          const CutFile other(false);
          for (int round = 1; round <= 3; ++round) {
            expect(leaps(other.begin() + page()), "the other handler is called");
            expect(calls == round, "once");
            expect(where == other.begin() + page(), "with the address");
            expect(user_blocked == 1, "under the mask that it asked for");
          }
          expect(file.reads_as_zeros(), "a guarded file reads as zeros");
          expect(calls == 3, "and the other handler hears nothing of it");
        }).well());
}

TEST_CASE("a handler of the old form, before, is called, too") {
  CHECK(in_child([] {
          install_simple(leap_simply);
          const CutFile file(true);
          const CutFile other(false);
          expect(leaps(other.begin()) && calls == 1, "the other handler is called");
          expect(file.reads_as_zeros(), "a guarded file reads as zeros");
        }).well());
}

TEST_CASE("a handler that serves once, before, serves once") {
  CHECK(by_bus_error(in_child([] {
    be_quiet();
    install_simple(count, static_cast<int>(SA_RESETHAND));
    const CutFile file(true);
    ::raise(SIGBUS);
    expect(calls == 1, "the other handler is called");
    expect(file.reads_as_zeros(), "a guarded file reads as zeros");
    ::raise(SIGBUS);
    ::_exit(3);
  })));
}

TEST_CASE("a handler that may be interrupted by its own signal, before, may be so") {
  CHECK(in_child([] {
          static volatile sig_atomic_t depth = 0;
          static volatile sig_atomic_t deepest = 0;
          install_simple(
              [](int) {
                depth = depth + 1;
                if (depth > deepest) deepest = depth;
                calls = calls + 1;
                if (calls < 3) ::raise(SIGBUS);
                depth = depth - 1;
              },
              SA_NODEFER);
          const CutFile file(true);
          ::raise(SIGBUS);
          expect(calls == 3 && deepest == 3, "it has been");
        }).well());
}

TEST_CASE("where SIGBUS was ignored, one that is sent is, and a fault is not, as ever") {
  const auto ignore = [] {
    be_quiet();
    install_simple(SIG_IGN);
  };
  CHECK(in_child([&] {
          ignore();
          const CutFile file(true);
          ::raise(SIGBUS);
          expect(file.reads_as_zeros(), "a guarded file reads as zeros");
        }).well());
  CHECK(by_bus_error(in_child([&] {
    ignore();
    const CutFile file(true);
    const CutFile other(false);
    touch(other.begin());
  })));
}

// ---- One after ----------------------------------------------------------------------------------

TEST_CASE("a handler that is installed later and passes on leaves the guard in place") {
  CHECK(in_child([] {
          static_cast<void>(install(leap));
          const CutFile file(true);
          under = install(report);
          expect(file.reads_as_zeros(), "a guarded file reads as zeros");
          const CutFile other(false);
          expect(leaps(other.begin()), "what is below the guard is reached");
        }).well());
}

TEST_CASE("a handler that is installed later and does not pass on ends at the next guard") {
  CHECK(in_child([] {
          const CutFile first(true);
          static_cast<void>(install(leap));
          expect(leaps(first.begin()), "the later handler hides the guard");
          const CutFile second(true);
          expect(second.reads_as_zeros() && first.reads_as_zeros(), "both are guarded again");
          const CutFile other(false);
          calls = 0;
          expect(leaps(other.begin()) && calls == 1, "the other handler is called");
        }).well());
}

TEST_CASE("guards below and above a handler that passes on make no circle") {
  CHECK(by_bus_error(in_child([] {
    be_quiet();
    const CutFile first(true);
    under = install(report);
    const CutFile second(true);
    expect(first.reads_as_zeros() && second.reads_as_zeros(), "both read as zeros");
    const CutFile other(false);
    touch(other.begin());
  })));
}

TEST_CASE("a program that takes the handler away again and again gets it again and again") {
  CHECK(in_child([] {
          for (int i = 0; i < 50; ++i) {
            install_simple(i % 2 == 0 ? SIG_DFL : SIG_IGN);
            const CutFile file(true);
            expect(file.reads_as_zeros(), "a guarded file reads as zeros");
          }
        }).well());
}

template <int>
void nothing(int) {}

TEST_CASE("handlers of others that never end are an error, not a guard that is none") {
  CHECK(in_child([] {
          const std::array others{nothing<0>, nothing<1>, nothing<2>, nothing<3>, nothing<4>,
                                  nothing<5>, nothing<6>, nothing<7>, nothing<8>, nothing<9>};
          const TempFile file(noise(page(), 2));
          OpenOptions options = on(Backend::map);
          options.fault_guard = true;
          std::size_t guarded = 0;
          try {
            for (const auto other : others) {
              install_simple(other);
              static_cast<void>(ModelData::open(file.path(), options));
              ++guarded;
            }
          } catch (const Error& error) {
            expect(error.code() == std::errc::resource_unavailable_try_again, "it says so");
            expect(error.path() == file.path().string(), "with the path");
          }
          expect(guarded == 8, "eight are served");
        }).well());
}

// ---- Threads ------------------------------------------------------------------------------------

TEST_CASE("a handler on a stack of its own runs there") {
  CHECK(in_child([] {
          static std::array<std::byte, 64 << 10> stack;
          static void* volatile at = nullptr;
          const stack_t alternate{.ss_sp = stack.data(), .ss_flags = 0, .ss_size = stack.size()};
          ::sigaltstack(&alternate, nullptr);
          static_cast<void>(install(
              [](int, siginfo_t*, void*) {
                at = __builtin_frame_address(0);  // not of a local one, which sanitizers move
                siglongjmp(back, 1);
              },
              SA_ONSTACK));
          const CutFile file(true);
          const CutFile other(false);
          expect(leaps(other.begin()), "the other handler is called");
          auto* const found = static_cast<std::byte*>(static_cast<void*>(at));
          expect(found >= stack.data() && found < stack.data() + stack.size(), "on that stack");
          expect(file.reads_as_zeros(), "a guarded file reads as zeros");
        }).well());
}

TEST_CASE("guards come and go in some threads while others meet faults") {
  CHECK(in_child([] {
          std::atomic<bool> is_done{false};
          std::vector<std::thread> openers;
          for (int i = 0; i < 2; ++i) {
            openers.emplace_back([&] {
              const TempFile file(noise(3 * page(), 3));
              OpenOptions options = on(Backend::map);
              options.fault_guard = true;
              while (!is_done) static_cast<void>(ModelData::open(file.path(), options));
            });
          }
          std::vector<std::thread> readers;
          for (int i = 0; i < 2; ++i) {
            readers.emplace_back([] {
              for (int round = 0; round < 100; ++round) {
                const CutFile file(true);
                expect(file.reads_as_zeros(), "a guarded file reads as zeros");
              }
            });
          }
          for (std::thread& thread : readers) thread.join();
          is_done = true;
          for (std::thread& thread : openers) thread.join();
        }).well());
}

}  // namespace
}  // namespace ballast::test
