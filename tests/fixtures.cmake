# Runs a corpus' own check on $BALLAST_COMMAND, a command line, with the options PARTS. The folder is FOLDER,
# else $BALLAST_FIXTURES, else BESIDE.

set(folder "${FOLDER}")
if(NOT folder)
  set(folder "$ENV{BALLAST_FIXTURES}")
endif()
if(NOT folder)
  if(NOT EXISTS "${BESIDE}/check.py")
    execute_process(COMMAND ${CMAKE_COMMAND} -E echo
      "skipped: no corpus; name its folder with BALLAST_FIXTURES, as a CMake or environment variable")
    return()
  endif()
  set(folder "${BESIDE}")
endif()

execute_process(COMMAND ${PYTHON} ${folder}/check.py "$ENV{BALLAST_COMMAND}" ${PARTS}
  RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "${folder}/check.py found differences (exit status ${status})")
endif()
