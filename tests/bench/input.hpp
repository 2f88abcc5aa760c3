// Files as the peers of decompression read them: pread(2), 1 MiB at once, or all of it.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "tests/bench/codec_peers.hpp"

namespace ballast::bench {

class InputFile {
 public:
  explicit InputFile(const char* path) : descriptor_(open(path, O_RDONLY | O_CLOEXEC)) {
    struct stat status{};
    require(descriptor_ >= 0 && fstat(descriptor_, &status) == 0, path);
    size_ = static_cast<std::size_t>(status.st_size);
  }
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  ~InputFile() { close(descriptor_); }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }

  /// The next bytes; nothing at the end.
  std::span<const std::byte> read(std::span<std::byte> into) {
    const ssize_t got = pread(descriptor_, into.data(), into.size(), static_cast<off_t>(position_));
    require(got >= 0, "pread");
    position_ += static_cast<std::size_t>(got);
    return into.first(static_cast<std::size_t>(got));
  }

 private:
  int descriptor_;
  std::size_t size_ = 0;
  std::size_t position_ = 0;
};

inline std::vector<std::byte> content_of(const char* path) {
  InputFile file(path);
  std::vector<std::byte> bytes(file.size());
  for (std::size_t done = 0; done < bytes.size();) {
    const std::size_t got = file.read(std::span(bytes).subspan(done)).size();
    require(got > 0, "the file became shorter");
    done += got;
  }
  return bytes;
}

}  // namespace ballast::bench
