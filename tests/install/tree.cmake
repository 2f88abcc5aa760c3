# Installs a KIND (static or shared) library to WORK/tree-KIND, with a static one the command, and runs that.
# Who builds it finds the Boost in BOOST.

include(${CMAKE_CURRENT_LIST_DIR}/run.cmake)

set(build ${BUILD})
if(KIND STREQUAL "shared")
  set(build ${WORK}/build-shared)
  run(${CMAKE_COMMAND} -S ${SOURCE} -B ${build} -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${COMPILER}
    -DBUILD_SHARED_LIBS=ON -DCMAKE_INSTALL_LIBDIR=${LIBDIR} -DBALLAST_BUILD_TESTS=OFF
    -DBALLAST_BUILD_CLI=OFF -DBoost_DIR=${BOOST} -DCMAKE_UNITY_BUILD=ON)
  run(${CMAKE_COMMAND} --build ${build} --parallel 2)
endif()

# It is moved after the installation: nothing in it may know where it was put first.
file(REMOVE_RECURSE ${WORK}/staging-${KIND} ${WORK}/tree-${KIND})
run(${CMAKE_COMMAND} --install ${build} --prefix ${WORK}/staging-${KIND})
file(RENAME ${WORK}/staging-${KIND} ${WORK}/tree-${KIND})

if(KIND STREQUAL "static" AND NOT EMULATOR)  # else the library alone is installed
  run(${WORK}/tree-${KIND}/bin/ballast inspect ${MODEL})
endif()
