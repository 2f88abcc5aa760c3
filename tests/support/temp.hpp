// Files for tests that go away by themselves.
#pragma once

#include <concepts>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "tests/support/sample.hpp"

namespace ballast::test {

/// A fresh, empty folder, removed with all that is in it.
class TempDir {
 public:
  TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir();

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  [[nodiscard]] std::filesystem::path operator/(std::string_view name) const {
    return path_ / name;
  }

  /// Writes a file into the folder, making folders of its own where `name` has any.
  std::filesystem::path write(std::string_view name, std::span<const std::byte> bytes) const;
  template <std::same_as<Sample> T>
  std::filesystem::path write(std::string_view name, const T& sample) const {
    return write(name, std::span<const std::byte>(sample.bytes()));
  }
  std::filesystem::path write_text(std::string_view name, std::string_view text) const;

 private:
  std::filesystem::path path_;
};

/// A file of its own, removed at the end.
class TempFile {
 public:
  explicit TempFile(std::span<const std::byte> bytes, std::string_view name = "model")
      : path_(folder_.write(name, bytes)) {}

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  TempDir folder_;
  std::filesystem::path path_;
};

/// Writes a file of exactly these bytes; an exception where it cannot be written.
void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes);

/// All bytes of a file; an exception where it cannot be read.
[[nodiscard]] Bytes read_file(const std::filesystem::path& path);

}  // namespace ballast::test
