#!/usr/bin/env bash
# The worker, killed a few times under load, and with its disk filled: what is on the disk stays whole, and what it tells
# of it is true. tests/bench/torture does the same hundreds of times.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
build=${BUILD:-build}
[[ $build == /* ]] || build=$root/$build
exec "$root/tests/bench/torture" --build "$build" --kills 4 --fills 1 --ring-mib 40 --tap
