# shellcheck shell=bash disable=SC2086 # Lists of packages are words, and are split on purpose.
# Packages on Debian and Ubuntu: by apt-get as root; or unpacked into the cache, which needs no root and leaves the
# system as it is.

is_debian() { [[ -r /etc/debian_version ]] && have apt-get && have apt-cache && have dpkg; }

can_be_root() { ((EUID == 0)) || { have sudo && sudo -n true 2>/dev/null; }; }

as_root() { if ((EUID == 0)); then "$@"; else sudo -n -- "$@"; fi; }

why_not_installed() {
  if ! is_debian; then
    echo 'Packages are installed only on Debian and Ubuntu.'
  elif ! can_be_root; then
    echo 'This is not root, and sudo would ask for a password; what needs neither was tried.'
  else
    echo 'They could not be installed (see above), or this release has only older ones.'
  fi
}

# The version that apt would install, if there is one.
candidate() { LC_ALL=C apt-cache policy "$1" | awk '$1 == "Candidate:" && $2 != "(none)" { print $2 }'; }

# offers PACKAGE [MINIMUM]
offers() {
  local version
  version=$(candidate "$1")
  [[ -n $version ]] && dpkg --compare-versions "$version" ge "${2-0}"
}

# debian_packages NEEDS: what this release calls them.
debian_packages() {
  names 3 $1 | while read -r package; do
    case $package in
      # Ubuntu 24.04 has it in one package, Debian 12 has version 2.
      libcatch2-dev)
        offers "$package" 3 || { offers catch2 3 && package=catch2; } || package+=/$(codename)-backports
        ;;
      # Debian 12's default Boost is 1.74.
      libboost*-dev) offers "$package" 1.81 || package=${package%-dev}1.81-dev ;;
    esac
    echo "$package"
  done
}

apt_get() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600 "$@"
}

# By default apt-get update is content when it reaches no mirror at all.
strictly='APT::Update::Error-Mode=any'

apt_update() { quietly 'apt-get update' apt_get -q -o "$strictly" update; }

# Nothing of the user's is removed or upgraded; apt refuses instead.
apt_install() {
  local options='install --no-install-recommends --no-remove --no-upgrade'
  # Lists that are out of date name files that the mirror has no more.
  apt_get $options "$@" >/dev/null 2>&1 ||
    { apt_update && quietly "apt-get install $*" apt_get $options "$@"; }
}

# Whether a package would be installed without the removal of another.
installable() { apt-get -s -q install --no-install-recommends --no-remove --no-upgrade "$1" >/dev/null 2>&1; }

# debian_install NEEDS: as much of it as this machine allows; the caller looks afterwards what is there.
debian_install() {
  local need package packages=''
  if can_be_root; then
    # Lists that were never fetched offer nothing.
    for package in $(debian_packages "$1"); do
      offers "${package%/*}" || { apt_update && break; } || true
    done
  fi
  for need in $1; do
    package=$(debian_packages "$need")
    if [[ $package == */*-backports ]]; then
      catch2_unpack || true
    elif [[ $package == libboost*1.81-dev ]] && ! { can_be_root && installable "$package"; }; then
      boost_unpack || true
    elif offers "$package"; then  # a package that this release does not have would keep away the others
      [[ "$packages " == *" $package "* ]] || packages+=" $package"
    fi
  done
  if [[ -n $packages ]] && can_be_root; then
    say "installing$packages"
    apt_install $packages || true
  fi
}

# ---- Unpacked packages --------------------------------------------------------------------------

codename() (
  # shellcheck source=/dev/null
  source /etc/os-release
  echo "${VERSION_CODENAME-}"
)

# Where packages are unpacked: another recipe, release or architecture is another folder.
unpacked() {
  local recipe
  recipe=$(cat "$setup"/{debian,catch2,boost}.sh | sha256sum | cut -c1-12)
  echo "$cache/$(codename)-$(dpkg --print-architecture)-$recipe"
}

# Lets CMake find what is unpacked.
use_unpacked() {
  local prefix
  is_debian || return 0
  for prefix in "$(unpacked)"/*/usr; do
    if [[ -d $prefix && :${CMAKE_PREFIX_PATH-}: != *:$prefix:* ]]; then
      export CMAKE_PREFIX_PATH=$prefix${CMAKE_PREFIX_PATH:+:$CMAKE_PREFIX_PATH}
    fi
  done
}

# The mirror that this machine uses for its own release, as a line for a source list of another suite.
# shellcheck disable=SC2016 # The dollars are apt's.
source_line() {
  local uri keys=/usr/share/keyrings/debian-archive-keyring.gpg
  uri=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
    awk -v release="$(codename)" '$1 == release { print $2; exit }')
  [[ -n $uri ]] || { say 'apt knows no mirror of this release: apt-get update may help' && return 1; }
  [[ -r $keys ]] && keys="[signed-by=$keys]" || keys=''
  echo "deb $keys $uri $1 main"
}

# unpack NAME SUITE PACKAGE...: packages of a suite, into a folder of their own that is there as a whole or not at all.
unpack() (
  name=$1
  suite=$2
  shift 2
  target=$(unpacked)/$name
  [[ ! -d $target ]] || return 0
  line=$(source_line "$suite") || return 1
  say "unpacking $* of $suite into the cache"

  work=$(mktemp -d)
  mkdir -p "$(unpacked)"
  tree=$(mktemp -d -p "$(unpacked)" .partial.XXXXXX)
  trap 'rm -rf "$work" "$tree"' EXIT
  mkdir -p "$work"/{lists/partial,cache/archives/partial,packages}
  echo "$line" >"$work/sources.list"
  # As root, apt downloads as a user of its own, who must be able to write here.
  ((EUID != 0)) || chown -R _apt "$work"

  cd "$work/packages" || return 1
  private=(-q -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=-
    -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache")
  quietly "apt-get update of $suite" apt-get -q "${private[@]}" -o "$strictly" update || return 1
  quietly "apt-get download $*" apt-get "${private[@]}" download "$@" || return 1
  for package in ./*.deb; do
    dpkg -x "$package" "$tree"
  done
  chmod 755 "$tree"
  mv "$tree" "$target"
)

# shellcheck source=platform/setup/catch2.sh
source "$setup/catch2.sh"
# shellcheck source=platform/setup/boost.sh
source "$setup/boost.sh"
