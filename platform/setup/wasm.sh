# shellcheck shell=bash disable=SC2154 # root, setup and cache are bootstrap.sh's.
# The libraries for wasm32 and wasm64, one prefix for each in the cache, from Debian's sources. emscripten.cmake puts
# the prefix first where CMake looks, so that find_package says the same as for a native build.

# shellcheck source=platform/setup/emscripten.sh
source "$setup/emscripten.sh"

# One row per library: Debian's source package, the folder of its CMakeLists.txt, and what CMake is told. A bare dash is
# a library without a useful one, which setup/wasm/CMakeLists.txt builds. Upstream's releases are taken as they are,
# without Debian's patches, which are about Debian's packaging. Catch2 knows std::string_view only if it is compiled as
# the tests are, and is compiled in three pieces and not much optimised: seven times as fast as it would be by itself.
# zlib fills its tables for CRC-32 when it first needs them: 5 kB that no compression makes smaller, and that a page would
# download.
wasm_sources() {
  cat <<'END'
catch2    .            -DCATCH_INSTALL_DOCS=OFF -DCATCH_INSTALL_EXTRAS=ON -DBUILD_TESTING=OFF -DCMAKE_CXX_STANDARD=20 -DCMAKE_CXX_FLAGS_RELEASE=-O1 -DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=40
fmtlib    .            -DFMT_TEST=OFF -DFMT_DOC=OFF
libzstd   build/cmake  -DZSTD_BUILD_PROGRAMS=OFF -DZSTD_BUILD_SHARED=OFF -DZSTD_LEGACY_SUPPORT=OFF -DZSTD_MULTITHREAD_SUPPORT=OFF
xz-utils  .            -DXZ_THREADS=no -DXZ_NLS=OFF -DXZ_DOC=OFF -DXZ_TOOL_XZ=OFF -DXZ_TOOL_XZDEC=OFF -DXZ_TOOL_LZMADEC=OFF -DXZ_TOOL_LZMAINFO=OFF -DXZ_TOOL_SCRIPTS=OFF -DBUILD_TESTING=OFF
lz4       build/cmake  -DLZ4_BUILD_CLI=OFF -DBUILD_STATIC_LIBS=ON
zlib      -            -DLIBRARY=z -DHEADERS=zlib.h;zconf.h -DSOURCES=*.c -DDEFINITIONS=HAVE_UNISTD_H;DYNAMIC_CRC_TABLE
bzip2     -            -DLIBRARY=bz2 -DHEADERS=bzlib.h -DSOURCES=blocksort.c;huffman.c;crctable.c;randtable.c;compress.c;decompress.c;bzlib.c
END
}

# Headers alone, which are the same for every target and come as they are installed.
wasm_headers='libcli11-dev libboost1.83-dev'

# What the libraries are built from and with: another one of these is another prefix. Of emscripten.cmake only the flags
# count that objects must agree on.
wasm_recipe() {
  {
    cat "$setup"/{archive,wasm}.sh "$setup/wasm/CMakeLists.txt"
    grep abi_flags "$root/emscripten.cmake"
    emscripten_version "$BALLAST_EMSCRIPTEN"
  } | recipe -
}

# wasm_prefix BITS
wasm_prefix() { echo "$cache/wasm$1-$(wasm_recipe)"; }

