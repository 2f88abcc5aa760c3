#include "platform/posix/memory_limit.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include "platform/cancellation.hpp"
#include "platform/file.hpp"
#include "platform/memory.hpp"

namespace ballast::platform {
namespace {

constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();

std::uint64_t product(std::uint64_t a, std::uint64_t b) noexcept {
  return b != 0 && a > kUnlimited / b ? kUnlimited : a * b;
}

std::uint64_t difference(std::uint64_t a, std::uint64_t b) noexcept { return a - std::min(a, b); }

std::uint64_t system_number(int name) noexcept {
  return static_cast<std::uint64_t>(std::max(::sysconf(name), 0L));
}

/// The beginning of a file that the kernel writes. Those that are read here have a few KiB; longer
/// ones are cut after a whole line.
class KernelFile {
 public:
  explicit KernelFile(const std::string& path) {
    try {
      const File file = File::open(path);
      size_ = file.read_at(0, std::as_writable_bytes(std::span(text_)));
    } catch (const std::system_error&) {
      return;
    }
    if (size_ == text_.size()) size_ = text().rfind('\n') + 1;  // npos + 1 is 0
  }

  [[nodiscard]] std::string_view text() const noexcept { return {text_.data(), size_}; }

 private:
  std::array<char, std::size_t{16} << 10> text_{};
  std::size_t size_ = 0;
};

/// Takes the first line off a text.
std::string_view next_line(std::string_view& text) noexcept {
  const std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(line.size() + 1, text.size()));
  return line;
}

/// The number that a text begins with, behind spaces; nothing for "max", or for what does not fit.
std::optional<std::uint64_t> number(std::string_view text) noexcept {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  std::uint64_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc()) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> number_in(const std::string& path) {
  return number(KernelFile(path).text());
}

/// The number on the line that begins with a name.
std::optional<std::uint64_t> number_behind(std::string_view name, std::string_view text) noexcept {
  while (!text.empty()) {
    const std::string_view line = next_line(text);
    if (line.starts_with(name)) return number(line.substr(name.size()));
  }
  return std::nullopt;
}

// ---- The process (proc_pid_statm(5), getrlimit(2)) ----------------------------------------------

struct Usage {
  std::uint64_t address_space = 0;
  std::uint64_t data = 0;  // private and writable
};

Usage usage(const std::string& root) {
  const KernelFile file(root + "/proc/self/statm");
  const std::uint64_t page = system_number(_SC_PAGESIZE);
  std::array<std::uint64_t, 6> pages{};
  std::string_view rest = file.text();
  for (std::uint64_t& field : pages) {
    field = number(rest).value_or(0);
    rest.remove_prefix(std::min(rest.find(' '), rest.size()));
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  }
  return {product(pages[0], page), product(pages[5], page)};
}

template <class Resource>
std::uint64_t left_of_resource(Resource resource, std::uint64_t used) noexcept {
  rlimit limit{};
  if (::getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return kUnlimited;
  return difference(limit.rlim_cur, used);
}

std::uint64_t left_of_process(const std::string& root) {
  const Usage used = usage(root);
  const std::uint64_t addresses = std::numeric_limits<std::uintptr_t>::max();
  return std::min({left_of_resource(RLIMIT_AS, used.address_space),
                   left_of_resource(RLIMIT_DATA, used.data),
                   difference(addresses, used.address_space)});
}

// ---- The machine (proc_meminfo(5), proc_sys_vm(5)) ----------------------------------------------

std::uint64_t physical_memory() noexcept {
  const std::uint64_t size = product(system_number(_SC_PHYS_PAGES), system_number(_SC_PAGESIZE));
  return size == 0 ? kUnlimited : size;
}

std::uint64_t left_of_machine(const std::string& root) {
  const KernelFile file(root + "/proc/meminfo");
  const auto bytes = [&file](std::string_view name) {
    const auto kibibytes = number_behind(name, file.text());
    return kibibytes ? std::optional(product(*kibibytes, 1024)) : std::nullopt;
  };
  std::uint64_t left = physical_memory();
  if (const auto available = bytes("MemAvailable:")) {
    const std::uint64_t swap = bytes("SwapFree:").value_or(0);
    left = *available + std::min(swap, kUnlimited - *available);
  }
  constexpr std::uint64_t kNeverOvercommits = 2;
  if (number_in(root + "/proc/sys/vm/overcommit_memory") == kNeverOvercommits) {
    const auto limit = bytes("CommitLimit:");
    const auto committed = bytes("Committed_AS:");
    if (limit && committed) left = std::min(left, difference(*limit, *committed));
  }
  return left;
}

// ---- Control groups (cgroups(7)) ----------------------------------------------------------------

/// The names that a version of the interface has for its files. `high` may be nothing.
struct GroupFiles {
  std::string_view folder;  // where the hierarchy is mounted
  std::string_view max;
  std::string_view high;
  std::string_view current;
  std::string_view inactive;  // file cache that goes before anything else does, in memory.stat
};

constexpr GroupFiles kVersion1{"/sys/fs/cgroup/memory", "/memory.limit_in_bytes", "",
                               "/memory.usage_in_bytes", "total_inactive_file "};
constexpr GroupFiles kVersion2{"/sys/fs/cgroup", "/memory.max", "/memory.high", "/memory.current",
                               "inactive_file "};

std::uint64_t left_of_group(const std::string& group, const GroupFiles& files) {
  const auto in = [&group](std::string_view name) { return group + std::string(name); };
  std::uint64_t limit = number_in(in(files.max)).value_or(kUnlimited);
  if (!files.high.empty()) limit = std::min(limit, number_in(in(files.high)).value_or(kUnlimited));
  if (limit == kUnlimited) return kUnlimited;
  const std::uint64_t current = number_in(in(files.current)).value_or(0);
  const KernelFile stat(in("/memory.stat"));
  return difference(limit,
                    difference(current, number_behind(files.inactive, stat.text()).value_or(0)));
}

/// The least of all groups from the root to the process's own: each limits everything below it. In
/// a container the path may be one of the host, where only the root is there.
std::uint64_t left_of_hierarchy(const std::string& root, std::string_view path,
                                const GroupFiles& files) {
  std::string group = root + std::string(files.folder);
  std::uint64_t left = left_of_group(group, files);
  while (!path.empty()) {
    const std::string_view name = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(name.size() + 1, path.size()));
    if (name.empty() || name == "." || name == "..") continue;
    group.append("/").append(name);
    left = std::min(left, left_of_group(group, files));
  }
  return left;
}

/// Whether a list of names, with a comma between them, has that one.
bool has_name(std::string_view list, std::string_view name) noexcept {
  while (!list.empty()) {
    const std::string_view first = list.substr(0, list.find(','));
    if (first == name) return true;
    list.remove_prefix(std::min(first.size() + 1, list.size()));
  }
  return false;
}

std::uint64_t left_of_groups(const std::string& root) {
  std::uint64_t left = kUnlimited;
  const KernelFile file(root + "/proc/self/cgroup");
  for (std::string_view text = file.text(); !text.empty();) {
    const std::string_view line = next_line(text);  // NUMBER:CONTROLLERS:PATH
    const std::size_t first = std::min(line.find(':'), line.size());
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    const std::string_view path = line.substr(second + 1);
    if (controllers.empty()) {
      left = std::min(left, left_of_hierarchy(root, path, kVersion2));
    } else if (has_name(controllers, "memory")) {
      left = std::min(left, left_of_hierarchy(root, path, kVersion1));
    }
  }
  return left;
}

}  // namespace

std::size_t memory_limit_in(const std::string& root) {
  const std::uint64_t left =
      std::min({left_of_process(root), left_of_machine(root), left_of_groups(root)});
  return static_cast<std::size_t>(
      std::min<std::uint64_t>(left, std::numeric_limits<std::size_t>::max()));
}

std::size_t memory_limit() {
  const CancellationOff off;
  return memory_limit_in({});
}

}  // namespace ballast::platform
