// File: an open file that is only read, and what the system knows about it.
//
// This folder knows the operating system and nothing of the project. Everything in it that can fail
// throws std::system_error with the system's own reason; the caller adds what it was about.
//
// Threads: all const functions may be called from any number of threads at the same time, but
// read_some() moves a position that all of them share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace ballast::platform {

enum class FileKind : std::uint8_t {
  regular,
  directory,
  other,  ///< a pipe, a socket, a device
};

/// Which file it is, and in which state: equal as long as nobody replaced it or wrote to it.
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;  ///< bytes; 0 for whatever is not regular, and for many files of /proc
  std::int64_t modified_s =
      0;  ///< seconds since the epoch, and nanoseconds within the second; file
  std::int64_t modified_ns = 0;  ///< systems may count more coarsely

  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

struct FileStatus {
  FileKind kind = FileKind::other;
  FileIdentity identity;
};

/// The status of the file that a path leads to now, through symbolic links.
[[nodiscard]] FileStatus status_of(const std::filesystem::path& path);

/// An open file. Move-only; a moved-from File is closed. Descriptors do not survive exec
/// (O_CLOEXEC).
class File {
 public:
  /// Opens for reading. A FIFO that nobody writes to blocks until somebody does, as it does for
  /// every program (fifo(7)). A directory can be opened, and its status() says so.
  [[nodiscard]] static File open(const std::filesystem::path& path);
  /// A second descriptor of the same open file; the first one stays the caller's.
  [[nodiscard]] static File duplicate(int descriptor);

  File() noexcept = default;
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  ~File();

  [[nodiscard]] bool is_open() const noexcept { return descriptor_ != kClosed; }
  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }
  [[nodiscard]] FileStatus status() const;
  /// Whether read_at() works: false for pipes, sockets and terminals.
  [[nodiscard]] bool is_seekable() const noexcept;

  /// Reads from a position until `into` is full or the file ends, and answers how many bytes that
  /// were. The file's own position is neither used nor moved.
  [[nodiscard]] std::size_t read_at(std::uint64_t offset, std::span<std::byte> into) const;
  /// Reads what comes next, waiting for at least one byte, and answers how many came: 0 at the end.
  /// Also waits where the descriptor was set not to (O_NONBLOCK), as descriptors inherited from an
  /// event loop are.
  [[nodiscard]] std::size_t read_some(std::span<std::byte> into) const;

  /// Asks the system to forget its cached pages that lie wholly inside a range; the last page of
  /// the file counts as whole. Pages that are mapped anywhere, or not written back yet, stay:
  /// release mappings first. Answers 0, an errno, or kUnsupported.
  [[nodiscard]] int drop_cache(std::uint64_t offset, std::uint64_t length) const noexcept;

 private:
  static constexpr int kClosed = -1;
  explicit File(int descriptor) noexcept : descriptor_(descriptor) {}

  int descriptor_ = kClosed;
};

/// What advice answers where the system knows no such thing: nothing was done. No errno is negative
/// (errno(3)).
inline constexpr int kUnsupported = -1;

}  // namespace ballast::platform
