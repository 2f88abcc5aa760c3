// CancellationOff: keeps pthread_cancel(3) from ending a thread inside the library.
//
// To cancel a thread unwinds its stack from within a system call. Where that meets a destructor or
// another function that is noexcept, the C++ library ends the process. So every call of this layer
// that may wait turns cancellation off: a request stays pending, and takes effect at the next
// cancellation point of the program itself.
#pragma once

namespace ballast::platform {

/// While it lives, nothing cancels the calling thread. Nests; costs two calls without a system
/// call. Nothing happens where the system has no cancellation.
class CancellationOff {
 public:
  CancellationOff() noexcept;
  CancellationOff(const CancellationOff&) = delete;
  CancellationOff& operator=(const CancellationOff&) = delete;
  ~CancellationOff();

 private:
  [[maybe_unused]] int before_ = 0;
};

}  // namespace ballast::platform
