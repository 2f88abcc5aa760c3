// BulkRead: fills a buffer from a file, chunk by chunk, with as many threads as make it faster.
//
//     BulkRead reading(file, offset, buffer);
//     while (reading.step()) show(reading.done());
//
// Copying a cached file into fresh memory is bound by one core, which zeroes the pages and then
// copies. Several threads that take the chunks in turn do both side by side: on two cores 1.4 times
// as fast as one pread loop into the same huge pages, from the page cache. A second thread that
// only faults the pages in ahead of the first (MADV_POPULATE_WRITE) gains 1 %. The heap platform
// has one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "platform/file.hpp"

namespace ballast::platform {

/// What is read between two looks at what the other threads and the caller want: half a millisecond
/// from memory, some 40 from a hard disk. One thread with chunks of 1 MiB is as fast from memory,
/// but less than half as fast from a cold disk.
inline constexpr std::size_t kChunk = std::size_t{4} << 20;

class BulkRead {
 public:
  /// Begins to fill `into` from a position in the file. Both must outlive the object.
  BulkRead(const File& file, std::uint64_t offset, std::span<std::byte> into);
  BulkRead(const BulkRead&) = delete;
  BulkRead& operator=(const BulkRead&) = delete;
  /// Stops; other threads finish the chunk that they are at.
  ~BulkRead();

  /// Reads one chunk on this thread. False when there is nothing left to do: then no other thread
  /// is at work either. Throws std::system_error, also for what another thread met.
  [[nodiscard]] bool step();
  /// How many bytes have been read, by all threads together. Once step() has answered false: the
  /// size of the buffer, or less if the file has ended before.
  [[nodiscard]] std::uint64_t done() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ballast::platform
