# shellcheck shell=bash disable=SC2086 # Lists of packages are words, and are split on purpose.
# Files of a Debian suite other than this machine's own, without the system noticing: private lists, private state, and
# every file checked against the archive's signature, as apt always does.

# archive_open SUITE WORK: fetches the lists of SUITE, binary and source, into the folder WORK.
archive_open() {
  local suite=$1 work=$2 line
  line=$(source_line "$suite") || return 1
  mkdir -p "$work"/{lists/partial,cache/archives/partial,files}
  printf '%s\n%s\n' "$line" "${line/#deb /deb-src }" >"$work/sources.list"
  # As root, apt downloads as a user of its own, who must be able to write here.
  ((EUID != 0)) || chown -R _apt "$work"
  chmod 755 "$work"
  quietly "apt-get update of $suite" archive_apt "$work" -o APT::Update::Error-Mode=any update
}

# archive_apt WORK ARGUMENT...
archive_apt() {
  local work=$1
  shift
  apt-get -q -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=- \
    -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o Acquire::Languages=none "$@"
}

# archive_download WORK SUITE PACKAGES: the .deb files, into WORK/files. The suite is named again because a machine's
# pins, or a newer version that it has installed, would choose otherwise.
archive_download() {
  local work=$1 suite=$2 package wanted=''
  for package in $3; do
    wanted+=" $package/$suite"
  done
  (cd "$work/files" && quietly "apt-get download $3" archive_apt "$work" download $wanted)
}

# archive_sources WORK SUITE PACKAGES: the tarballs of upstream's releases, into WORK/files; nothing is unpacked, and of
# what Debian adds nothing is fetched: after a point release a mirror may name files of it that it no longer has.
archive_sources() {
  local work=$1 suite=$2 package wanted=''
  for package in $3; do
    wanted+=" $package/$suite"
  done
  (cd "$work/files" && quietly "apt-get source $3" archive_apt "$work" source --download-only --only-source --tar-only $wanted)
}
