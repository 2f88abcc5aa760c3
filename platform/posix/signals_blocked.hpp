// (private) Keeps the program's signals off threads that it did not start itself.
#pragma once

#include <signal.h>  // NOLINT(modernize-deprecated-headers): <csignal> has no sigset_t

#include <array>

namespace ballast::platform {

/// While it lives, threads are started with all signals blocked that others send: the program's
/// handlers stay on the program's threads. What a thread does itself is not blocked, because the
/// system would end the process: handlers that mend a fault, or report it, go on working.
class SignalsBlocked {
 public:
  SignalsBlocked() noexcept {
    sigset_t all;
    ::sigfillset(&all);
    constexpr std::array kOwn{SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP};
    for (const int own : kOwn) ::sigdelset(&all, own);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

}  // namespace ballast::platform
