# shellcheck shell=bash disable=SC2086 # Lists of needs are words, and are split on purpose.
# What the project needs, how to see whether it is there, and what systems call it.

# One row per need, with underscores for spaces. A dash: no such package, or none that is known.
needs_table() {
  cat <<'END'
need            in_words              Debian                 Fedora           Arch       Homebrew   vcpkg
c++             a_C++20_compiler      g++                    gcc-c++          gcc        llvm       -
cmake           CMake_3.25            cmake                  cmake            cmake      cmake      -
ninja           Ninja_or_make         ninja-build            ninja-build      ninja      ninja      -
CLI11           CLI11                 libcli11-dev           cli11-devel      cli11      cli11      cli11
fmt             fmt                   libfmt-dev             fmt-devel        fmt        fmt        fmt
Catch2          Catch2_3              libcatch2-dev          catch-devel      catch2     catch2     catch2
python3         Python_3.9            python3                python3          python     python     -
boost           Boost_1.81            libboost-dev           boost-devel      boost      boost      boost-iostreams
boost-json      Boost.JSON_1.81       libboost-json-dev      boost-devel      boost      boost      boost-json
boost-iostreams Boost.Iostreams_1.81  libboost-iostreams-dev boost-devel      boost      boost      boost-iostreams
zlib            zlib                  zlib1g-dev             zlib-devel       zlib       zlib       zlib
libbz2          libbz2                libbz2-dev             bzip2-devel      bzip2      bzip2      bzip2
liblzma         liblzma               liblzma-dev            xz-devel         xz         xz         liblzma
libzstd         libzstd               libzstd-dev            libzstd-devel    zstd       zstd       zstd
liblz4          liblz4                liblz4-dev             lz4-devel        lz4        lz4        lz4
libdeflate      libdeflate            libdeflate-dev         libdeflate-devel libdeflate libdeflate libdeflate
clang++-19      Clang_19              clang-19               -                -          llvm@19    -
clang-runtime   Clang_19's_sanitizers libclang-rt-19-dev     -                -          llvm@19    -
clang-format-19 clang-format_19       clang-format-19        -                -          llvm@19    -
clang-tidy-19   clang-tidy_19         clang-tidy-19          -                -          llvm@19    -
pkg-config      pkg-config            pkgconf                pkgconf          pkgconf    pkgconf    -
cppcheck        cppcheck              cppcheck               cppcheck         cppcheck   cppcheck   -
shellcheck      shellcheck            shellcheck             ShellCheck       shellcheck shellcheck -
ccache          ccache                ccache                 ccache           ccache     ccache     -
valgrind        valgrind              valgrind               valgrind         valgrind   -          -
wasm-ld-19      LLD_19                lld-19                 -                -          -          -
llvm-ar-19      LLVM_19's_tools       llvm-19                -                -          -          -
llvm-cov-19     LLVM_19's_coverage    llvm-19                -                -          llvm@19    -
node            Node_18               nodejs                 nodejs           nodejs     node       -
npm             npm                   npm                    npm              npm        node       -
chromium        Chromium              chromium               chromium         chromium   -          -
firefox         Firefox               firefox-esr            firefox          firefox    -          -
webkit          WebKitGTK's_driver    webkit2gtk-driver      webkitgtk6.0     -          -          -
xvfb            Xvfb                  xvfb                   xorg-x11-server-Xvfb xorg-server-xvfb - -
xz              xz                    xz-utils               xz               xz         xz         -
gzip            gzip                  gzip                   gzip             gzip       gzip       -
pigz            pigz                  pigz                   pigz             pigz       pigz       -
bgzip           bgzip                 tabix                  htslib-tools     -          htslib     -
bzip2           bzip2                 bzip2                  bzip2            bzip2      bzip2      -
pbzip2          pbzip2                pbzip2                 pbzip2           pbzip2     pbzip2     -
pixz            pixz                  pixz                   pixz             pixz       pixz       -
zstd            zstd                  zstd                   zstd             zstd       zstd       -
pzstd           pzstd                 zstd                   zstd             zstd       zstd       -
lz4             lz4                   lz4                    lz4              lz4        lz4        -
END
}

