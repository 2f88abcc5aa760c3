# What makes a fault in the library or in the command harder to exploit. GCC and Clang, natively: WebAssembly's calls,
# returns and memory are checked by its engine. Not with a sanitizer, which sees more, and needs the plain calls.
#
# ballast_harden(TARGET): all of it PRIVATE, so that nothing reaches a user's targets or the exported package. A program
# or a shared library is linked so, too; a static one leaves that to its user. Opening takes up to 1.5 % more
# instructions with it (tests/bench/bench.py, GCC 12, x86-64). _GLIBCXX_ASSERTIONS would take another 4 %, of 10,000
# tensors, and is left to the development presets.

include(CheckCXXCompilerFlag)
include(CheckCXXSourceCompiles)
include(CheckLinkerFlag)
include(CheckPIESupported)

# ballast_known_flags(RESULT TOOL FLAG...): those that the tool, which is COMPILER or LINKER, has.
function(ballast_known_flags result tool)
  set(known "")
  foreach(flag IN LISTS ARGN)
    string(MAKE_C_IDENTIFIER "BALLAST_HAS${flag}" has)
    if(tool STREQUAL "LINKER")
      check_linker_flag(CXX ${flag} ${has})
    else()
      check_cxx_compiler_flag(${flag} ${has})
    endif()
    if(${has})
      list(APPEND known ${flag})
    endif()
  endforeach()
  set(${result} ${known} PARENT_SCOPE)
endfunction()

set(harden ${BALLAST_HARDEN})
if(EMSCRIPTEN OR MSVC OR BALLAST_SANITIZE)
  set(harden OFF)
endif()

if(harden)
  check_pie_supported(LANGUAGES CXX)
  ballast_known_flags(hardening_options COMPILER
    -fstack-protector-strong -fstack-clash-protection -fcf-protection)
  ballast_known_flags(hardening_link_options LINKER -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)

  # The C library says which level it makes of it. Some distributions define one themselves.
  set(CMAKE_REQUIRED_FLAGS "-O1 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3")
  check_cxx_source_compiles("
    #include <cstdlib>
    #if defined(__GLIBC__) && __USE_FORTIFY_LEVEL < 3
    #error it goes no further than 2
    #endif
    int main() {}" BALLAST_HAS_FORTIFY_3)
  unset(CMAKE_REQUIRED_FLAGS)
  set(fortify $<IF:$<BOOL:${BALLAST_HAS_FORTIFY_3}>,3,2>)
  # Without optimisation it does nothing, and warns.
  list(APPEND hardening_options
    "$<$<CONFIG:Release,RelWithDebInfo,MinSizeRel>:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=${fortify}>")
endif()

function(ballast_harden target)
  if(NOT harden)
    return()
  endif()
  target_compile_options(${target} PRIVATE ${hardening_options})
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "STATIC_LIBRARY")
    # For programs that can be loaded anywhere. For a shared library its user asks, as ever.
    if(NOT CMAKE_POSITION_INDEPENDENT_CODE AND CMAKE_CXX_COMPILE_OPTIONS_PIE)
      target_compile_options(${target} PRIVATE ${CMAKE_CXX_COMPILE_OPTIONS_PIE})
    endif()
    return()
  endif()
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_link_options(${target} PRIVATE ${hardening_link_options})
endfunction()
