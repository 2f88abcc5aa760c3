// The instruction sets that a hot function can be compiled for, beyond the one that the build may
// count on, and which of them this processor has.
//
//     template <class Work>
//     BALLAST_INLINE_ALL void run(...) { Work::all(...); }
//     template <class Work>
//     BALLAST_FOR_AVX2 BALLAST_INLINE_ALL void run_avx2(...) { Work::all(...); }
//
// What such a function calls is compiled into it (and so for its instruction set), so that no copy
// of a shared inline function with instructions that are not there can reach the linker.
#pragma once

// GCC and Clang on x86-64, where the build counts on SSE2. On ARM the vectors of the build are all
// there are, and WebAssembly has no choice at run time.
#if defined(__x86_64__) && defined(__GNUC__)
#define BALLAST_HAS_AVX2_PATH 1
#define BALLAST_FOR_AVX2 __attribute__((target("avx2")))
#else
#define BALLAST_HAS_AVX2_PATH 0
#endif

#if defined(__GNUC__)
#define BALLAST_INLINE_ALL __attribute__((flatten))
#define BALLAST_ALWAYS_INLINE inline __attribute__((always_inline))
#else
#define BALLAST_INLINE_ALL
#define BALLAST_ALWAYS_INLINE inline
#endif

// Before a short loop: it becomes vectors, where compilers would first write it out.
#if defined(__clang__)
#define BALLAST_KEEP_LOOP _Pragma("clang loop unroll(disable)")
#elif defined(__GNUC__)
#define BALLAST_KEEP_LOOP _Pragma("GCC unroll 1")
#else
#define BALLAST_KEEP_LOOP
#endif

namespace ballast::platform {

/// Whether this processor has AVX2, and the system saves its registers.
inline bool has_avx2() noexcept {
#if BALLAST_HAS_AVX2_PATH
  // An int, or a bool, by compiler.
  return __builtin_cpu_supports("avx2") != 0;  // NOLINT(readability-implicit-bool-conversion)
#else
  return false;
#endif
}

}  // namespace ballast::platform
