# shellcheck shell=bash
# Catch2 3 for a release that has only version 2, as Debian 12: from the release's own backports.

catch2_unpack() { unpack catch2 "$(codename)-backports" libcatch2-dev; }
