// Several copies of the library in one process, handlers that install themselves again and again,
// and copies that are unloaded. Each test has a process of its own: handlers belong to a process.
#include <dlfcn.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "tests/support/child.hpp"
#include "tests/unit/guard_module.hpp"
#include "tests/unit/storage.hpp"

namespace ballast::test {
namespace {

namespace fs = std::filesystem;

constexpr int kRounds = 50;

std::size_t page() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

std::byte touch(const std::byte* at) { return *static_cast<const volatile std::byte*>(at); }

/// The module, loaded from a file of its own: the loader takes it for another library.
class Copy {
 public:
  explicit Copy(const std::string& name) : file_(folder_.path() / name) {
    fs::copy_file(BALLAST_TEST_GUARD_MODULE, file_);
    load();
  }

  void load() {
    library_ = ::dlopen(file_.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library_ == nullptr) expect(false, ::dlerror());
    open_ = reinterpret_cast<decltype(open_)>(::dlsym(library_, "ballast_test_guard"));
  }
  void unload() { expect(::dlclose(library_) == 0, "the module is unloaded"); }

  [[nodiscard]] std::unique_ptr<Guarded> open(const fs::path& path) const {
    std::unique_ptr<Guarded> guarded(open_(path.c_str()));
    expect(guarded != nullptr, "the file is guarded");
    return guarded;
  }

 private:
  TempDir folder_;
  fs::path file_;
  void* library_ = nullptr;
  Guarded* (*open_)(const char*) = nullptr;
};

/// A file of two pages.
class TwoPages {
 public:
  TwoPages() : file_(noise(2 * page(), 1)) {}
  [[nodiscard]] const fs::path& path() const { return file_.path(); }
  void cut() const { fs::resize_file(file_.path(), 0); }

