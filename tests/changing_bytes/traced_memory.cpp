// The hooks that Clang calls before each load with -fsanitize-coverage=trace-loads, and the
// functions that the linker has called in place of the C library's (--wrap). What is compiled into
// the C and C++ libraries reads by these alone.
#include <cstdlib>
#include <cstring>

#include "tests/changing_bytes/changing_memory.hpp"

namespace ballast::test {

struct ChangingMemory::State {
  State(std::span<const std::byte> file, std::span<const std::byte> other)
      : script(file, other), bytes(std::make_unique<std::byte[]>(file.size())) {}

  Script script;
  std::unique_ptr<std::byte[]> bytes;  // of the heap, whose ends a sanitizer guards
};

namespace {

ChangingMemory::State* started = nullptr;

void fetch(const void* address) noexcept {
  ChangingMemory::State* const state = started;
  if (state == nullptr) return;
  const auto at = reinterpret_cast<std::uintptr_t>(address) -
                  reinterpret_cast<std::uintptr_t>(state->bytes.get());
  if (at >= state->script.size()) return;
  started = nullptr;  // what follows is no fetch
  state->script.after_fetch();
  if (state->script.is_over()) return;
  state->script.before_fetch(at);
  started = state;
}

}  // namespace

ChangingMemory::ChangingMemory(std::span<const std::byte> file, std::span<const std::byte> other)
    : state_(std::make_unique<State>(file, other)) {
  if (!file.empty()) std::memcpy(state_->bytes.get(), file.data(), file.size());
}
ChangingMemory::~ChangingMemory() { stop(); }

std::span<const std::byte> ChangingMemory::bytes() const noexcept {
  return {state_->bytes.get(), state_->script.size()};
}

void ChangingMemory::start(const Plan& plan) {
  state_->script.begin({state_->bytes.get(), state_->script.size()}, plan);
  started = state_.get();
}
void ChangingMemory::stop() noexcept {
  if (started != state_.get()) return;
  started = nullptr;
  state_->script.after_fetch();
}

std::uint64_t ChangingMemory::fetches() const noexcept { return state_->script.fetches(); }
std::uint64_t ChangingMemory::changes() const noexcept { return state_->script.changes(); }
std::uint64_t ChangingMemory::affordable_fetches() noexcept { return 100'000; }

}  // namespace ballast::test

// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming): the compiler and the
// linker name them
extern "C" {

using ballast::test::fetch;

void __sanitizer_cov_load1(const void* address) { fetch(address); }
void __sanitizer_cov_load2(const void* address) { fetch(address); }
void __sanitizer_cov_load4(const void* address) { fetch(address); }
void __sanitizer_cov_load8(const void* address) { fetch(address); }
void __sanitizer_cov_load16(const void* address) { fetch(address); }

#define BALLAST_TEST_COPY(name)                                       \
  void* __real_##name(void* to, const void* from, std::size_t size);  \
  void* __wrap_##name(void* to, const void* from, std::size_t size) { \
    if (size != 0) fetch(from);                                       \
    return __real_##name(to, from, size);                             \
  }
BALLAST_TEST_COPY(memcpy)
BALLAST_TEST_COPY(memmove)
#ifdef BALLAST_TEST_ADDRESS_SANITIZER  // which has copies of its own
BALLAST_TEST_COPY(__asan_memcpy)
BALLAST_TEST_COPY(__asan_memmove)
#endif

#define BALLAST_TEST_COMPARE(name)                                          \
  int __real_##name(const void* one, const void* other, std::size_t size);  \
  int __wrap_##name(const void* one, const void* other, std::size_t size) { \
    if (size != 0) {                                                        \
      fetch(one);                                                           \
      fetch(other);                                                         \
    }                                                                       \
    return __real_##name(one, other, size);                                 \
  }
BALLAST_TEST_COMPARE(memcmp)
BALLAST_TEST_COMPARE(bcmp)

void* __real_memchr(const void* bytes, int byte, std::size_t size);
void* __wrap_memchr(const void* bytes, int byte, std::size_t size) {
  if (size != 0) fetch(bytes);
  return __real_memchr(bytes, byte, size);
}
}
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)
