# The libraries of the codecs, as targets ballast_codec::NAME. The build reads this file, and so does the installed
# package of a static library, whose users link what it uses.
#
# Each is looked for by its header and its library: of these five projects some install a package file for CMake, some
# only with some versions.

include_guard()

# ballast_find_codec(NAME HEADER LIBRARY...): sets ballast_codec_NAME_FOUND.
function(ballast_find_codec name header)
  set(ballast_codec_${name}_FOUND TRUE PARENT_SCOPE)
  if(TARGET ballast_codec::${name})
    return()
  endif()
  string(TOUPPER ${name} upper)
  find_path(BALLAST_${upper}_INCLUDE_DIR ${header})
  find_library(BALLAST_${upper}_LIBRARY NAMES ${ARGN})
  mark_as_advanced(BALLAST_${upper}_INCLUDE_DIR BALLAST_${upper}_LIBRARY)
  if(NOT BALLAST_${upper}_INCLUDE_DIR OR NOT BALLAST_${upper}_LIBRARY)
    set(ballast_codec_${name}_FOUND FALSE PARENT_SCOPE)
    return()
  endif()
  add_library(ballast_codec::${name} UNKNOWN IMPORTED)
  set_target_properties(ballast_codec::${name} PROPERTIES
    IMPORTED_LOCATION ${BALLAST_${upper}_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${BALLAST_${upper}_INCLUDE_DIR})
endfunction()

# ballast_find_codecs(NAME...): those of the list; sets ballast_codecs_missing to those that are not there.
function(ballast_find_codecs)
  set(missing "")
  foreach(name IN LISTS ARGN)
    if(name STREQUAL "gzip")
      ballast_find_codec(gzip zlib.h z zlib zlibstatic)
    elseif(name STREQUAL "bzip2")
      ballast_find_codec(bzip2 bzlib.h bz2 libbz2)
    elseif(name STREQUAL "xz")
      ballast_find_codec(xz lzma.h lzma liblzma)
    elseif(name STREQUAL "zstd")
      ballast_find_codec(zstd zstd.h zstd zstd_static libzstd)
    elseif(name STREQUAL "lz4")
      ballast_find_codec(lz4 lz4frame.h lz4 liblz4)
    elseif(name STREQUAL "libdeflate")
      ballast_find_codec(libdeflate libdeflate.h deflate deflatestatic libdeflate)
    else()
      message(FATAL_ERROR "There is no codec \"${name}\"")
    endif()
    if(NOT ballast_codec_${name}_FOUND)
      list(APPEND missing ${name})
    endif()
  endforeach()
  set(ballast_codecs_missing "${missing}" PARENT_SCOPE)
endfunction()
