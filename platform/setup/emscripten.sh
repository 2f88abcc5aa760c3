# shellcheck shell=bash disable=SC2154 # setup and cache are bootstrap.sh's.
# Emscripten and Node for the WebAssembly builds: what this machine has where that is new enough, else Debian 13's
# Emscripten 3.1.69 and a Node 24, in the cache.
#
# Debian 12's own Emscripten, 3.1.6, cannot do what is needed: its output fails in Node 18 and newer, and it has no
# usable MEMORY64. Debian 13's runs on Debian 12 all the same: it is scripts for every architecture, it uses the Clang
# 19 that Debian 12 has too, and of the rest only Binaryen's programs want a newer C library, which is unpacked beside
# them. Nothing of this is installed into the system.

# shellcheck source=platform/setup/archive.sh
source "$setup/archive.sh"

emscripten_minimum=3.1.69
emscripten_suite=trixie

# emscripten_version ROOT
emscripten_version() { tr -cd '0-9.\n' <"$1/emscripten-version.txt" 2>/dev/null; }

# emscripten_is_dated ROOT: 3.1.69 as it was released asks engines for 64-bit memory by a word that the standard has
# changed since ("index", now "address"), takes the refusal for an old engine, and then can never make memory grow.
emscripten_is_dated() { grep -qs "'index': 'i64'" "$1/src/runtime_shared.js"; }

# emscripten_serves ROOT: the folder is an Emscripten that is new enough.
emscripten_serves() {
  local version
  version=$(emscripten_version "$1") && [[ -x $1/em++ ]] && at_least "$version" "$emscripten_minimum" &&
    ! emscripten_is_dated "$1"
}

# Prints the folder of an Emscripten that the user has, if it is new enough. emscripten.cmake looks in the same places.
emscripten_of_user() {
  local root
  for root in "${BALLAST_EMSCRIPTEN-}" "${EMSDK:+$EMSDK/upstream/emscripten}" \
    "$(em-config EMSCRIPTEN_ROOT 2>/dev/null || true)"; do
    if [[ -n $root ]] && emscripten_serves "$root"; then
      echo "$root"
      return
    fi
  done
  return 1
}

# recipe FILE...: a short name for what the files say, so that another recipe gets another folder.
recipe() { cat "$@" | sha256sum | cut -c1-12; }

emscripten_folder() { echo "$cache/emscripten-$emscripten_minimum-$(recipe "$setup"/{archive,emscripten}.sh)"; }

# current FOLDER NAME: makes the link NAME in the cache lead to FOLDER. That is where emscripten.cmake looks when it is
# used without this script.
current() {
  local link=$cache/$2
  [[ $(readlink "$link" 2>/dev/null) != "${1##*/}" ]] || return 0
  ln -s "${1##*/}" "$link.$$" && mv -T "$link.$$" "$link"
}

# What of the package is never used here (threads, sockets, OpenGL, position-independent code, sanitizers, its own
# tests): three quarters of it. Emscripten builds a library that is not there when a program first needs it.
emscripten_unused() {
  local folder=./usr/share/emscripten
  printf -- '--exclude=%s\n' "$folder/test" "$folder/media" "$folder/docs" "$folder/ChangeLog.*" \
    "$folder/cache/sysroot/lib/wasm32-emscripten/pic" "$folder/cache/sysroot/lib/wasm32-emscripten/lto-pic" \
    "$folder/cache/sysroot/lib/*"/{'*-mt*','*-ww*','*asan*','*san_*','libGL*','libwebgpu*','libwasmfs*','libal*'}.a \
    "$folder/cache/sysroot/lib/*"/'libemmalloc*'.a
}

# emscripten_assemble PACKAGES TREE: the packages' files, laid out so that TREE can be moved.
emscripten_assemble() {
  local packages=$1 tree=$2 raw=$2/raw package unused=() option
  while read -r option; do unused+=("$option"); done < <(emscripten_unused)
  mkdir -p "$raw" "$tree"/binaryen/{bin,libexec,lib}
  for package in "$packages"/*.deb; do
    dpkg --fsys-tarfile "$package" | tar -x -C "$raw" --no-same-owner --wildcards "${unused[@]}" || return 1
  done

  mv "$raw/usr/share/emscripten" "$tree/emscripten" || return 1
  sed -i "s/'index': 'i64'/'address': 'i64'/" "$tree"/emscripten/src/{runtime_shared,runtime_init_memory,preamble_minimal}.js
  # Its scripts import acorn as an ES module, for which Node looks nowhere but here.
  mkdir "$tree/emscripten/node_modules"
  mv "$raw/usr/share/nodejs/acorn" "$tree/emscripten/node_modules/"

  # Binaryen's programs, each started by the loader of the C library that they want.
  mv "$raw"/usr/bin/wasm* "$tree/binaryen/libexec/"
  mv "$raw"/usr/lib/*/{ld-linux*,libbinaryen,libc,libm,libgcc_s,libstdc++}.so* "$tree/binaryen/lib/"
  cat >"$tree/binaryen/run" <<'END'
#!/bin/sh
here=${0%/*}/..
exec "$here"/lib/ld-linux*.so.* --library-path "$here/lib" "$here/libexec/${0##*/}" "$@"
END
  chmod +x "$tree/binaryen/run"
  for package in "$tree"/binaryen/libexec/*; do
    ln -s ../run "$tree/binaryen/bin/${package##*/}"
  done

  # Emscripten has told this file's own path to the environment when it reads it.
  cat >"$tree/emscripten/.emscripten" <<'END'
