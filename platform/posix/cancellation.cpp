#include "platform/cancellation.hpp"

#include <pthread.h>

namespace ballast::platform {

#ifdef PTHREAD_CANCEL_DISABLE
CancellationOff::CancellationOff() noexcept {
  ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before_);
}

CancellationOff::~CancellationOff() {
  int ours = 0;  // POSIX does not say that it may be null
  ::pthread_setcancelstate(before_, &ours);
}
#else  // Android has no cancellation
CancellationOff::CancellationOff() noexcept = default;
CancellationOff::~CancellationOff() = default;
#endif

}  // namespace ballast::platform
