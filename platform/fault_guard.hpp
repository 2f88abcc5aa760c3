// FaultGuard: lets a mapped file that is truncated, or whose disk fails, read as zeros.
//
// Touching a page of a mapping that the system cannot fill raises SIGBUS (mmap(2)), which ends the
// program. Under a guard a handler puts zero pages there instead, and remembers it: what systemd
// does for its journal (sigbus.c).
//
// The first guard installs the handler, for the whole process, and it stays until the end. What is
// no fault in a guarded range it passes on to the handler that was there before, as if it were not
// there itself; so must a handler that is installed later. One that does not is noticed by the next
// guard, which installs the handler in front of it, as often as that goes on. Should the two then
// pass on to each other, or several copies of this library, a signal that comes back goes on to the
// handler before: each is called, and the circle ends. The code of the handler stays in memory:
// dlclose(3) does not unload the library that holds it. A thread that blocks SIGBUS is not helped:
// the system ends the process. System calls that read guarded pages answer EFAULT (write(2)).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "platform/file.hpp"

namespace ballast::platform {

/// Guards one mapping while it lives. Move-only; a moved-from guard guards nothing.
class FaultGuard {
 public:
  /// Guards `bytes`, all of what one Mapping shows of a file from `offset` on. The mapping and the
  /// file must outlive the guard. Throws std::system_error where no handler can be installed: not
  /// supported, or EAGAIN after more than eight different handlers of others;
  /// std::bad_alloc.
  [[nodiscard]] static FaultGuard over(std::span<const std::byte> bytes, const File& file,
                                       std::uint64_t offset);

  FaultGuard() noexcept = default;
  FaultGuard(FaultGuard&& other) noexcept;
  FaultGuard& operator=(FaultGuard&& other) noexcept;
  ~FaultGuard();

  [[nodiscard]] bool is_active() const noexcept { return slot_ != nullptr; }
  /// Whether zeros stand where the file could not be read. They stay.
  [[nodiscard]] bool has_faulted() const noexcept;

  /// What the handler knows of a guard.
  struct Slot;

 private:
  explicit FaultGuard(Slot* slot) noexcept : slot_(slot) {}

  Slot* slot_ = nullptr;
};

}  // namespace ballast::platform
