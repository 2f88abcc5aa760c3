// What the module has beside ballast.h: how much memory is in use, and neither printing nor decimal
// numbers of its own.
//
// strtod reads the numbers in the metadata of an index. In C that takes 128-bit arithmetic, which
// is 9 kB; JavaScript has it built in.
//
// What the libraries in the module would print if they met a defect of their own. They would do it
// by way of printf and of files, which is a tenth of the module, into a console that a page may not
// have.
//
// libc++abi says why it aborts. Nothing here aborts; if the runtime finds a reason all the same (a
// destructor that throws), the engine reports the trap with its stack. The name is libc++abi's own:
// where a newer one calls it otherwise, the module is a little larger, and nothing else changes;
// the test of its size tells.
//
// libbz2 writes to stderr and calls exit() where its own invariants do not hold (BZ2_bz__AssertH__
// fail in bzlib.c), and where it is asked to be verbose, which it never is. The linker gives it
// these functions for those of the names in CMakeLists.txt (--wrap).

#include <malloc.h>

#include <cstddef>
#include <cstdio>
#include <cstring>

extern "C" {

/// Bytes that are allocated now, those of the directory and of the decoders among them.
std::size_t ballast_module_used();
std::size_t ballast_module_used() { return static_cast<std::size_t>(mallinfo().uordblks); }

[[noreturn]] void abort_message(const char* format, ...);
[[noreturn]] void abort_message(const char*, ...) { __builtin_trap(); }

// Nobody looks into it: all that it is given to are the functions below. Data cannot be wrapped.
#undef stderr
extern FILE* const stderr;
FILE* const stderr = nullptr;

// NOLINTBEGIN(*-reserved-identifier): the linker's own names
int __wrap_fiprintf(FILE* file, const char* format, ...);
int __wrap_fiprintf(FILE*, const char*, ...) { return 0; }

int __wrap___small_fprintf(FILE* file, const char* format, ...);
int __wrap___small_fprintf(FILE*, const char*, ...) { return 0; }

std::size_t __wrap_fwrite(const void* bytes, std::size_t size, std::size_t count, FILE* file);
std::size_t __wrap_fwrite(const void*, std::size_t, std::size_t, FILE*) { return 0; }

int __wrap_fputc(int character, FILE* file);
int __wrap_fputc(int character, FILE*) { return character; }

[[clang::import_module("env"), clang::import_name("ballast_number")]] double ballast_number(
    const char* text, std::size_t size);
double __wrap_strtod(const char* text, char** end);
double __wrap_strtod(const char* text, char**) { return ballast_number(text, std::strlen(text)); }

int __wrap_close(int descriptor);
int __wrap_close(int) { return 0; }

[[noreturn]] void __wrap_exit(int status);
[[noreturn]] void __wrap_exit(int) { __builtin_trap(); }
// NOLINTEND(*-reserved-identifier)

}  // extern "C"
