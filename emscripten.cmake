# The toolchain file for WebAssembly: cmake --preset wasm32, or wasm64, or
# cmake -DCMAKE_TOOLCHAIN_FILE=emscripten.cmake -DBALLAST_WASM_BITS=64
#
# It finds Emscripten 3.1.69 or newer and the libraries built for the target, and keeps every flag
# of Emscripten's that the project uses, with the reason beside it:
#
#   CMAKE_<LANG>_FLAGS                    what all objects must agree on, those of libraries, too
#   BALLAST_WASM_LINK_OPTIONS             every program and module
#   BALLAST_WASM_PROGRAM_LINK_OPTIONS     programs for Node: the command, the tests
#   BALLAST_WASM_MODULE_LINK_OPTIONS      the module of the npm package
#
# It also sets BALLAST_WASM_CAN_RUN, to whether there is a Node that runs the target.

set(ballast_emscripten_minimum 3.1.69)

set(BALLAST_WASM_BITS 32 CACHE STRING "The width of a pointer: 32 or 64")
set_property(CACHE BALLAST_WASM_BITS PROPERTY STRINGS 32 64)
if(NOT BALLAST_WASM_BITS MATCHES "^(32|64)$")
  message(FATAL_ERROR "BALLAST_WASM_BITS is \"${BALLAST_WASM_BITS}\"; it must be 32 or 64")
endif()
set(BALLAST_EMSCRIPTEN "$ENV{BALLAST_EMSCRIPTEN}" CACHE PATH
  "The folder of emcc; empty: EMSDK, the PATH, then what platform/bootstrap.sh has set up")
set(BALLAST_WASM_PREFIX "$ENV{BALLAST_WASM_PREFIX}" CACHE PATH
  "Where the libraries for the target are; empty: what platform/bootstrap.sh has set up")
set(BALLAST_NODE "" CACHE FILEPATH
  "The Node that runs the programs; empty: one that can is looked for")

# CMake reads this file again for each of its little test projects, which know no other variables.
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES
  BALLAST_WASM_BITS BALLAST_EMSCRIPTEN BALLAST_WASM_PREFIX BALLAST_NODE)

# The cache of platform/bootstrap.sh, by the same rule as there.
if(NOT "$ENV{BALLAST_CACHE}" STREQUAL "")
  set(ballast_cache "$ENV{BALLAST_CACHE}")
elseif(NOT "$ENV{XDG_CACHE_HOME}" STREQUAL "")
  set(ballast_cache "$ENV{XDG_CACHE_HOME}/ballast")
else()
  set(ballast_cache "$ENV{HOME}/.cache/ballast")
endif()

# ---- Emscripten -------------------------------------------------------------------------------

function(ballast_emscripten_version root result)
  set(version "")
  if(EXISTS ${root}/emscripten-version.txt)
    file(READ ${root}/emscripten-version.txt version)
    string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+" version "${version}")
  endif()
  set(${result} "${version}" PARENT_SCOPE)
endfunction()

