# shellcheck shell=bash disable=SC2154 # root and cache are bootstrap.sh's.
# The demo page: static files in build/demo, built from the package and the samples, and a server for them.

# demo_build SAMPLES: with the folder that the target demo-samples has made. The package is built already.
demo_build() {
  quietly 'checking the types of the demo' "$root/web/node_modules/.bin/tsc" -p "$root/web/demo" &&
    BALLAST_DEMO_SAMPLES=$1 BALLAST_DEMO=$root/build/demo \
      quietly 'building the demo' "$root/web/node_modules/.bin/vite" build --logLevel warn "$root/web/demo"
}

# Everything that the demo is made of.
demo_build_all() {
  configure release && build release demo-samples || return 1
  wasm_fresh wasm32 && configure wasm32 || return 1
  build wasm32 ballast-module && build wasm32 ballast-module-common && build wasm32 ballast-module-values &&
    build wasm32 ballast-cli || return 1
  # CMake's checks compile and do not link: see test_all.
  wasm_fresh wasm64 && configure wasm64 -DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY && build wasm64 ballast-module ||
    return 1
  locked "$cache/lock" package_tools || return 1
  quietly 'building the npm package' node "$root/web/build.mjs" && demo_build "$root/build/release/demo-samples"
}

# Builds the demo and serves it on loopback, until it is interrupted or left alone for an hour.
demo_serve() {
  provide "$build_needs" libdeflate
  { wasm_can_be_had && wasm_try 32 64; } || die 'the demo is WebAssembly, which could not be set up (see above)'
  provide 'npm' ''
  locked "$root/build/lock" demo_build_all || exit 1
  exec node "$root/web/demo/serve.mjs" "$root/build/demo"
}
