#include "platform/file.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <system_error>
#include <utility>

#include "platform/cancellation.hpp"

namespace ballast::platform {
namespace {

static_assert(sizeof(off_t) == 8, "files over 2 GiB: compile with -D_FILE_OFFSET_BITS=64");

// read(2): Linux transfers at most 2,147,479,552 bytes in one call, and macOS refuses 2 GiB and
// more.
constexpr std::size_t kMaxTransfer = std::size_t{1} << 30;

[[noreturn]] void throw_errno() {
  const int error = errno;  // memory for the exception is taken first, and may set another
  throw std::system_error(error, std::system_category());
}

/// Repeats a call until no signal interrupts it; an error is thrown.
template <class Call>
auto check(Call call) {
  const CancellationOff off;
  for (;;) {
    const auto result = call();
    if (result != -1) return result;
    if (errno != EINTR) throw_errno();
  }
}

const struct timespec& modified(const struct stat& status) noexcept {
#ifdef __APPLE__
  return status.st_mtimespec;
#else
  return status.st_mtim;
#endif
}

FileKind kind_of(const struct stat& status) noexcept {
  if (S_ISREG(status.st_mode)) return FileKind::regular;
  return S_ISDIR(status.st_mode) ? FileKind::directory : FileKind::other;
}

FileStatus translate(const struct stat& status) noexcept {
  const FileKind kind = kind_of(status);
  const bool sized = kind == FileKind::regular && status.st_size > 0;
  return {kind,
          {.device = static_cast<std::uint64_t>(status.st_dev),
           .inode = static_cast<std::uint64_t>(status.st_ino),
           .size = sized ? static_cast<std::uint64_t>(status.st_size) : 0,
           .modified_s = modified(status).tv_sec,
           .modified_ns = modified(status).tv_nsec}};
}

/// Waits until there is something to read on a descriptor that was set not to wait.
void wait_readable(int descriptor) {
  pollfd waiting{.fd = descriptor, .events = POLLIN, .revents = 0};
  check([&] { return ::poll(&waiting, 1, -1); });
}

}  // namespace

FileStatus status_of(const std::filesystem::path& path) {
  struct stat status;
  check([&] { return ::stat(path.c_str(), &status); });
  return translate(status);
}

File File::open(const std::filesystem::path& path) {
  return File(check([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); }));
}

File File::duplicate(int descriptor) {
  return File(check([&] { return ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0); }));
}

File::File(File&& other) noexcept : descriptor_(std::exchange(other.descriptor_, kClosed)) {}

File& File::operator=(File&& other) noexcept {
  File taken(std::move(other));
  std::swap(descriptor_, taken.descriptor_);
  return *this;
}

File::~File() {
  // Never repeated on EINTR: Linux has closed it by then, and the number may be somebody else's
  // (close(2)).
  if (!is_open()) return;
  const CancellationOff off;
  ::close(descriptor_);
}

FileStatus File::status() const {
  struct stat status;
  check([&] { return ::fstat(descriptor_, &status); });
  return translate(status);
}

bool File::is_seekable() const noexcept { return ::lseek(descriptor_, 0, SEEK_CUR) != -1; }

std::size_t File::read_at(std::uint64_t offset, std::span<std::byte> into) const {
  constexpr auto kMaxOffset = static_cast<std::uint64_t>(std::numeric_limits<off_t>::max());
  const std::uint64_t room = kMaxOffset - std::min(offset, kMaxOffset);  // no file has more
  const std::size_t size = static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), room));
  std::size_t done = 0;
  while (done < size) {
    const auto position = static_cast<off_t>(offset + done);
    const std::size_t want = std::min(size - done, kMaxTransfer);
    const ssize_t got = check([&] { return ::pread(descriptor_, &into[done], want, position); });
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

std::size_t File::read_some(std::span<std::byte> into) const {
  const CancellationOff off;
  const std::size_t want = std::min(into.size(), kMaxTransfer);
  for (;;) {
    const ssize_t got = ::read(descriptor_, into.data(), want);
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      wait_readable(descriptor_);
    } else if (errno != EINTR) {
      throw_errno();
    }
  }
}

int File::drop_cache(std::uint64_t offset, std::uint64_t length) const noexcept {
  if (length == 0) return 0;  // which posix_fadvise(2) would take for "to the end"
#ifdef POSIX_FADV_DONTNEED
  return ::posix_fadvise(descriptor_, static_cast<off_t>(offset), static_cast<off_t>(length),
                         POSIX_FADV_DONTNEED);
#else
  static_cast<void>(offset);
  return kUnsupported;
#endif
}

}  // namespace ballast::platform