 private:
  TempFile file_;
};

/// Mapped without a guard, and cut: to touch it is a fault that no guard mends.
const std::byte* unguarded() {
  static const TwoPages file;
  static const ModelData data = ModelData::open(file.path(), on(Backend::map));
  file.cut();
  return data.bytes().data();
}

bool reads_as_zeros(const Guarded& guarded) {
  return touch(guarded.begin() + page()) == std::byte{0} && guarded.has_faulted();
}

// ---- Handlers of the program --------------------------------------------------------------------

sigjmp_buf back;
volatile sig_atomic_t calls = 0;

void leap(int, siginfo_t*, void*) {
  calls = calls + 1;
  siglongjmp(back, 1);
}

bool leaps(const std::byte* at) {
  if (sigsetjmp(back, 1) != 0) return true;
  touch(at);
  return false;
}

struct sigaction under{};

/// As crash reporters do: counts, and passes on to what it found when it was installed.
void report(int signal, siginfo_t* info, void* context) {
  calls = calls + 1;
  if (calls > 1000) ::_exit(9);
  if ((under.sa_flags & SA_SIGINFO) != 0) return under.sa_sigaction(signal, info, context);
  ::sigaction(signal, &under, nullptr);
}

void install(void (*handler)(int, siginfo_t*, void*), struct sigaction* before = nullptr) {
  struct sigaction own{};
  own.sa_sigaction = handler;
  own.sa_flags = SA_SIGINFO;
  ::sigemptyset(&own.sa_mask);
  ::sigaction(SIGBUS, &own, before);
}

/// A sanitizer reports what ends a process, and exits; then there is no signal to be seen.
bool by_bus_error(const Ended& ended) {
  return ended.by_signal ? ended.number == SIGBUS
                         : ended.number != 0 && ended.number != 3 && ended.number != 9;
}

void be_quiet() {
  if (std::freopen("/dev/null", "w", stderr) == nullptr) ::_exit(9);
}

// ---- Copies -------------------------------------------------------------------------------------

TEST_CASE("two copies of the library guard in turn, without end") {
  CHECK(in_child([] {
          const Copy one("one.so");
          const Copy two("two.so");
          const TwoPages file;
          std::unique_ptr<Guarded> first;
          std::unique_ptr<Guarded> second;
          for (int round = 0; round < kRounds; ++round) {
            first = one.open(file.path());
            second = two.open(file.path());
          }
          file.cut();
          expect(reads_as_zeros(*first) && reads_as_zeros(*second), "both read as zeros");
        }).well());
}

TEST_CASE("copies that guard in turn pass on to the handler of the program, once") {
  CHECK(in_child([] {
          install(leap);
          const Copy one("one.so");
          const Copy two("two.so");
          const Copy three("three.so");
          const TwoPages file;
          for (int round = 0; round < kRounds; ++round) {
            for (const Copy* copy : {&one, &two, &three}) {
              static_cast<void>(copy->open(file.path()));
            }
          }
          // More often than there are signals of which a guard can remember that they go in a
          // circle.
          for (int round = 1; round <= 3 * kRounds; ++round) {
            expect(leaps(unguarded()) && calls == round, "the program's handler is called once");
          }
        }).well());
}

TEST_CASE("copies that guard in turn let a fault of others end the process") {
  CHECK(by_bus_error(in_child([] {
    be_quiet();
    const Copy one("one.so");
    const Copy two("two.so");
    const TwoPages file;
    for (int round = 0; round < kRounds; ++round) {
      static_cast<void>(one.open(file.path()));
      static_cast<void>(two.open(file.path()));
    }
    touch(unguarded());
  })));
}

TEST_CASE("copies that guard in turn let SIGBUS pass where one is sent and it was ignored") {
  CHECK(in_child([] {
          struct sigaction ignore{};
          ignore.sa_handler = SIG_IGN;
          ::sigaction(SIGBUS, &ignore, nullptr);
          const Copy one("one.so");
          const Copy two("two.so");
          const TwoPages file;
          for (int round = 0; round < kRounds; ++round) {
            static_cast<void>(one.open(file.path()));
            static_cast<void>(two.open(file.path()));
          }
          ::raise(SIGBUS);
        }).well());
}

// ---- Handlers that install themselves again -----------------------------------------------------

TEST_CASE("a handler that installs itself again and again uses nothing up") {
  CHECK(in_child([] {
          for (int round = 0; round < kRounds; ++round) {
            install(leap);
            const TwoPages file;
            const ModelData data = ModelData::open(file.path(), [] {
              OpenOptions options = on(Backend::map);
              options.fault_guard = true;
              return options;
            }());
            file.cut();
            expect(touch(data.bytes().data()) == std::byte{0} && data.damaged(), "zeros");
          }
          expect(leaps(unguarded()) && calls == 1, "it is called");
        }).well());
}

TEST_CASE("a handler that installs itself over the guard and passes on to it makes no circle") {
  CHECK(by_bus_error(in_child([] {
    be_quiet();
    const Copy one("one.so");
    const TwoPages file;
    std::unique_ptr<Guarded> guarded = one.open(file.path());
    for (int round = 0; round < kRounds; ++round) {
      install(report, &under);
      guarded = one.open(file.path());
    }
    file.cut();
    expect(reads_as_zeros(*guarded), "a guarded file reads as zeros");
    expect(calls == 0, "and the handler hears nothing of it");
    touch(unguarded());
  })));
}

TEST_CASE("below a handler that installs itself over the guard the one before is reached") {
  CHECK(in_child([] {
          install(leap);
          const Copy one("one.so");
          const TwoPages file;
          std::unique_ptr<Guarded> guarded = one.open(file.path());
          for (int round = 0; round < kRounds; ++round) {
            install(report, &under);
            guarded = one.open(file.path());
          }
          expect(leaps(unguarded()), "it is called");
          expect(calls == 2, "each is called once: " + std::to_string(calls));
        }).well());
}

// ---- Copies that are unloaded -------------------------------------------------------------------

TEST_CASE("a copy that is unloaded leaves a handler that can be called") {
  CHECK(by_bus_error(in_child([] {
    be_quiet();
    Copy one("one.so");
    const TwoPages file;
    static_cast<void>(one.open(file.path()));
    one.unload();
    touch(unguarded());
  })));
}

TEST_CASE("a copy that is unloaded passes on to the handler before it") {
  CHECK(in_child([] {
          install(leap);
          Copy one("one.so");
          const TwoPages file;
          static_cast<void>(one.open(file.path()));
          one.unload();
          expect(leaps(unguarded()) && calls == 1, "the program's handler is called");
        }).well());
}

TEST_CASE("a copy guards while others below and above it are unloaded") {
  CHECK(in_child([] {
          install(leap);
          Copy below("below.so");
          const Copy one("one.so");
          Copy above("above.so");
          const TwoPages file;
          static_cast<void>(below.open(file.path()));
          const std::unique_ptr<Guarded> guarded = one.open(file.path());
          static_cast<void>(above.open(file.path()));
          below.unload();
          above.unload();
          file.cut();
          expect(reads_as_zeros(*guarded), "a guarded file reads as zeros");
          expect(leaps(unguarded()) && calls == 1, "the program's handler is called");
        }).well());
}

TEST_CASE("a copy that is loaded and unloaded again and again guards each time") {
  CHECK(in_child([] {
          Copy one("one.so");
          for (int round = 0; round < kRounds; ++round) {
            if (round > 0) one.load();
            const TwoPages file;
            std::unique_ptr<Guarded> guarded = one.open(file.path());
            file.cut();
            expect(reads_as_zeros(*guarded), "a guarded file reads as zeros");
            guarded.reset();
            one.unload();
          }
        }).well());
}

TEST_CASE("a copy without a guard is unloaded as any library") {
  CHECK(in_child([] {
          Copy one("one.so");
          one.unload();
          std::FILE* const maps = std::fopen("/proc/self/maps", "r");
          if (maps == nullptr) return;
          char line[512];
          while (std::fgets(line, sizeof line, maps) != nullptr) {
            expect(std::string_view(line).find("one.so") == std::string_view::npos, "it has gone");
          }
        }).well());
}

// ---- Processes that are forked ------------------------------------------------------------------

TEST_CASE("a process that is forked while other threads guard can guard, too") {
  CHECK(in_child([] {
          const Copy one("one.so");
          const TwoPages file;
          std::atomic<bool> is_done{false};
          std::vector<std::thread> threads;
          for (int i = 0; i < 3; ++i) {
            threads.emplace_back([&] {
              while (!is_done) static_cast<void>(one.open(file.path()));
            });
          }
          bool well = true;
          for (int round = 0; round < 300; ++round) {
            const pid_t child = ::fork();
            if (child == 0) {
              ::alarm(20);  // ends a process that waits for a lock that nobody will open
              static_cast<void>(one.open(file.path()));
              ::_exit(0);
            }
            int status = 0;
            ::waitpid(child, &status, 0);
            well = well && status == 0;
          }
          is_done = true;
          for (std::thread& thread : threads) thread.join();
          expect(well, "each of them has guarded its file");
        }).well());
}

}  // namespace
}  // namespace ballast::test
