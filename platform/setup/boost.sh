# shellcheck shell=bash
# Boost 1.81 beside the 1.74 that most of Debian 12 is built with: their packages cannot be installed together. The
# headers, and JSON and Iostreams with the libraries that they load.

boost_unpack() { unpack boost "$(codename)" libboost1.81-dev libboost-json1.81-dev \
  libboost-json1.81.0 libboost-container1.81-dev libboost-container1.81.0 libboost-system1.81-dev libboost-system1.81.0 \
  libboost-iostreams1.81-dev libboost-iostreams1.81.0; }
