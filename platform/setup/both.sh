# shellcheck shell=bash disable=SC2154 # root and cache are bootstrap.sh's.
# The two commands, run and test: the native half and the WebAssembly half, one after the other. The native half never
# waits for the other one, and does without it where there is none.

# Whether WebAssembly can be had here: what there is was brought by the user, or is Debian's and may be installed.
wasm_can_be_had() {
  local debian=1
  [[ $(distribution) != debian ]] || debian=0
  { emscripten_of_user >/dev/null || { ((debian == 0)) && can_be_root; }; } &&
    { [[ -n ${BALLAST_WASM_PREFIX-} ]] || ((debian == 0)); }
}

# wasm_try BITS...: wasm_provide, but that giving up, which it says and which ends a process, is an answer here.
wasm_try() {
  # What was set up once is there the second time, which sets the variables.
  (wasm_provide "$@") && wasm_provide "$@"
}

# wasm_fresh PRESET: removes a build folder that was made with another compiler, other libraries or another Node than
# there are now: CMake keeps what it has once found.
wasm_fresh() {
  local preset=$1 tools stamp=$root/build/$1/tools
  tools=$(printf '%s\n' "$BALLAST_EMSCRIPTEN" "$(readlink -f "${BALLAST_WASM_PREFIX:-$cache/$preset}")")
  [[ $preset != wasm64 ]] || tools+=" ${BALLAST_NODE64-}"
  if [[ -d $root/build/$preset && $(cat "$stamp" 2>/dev/null) != "$tools" ]]; then
    rm -rf "${root:?}/build/$preset"
  fi
  mkdir -p "$root/build/$preset"
  printf '%s\n' "$tools" >"$stamp"
}

# ---- run ----------------------------------------------------------------------------------------

# Headings go where the tables go, so that each is over its own.
heading() { printf '%s\n\n' "== $*"; }

# inspect PRESET MODEL: with the command of a build, which is a program or a program and its script.
inspect() {
  local words
  eval "words=($(cat "$root/build/$1/ballast.command"))"
  "${words[@]}" inspect "$2"
}

wasm_build_command() { wasm_fresh wasm32 && configure wasm32 && build wasm32 ballast-cli; }

# run_both [MODEL]
run_both() {
  local model status=0 other=0
  provide "$build_needs" libdeflate
  locked "$root/build/lock" native_build_command || exit 1
  model=${1-$root/build/release/samples/tiny.gguf}
  heading 'native, by mmap'
  inspect release "$model" || status=$?

  if [[ $model == - || -p $model ]]; then
    say 'a pipe can be read once; for both builds name a file'
    return "$status"
  fi
  if ! wasm_can_be_had || ! wasm_try 32; then
    say 'goes on without WebAssembly: only the native build was run'
    return "$status"
  fi
  locked "$root/build/lock" wasm_build_command || exit 1
  echo
  heading 'WebAssembly in Node, on the heap'
  inspect wasm32 "$model" || other=$?
  say 'the same for any model, in a browser: platform/bootstrap.sh run --serve'
  return $((status != 0 ? status : other))
}

# ---- test ---------------------------------------------------------------------------------------

# Mapped and on the heap, native and WebAssembly: a model is the same model.
test_same_json() {
  local preset commands=()
  for preset; do
    commands+=("$(cat "$root/build/$preset/ballast.command")")
  done
  say "same JSON from $*: testing"
  python3 "$root/tests/cli/same_json.py" "${commands[@]}" -- \
    "$root/build/dev/samples" "${BALLAST_FIXTURES:-$root/../shared/fixtures}" 2>&1 | tee "$root/build/same-json.log"
}

test_wasm32() { test_preset wasm32 "$@"; }

