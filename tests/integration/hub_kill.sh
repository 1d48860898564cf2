#!/usr/bin/env bash
# The hub and its worker, killed a few times while they make, dissect and delete snapshots, and with a full disk: what is there is
# whole, and nothing is left over. tests/bench/hub_torture does the same hundreds of times.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
build=${BUILD:-build}
[[ $build == /* ]] || build=$root/$build
exec "$root/tests/bench/hub_torture" --build "$build" --kills 6 --fills 2 --tap
