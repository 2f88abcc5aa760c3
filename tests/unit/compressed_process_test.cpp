// Compressed models in processes with locked memory or few system calls.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <filesystem>
#include <functional>

#include <catch2/catch_test_macros.hpp>

#include "tests/support/child.hpp"
#include "tests/unit/compressed.hpp"

namespace ballast::test {
namespace {

constexpr int kForbidden = 77;
constexpr unsigned kMostSeconds = 20;  // ends a child that hangs

/// Large enough to be decoded as a whole file.
const Bytes& plain() {
  static const Bytes kPlain =
      GgufBuilder()
          .entry("general.architecture", "llama")
          .tensor({.name = "w", .dims = {1'000'000}, .data = noise(4'000'000, 1)})
          .build()
          .bytes();
  return kPlain;
}

void lock_memory() {
  if (::mlockall(MCL_FUTURE) != 0) ::_exit(kForbidden);
}

/// Installs a filter that kills the process for one system call.
void forbid(long call) {
  std::array filter{
      sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(call), 0, 1),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const sock_fprog program{.len = filter.size(), .filter = filter.data()};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    ::_exit(kForbidden);
  }
}

void check_in_child(const std::function<void()>& prepare, const std::function<void()>& work) {
  const Ended ended = in_child([&] {
    ::alarm(kMostSeconds);
    prepare();
    work();
  });
  if (!ended.by_signal && ended.number == kForbidden) SKIP("the system does not allow that here");
  CAPTURE(ended.by_signal, ended.number);
  CHECK(ended.well());
}

void expect_opens(const std::filesystem::path& path) {
  expect(is_same(ModelData::open(path), plain()), "the model is opened");
}

void expect_cancels(const std::filesystem::path& path) {
  int asked = 0;
  OpenOptions options;
  options.cancelled = [&] { return ++asked > 3; };
  try {
    static_cast<void>(ModelData::open(path, options));
  } catch (const Error& error) {
    expect(error.code() == Errc::cancelled, "the load is cancelled");
    return;
  }
  expect(false, "the load ends with an error");
}

TEST_CASE("a gzip model opens, and can be cancelled, in a process whose memory is locked") {
  const TempFile file(gzip_member(plain(), {.level = 1}));
  check_in_child(lock_memory, [&] { expect_opens(file.path()); });
  check_in_child(lock_memory, [&] { expect_cancels(file.path()); });
}

TEST_CASE("a gzip model opens in a process that may not call userfaultfd") {
  const TempFile file(gzip_member(plain(), {.level = 1}));
  check_in_child([] { forbid(SYS_userfaultfd); }, [&] { expect_opens(file.path()); });
}

}  // namespace
}  // namespace ballast::test
