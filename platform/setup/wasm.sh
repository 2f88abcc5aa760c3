# shellcheck shell=bash disable=SC2154 # root, setup and cache are bootstrap.sh's.
# The libraries for wasm32 and wasm64, one prefix for each in the cache, from Debian's sources. emscripten.cmake puts
# the prefix first where CMake looks, so that find_package says the same as for a native build.

# shellcheck source=platform/setup/emscripten.sh
source "$setup/emscripten.sh"

# Debian's source packages. Upstream's releases are taken as they are, without Debian's patches, which are about Debian's
# packaging.
wasm_sources='catch2 fmtlib libzstd xz-utils lz4 zlib bzip2'

# Catch2 knows std::string_view only if it is compiled as the tests are. One source that includes all others, optimised
# little, compiles in a seventh of the time.
wasm_catch2=(-DCATCH_INSTALL_DOCS=OFF -DCATCH_INSTALL_EXTRAS=ON -DBUILD_TESTING=OFF -DCMAKE_CXX_STANDARD=20
  -DCMAKE_CXX_FLAGS_RELEASE=-O1 -DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=0)

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
  archive_sources "$work" "$emscripten_suite" "$wasm_sources" || return 1
  archive_download "$work" "$emscripten_suite" "$wasm_headers" || return 1
  for name in $wasm_sources; do
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

# wasm_cmake BITS PREFIX BUILD SOURCE [OPTION...]: configures, builds and installs one project. Its checks compile and do
# not link: for wasm64, a link would first compile libraries of Emscripten's that nothing else uses.
wasm_cmake() {
  local bits=$1 prefix=$2 build=$3 source=$4
  shift 4
  cmake -S "$source" -B "$build" -G "$(generator)" "-DCMAKE_TOOLCHAIN_FILE=$root/emscripten.cmake" \
    "-DBALLAST_WASM_BITS=$bits" "-DBALLAST_WASM_PREFIX=$prefix" "-DCMAKE_INSTALL_PREFIX=$prefix" \
    -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF \
    -DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY "$@" &&
    cmake --build "$build" --parallel "$(cores)" &&
    cmake --install "$build"
}

# wasm_build BITS WORK PREFIX: builds all libraries into PREFIX, a folder that is moved afterwards. Catch2 is one long
# compilation, beside which the others are built.
wasm_build() {
  local bits=$1 work=$2 prefix=$3 status=0 catch2
  mkdir -p "$prefix"/{include,share} &&
    cp -R "$work"/headers/usr/include/* "$prefix/include/" &&
    cp -R "$work/headers/usr/share/cmake" "$prefix/share/" || return 1
  wasm_cmake "$bits" "$prefix" "$work/build$bits/catch2" "$work/src/catch2" "${wasm_catch2[@]}" &
  catch2=$!
  wasm_cmake "$bits" "$prefix" "$work/build$bits/others" "$setup/wasm" "-DSOURCES=$work/src" || status=1
  wait "$catch2" || status=1
  return "$status"
}

# wasm_libraries BITS...: those whose prefix is not there yet, from one download. The prefixes are built at the same time,
# because each build has parts that use one core.
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
