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

# clang-tidy takes seconds per file, so each file that passed leaves a stamp that holds until it, a
# header or the configuration changes; and tidy.py knows it again in the next checkout. The tests
# are left to the compilers' warnings: what their framework's macros expand to is not ours, and a
# builder of wrong files breaks rules on purpose.
if(CLANG_TIDY AND CMAKE_EXPORT_COMPILE_COMMANDS)
  file(GLOB_RECURSE lint_headers CONFIGURE_DEPENDS
    ${PROJECT_SOURCE_DIR}/src/*.hpp ${PROJECT_SOURCE_DIR}/platform/*.hpp
    ${PROJECT_SOURCE_DIR}/tests/*.hpp)
  set(tidy ${CMAKE_CURRENT_SOURCE_DIR}/tidy.py)
  set(stamps "")
  foreach(target IN ITEMS ballast ballast-cli ballast-upload)
    if(NOT TARGET ${target})
      continue()
    endif()
    get_target_property(sources ${target} SOURCES)
    get_target_property(folder ${target} SOURCE_DIR)
    list(FILTER sources INCLUDE REGEX "\\.cpp$")
    foreach(source IN LISTS sources)
      cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY ${folder})
      cmake_path(RELATIVE_PATH source BASE_DIRECTORY ${PROJECT_SOURCE_DIR} OUTPUT_VARIABLE name)
      set(stamp ${CMAKE_CURRENT_BINARY_DIR}/tidy/${name}.ok)
      cmake_path(GET stamp PARENT_PATH stamp_folder)
      file(MAKE_DIRECTORY ${stamp_folder})
      add_custom_command(OUTPUT ${stamp}
        COMMAND ${Python3_EXECUTABLE} ${tidy} --clang-tidy ${CLANG_TIDY}
                --build ${PROJECT_BINARY_DIR} --checkout ${PROJECT_SOURCE_DIR} ${source}
        COMMAND ${CMAKE_COMMAND} -E touch ${stamp}
        DEPENDS ${source} ${lint_headers} ${tidy}
                ${PROJECT_SOURCE_DIR}/.clang-tidy
        COMMENT "clang-tidy ${name}"
        VERBATIM)
      list(APPEND stamps ${stamp})
    endforeach()
  endforeach()
  add_custom_target(lint-clang-tidy DEPENDS ${stamps})
  cmake_host_system_information(RESULT cores QUERY NUMBER_OF_LOGICAL_CORES)
  add_test(NAME lint.clang-tidy COMMAND ${CMAKE_COMMAND} --build ${PROJECT_BINARY_DIR}
    --target lint-clang-tidy --parallel ${cores} -- -k0)
  set_tests_properties(lint.clang-tidy PROPERTIES LABELS lint RUN_SERIAL ON)
  add_test(NAME lint.tidy.self_test COMMAND Python3::Interpreter ${tidy} --self-test)
  set_tests_properties(lint.tidy.self_test PROPERTIES LABELS lint)
endif()
