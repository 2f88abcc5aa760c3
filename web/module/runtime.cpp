// What the C++ runtime says before it aborts: it would print, by way of vfprintf, which is a tenth
// of the module, into a console that a page may not have. Nothing here aborts; if the runtime finds
// a reason all the same (a destructor that throws), the engine reports the trap with its stack.
//
// The name is libc++abi's own. Where a newer one calls it otherwise, the module is a little larger,
// and nothing else changes; the test of its size tells.

extern "C" [[noreturn]] void abort_message(const char* format, ...);

extern "C" [[noreturn]] void abort_message(const char*, ...) { __builtin_trap(); }