# wasm64 is the same sources with wider pointers, which the native suites have: its module is tested, and by `test --all`
# everything else.
test_wasm64() {
  if [[ -n $everything ]]; then
    test_preset wasm64 "$@"
    return
  fi
  say 'wasm64: building'
  { timed wasm64.build configure wasm64 "$@" &&
    timed wasm64.build build wasm64 ballast-cli ballast-module ballast-module-common ballast-embedding samples \
      compress-samples; } ||
    { echo 'wasm64: not built' >"$root/build/wasm64.log" && return 1; }
  timed wasm64.test run_ctest wasm64 --label-regex '^web$'
}

# test_all WASM: "due" where the WebAssembly suites have to be run, "missing" where they would have to be, but could not
# be set up, "none" where this machine cannot have them.
test_all() {
  local wasm=$1 preset part status=0 same=(dev heap)
  native_test_presets || status=1
  test_tsan || status=1
  test_heap "$wasm" || status=1
  for preset in wasm32 wasm64; do
    if [[ $wasm != due ]]; then
      echo "$preset: left out, because WebAssembly could not be set up (see above)" >"$root/build/$preset.log"
      continue
    fi
    # CMake's checks compile and do not link: unoptimised programs, and those without exceptions, take other libraries
    # of Emscripten's, which for wasm64 it would first compile: minutes.
    # Emscripten's compiler is Clang, which its name does not tell ccache.
    { wasm_fresh "$preset" &&
      CCACHE_COMPILERTYPE=clang "test_$preset" -DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY; } || status=1
    # A test that fails is no reason not to compare.
    if ! grep -q 'not built$' "$root/build/$preset.log" && [[ $preset == wasm32 || -n $BALLAST_NODE64 ]]; then
      same+=("$preset")
    fi
  done
  [[ $wasm != missing ]] || status=1
  timed same-json test_same_json "${same[@]}" || status=1
  if [[ $wasm == due ]] && have npm; then
    test_package || status=1
  fi
  if have valgrind && [[ -z $(missing boost-json) ]]; then
    test_costs || status=1
  fi

  for preset in dev asan-ubsan tsan heap wasm32 wasm64; do
    printf '\n%s\n' "== $preset"
    sed -n '/tests passed/,$p; /not built$/p; /left out/p' "$root/build/$preset.log"
  done
  for part in fuzz coverage; do
    if [[ -e $root/build/$part.log ]]; then
      printf '\n%s\n' "== $part"
      cat "$root/build/$part.log"
    fi
  done
  if [[ -e $root/build/package.log ]]; then
    printf '\n%s\n' '== package'
    grep -E '^(Node|package:|. (tests|pass|fail|skipped))' "$root/build/package.log"
  fi
  printf '\n%s\n' "== same JSON from ${same[*]}"
  tail -n 1 "$root/build/same-json.log"
  printf '\n%s\n' '== time'
  print_times
  if [[ -e $root/build/bench.log ]]; then
    printf '\n%s\n' '== costs'
    tail -n 1 "$root/build/bench.log"
  fi
  return "$status"
}

test_both() {
  local wasm=none
  mkdir -p "$root/build"
  rm -f "$root/build/times"
  timed packages provide_test_needs
  if wasm_can_be_had; then
    wasm=missing
    ! timed wasm-tools wasm_try 32 64 || wasm=due
    timed packages provide "$build_needs" 'chromium firefox webkit xvfb'
  else
    say 'goes on without WebAssembly, which needs an Emscripten (an emsdk, for example) and BALLAST_WASM_PREFIX, or a' \
      'Debian where packages may be installed; its suites are left out'
  fi
  use_ccache
  locked "$root/build/lock" test_all "$wasm"
}

provide_test_needs() {
  # The tools make files that the library must read: each has a variant of its format that others do not write.
  provide "$build_needs Catch2 python3" \
    "libdeflate boost-json boost-iostreams gzip pigz bgzip bzip2 pbzip2 xz pixz zstd pzstd lz4 \
     ccache clang++-19 clang-runtime clang-format-19 clang-tidy-19 llvm-cov-19 cppcheck pkg-config shellcheck valgrind"
}
