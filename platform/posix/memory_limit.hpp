// (private) Where the limits of memory are read from.
#pragma once

#include <cstddef>
#include <string>

namespace ballast::platform {

/// platform::memory_limit() of a system whose /proc and /sys/fs/cgroup lie in the folder `root`,
/// for tests; "" is the system's own. Files that are missing or malformed set no limit.
[[nodiscard]] std::size_t memory_limit_in(const std::string& root);

}  // namespace ballast::platform
