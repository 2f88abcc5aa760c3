// A file that lies in memory, for what wants a descriptor.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>

#ifndef __linux__  // where there is none of memory
#include <cstdio>
#endif

#include "tests/fuzz/require.hpp"

namespace ballast::test {

class MemoryFile {
 public:
  explicit MemoryFile(std::span<const std::byte> bytes) : descriptor_(make()) {
    require(descriptor_ >= 0, "a file can be made");
    for (std::size_t at = 0; at < bytes.size();) {
      const auto rest = bytes.subspan(at);
      const ::ssize_t count =
          ::pwrite(descriptor_, rest.data(), rest.size(), static_cast<::off_t>(at));
      require(count > 0, "a file can be written");
      at += static_cast<std::size_t>(count);
    }
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { ::close(descriptor_); }

  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }

 private:
  static int make() {
#ifdef __linux__  // as above
    return ::memfd_create("fuzz", MFD_CLOEXEC);
#else
    std::FILE* const file = std::tmpfile();
    const int descriptor = file == nullptr ? -1 : ::dup(::fileno(file));
    if (file != nullptr) std::fclose(file);
    return descriptor;
#endif
  }

  int descriptor_;
};

}  // namespace ballast::test
