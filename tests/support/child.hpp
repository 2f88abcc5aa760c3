// What another process does, or what may end a process: a test forks for it.
#pragma once

#include <functional>
#include <string>

namespace ballast::test {

/// How a process ended.
struct Ended {
  bool by_signal = false;
  int number = 0;  ///< the exit status, or the signal

  [[nodiscard]] bool well() const noexcept { return !by_signal && number == 0; }
};

/// Does something in a process of its own and waits for its end: well, unless it says otherwise by
/// expect(), throws, or is ended. Threads of this process are not there in the other one.
[[nodiscard]] Ended in_child(const std::function<void()>& work);

/// In a child: ends it with a failure, and says why, where that does not hold.
void expect(bool holds, const std::string& what);

}  // namespace ballast::test