# The first that is new enough. Sets BALLAST_EMSCRIPTEN and EMSCRIPTEN_VERSION.
function(ballast_find_emscripten)
  if(BALLAST_EMSCRIPTEN)
    set(roots ${BALLAST_EMSCRIPTEN})
  else()
    set(roots "")
    if(NOT "$ENV{EMSDK}" STREQUAL "")
      list(APPEND roots $ENV{EMSDK}/upstream/emscripten)
    endif()
    find_program(em_config em-config NO_CACHE NO_CMAKE_FIND_ROOT_PATH)
    if(em_config)
      # Old ones do not know the question and print what they do know.
      execute_process(COMMAND ${em_config} EMSCRIPTEN_ROOT
        OUTPUT_VARIABLE on_path OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
      list(APPEND roots ${on_path})
    endif()
    list(APPEND roots ${ballast_cache}/emscripten/emscripten)
  endif()

  set(seen "")
  foreach(root IN LISTS roots)
    ballast_emscripten_version(${root} version)
    if(version VERSION_GREATER_EQUAL ballast_emscripten_minimum)
      file(REAL_PATH ${root} root)
      set(BALLAST_EMSCRIPTEN ${root} CACHE PATH "" FORCE)
      set(EMSCRIPTEN_VERSION ${version} PARENT_SCOPE)
      return()
    elseif(version)
      string(APPEND seen " That in ${root} is ${version}.")
    elseif(BALLAST_EMSCRIPTEN)
      string(APPEND seen " In ${root} there is none.")
    endif()
  endforeach()
  message(FATAL_ERROR "Ballast needs Emscripten ${ballast_emscripten_minimum} or newer.${seen} "
    "Activate an emsdk (source its emsdk_env.sh), or set BALLAST_EMSCRIPTEN to the folder of an "
    "emcc, or run \"platform/bootstrap.sh test\", which sets one up on Debian; then configure an "
    "empty build folder.")
endfunction()

ballast_find_emscripten()

# 3.1.69 as it was released asks engines for 64-bit memory by a word that the standard has changed
# since ("index", now "address"), takes the refusal for an old engine, and then can never make
# memory grow.
if(BALLAST_WASM_BITS EQUAL 64 AND EXISTS ${BALLAST_EMSCRIPTEN}/src/runtime_shared.js)
  file(STRINGS ${BALLAST_EMSCRIPTEN}/src/runtime_shared.js ballast_dated REGEX "'index': 'i64'")
  if(ballast_dated)
    message(FATAL_ERROR "The memory of wasm64 programs of Emscripten ${EMSCRIPTEN_VERSION} cannot "
      "grow in the engines of today: use 3.1.70 or newer, or the one that platform/bootstrap.sh "
      "sets up.")
  endif()
endif()

# ---- Flags that all objects must agree on -----------------------------------------------------

# Exceptions as the engines know them: without any, running out of memory aborts; Emscripten's older
# kind, by way of JavaScript, makes every call that might throw slow and the module larger.
set(ballast_cxx_abi_flags "-fwasm-exceptions")
set(ballast_c_abi_flags "")
if(BALLAST_WASM_BITS EQUAL 64)
  # Pointers of 64 bits: models over 4 GiB. Needs Node 24, Chromium 133 or Firefox 134.
  set(ballast_cxx_abi_flags "${ballast_cxx_abi_flags} -sMEMORY64=1")
  set(ballast_c_abi_flags "-sMEMORY64=1")
endif()

# ballast_agree(LANGUAGE VARIABLE FLAGS): puts the flags into the cache, before those that the user
# gives there or in the environment. CMAKE_<LANG>_FLAGS_INIT would lose them to a
# -DCMAKE_<LANG>_FLAGS; and Emscripten's own file, which CMake reads again by itself, looks for
# MEMORY64 in CMAKE_C_FLAGS even where a project has no C.
function(ballast_agree language variable flags)
  set(given "$ENV{${variable}}")
  if(DEFINED CMAKE_${language}_FLAGS)
    set(given "${CMAKE_${language}_FLAGS}")
  endif()
  string(FIND " ${given} " " ${flags} " position)
  if(position EQUAL -1)
    string(STRIP "${flags} ${given}" given)
  endif()
  set(CMAKE_${language}_FLAGS "${given}" CACHE STRING "Flags of the compiler" FORCE)
endfunction()

ballast_agree(C CFLAGS "${ballast_c_abi_flags}")
ballast_agree(CXX CXXFLAGS "${ballast_cxx_abi_flags}")

# ---- Flags of the linker ----------------------------------------------------------------------

# Settings come and go: one that this Emscripten does not know would be an error.
file(READ ${BALLAST_EMSCRIPTEN}/src/settings.js ballast_known_settings)

# ballast_wasm_setting(LIST NAME VALUE): appends -sNAME=VALUE where there is such a setting.
function(ballast_wasm_setting list name value)
  if(ballast_known_settings MATCHES "\nvar ${name} *=")
    set(${list} ${${list}} "-s${name}=${value}" PARENT_SCOPE)
  endif()
endfunction()

# A model is as large as it is: the memory grows, up to what engines allow. Node, Chromium and
# Firefox give 4 GiB to wasm32 and 16 GiB to wasm64.
set(BALLAST_WASM_LINK_OPTIONS -sALLOW_MEMORY_GROWTH=1)
if(BALLAST_WASM_BITS EQUAL 64)
  list(APPEND BALLAST_WASM_LINK_OPTIONS -sMAXIMUM_MEMORY=16GB)
else()
  list(APPEND BALLAST_WASM_LINK_OPTIONS -sMAXIMUM_MEMORY=4GB)
endif()
list(APPEND BALLAST_WASM_LINK_OPTIONS
  # At the end of memory dlmalloc answers null, from which operator new makes std::bad_alloc. There
  # emmalloc answers with a block that is not in the memory, and mimalloc traps (both in 3.1.69).
  -sMALLOC=dlmalloc
  -sABORTING_MALLOC=0
  # The default, 64 KiB, is less than a reader with a buffer of its own and a decoder below it need.
  -sSTACK_SIZE=1MB
  # With the stack below the data, running out of it is an error of the engine's. Above them, the
  # default in optimised builds, it silently overwrites data.
  -Wl,--stack-first)
# 64-bit integers are BigInt on the JavaScript side, not pairs of numbers: the default from 4.0 on.
ballast_wasm_setting(BALLAST_WASM_LINK_OPTIONS WASM_BIGINT 1)
# The default from 6.0.2 on. TextDecoder, Blob and digest refuse views of a buffer that can be
# resized.
ballast_wasm_setting(BALLAST_WASM_LINK_OPTIONS GROWABLE_ARRAYBUFFERS 0)
# The exceptions of all engines since 2021, not those with exnref, which came in 2025.
ballast_wasm_setting(BALLAST_WASM_LINK_OPTIONS WASM_LEGACY_EXCEPTIONS 1)

set(BALLAST_WASM_PROGRAM_SCRIPT ${CMAKE_CURRENT_LIST_DIR}/platform/setup/wasm/process.js)
set(BALLAST_WASM_PROGRAM_LINK_OPTIONS
  -sENVIRONMENT=node
  # Files are the machine's own files; Emscripten's own file system would see none of them.
  -sNODERAWFS=1
  # What NODERAWFS gets wrong about the environment, terminals, pipes and open files.
  --pre-js ${BALLAST_WASM_PROGRAM_SCRIPT}
  # main() returning ends the program: output is flushed, and the exit status is main()'s.
  -sEXIT_RUNTIME=1)

set(BALLAST_WASM_MODULE_LINK_OPTIONS
  --no-entry
  # Nothing but the module: it asks its surroundings only to be told that its memory has grown, and
  # calls everything by its own name. A few lines instantiate it anywhere, while Emscripten's
  # JavaScript would have to be made for each environment and each width of addresses, keeps
  # bundlers busy, and makes memory grow by a fifth more than is needed.
  -sSTANDALONE_WASM=1
  # JavaScript brings the bytes.
  -sFILESYSTEM=0
  # A page that only inspects needs little; the default is 16 MiB.
  -sINITIAL_HEAP=1MB)

# ---- Emscripten's own toolchain file ----------------------------------------------------------

# It would take any Node for the emulator; which one is decided below.
if(NOT DEFINED CMAKE_CROSSCOMPILING_EMULATOR)
  set(CMAKE_CROSSCOMPILING_EMULATOR "")
endif()
include(${BALLAST_EMSCRIPTEN}/cmake/Modules/Platform/Emscripten.cmake)

# ---- Libraries --------------------------------------------------------------------------------

# Only this prefix and Emscripten's own libraries are looked at: the headers of the machine, in
# /usr/include, are for another C library.
if(BALLAST_WASM_PREFIX)
  list(PREPEND CMAKE_FIND_ROOT_PATH ${BALLAST_WASM_PREFIX})
elseif(EXISTS ${ballast_cache}/wasm${BALLAST_WASM_BITS})
  list(PREPEND CMAKE_FIND_ROOT_PATH ${ballast_cache}/wasm${BALLAST_WASM_BITS})
endif()
list(REMOVE_DUPLICATES CMAKE_FIND_ROOT_PATH)

# ---- The Node that runs the programs ----------------------------------------------------------

# 64-bit memory is on without a flag from 24 on.
if(BALLAST_WASM_BITS EQUAL 64)
  set(ballast_node_minimum 24)
else()
  set(ballast_node_minimum 18)
endif()

function(ballast_find_node)
  if(BALLAST_NODE)
    set(nodes ${BALLAST_NODE})
  else()
    find_program(on_path NAMES node nodejs NO_CACHE NO_CMAKE_FIND_ROOT_PATH)
    set(nodes ${on_path} $ENV{EMSDK_NODE} ${ballast_cache}/node64/bin/node)
    if(BALLAST_WASM_BITS EQUAL 64)
      list(PREPEND nodes $ENV{BALLAST_NODE64})
    endif()
  endif()
  foreach(node IN LISTS nodes)
    execute_process(COMMAND ${node} --version
      OUTPUT_VARIABLE version ERROR_QUIET RESULT_VARIABLE status)
    if(status EQUAL 0 AND version MATCHES "^v([0-9.]+)"
        AND CMAKE_MATCH_1 VERSION_GREATER_EQUAL ballast_node_minimum)
      set(BALLAST_NODE ${node} CACHE FILEPATH "" FORCE)
      return()
    endif()
  endforeach()
endfunction()

if(CMAKE_CROSSCOMPILING_EMULATOR)
  set(BALLAST_WASM_CAN_RUN TRUE)
else()
  ballast_find_node()
  if(BALLAST_NODE)
    set(BALLAST_WASM_CAN_RUN TRUE)
    set(CMAKE_CROSSCOMPILING_EMULATOR ${BALLAST_NODE})
  else()
    set(BALLAST_WASM_CAN_RUN FALSE)
    unset(CMAKE_CROSSCOMPILING_EMULATOR)
  endif()
endif()
