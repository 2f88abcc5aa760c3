// What guard_module.cpp gives to the program that loads it.
#pragma once

#include <cstddef>

namespace ballast::test {

/// A mapped file under a guard.
class Guarded {
 public:
  Guarded() = default;
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  virtual ~Guarded() = default;

  [[nodiscard]] virtual const std::byte* begin() const = 0;
  [[nodiscard]] virtual bool has_faulted() const = 0;
};

}  // namespace ballast::test

/// The file, which the caller deletes; null where it cannot be guarded.
extern "C" ballast::test::Guarded* ballast_test_guard(const char* path);
