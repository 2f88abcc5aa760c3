// The C library's heap, which fails when a test says so: what the codecs' libraries take, and the
// C++ library, comes from there. Not with sanitizers, which have a heap of their own.
#pragma once

#include <cstdint>

#ifndef BALLAST_TEST_FAILS_MALLOC
#define BALLAST_TEST_FAILS_MALLOC 0
#endif

namespace ballast::test {

/// While it lives, malloc, calloc and realloc fail in every thread: the `nth` time, counted from 1,
/// and with `lasting` each time after that. One at a time.
class FailingHeap {
 public:
  explicit FailingHeap(std::uint64_t nth, bool lasting = false) noexcept;
  FailingHeap(const FailingHeap&) = delete;
  FailingHeap& operator=(const FailingHeap&) = delete;
  ~FailingHeap();

  /// Whether there were so many.
  [[nodiscard]] bool has_fired() const noexcept;
};

/// Says at its end, also that by an exception, whether something has failed.
template <class Failing>
class FiredAtTheEnd {
 public:
  FiredAtTheEnd(const Failing& failing, bool& has_fired) noexcept
      : failing_(failing), has_fired_(has_fired) {}
  FiredAtTheEnd(const FiredAtTheEnd&) = delete;
  FiredAtTheEnd& operator=(const FiredAtTheEnd&) = delete;
  ~FiredAtTheEnd() { has_fired_ = failing_.has_fired(); }

 private:
  const Failing& failing_;
  bool& has_fired_;
};

}  // namespace ballast::test
