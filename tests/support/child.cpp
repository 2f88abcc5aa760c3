#include "tests/support/child.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <exception>
#include <system_error>

// Of a program whose coverage is measured: a process that ends early writes it itself.
extern "C" __attribute__((weak)) int __llvm_profile_write_file();  // NOLINT(*-reserved-identifier)

namespace ballast::test {
namespace {

constexpr int kFailed = 3;
constexpr unsigned kMostSeconds = 120;

[[noreturn]] void end(int status) {
  if (&__llvm_profile_write_file != nullptr) __llvm_profile_write_file();
  ::_exit(status);
}

}  // namespace

Ended in_child(const std::function<void()>& work) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child < 0) throw std::system_error(errno, std::system_category());
  if (child == 0) {
    ::alarm(kMostSeconds);  // it may outlive who waits for it, but not long
    try {
      work();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "in another process: %s\n", error.what());
      end(kFailed);
    }
    end(0);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) throw std::system_error(errno, std::system_category());
  }
  if (WIFSIGNALED(status)) return {true, WTERMSIG(status)};
  return {false, WEXITSTATUS(status)};
}

void expect(bool holds, const std::string& what) {
  if (holds) return;
  std::fprintf(stderr, "in another process it does not hold that %s\n", what.c_str());
  end(kFailed);
}

}  // namespace ballast::test