# wasm_fetch WORK: every file, and the unpacked sources as WORK/src/NAME.
wasm_fetch() {
  local work=$1 name package archive
  archive_open "$emscripten_suite" "$work" || return 1
  archive_sources "$work" "$emscripten_suite" "$(wasm_sources | awk '{ print $1 }' | paste -sd' ' -)" || return 1
  archive_download "$work" "$emscripten_suite" "$wasm_headers" || return 1
  for name in $(wasm_sources | awk '{ print $1 }'); do
    mkdir -p "$work/src/$name"
    for archive in "$work/files/$name"_*.orig.tar.*; do
      [[ $archive == *.asc ]] || tar -xf "$archive" -C "$work/src/$name" --strip-components=1 --no-same-owner || return 1
    done
  done
  mkdir -p "$work/headers"
  for package in "$work"/files/*.deb; do
    dpkg -x "$package" "$work/headers" || return 1
  done
}

# wasm_cmake BITS PREFIX BUILD SOURCE [OPTION...]: configures, builds and installs one library.
wasm_cmake() {
  local bits=$1 prefix=$2 build=$3 source=$4
  shift 4
  cmake -S "$source" -B "$build" -G "$(generator)" "-DCMAKE_TOOLCHAIN_FILE=$root/emscripten.cmake" \
    "-DBALLAST_WASM_BITS=$bits" "-DBALLAST_WASM_PREFIX=$prefix" "-DCMAKE_INSTALL_PREFIX=$prefix" \
    -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF "$@" &&
    cmake --build "$build" --parallel "$(cores)" &&
    cmake --install "$build"
}

# wasm_build BITS WORK PREFIX: all libraries into PREFIX, a folder that is moved afterwards.
wasm_build() {
  local bits=$1 work=$2 prefix=$3 name folder options
  mkdir -p "$prefix"/{include,share} &&
    cp -R "$work"/headers/usr/include/* "$prefix/include/" &&
    cp -R "$work/headers/usr/share/cmake" "$prefix/share/" || return 1
  while read -r name folder options; do
    # The options are words, and are split on purpose.
    if [[ $folder == - ]]; then
      # shellcheck disable=SC2086
      wasm_cmake "$bits" "$prefix" "$work/build$bits/$name" "$setup/wasm" "-DFOLDER=$work/src/$name" $options || return 1
    else
      # shellcheck disable=SC2086
      wasm_cmake "$bits" "$prefix" "$work/build$bits/$name" "$work/src/$name/$folder" $options || return 1
    fi
  done < <(wasm_sources)
  wasm_cmake "$bits" "$prefix" "$work/build$bits/boost" "$setup/wasm" -DLIBRARY=boost_json
}

# wasm_libraries BITS...: those whose prefix is not there yet, from one download. Beside each other: half of the time goes
# into what CMake asks the compiler, one question after another.
wasm_libraries() (
  work='' tasks=() missing=() status=0
  trap 'rm -rf "$work" "$cache"/.partial.$$.*' EXIT
  for bits; do
    target=$(wasm_prefix "$bits")
    if [[ -d $target ]]; then
      current "$target" "wasm$bits"
      continue
    fi
    if [[ -z $work ]]; then
      say 'downloading the sources of the WebAssembly libraries (10 MB)'
      work=$(mktemp -d)
      quietly 'fetching the sources' wasm_fetch "$work" || return 1
    fi
    say "building the libraries for wasm$bits (some minutes)"
    quietly "building the libraries for wasm$bits" wasm_build "$bits" "$work" "$cache/.partial.$$.$bits" &
    tasks+=("$!") missing+=("$bits")
  done
  for i in ${tasks[@]+"${!tasks[@]}"}; do
    bits=${missing[i]}
    if wait "${tasks[i]}"; then
      target=$(wasm_prefix "$bits")
      mv "$cache/.partial.$$.$bits" "$target" && current "$target" "wasm$bits" || status=1
    else
      status=1
    fi
  done
  return "$status"
)

# wasm_provide BITS...: everything that building and testing for these targets needs. Sets BALLAST_EMSCRIPTEN, and
# leaves the rest where emscripten.cmake finds it.
wasm_provide() {
  emscripten_provide
  if [[ " $* " == *' 64 '* ]]; then
    node64_provide
  fi
  # Who brings his own libraries says where they are.
  [[ -z ${BALLAST_WASM_PREFIX-} ]] || return 0
  [[ $(distribution) == debian ]] ||
    die 'the libraries for WebAssembly are built from the sources of Debian, and this is another system: build' \
      'Catch2, CLI11 and fmt with emscripten.cmake into a folder (vcpkg has them, too) and name it in' \
      'BALLAST_WASM_PREFIX.'
  provide 'cmake ninja xz' ''
  locked "$cache/lock" wasm_libraries "$@" ||
    die 'the libraries for WebAssembly could not be fetched or built (see above).'
}