import os, shutil
_here = os.path.dirname(os.path.abspath(os.environ['EM_CONFIG']))
LLVM_ROOT = '/usr/lib/llvm-19/bin'
BINARYEN_ROOT = os.path.join(os.path.dirname(_here), 'binaryen')
NODE_JS = shutil.which('node') or '/usr/bin/node'
CACHE = os.path.join(_here, 'cache')
FROZEN_CACHE = False
END
  rm -rf "$raw"
}

# emscripten_works ROOT: a program compiles, links and runs, and an exception is caught in it.
emscripten_works() (
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  cat >"$work/probe.cpp" <<'END'
#include <stdexcept>
int main() {
  try {
    throw std::runtime_error("thrown");
  } catch (const std::exception&) {
    return 0;
  }
}
END
  unset EM_CONFIG
  "$1/em++" -fwasm-exceptions -sEXIT_RUNTIME "$work/probe.cpp" -o "$work/probe.js" && node "$work/probe.js"
)

emscripten_unpack() (
  target=$(emscripten_folder)
  [[ ! -d $target ]] || return 0
  say "downloading Emscripten $emscripten_minimum and unpacking it into the cache (250 MB, half a minute of work)"
  work=$(mktemp -d)
  mkdir -p "$cache"
  tree=$(mktemp -d -p "$cache" .partial.XXXXXX)
  trap 'rm -rf "$work" "$tree"' EXIT

  archive_open "$emscripten_suite" "$work" || return 1
  archive_download "$work" "$emscripten_suite" 'emscripten binaryen libc6 libstdc++6 libgcc-s1 node-acorn' || return 1
  quietly 'unpacking Emscripten' emscripten_assemble "$work/files" "$tree" || return 1
  quietly 'trying Emscripten' emscripten_works "$tree/emscripten" || return 1
  chmod 755 "$tree"
  mv "$tree" "$target"
)

emscripten_give_up() {
  die "there is no Emscripten $emscripten_minimum or newer. $* The simplest cure is an emsdk:" \
    'install and activate one, source its emsdk_env.sh, and run this again; or name the folder of emcc in' \
    'BALLAST_EMSCRIPTEN.'
}

# Sets BALLAST_EMSCRIPTEN.
emscripten_provide() {
  local root
  if [[ -n ${BALLAST_EMSCRIPTEN-} ]] && ! emscripten_serves "$BALLAST_EMSCRIPTEN"; then
    emscripten_give_up 'BALLAST_EMSCRIPTEN names a folder that has none, or one that cannot do all that is needed.'
  fi
  if ! root=$(emscripten_of_user); then
    [[ $(distribution) == debian ]] || emscripten_give_up 'Only on Debian can it be had from the archive.'
    provide 'python3 node clang++-19 wasm-ld-19 llvm-ar-19' ''
    locked "$cache/lock" emscripten_unpack || emscripten_give_up "Debian's could not be fetched or used (see above)."
    current "$(emscripten_folder)" emscripten
    root=$(emscripten_folder)/emscripten
    # It has its own settings; those of another Emscripten would go first.
    unset EM_CONFIG
  fi
  export BALLAST_EMSCRIPTEN=$root
}

distribution() (
  # shellcheck source=/dev/null
  source /etc/os-release 2>/dev/null
  echo "${ID-}"
)

# ---- Node ---------------------------------------------------------------------------------------

# The first release that runs 64-bit WebAssembly without a flag.
node64_minimum=24

# node_serves NODE MINIMUM
node_serves() {
  local version
  version=$("$1" --version 2>/dev/null) && at_least "${version#v}" "$2"
}

node64_folder() { echo "$cache/node-$node64_minimum-$(recipe "$setup/emscripten.sh")"; }

# npm's package named node is a program, not JavaScript: the official build for this system.
node64_install() (
  target=$(node64_folder)
  [[ ! -d $target ]] || return 0
  say "downloading Node $node64_minimum into the cache (60 MB)"
  mkdir -p "$cache"
  tree=$(mktemp -d -p "$cache" .partial.XXXXXX)
  trap 'rm -rf "$tree"' EXIT
  quietly "npm install node@$node64_minimum" npm install --prefix "$tree/npm" --no-audit --no-fund --no-save \
    --loglevel=error "node@$node64_minimum" || return 1
  mkdir "$tree/bin"
  mv "$tree/npm/node_modules/node/bin/node" "$tree/bin/"
  rm -rf "$tree/npm"
  node_serves "$tree/bin/node" "$node64_minimum" || { say 'the Node that npm installed does not run' && return 1; }
  chmod 755 "$tree"
  mv "$tree" "$target"
)

# Sets BALLAST_NODE64, to nothing where there is none: then wasm64 is built and not run.
node64_provide() {
  local node
  for node in "${BALLAST_NODE64-}" "$(command -v node || true)" "$(node64_folder)/bin/node"; do
    if [[ -n $node ]] && node_serves "$node" "$node64_minimum"; then
      export BALLAST_NODE64=$node
      return
    fi
  done
  provide '' 'npm'
  if have npm && locked "$cache/lock" node64_install; then
    current "$(node64_folder)" node64
    BALLAST_NODE64=$(node64_folder)/bin/node
    export BALLAST_NODE64
  else
    export BALLAST_NODE64=''
    say "goes on without Node $node64_minimum; wasm64 is built and its tests are left out"
  fi
}
