#include "tests/support/steps.hpp"

// Where the runtime of the profile is not linked, there are no such symbols. Only ELF gives a weak
// one the address 0 then without being asked to.
#if defined(__ELF__)
extern "C" {
[[gnu::weak]] const std::uint64_t* __llvm_profile_begin_counters();
[[gnu::weak]] const std::uint64_t* __llvm_profile_end_counters();
}
#endif

// Adding up must neither count itself nor tell a fuzzer that there was something new.
#if defined(__clang__)
#define BALLAST_TEST_UNCOUNTED \
  [[gnu::no_profile_instrument_function]] [[clang::no_sanitize("coverage", "address", "undefined")]]
#else
#define BALLAST_TEST_UNCOUNTED
#endif

namespace ballast::test {

BALLAST_TEST_UNCOUNTED bool Steps::are_counted() noexcept {
#if defined(__ELF__)
  return &__llvm_profile_begin_counters != nullptr;
#else
  return false;
#endif
}

BALLAST_TEST_UNCOUNTED std::uint64_t Steps::sum() noexcept {
  std::uint64_t steps = 0;
#if defined(__ELF__)
  if (!are_counted()) return 0;
  const std::uint64_t* const end = __llvm_profile_end_counters();
  for (const std::uint64_t* at = __llvm_profile_begin_counters(); at != end; ++at) steps += *at;
#endif
  return steps;
}

}  // namespace ballast::test
