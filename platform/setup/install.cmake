# Install rules, and the files through which find_package and pkg-config know the installed library.

include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/ballast)

install(TARGETS ballast EXPORT ballast-targets
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT ballast-runtime
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT ballast-runtime
          NAMELINK_COMPONENT ballast-development
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT ballast-development
  FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT ballast-development)

if(TARGET ballast-exports)
  install(TARGETS ballast-exports EXPORT ballast-targets)
endif()
install(EXPORT ballast-targets NAMESPACE ballast::
  DESTINATION ${package_dir} COMPONENT ballast-development)

configure_package_config_file(
  platform/setup/ballast-config.cmake.in ballast-config.cmake
  INSTALL_DESTINATION ${package_dir}
  NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(ballast-config-version.cmake COMPATIBILITY SameMinorVersion)
if(NOT BALLAST_SHARED)
  install(FILES platform/setup/codecs.cmake
    DESTINATION ${package_dir} RENAME ballast-codecs.cmake COMPONENT ballast-development)
endif()
install(FILES
  ${CMAKE_CURRENT_BINARY_DIR}/ballast-config.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/ballast-config-version.cmake
  DESTINATION ${package_dir} COMPONENT ballast-development)

# The prefix is found from where the .pc file lies, so that an installed tree can be moved.
cmake_path(IS_ABSOLUTE CMAKE_INSTALL_LIBDIR absolute_libdir)
if(absolute_libdir)
  set(pc_prefix ${CMAKE_INSTALL_PREFIX})
else()
  file(RELATIVE_PATH up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  string(REGEX REPLACE "/$" "" up "${up}")
  set(pc_prefix "\${pcfiledir}/${up}")
endif()
cmake_path(APPEND pc_libdir "\${prefix}" ${CMAKE_INSTALL_LIBDIR})
cmake_path(APPEND pc_includedir "\${prefix}" ${CMAKE_INSTALL_INCLUDEDIR})

# What the library itself links: a static one's users must, a shared one's must not. The C++ runtime
# is among it for users that link with a C compiler.
set(pc_dependencies "")
# By -l: not every system has .pc files for all of them.
foreach(codec IN LISTS codec_libraries)
  get_target_property(library ballast_codec::${codec} IMPORTED_LOCATION)
  cmake_path(GET library PARENT_PATH folder)
  if(NOT folder IN_LIST CMAKE_CXX_IMPLICIT_LINK_DIRECTORIES)
    list(APPEND pc_dependencies -L${folder})
  endif()
  cmake_path(GET library STEM name)
  if(name MATCHES "^lib(.+)")
    set(library -l${CMAKE_MATCH_1})
  endif()
  list(APPEND pc_dependencies ${library})
endforeach()
list(REMOVE_DUPLICATES pc_dependencies)
list(APPEND pc_dependencies ${CMAKE_THREAD_LIBS_INIT})
foreach(runtime IN ITEMS stdc++ c++)
  if(runtime IN_LIST CMAKE_CXX_IMPLICIT_LINK_LIBRARIES)
    list(APPEND pc_dependencies -l${runtime})
  endif()
endforeach()
list(JOIN pc_dependencies " " pc_dependencies)
configure_file(platform/setup/ballast.pc.in ballast.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/ballast.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT ballast-development)
if(TARGET ballast-exports)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/ballast-exports.pc
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT ballast-development)
endif()

if(BALLAST_BUILD_CLI AND NOT EMSCRIPTEN)  # there it is two files, for `npx`
  install(TARGETS ballast-cli
    RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT ballast-runtime)
  if(BALLAST_SHARED AND NOT absolute_libdir)
    # The installed command finds the library beside it wherever the tree stands.
    set(origin $<IF:$<BOOL:${CMAKE_PLATFORM_HAS_INSTALLNAME}>,@loader_path,$ORIGIN>)
    file(RELATIVE_PATH up /${CMAKE_INSTALL_BINDIR} /)
    set_target_properties(ballast-cli PROPERTIES
      INSTALL_RPATH ${origin}/${up}${CMAKE_INSTALL_LIBDIR})
  endif()
endif()
