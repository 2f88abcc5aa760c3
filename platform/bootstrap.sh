#!/usr/bin/env bash
# From a fresh checkout to a result, in one command. See usage below, or platform/setup/ for the parts.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
setup=$root/platform/setup
cache=${BALLAST_CACHE:-${XDG_CACHE_HOME:-${HOME:-$root/build}/.cache}/ballast}

# shellcheck source=platform/setup/common.sh
source "$setup/common.sh"
# shellcheck source=platform/setup/needs.sh
source "$setup/needs.sh"
# shellcheck source=platform/setup/debian.sh
source "$setup/debian.sh"
# shellcheck source=platform/setup/native.sh
source "$setup/native.sh"
# shellcheck source=platform/setup/wasm.sh
source "$setup/wasm.sh"
# shellcheck source=platform/setup/package.sh
source "$setup/package.sh"
# shellcheck source=platform/setup/demo.sh
source "$setup/demo.sh"
# shellcheck source=platform/setup/both.sh
source "$setup/both.sh"

# Whether `test --all` was asked for.
everything=''

# Emscripten starts Python for every file that it compiles, and the shim of a version manager in front of it would take
# as long as the compiler.
if [[ -z ${EMSDK_PYTHON-} ]] && have python3; then
  EMSDK_PYTHON=$(python3 -c 'import sys; print(sys.executable)')
  export EMSDK_PYTHON
fi

usage() {
  cat <<'END'
usage: platform/bootstrap.sh run [MODEL]   build the command and inspect MODEL, or a sample: with the native build and
                                           with the WebAssembly build in Node
       platform/bootstrap.sh run --serve   build the browser demo and serve it on this machine alone, until Ctrl-C
       platform/bootstrap.sh test          build and test everything, natively and in Node: under an hour on two cores
       platform/bootstrap.sh test --all    the same with the tests that rarely find more, and longer fuzzing
       platform/bootstrap.sh wasm          set up what the presets wasm32 and wasm64 need
       platform/bootstrap.sh help

What is missing is installed first, on Debian and Ubuntu, as root or through sudo without a password; nothing is removed
or upgraded. What these systems do not have goes to a cache folder. Elsewhere the missing packages are named. Where
everything is there already, nothing is installed or downloaded.

The WebAssembly half needs Emscripten 3.1.69, Node and libraries for the target: on Debian they are set up in the cache;
elsewhere they are taken from an emsdk and BALLAST_WASM_PREFIX. Without them the native half is done, and it is said
what was left out.

BALLAST_CACHE       the cache folder                               (default: ~/.cache/ballast)
CMAKE_PREFIX_PATH   where else dependencies may be, as for CMake
CXX                 the compiler, as for CMake
BALLAST_EMSCRIPTEN, BALLAST_WASM_PREFIX, BALLAST_NODE64
                    the folder of an emcc, that of the libraries for WebAssembly, and a Node 24 for wasm64
END
}

case ${1-} in
  run)
    (($# <= 2)) || { usage >&2; exit 2; }
    case ${2-} in
      --serve) demo_serve ;;
      -?*) usage >&2 && exit 2 ;;
      *) run_both "${@:2}" ;;
    esac
    ;;
  test)
    [[ $# -eq 1 || ($# -eq 2 && $2 == --all) ]] || { usage >&2; exit 2; }
    everything=${2+yes}
    test_both
    ;;
  wasm)
    (($# == 1)) || { usage >&2; exit 2; }
    wasm_provide 32 64
    ;;
  help | -h | --help) usage ;;
  *)
    usage >&2
    exit 2
    ;;
esac
