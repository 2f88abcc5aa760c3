# shellcheck shell=bash
# The native half: the command and the tests, built with the machine's own compilers.

# configure PRESET [OPTION...] and build PRESET [TARGET]: quiet unless they fail.
configure() {
  local preset=$1 with=()
  shift
  # A build folder keeps the generator that it was made with.
  if [[ ! -f $root/build/$preset/CMakeCache.txt ]]; then
    with=(-G "$(generator)")
  fi
  (cd "$root" && quietly "configuring $preset" \
    cmake --preset "$preset" ${with[@]+"${with[@]}"} "$@")
}

build() {
  (cd "$root" && quietly "building $1" \
    cmake --build --preset "$1" --parallel "$(cores)" ${2+--target "$2"})
}

native_build_command() {
  configure release && build release && build release samples
}

# native_run [MODEL]
native_run() {
  provide 'c++ cmake ninja CLI11 fmt' ''
  locked "$root/build/lock" native_build_command || exit 1
  "$root/build/release/ballast" inspect "${1-$root/build/release/samples/tiny.gguf}"
}

# native_test_preset PRESET [OPTION...]: leaves what ctest said in build/PRESET.log.
native_test_preset() {
  local preset=$1 log=$root/build/$1.log
  say "$preset: building"
  { configure "$@" && build "$preset"; } || { echo "$preset: not built" >"$log" && return 1; }
  say "$preset: testing"
  (cd "$root" && ctest --preset "$preset" --parallel "$(cores)") 2>&1 | tee "$log"
}

# Mapped and on the heap, a model is the same model.
native_test_same_json() {
  say 'same JSON from both platforms: testing'
  python3 "$root/tests/cli/same_json.py" "$root/build/dev/ballast" "$root/build/heap/ballast" \
    "$root/build/dev/samples" "${BALLAST_FIXTURES:-$root/../shared/fixtures}"
}

# What opening costs in instructions and in memory, which is the same on a busy machine and on an idle one. The
# benchmarks that take time are run by hand: tests/bench/bench.py.
native_test_costs() {
  say 'bench: building'
  { configure bench && build bench && build bench make-samples; } || return 1
  say 'bench: counting'
  python3 "$root/tests/bench/bench.py" --build "$root/build/bench" --inputs "$cache/bench-inputs" \
    --only instructions memory json 2>&1 | tee "$root/build/bench.log"
}

native_test_all() {
  local preset status=0 sanitizing=()
  mkdir -p "$root/build"
  if have clang++-19 && has_clang_runtime; then
    sanitizing=(-DCMAKE_CXX_COMPILER=clang++-19)
  fi
  native_test_preset dev || status=1
  native_test_preset asan-ubsan ${sanitizing[@]+"${sanitizing[@]}"} || status=1
  native_test_preset heap || status=1
  native_test_same_json || status=1
  if have valgrind && [[ -z $(missing boost) ]]; then
    native_test_costs || status=1
  fi

  for preset in dev asan-ubsan heap; do
    printf '\n%s\n' "== $preset"
    sed -n '/tests passed/,$p; /not built$/p' "$root/build/$preset.log"
  done
  return "$status"
}

native_test() {
  provide 'c++ cmake ninja CLI11 fmt Catch2 python3' \
    'boost clang++-19 clang-runtime clang-format-19 clang-tidy-19 pkg-config shellcheck valgrind'
  locked "$root/build/lock" native_test_all
}
