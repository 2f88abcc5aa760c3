# emscripten.cmake must refuse an Emscripten that cannot do what is needed, and say what to do. Each
# is a folder made up for it in WORK, with as much of an Emscripten as is looked at.

# refused(NAME BITS SENTENCE...): with the folder WORK/NAME, and all of the sentences.
function(refused name bits)
  execute_process(
    COMMAND ${CMAKE_COMMAND} -DBALLAST_EMSCRIPTEN=${WORK}/${name} -DBALLAST_WASM_BITS=${bits}
      -P ${TOOLCHAIN}
    RESULT_VARIABLE status ERROR_VARIABLE said OUTPUT_QUIET)
  if(status EQUAL 0)
    message(FATAL_ERROR "${name} is accepted")
  endif()
  string(REGEX REPLACE "[ \n]+" " " said "${said}")  # CMake breaks lines
  foreach(sentence IN LISTS ARGN)
    string(FIND "${said}" "${sentence}" position)
    if(position EQUAL -1)
      message(FATAL_ERROR "${name} is refused without \"${sentence}\": ${said}")
    endif()
  endforeach()
endfunction()

file(REMOVE_RECURSE ${WORK})
file(WRITE ${WORK}/old/emscripten-version.txt "\"3.1.6~dfsg\"\n")
file(MAKE_DIRECTORY ${WORK}/empty)
file(WRITE ${WORK}/dated/emscripten-version.txt "\"3.1.69\"\n")
file(WRITE ${WORK}/dated/src/runtime_shared.js "new WebAssembly.Memory({ 'index': 'i64' })\n")

refused(old 32 "needs Emscripten 3.1.69 or newer" "old is 3.1.6" "Activate an emsdk" "bootstrap.sh")
refused(empty 32 "needs Emscripten 3.1.69 or newer" "empty there is none")
refused(dated 64 "memory of wasm64 programs of Emscripten 3.1.69 cannot grow" "use 3.1.70 or newer")
refused(old 16 "it must be 32 or 64")
