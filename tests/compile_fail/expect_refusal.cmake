# COMPILER with FLAGS must refuse SOURCE with a message that matches REGEX, and accept its control.

set(ENV{LC_ALL} C)  # Translated messages and curly quotes would not match.

execute_process(COMMAND ${COMPILER} ${FLAGS} -fsyntax-only -DBALLAST_TEST_CONTROL ${SOURCE}
  RESULT_VARIABLE status ERROR_VARIABLE message)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "The control does not compile, so a refusal would prove nothing:\n${message}")
endif()

execute_process(COMMAND ${COMPILER} ${FLAGS} -fsyntax-only ${SOURCE}
  RESULT_VARIABLE status ERROR_VARIABLE message)
if(status EQUAL 0)
  message(FATAL_ERROR "${SOURCE} compiles")
elseif(NOT message MATCHES "${REGEX}")
  message(FATAL_ERROR "${SOURCE} is refused, but not for \"${REGEX}\":\n${message}")
endif()
