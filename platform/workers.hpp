// Threads for the length of one call: all cores for work that can be shared, one that faults memory
// in ahead of whoever fills it, and one that reads memory which is a file's.
//
// The heap platform has no threads: there the calling one does it all, and there is one core.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>

#include "platform/file.hpp"

namespace ballast::platform {

/// What long work calls often, on each of its threads. It throws to end the work: let it.
using Pulse = std::function<void()>;
using Work = std::function<void(const Pulse& pulse)>;

/// How many threads are worth having; at least 1. A limit keeps what they all need small.
[[nodiscard]] std::size_t core_count() noexcept;

/// Does the work on up to `count` threads at a time, of which the calling one is the first, and
/// returns when all have done it. They share it among themselves: each takes what is to do next.
///
/// `watch` is called every few milliseconds, on the calling thread only. What it throws, or the
/// work on any thread, ends the others at their next pulse, and is thrown once they have ended.
void work_together(std::size_t count, const Work& work, const std::function<void()>& watch);

/// Lets one thread at a time do something, such as take what is to do next. The others wait, and
/// miss no pulse.
class Gate {
 public:
  Gate() = default;
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  ~Gate() = default;

  template <class Action>
  auto pass(const Pulse& pulse, Action action) {
    enter(pulse);
    const Leaver leaver(*this);
    return action();
  }

 private:
  class Leaver {
   public:
    explicit Leaver(Gate& gate) : gate_(gate) {}
    Leaver(const Leaver&) = delete;
    Leaver& operator=(const Leaver&) = delete;
    ~Leaver() { gate_.leave(); }

   private:
    Gate& gate_;
  };

  void enter(const Pulse& pulse);
  void leave() noexcept;

  std::mutex mutex_;
  std::condition_variable is_free_;
  [[maybe_unused]] bool is_taken_ = false;  // not where there is one thread
};

/// While it lives, a thread of its own faults memory in, from the front to the back, so that
/// whoever fills it finds pages that are there (MADV_POPULATE_WRITE, Linux 5.14; else nothing
/// happens). What the memory holds stays.
class FaultAhead {
 public:
  explicit FaultAhead(std::span<std::byte> memory);
  FaultAhead(const FaultAhead&) = delete;
  FaultAhead& operator=(const FaultAhead&) = delete;
  ~FaultAhead();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ballast::platform
