// Output: where a command writes: one buffer in front of standard output or of a file.
//
// Every failure to write is reported, also the one that only shows when the file is closed; nothing
// is written twice, and a destructor writes nothing, so that a command that failed leaves no trace
// of what it had prepared.
#pragma once

#include <cstddef>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace ballast::cli {

/// The reader of a pipe went away: it has what it wanted, and there is nothing to report.
struct BrokenPipe {};

class Output {
 public:
  /// Standard output.
  Output();
  /// A new file, or an old one emptied. Throws Error.
  explicit Output(const std::string& path);
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  void write(std::string_view text) {
    buffer_.append(text.data(), text.data() + text.size());
    if (buffer_.size() >= kFlushAt) flush();
  }
  void write(char character) {
    buffer_.push_back(character);
    if (buffer_.size() >= kFlushAt) flush();
  }
  template <class... Args>
  void print(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(fmt::appender(buffer_), format, std::forward<Args>(args)...);
    if (buffer_.size() >= kFlushAt) flush();
  }

  /// Writes bytes from where they are, without a copy. Throws Error, or BrokenPipe.
  void write_through(std::span<const std::byte> bytes);
  /// Hands everything to the system. Throws Error, or BrokenPipe.
  void flush();
  /// Flushes and closes; nothing may be written any more. Throws Error, or BrokenPipe.
  void close();

 private:
  static constexpr std::size_t kFlushAt = std::size_t{64} << 10;

  void write_all(const char* data, std::size_t size);
  [[noreturn]] void fail(int error) const;

  std::FILE* file_;
  std::string name_;  // of the file, in errors
  fmt::memory_buffer buffer_;
};

}  // namespace ballast::cli
