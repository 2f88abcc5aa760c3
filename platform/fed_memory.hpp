// A part of a file as memory, for code that wants all of its input in one piece, and reads it once,
// from the front to the back.
//
// It is no mapping: a file that is truncated meanwhile, or cannot be read, raises no SIGBUS, and no
// more than 3 MiB of it are in memory at a time. The system tells where the code arrives at pages
// that are not there yet (userfaultfd(2), Linux 5.11; many containers forbid it), and they are read
// like any file, ahead of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "platform/file.hpp"

namespace ballast::platform {

/// Calls `reader` with the bytes, on a thread of its own, and returns when it is done; false, and
/// nothing was called, where the system has no such thing.
///
/// `watch` is called every few milliseconds, on the calling thread, with the number of bytes that
/// are read. What it throws, or a file that is too short or cannot be read, ends the reader by
/// feeding it noise, which it must refuse as soon as it is able to: then that is thrown.
[[nodiscard]] bool read_as_memory(const File& file, std::uint64_t offset, std::size_t size,
                                  const std::function<void(std::span<const std::byte>)>& reader,
                                  const std::function<void(std::uint64_t)>& watch);

}  // namespace ballast::platform
