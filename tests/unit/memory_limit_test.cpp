// The memory that a process can get: whichever of the machine, its control groups and its own
// limits leaves the least. The files of the kernel are made up, in a folder of their own.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include <catch2/catch_test_macros.hpp>

#include "platform/memory.hpp"
#include "platform/posix/memory_limit.hpp"
#include "tests/unit/storage.hpp"

namespace ballast::platform {
namespace {

using test::kMiB;
using test::LoweredLimit;
using test::TempDir;

std::string in_kib(std::uint64_t bytes) { return std::to_string(bytes / 1024) + " kB\n"; }

/// A machine with 1000 MiB that can be had, and a process that uses next to nothing.
class Machine {
 public:
  Machine() {
    meminfo(900 * kMiB, 100 * kMiB);
    file("proc/self/statm", "1 1 1 1 0 1 0\n");
    file("proc/sys/vm/overcommit_memory", "0\n");
  }

  const Machine& file(std::string_view name, std::string_view text) const {
    folder_.write_text(name, text);
    return *this;
  }
  const Machine& meminfo(std::uint64_t available, std::uint64_t swap) const {
    return file("proc/meminfo",
                "MemTotal:       " + in_kib(4000 * kMiB) + "MemFree:          " +
                    in_kib(10 * kMiB) + "MemAvailable:   " + in_kib(available) +
                    "SwapCached:            0 kB\nSwapTotal: " + in_kib(9000 * kMiB) +
                    "SwapFree: " + in_kib(swap) + "CommitLimit:  " + in_kib(700 * kMiB) +
                    "Committed_AS:  " + in_kib(300 * kMiB));
  }
  [[nodiscard]] std::uint64_t limit() const { return memory_limit_in(folder_.path().string()); }

