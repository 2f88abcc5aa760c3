# shellcheck shell=bash
# Building and testing with CMake's presets, and the native half of both commands: what is built with the machine's own
# compilers.

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
  local preset=$1
  shift
  (cd "$root" && quietly "building $preset" \
    cmake --build --preset "$preset" --parallel "$(cores)" ${1+--target "$@"})
}

# run_ctest PRESET [OPTION...]: leaves what ctest said in build/PRESET.log. Tests with the label "thorough" rarely find
# what no other test finds: only `test --all` runs them.
run_ctest() {
  local preset=$1
  shift
  say "$preset: testing"
  (
    cd "$root"
    status=0
    ctest --preset "$preset" --parallel "$(cores)" "$@" || status=1
    [[ -z $everything ]] || ctest --test-dir "build/$preset" --output-on-failure --parallel "$(cores)" \
      --label-regex '^thorough$' --no-tests=ignore || status=1
    exit "$status"
  ) 2>&1 | tee "$root/build/$preset.log"
}

# test_preset PRESET [OPTION...]
test_preset() {
  local preset=$1
  say "$preset: building"
  { timed "$preset.build" build_preset "$@"; } || { echo "$preset: not built" >"$root/build/$preset.log" && return 1; }
  timed "$preset.test" run_ctest "$preset"
}

build_preset() { configure "$@" && build "$1"; }

# Whether sources are compiled together, which takes a third of the time. `test --all` compiles each by itself, so that
# none leans on the includes of another.
unity() { if [[ -n $everything ]]; then echo OFF; else echo ON; fi; }

native_build_command() {
  configure release && build release && build release samples
}

native_test_presets() {
  local status=0
  test_preset dev "-DCMAKE_UNITY_BUILD=$(unity)" || status=1
  test_sanitized || status=1
  return "$status"
}

fuzz_seconds() { if [[ -n $everything ]]; then echo 60; else echo 5; fi; }

# The sanitizers; and where there is Clang, in the same build, what only it has: fuzzing, and counting what the tests
# reach.
test_sanitized() {
  local status=0 with=() counts=$root/build/asan-ubsan/coverage
  rm -f "$root"/build/{fuzz,coverage}.log
  rm -rf "$counts"
  if have clang++-19 && has_clang_runtime; then
    with=(-DCMAKE_CXX_COMPILER=clang++-19 -DBALLAST_BUILD_FUZZ=ON "-DBALLAST_FUZZ_SECONDS=$(fuzz_seconds)")
    ! have llvm-cov-19 || with+=(-DBALLAST_COVERAGE=ON)
  fi
  # As many files for each program as write at a time.
  LLVM_PROFILE_FILE=$counts/%2m.profraw test_preset asan-ubsan ${with[@]+"${with[@]}"} || status=1
  if [[ ${with[*]-} == *FUZZ* ]]; then
    grep -E '^[a-z0-9-]+ +[0-9]+ executions ' "$root/build/asan-ubsan/Testing/Temporary/LastTest.log" \
      >"$root/build/fuzz.log" || status=1
  fi
  if [[ ${with[*]-} == *COVERAGE* ]]; then
    timed coverage count_coverage "$counts" || status=1
  fi
  return "$status"
}

count_coverage() { python3 "$root/tests/coverage.py" "$root/build/asan-ubsan" "$1" 2>&1 | tee "$root/build/coverage.log"; }

# What threads share. GCC 12's ThreadSanitizer does not start on kernels that lay memory out as newer ones do.
test_tsan() {
  if ! have clang++-19 || ! has_clang_runtime; then
    echo 'tsan: left out, because there is no Clang 19' >"$root/build/tsan.log"
    return
  fi
  test_preset tsan -DCMAKE_CXX_COMPILER=clang++-19
}

# test_heap WASM: the heap platform on this machine. Its unit tests are those of WebAssembly, which has no other platform:
# where these are run, here it is the command's turn alone.
test_heap() {
  local log=$root/build/heap.log
  if [[ $1 != due ]]; then
    test_preset heap
    return
  fi
  say 'heap: building'
  { timed heap.build configure heap && timed heap.build build heap ballast-cli samples; } ||
    { echo 'heap: not built' >"$log" && return 1; }
  timed heap.test run_ctest heap --label-regex '^(cli|fixtures)$'
}

# What opening costs in instructions and in memory, which is the same on a busy machine and on an idle one, and what a
# load takes in Node, where that was built. The benchmarks that take time are run by hand: tests/bench/bench.py.
test_costs() {
  say 'bench: building'
  timed costs.build configure bench || return 1
  timed costs.build build bench ballast-cli bench-open bench-json make-samples || return 1
  say 'bench: counting'
  timed costs.count count_costs
}

count_costs() {
  local with=()
  [[ ! -e $root/build/wasm32/web/module/ballast.wasm ]] || with=(--wasm "$root/build/wasm32")
  python3 "$root/tests/bench/bench.py" --build "$root/build/bench" --inputs "$cache/bench-inputs" \
    ${with[@]+"${with[@]}"} --only instructions memory json wasm-memory 2>&1 | tee "$root/build/bench.log"
}
