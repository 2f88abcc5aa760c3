// What the tests of threads share: a start at the same time, and models that are worth it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <latch>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/gguf_builder.hpp"
#include "tests/support/sample.hpp"

namespace ballast::test {

inline constexpr std::size_t kThreads = 8;

/// Does the same on many threads that start together; `work` takes the number of its thread. What
/// any of them throws is thrown here, once all have ended.
template <class Work>
void together(Work work, std::size_t count = kThreads) {
  std::latch start(static_cast<std::ptrdiff_t>(count));
  std::vector<std::exception_ptr> failures(count);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      start.arrive_and_wait();
      try {
        work(i);
      } catch (...) {
        failures[i] = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
}

/// Assertions of Catch2 are for one thread at a time; this is for all of them.
inline void require(bool holds, const char* what) {
  if (!holds) throw std::runtime_error(what);
}

/// A model with some of everything, and a last tensor of so many bytes.
inline Bytes model_bytes(std::uint64_t size) {
  constexpr std::uint32_t kI8 = 24;
  constexpr std::uint32_t kQ4K = 12;
  return GgufBuilder()
      .entry("general.architecture", "llama")
      .entry("tokens", array_of<std::string>({"one", "two", "three"}))
      .tensor({.name = "floats", .dims = {64, 4}})
      .tensor({.name = "quantized", .dims = {256, 2}, .dtype = kQ4K})
      .tensor({.name = "large", .dims = {size}, .dtype = kI8})
      .build()
      .bytes();
}

}  // namespace ballast::test
