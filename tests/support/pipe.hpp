// Pipes with somebody at the other end.
#pragma once

#include <filesystem>
#include <span>

#include "tests/support/sample.hpp"
#include "tests/support/temp.hpp"

namespace ballast::test {

/// A FIFO that another process writes bytes into, as soon as somebody opens it to read; it ends
/// when all are read, or its reader is gone. A process, because a WebAssembly program has no second
/// thread, and in Node only what comes from outside behaves like a pipe.
class Fifo {
 public:
  explicit Fifo(std::span<const std::byte> bytes);
  Fifo(const Fifo&) = delete;
  Fifo& operator=(const Fifo&) = delete;
  ~Fifo();

  [[nodiscard]] std::filesystem::path path() const { return folder_ / "fifo"; }

 private:
  TempDir folder_;
};

/// Its reading end.
class Pipe {
 public:
  explicit Pipe(std::span<const std::byte> bytes);
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe();

  [[nodiscard]] int reader() const noexcept { return reader_; }

 private:
  Fifo fifo_;
  int reader_;
};

}  // namespace ballast::test
