# shellcheck shell=bash disable=SC2154 # root and cache are bootstrap.sh's.
# The npm package: what it is built and tested with, and its tests.

# What package-lock.json names, in the cache: another lock file is another folder.
package_tools() (
  lock=$(cat "$root"/web/package{,-lock}.json | sha256sum | cut -c1-12)
  target=$cache/npm-$lock
  if [[ ! -d $target ]]; then
    say "installing the tools of the npm package into the cache"
    mkdir -p "$cache"
    tree=$(mktemp -d -p "$cache" .partial.XXXXXX)
    trap 'rm -rf "$tree"' EXIT
    cp "$root"/web/package{,-lock}.json "$tree/"
    # No script of theirs is run: what they would fetch comes as a package, too.
    quietly 'npm ci' npm --prefix "$tree" ci --ignore-scripts --no-audit --no-fund || return 1
    chmod 755 "$tree"
    mv "$tree" "$target"
  fi
  [[ -d $root/web/node_modules && ! -L $root/web/node_modules ]] ||
    ln -sfn "$target/node_modules" "$root/web/node_modules"
)

# Packs it and installs the tarball, as its users get it, into build/package.
package_install() {
  local folder=$root/build/package
  rm -rf "$folder" && mkdir -p "$folder" && echo '{ "private": true }' >"$folder/package.json" || return 1
  quietly 'building the npm package' node "$root/web/build.mjs" || return 1
  (cd "$root/web" && quietly 'npm pack' npm pack --pack-destination "$folder") || return 1
  (cd "$folder" && quietly 'npm install' npm install --offline --no-audit --no-fund ./ballast-loader-*.tgz) || return 1
  # The tests say `using`, which the oldest Node does not know.
  (cd "$root" && quietly 'esbuild' web/node_modules/.bin/esbuild tests/package/node_test.mjs \
    --bundle --platform=node --format=esm --target=node20 --outfile="$folder/node_test.mjs")
}

# package_run NODE TEST...: in a checkout's top folder.
package_run() (
  cd "$root" || return 1
  node=$1
  shift
  BALLAST_INSTALLED=$root/build/package BALLAST_SAMPLES=$root/build/dev/samples BALLAST_SOURCE=$root \
    BALLAST_DEMO=$root/build/demo \
    BALLAST_EMBEDDING=$root/build/wasm32/tests/embedding BALLAST_EMBEDDING64=$root/build/wasm64/tests/embedding \
    "$node" --test --test-reporter=spec "$@" 2>&1
)

# In every Node that there is, the machine's and the one for wasm64; and once as a package and in browsers.
test_package() {
  local log=$root/build/package.log
  : >"$log"
  say 'package: building'
  timed package.build build_package || { echo 'package: not built' >"$log" && return 1; }
  timed package.test run_package_tests "$log"
}

build_package() {
  locked "$cache/lock" package_tools && package_install && build dev demo-samples && demo_build "$root/build/dev/demo-samples"
}

# run_package_tests LOG
run_package_tests() {
  local node i status=0 log=$1 nodes=() running=()
  for node in "$(command -v node)" "$BALLAST_NODE64"; do
    [[ -z $node ]] || nodes+=("$node")
  done
  say "package: testing with Node, ${#nodes[@]} of them"
  # Beside each other: each keeps one processor busy.
  for i in "${!nodes[@]}"; do
    package_run "${nodes[i]}" tests/package/server_test.mjs tests/package/embedding_test.mjs \
      tests/package/values_test.mjs tests/package/memory_growth_test.mjs build/package/node_test.mjs >"$log.$i" &
    running+=($!)
  done
  for i in "${!nodes[@]}"; do
    wait "${running[i]}" || status=1
    { echo "Node $("${nodes[i]}" --version)" && cat "$log.$i"; } | tee -a "$log"
  done
  say 'package: testing what is in it, and the browsers that there are'
  # Two files at a time: a browser waits as much as it works.
  package_run node --test-concurrency=2 tests/package/package_test.mjs tests/package/browsers_test.mjs \
    tests/package/browser_test.mjs tests/package/embedding_browser_test.mjs tests/package/examples_test.mjs \
    tests/package/consumers_test.mjs tests/package/readme_test.mjs tests/package/blocks_test.mjs \
    tests/package/demo_test.mjs |
    tee -a "$log" || status=1
  return "$status"
}