# names COLUMN NEED...: the needs in a column of the table, one per line, each once.
names() {
  local column=$1
  shift
  needs_table | awk -v column="$column" -v needs=" $* " '
    NR > 1 && index(needs, " " $1 " ") && $column != "-" && !seen[$column]++ {
      gsub("_", " ", $column)
      print $column
    }'
}

# What neither the library nor the command is built without.
build_needs='c++ cmake ninja CLI11 fmt boost zlib libbz2 liblzma libzstd liblz4'

in_words() { names 2 "$@" | paste -sd, - | sed 's/,/, /g'; }

has_compiler() {
  if [[ -n ${CXX-} ]]; then
    have "${CXX%% *}"
  else
    have c++ || have g++ || have clang++
  fi
}

has_cmake() { have cmake && at_least "$(cmake --version | awk 'NR == 1 { print $3 }')" 3.25; }

has_generator() { have ninja || have make; }

# The generator of new build folders.
generator() { if have ninja; then echo Ninja; else echo 'Unix Makefiles'; fi; }

has_clang_runtime() (
  program=$(mktemp)
  trap 'rm -f "$program"' EXIT
  echo 'int main() {}' | clang++-19 -fsanitize=address,undefined -x c++ - -o "$program" 2>/dev/null
)

# What CMake finds, wherever the user has put it: c++20 for the compiler, and the names of packages.
found_by_cmake() (
  has_compiler && has_cmake && has_generator || return 0
  build=$(mktemp -d)
  trap 'rm -rf "$build"' EXIT
  cmake -S "$setup/probe" -B "$build" -G "$(generator)" >/dev/null 2>&1 && cat "$build/found"
)

# missing NEED...: prints those that are not there. What cannot be looked for yet counts as missing.
missing() {
  local need found
  found=" $(found_by_cmake | tr '\n' ' ' || true)"
  for need; do
    case $need in
      c++) [[ $found == *' c++20 '* ]] || { has_compiler && ! { has_cmake && has_generator; }; } ;;
      cmake) has_cmake ;;
      ninja) has_generator ;;
      CLI11 | fmt | Catch2 | boost | boost-* | zlib | lib*) [[ $found == *" $need "* ]] ;;
      python3) have python3 && python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' ;;
      firefox) have firefox-esr || have firefox ;;
      webkit) have WebKitWebDriver ;;
      xvfb) have Xvfb ;;
      clang-runtime) have clang++-19 && has_clang_runtime ;;
      *) have "$need" ;;
    esac || echo "$need"
  done
}

# give_up NEED...: what is missing, why it was not installed, and its names.
give_up() {
  local column=3 command packages
  say "missing: $(in_words "$@")"
  say "$(why_not_installed) Please install:"
  if is_debian; then
    printf '  apt-get install %s\n' "$(debian_packages "$*" | paste -sd' ' -)" >&2
    exit 1
  fi
  for command in 'Debian:    apt-get install' 'Fedora:    dnf install' 'Arch:      pacman -S' \
    'Homebrew:  brew install' 'vcpkg:     vcpkg install'; do
    packages=$(names "$column" "$@" | paste -sd' ' -)
    [[ -z $packages ]] || printf '  %s %s\n' "$command" "$packages" >&2
    column=$((column + 1))
  done
  exit 1
}

install_missing() {
  local lacking
  lacking=$(missing "$@")
  [[ -n $lacking ]] || return 0
  locked "$cache/lock" debian_install "$lacking"
  use_unpacked
}

# provide REQUIRED WISHED: two lists. Installs what is missing of both where that can be done; fails for want of the
# first, and says what it goes without of the second.
provide() {
  local required=$1 wished=$2 lacking
  use_unpacked
  lacking=$(missing $required $wished)
  [[ -n $lacking ]] || return 0

  if is_debian; then
    # Tools before libraries: what CMake finds, nobody has to install.
    install_missing c++ cmake ninja
    # What is wished for must not keep away what is required: apt installs all that it is told, or nothing.
    install_missing $required
    install_missing $wished
  fi

  lacking=$(missing $required)
  [[ -z $lacking ]] || give_up $lacking
  lacking=$(missing $wished)
  [[ -z $lacking ]] || say "goes on without $(in_words $lacking); what needs them is left out"
}
