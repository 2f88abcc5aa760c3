# Formatters and linters as tests, each where it is installed. The version is fixed, because another
# one has other opinions.

find_program(CLANG_FORMAT clang-format-19)
find_program(CLANG_TIDY clang-tidy-19)
find_program(SHELLCHECK shellcheck)
find_program(CPPCHECK cppcheck)
mark_as_advanced(CLANG_FORMAT CLANG_TIDY SHELLCHECK CPPCHECK)

if(CLANG_FORMAT)
  file(GLOB_RECURSE formatted CONFIGURE_DEPENDS
    ${PROJECT_SOURCE_DIR}/src/*.[ch]pp ${PROJECT_SOURCE_DIR}/src/*.h
    ${PROJECT_SOURCE_DIR}/platform/*.[ch]pp
    ${PROJECT_SOURCE_DIR}/tests/*.[ch]pp ${PROJECT_SOURCE_DIR}/tests/*.c
    ${PROJECT_SOURCE_DIR}/web/exports/*.cpp ${PROJECT_SOURCE_DIR}/web/module/*.cpp)
  add_test(NAME lint.clang-format COMMAND ${CLANG_FORMAT} --dry-run -Werror ${formatted})
  set_tests_properties(lint.clang-format PROPERTIES LABELS lint)
endif()

if(SHELLCHECK)
  # With the parts that they source.
  add_test(NAME lint.shellcheck COMMAND ${SHELLCHECK} -x -a platform/bootstrap.sh .ci/run
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(lint.shellcheck PROPERTIES LABELS lint)
endif()

if(CPPCHECK)
  file(GLOB_RECURSE checked CONFIGURE_DEPENDS
    ${PROJECT_SOURCE_DIR}/src/*.cpp ${PROJECT_SOURCE_DIR}/platform/posix/*.cpp
    ${PROJECT_SOURCE_DIR}/platform/heap/*.cpp)
  add_test(NAME lint.cppcheck COMMAND ${CPPCHECK} -j2 --quiet --std=c++20 --language=c++
    --enable=warning,performance,portability --error-exitcode=1
    --suppressions-list=${CMAKE_CURRENT_SOURCE_DIR}/cppcheck.txt
    -I${PROJECT_SOURCE_DIR} -I${PROJECT_SOURCE_DIR}/src -I${PROJECT_BINARY_DIR}/include -DBALLAST_API= ${checked})
  set_tests_properties(lint.cppcheck PROPERTIES LABELS lint TIMEOUT 300)
endif()

# clang-tidy takes seconds per file, so tidy.py knows again what passed before, in this checkout and in
# others, and takes several files at a time. The tests are left to the compilers' warnings: what their
# framework's macros expand to is not ours, and a builder of wrong files breaks rules on purpose.
if(CLANG_TIDY AND CMAKE_EXPORT_COMPILE_COMMANDS)
  set(tidy ${CMAKE_CURRENT_SOURCE_DIR}/tidy.py)
  set(checked "")
  foreach(target IN ITEMS ballast ballast-cli ballast-upload)
    if(NOT TARGET ${target})
      continue()
    endif()
    get_target_property(sources ${target} SOURCES)
    get_target_property(folder ${target} SOURCE_DIR)
    list(FILTER sources INCLUDE REGEX "\\.cpp$")
    foreach(source IN LISTS sources)
      cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY ${folder})
      list(APPEND checked ${source})
    endforeach()
  endforeach()
  cmake_host_system_information(RESULT cores QUERY NUMBER_OF_LOGICAL_CORES)
  add_test(NAME lint.clang-tidy COMMAND Python3::Interpreter -B ${tidy} --clang-tidy ${CLANG_TIDY}
    --build ${PROJECT_BINARY_DIR} --checkout ${PROJECT_SOURCE_DIR} --jobs ${cores} ${checked})
  set_tests_properties(lint.clang-tidy PROPERTIES LABELS lint RUN_SERIAL ON)
  add_test(NAME lint.tidy.self_test COMMAND Python3::Interpreter -B ${tidy} --self-test)
  set_tests_properties(lint.tidy.self_test PROPERTIES LABELS lint)
endif()
