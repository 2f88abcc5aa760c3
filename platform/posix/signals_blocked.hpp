// (private) Keeps the program's signals off threads that it did not start itself.
#pragma once

#include <signal.h>  // NOLINT(modernize-deprecated-headers): <csignal> has no sigset_t

namespace ballast::platform {

/// While it lives, threads are started with all signals blocked: the program's handlers stay on the
/// program's threads.
class SignalsBlocked {
 public:
  SignalsBlocked() noexcept {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

}  // namespace ballast::platform
