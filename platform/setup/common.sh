# shellcheck shell=bash
# What the other parts share. All parts keep to bash 3.2, which macOS still has.

say() { printf 'bootstrap: %s\n' "$*" >&2; }

die() {
  say "$@"
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# quietly WHAT COMMAND...: runs a command and shows its output only if it fails.
quietly() {
  local what=$1 log status=0
  shift
  log=$(mktemp)
  "$@" >"$log" 2>&1 || status=$?
  if ((status != 0)); then
    cat "$log" >&2
    say "$what failed (exit status $status)"
  fi
  rm -f "$log"
  return "$status"
}

# locked FILE COMMAND...: one process at a time. In a subshell, whose end releases the lock.
locked() (
  file=$1
  shift
  mkdir -p "$(dirname "$file")"
  if have flock; then
    exec 9>"$file"
    flock -n 9 || { say "waiting for another run" && flock 9; }
  fi
  "$@"
)

# Whatever CMake configures from here on, the little projects of the tests among it, compiles nothing twice: on the next
# run, or in another folder, what has not changed comes from the cache.
use_ccache() {
  have ccache || return 0
  export CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache
  export CCACHE_DIR=$cache/ccache CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1 CCACHE_MAXSIZE=2G
}

# timed STAGE COMMAND...: adds a line to build/times: the stage, its seconds, and those of the processor that it took.
timed() {
  local stage=$1 status=0 TIMEFORMAT
  shift
  TIMEFORMAT="$stage %0R %0U %0S"
  { time "$@" 2>&3; } 3>&2 2>>"$root/build/times" || status=$?
  return "$status"
}

# What each stage took.
print_times() {
  awk '
    function line(stage, wall, processor) { printf "%-18s %5d s, %5d s of processor\n", stage, wall, processor }
    !($1 in wall) { stages[++count] = $1 }
    { wall[$1] += $2; processor[$1] += $3 + $4; all += $2; all_processor += $3 + $4 }
    END {
      for (i = 1; i <= count; ++i) line(stages[i], wall[stages[i]], processor[stages[i]])
      line("all", all, all_processor)
    }' "$root/build/times"
}

cores() { getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2; }

# at_least VERSION MINIMUM
at_least() { [[ $(printf '%s\n' "$1" "$2" | sort -t. -k1,1n -k2,2n -k3,3n | head -n 1) == "$2" ]]; }