 private:
  TempDir folder_;
};

constexpr std::string_view kGroups = "sys/fs/cgroup/";

std::string group_file(std::string_view group, std::string_view name) {
  return std::string(kGroups) + std::string(group) + std::string(name);
}

TEST_CASE("a machine without limits gives what is available, and its free swap") {
  CHECK(Machine().limit() == 1000 * kMiB);
  CHECK(Machine().meminfo(10 * kMiB, 0).limit() == 10 * kMiB);
}

TEST_CASE("a system that never overcommits gives what it has not promised yet") {
  const Machine machine;
  CHECK(machine.file("proc/sys/vm/overcommit_memory", "2\n").limit() == 400 * kMiB);
  CHECK(machine.file("proc/sys/vm/overcommit_memory", "1\n").limit() == 1000 * kMiB);
  machine.file("proc/sys/vm/overcommit_memory", "2\n");
  machine.file("proc/meminfo", "CommitLimit: 100 kB\nCommitted_AS: 200 kB\nMemAvailable: 9 kB\n");
  CHECK(machine.limit() == 0);
}

TEST_CASE("control groups of version 2 limit what is below them, by max and by high") {
  const Machine machine;
  machine.file("proc/self/cgroup", "0::/a.slice/b/c\n");
  machine.file(group_file("a.slice/", "memory.max"), std::to_string(800 * kMiB) + "\n");
  machine.file(group_file("a.slice/", "memory.current"), std::to_string(100 * kMiB) + "\n");
  CHECK(machine.limit() == 700 * kMiB);
  machine.file(group_file("a.slice/b/c/", "memory.max"), "max\n");
  machine.file(group_file("a.slice/b/c/", "memory.high"), std::to_string(300 * kMiB) + "\n");
  machine.file(group_file("a.slice/b/c/", "memory.current"), std::to_string(250 * kMiB) + "\n");
  CHECK(machine.limit() == 50 * kMiB);
  // The cache of files that nobody uses makes room.
  machine.file(group_file("a.slice/b/c/", "memory.stat"),
               "anon 1\nfile 2\ninactive_anon 3\nactive_file 9\ninactive_file " +
                   std::to_string(40 * kMiB) + "\n");
  CHECK(machine.limit() == 90 * kMiB);
  machine.file(group_file("a.slice/b/c/", "memory.stat"),
               "inactive_file " + std::to_string(1000 * kMiB) + "\n");
  CHECK(machine.limit() == 300 * kMiB);
  machine.file(group_file("", "memory.max"), std::to_string(20 * kMiB));
  CHECK(machine.limit() == 20 * kMiB);
  machine.file(group_file("", "memory.current"), std::to_string(21 * kMiB));
  CHECK(machine.limit() == 0);
}

TEST_CASE("control groups of version 1 limit likewise, and their root in a container") {
  const Machine machine;
  machine.file("proc/self/cgroup",
               "12:cpuset:/x\n5:cpu,memory,cpuacct:/docker/0123\n1:name=systemd:/x\n0::/x\n");
  machine.file(group_file("memory/", "memory.limit_in_bytes"), "9223372036854771712\n");
  machine.file(group_file("memory/docker/", "memory.limit_in_bytes"), std::to_string(500 * kMiB));
  machine.file(group_file("memory/docker/", "memory.usage_in_bytes"), std::to_string(200 * kMiB));
  machine.file(group_file("memory/docker/", "memory.stat"),
               "inactive_file 1\ntotal_inactive_file " + std::to_string(50 * kMiB) + "\n");
  CHECK(machine.limit() == 350 * kMiB);
  // Inside of a container the path is one of the host.
  machine.file(group_file("memory/", "memory.limit_in_bytes"), std::to_string(100 * kMiB));
  CHECK(machine.limit() == 100 * kMiB);
  // Another controller is none of memory.
  const Machine other;
  other.file("proc/self/cgroup", "3:memory_of_another_kind:/x\n");
  other.file(group_file("memory/x/", "memory.limit_in_bytes"), "1");
  CHECK(other.limit() == 1000 * kMiB);
}

TEST_CASE("files that are missing or malformed are no limit") {
  const TempDir empty;
  const std::uint64_t physical = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                                 static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  CHECK(memory_limit_in(empty.path().string()) ==
        std::min<std::uint64_t>(physical, std::numeric_limits<std::size_t>::max()));
  const std::string endless(200'000, '9');
  for (const std::string& text :
       {std::string(), std::string("\n\n"), std::string("max"), std::string("-1"), endless,
        std::string(1, '\0'), std::string("99999999999999999999999999 kB\n"), "0::/" + endless,
        std::string("::::\n:\n0:\n0::\n0::/../../..\n"), std::string("MemAvailable:\nSwapFree:"),
        std::string("\xFF\xFE")}) {
    CAPTURE(text.size(), text.substr(0, 20));
    const Machine machine;
    machine.file("proc/self/cgroup", text);
    machine.file(group_file("", "memory.max"), text);
    machine.file(group_file("", "memory.current"), text);
    machine.file(group_file("", "memory.stat"), text);
    machine.file("proc/self/statm", text);
    machine.file("proc/sys/vm/overcommit_memory", text);
    CHECK(machine.limit() == 1000 * kMiB);
    machine.file("proc/meminfo", text);
    CHECK(machine.limit() ==
          std::min<std::uint64_t>(physical, std::numeric_limits<std::size_t>::max()));
  }
  const Machine machine;
  machine.file("proc/self/cgroup", "0::/../x/./..//y\n");
  machine.file(group_file("x/y/", "memory.max"), "4096");
  CHECK(machine.limit() == 4096);
}

TEST_CASE("a number with kilobytes that do not fit is as much as fits") {
  const Machine machine;
  machine.file("proc/meminfo", "MemAvailable: 18446744073709551615 kB\nSwapFree: 5 kB\n");
  CHECK(machine.limit() > 1000 * kMiB);
}

TEST_CASE("the limits of the process leave what it does not use yet") {
  if (test::kSanitizer) SKIP("the sanitizer takes more address space than any limit");
  const Machine machine;
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const std::uint64_t used = 100 * kMiB;
  machine.file("proc/self/statm", std::to_string(used / page) + " 2 3 4 0 " +
                                      std::to_string(used / 2 / page) + " 0\n");
  rlimit address_space{};
  rlimit data{};
  REQUIRE(::getrlimit(RLIMIT_AS, &address_space) == 0);
  REQUIRE(::getrlimit(RLIMIT_DATA, &data) == 0);
  if (address_space.rlim_cur != RLIM_INFINITY || data.rlim_cur != RLIM_INFINITY)
    SKIP("there are limits already");
  test::require_proc();
  const std::uint64_t own = test::process_status("VmSize") * 1024;
  const std::uint64_t most = std::max<std::uint64_t>(own + 100 * kMiB, 800 * kMiB);
  machine.meminfo(most, 0);
  {
    const LoweredLimit limit(RLIMIT_AS, most);
    CHECK(machine.limit() == most - used);
  }
  {
    const LoweredLimit limit(RLIMIT_DATA, most);
    CHECK(machine.limit() == most - used / 2);
  }
  CHECK(machine.limit() == most);
}

TEST_CASE("the memory limit of this process is one that an allocation can meet") {
  test::require_proc();
  const std::size_t limit = memory_limit();
  CHECK(limit > 0);
  CHECK(limit < static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                        static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) +
                    (std::uint64_t{1} << 50));
  if (test::kSanitizer) return;
  constexpr std::uint64_t kLeft = 200 * kMiB;
  if (limit < 4 * kLeft) SKIP("there is too little memory");
  const LoweredLimit lowered(RLIMIT_AS, test::process_status("VmSize") * 1024 + kLeft);
  const std::size_t now = memory_limit();
  CHECK(now <= kLeft);
  CHECK(now > kLeft / 2);
  const PlacedBytes bytes(now - 8 * kMiB, PlacingAllocator<std::byte>(0));
  CHECK(memory_limit() < now - 100 * kMiB);
}

}  // namespace
}  // namespace ballast::platform
