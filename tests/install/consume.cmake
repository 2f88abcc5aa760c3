# Builds CONSUMER against the installed tree of a KIND, or against the sources where KIND is "source",
# runs it on MODEL, and compares what it prints with what the command BALLAST says. With a TOOLCHAIN
# file, consumer and command run in EMULATOR, with pointers of BITS bits and the libraries of PREFIX.
# Who builds the sources takes the Boost in BOOST; who uses the installed tree may find none.

include(${CMAKE_CURRENT_LIST_DIR}/run.cmake)

set(here ${CMAKE_CURRENT_LIST_DIR})
set(tree ${WORK}/tree-${KIND})
set(work ${WORK}/${CONSUMER}-${KIND})
file(REMOVE_RECURSE ${work})
file(MAKE_DIRECTORY ${work})
set(program ${work}/consumer)

if(CONSUMER STREQUAL "pkg_config")
  find_program(PKG_CONFIG NAMES pkgconf pkg-config REQUIRED)
  set(ENV{PKG_CONFIG_PATH} ${tree}/${LIBDIR}/pkgconfig)
  if(KIND STREQUAL "static")
    set(static --static)
  else()
    set(static "")
  endif()
  execute_process(COMMAND ${PKG_CONFIG} ${static} --cflags --libs "ballast >= 0.1"
    OUTPUT_VARIABLE flags COMMAND_ERROR_IS_FATAL ANY OUTPUT_STRIP_TRAILING_WHITESPACE)
  separate_arguments(flags UNIX_COMMAND "${flags}")
  run(${COMPILER} -std=c++20 ${here}/consumer.cpp ${flags} -Wl,-rpath,${tree}/${LIBDIR}
    -o ${work}/consumer)
else()
  if(TOOLCHAIN)
    # As with an emsdk: its own toolchain file, which looks for packages and libraries nowhere but in
    # its sysroot and in what it is told here.
    set(how -DCMAKE_TOOLCHAIN_FILE=${TOOLCHAIN} -DCMAKE_FIND_ROOT_PATH=${PREFIX}
      -Dballast_DIR=${tree}/${LIBDIR}/cmake/ballast -DCMAKE_CROSSCOMPILING_EMULATOR=${EMULATOR}
      # Programs that are not optimised at all, and those without exceptions, take other libraries
      # of Emscripten's, which for wasm64 it would first compile: minutes.
      -DCMAKE_EXE_LINKER_FLAGS=-O1 -DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY)
    if(BITS EQUAL 64)
      list(APPEND how -DCMAKE_C_FLAGS=-sMEMORY64=1 -DCMAKE_CXX_FLAGS=-sMEMORY64=1)
    endif()
    set(program ${EMULATOR} ${work}/consumer.js)
  else()
    set(how -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_PREFIX_PATH=${tree})
  endif()
  if(NOT KIND STREQUAL "source")
    list(APPEND how -DCMAKE_DISABLE_FIND_PACKAGE_Boost=ON)
  else()
    # As in a project that wants all of its targets to be built in this way.
    list(APPEND how -DCMAKE_UNITY_BUILD=ON)
    if(BOOST)
      list(APPEND how -DBoost_DIR=${BOOST})
    endif()
  endif()
  run(${CMAKE_COMMAND} -S ${here}/${CONSUMER} -B ${work} -G ${GENERATOR} ${how}
    -DKIND=${KIND} -DBALLAST_SOURCE=${SOURCE})
  if(ONLY_CONFIGURED)
    return()
  endif()
  run(${CMAKE_COMMAND} --build ${work} --parallel 2)
endif()

execute_process(COMMAND ${program} ${MODEL} OUTPUT_VARIABLE printed COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${EMULATOR} ${BALLAST} inspect --json ${MODEL}
  OUTPUT_VARIABLE json COMMAND_ERROR_IS_FATAL ANY)

set(expected "")
string(JSON count LENGTH "${json}" tensors)
if(count EQUAL 0)
  message(FATAL_ERROR "${MODEL} has no tensors, so that nothing would be compared")
endif()
math(EXPR last "${count} - 1")
foreach(i RANGE ${last})
  string(JSON name GET "${json}" tensors ${i} name)
  string(JSON dtype GET "${json}" tensors ${i} dtype)
  string(JSON nbytes GET "${json}" tensors ${i} nbytes)
  string(APPEND expected "${name} ${dtype} ${nbytes}\n")
endforeach()
if(NOT printed STREQUAL expected)
  message(FATAL_ERROR "The consumer prints\n${printed}and the command\n${expected}")
endif()
