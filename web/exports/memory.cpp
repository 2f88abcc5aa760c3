// What JavaScript asks a program of Emscripten's for, beside the functions of ballast.h: its
// memory. No header declares these; web/src/into.ts calls them. They are in the program where it is
// linked with ballast::exports, which exports them.
//
// Emscripten has names of its own for all three. But it lets JavaScript see `malloc`, `free` and
// `HEAPU8` only where they stand in EXPORTED_FUNCTIONS and EXPORTED_RUNTIME_METHODS, and these
// lists belong to the program: a library that sets one replaces what the program has put there.

#include <emscripten/em_js.h>

#include <cstddef>
#include <cstdlib>

// A getter, because a memory that grows has other views afterwards. Where threads share it, and any
// of them may make it grow, Emscripten makes of HEAPU8 a call that looks.
// clang-format off: JavaScript
EM_JS(void, ballast_js_show, (), {
  Object.defineProperty(Module, 'ballastHeap', { configurable: true, get: () => HEAPU8 });
});
// clang-format on

extern "C" {

/// Makes `ballastHeap` of the module all of the program's memory.
void ballast_js_show_heap();
void ballast_js_show_heap() { ballast_js_show(); }

void* ballast_js_malloc(std::size_t size);
void* ballast_js_malloc(std::size_t size) { return std::malloc(size); }

void ballast_js_free(void* address);
void ballast_js_free(void* address) { std::free(address); }

}  // extern "C"
