#!/usr/bin/env bash
# The hub's API, asked by a client that means harm: see hub_fuzz.py. REQUESTS=10000 tests/integration/hub_fuzz.sh asks more.
set -u
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.." || exit 1
# shellcheck source=../loopback.bash
source "$here/../loopback.bash"
enter_namespace "$0" "$@"
if [[ $(stat -c %u /) -ne 0 ]]; then # in a namespace of users, / is nobody's: then no plugin is loaded
    echo "ok 1 - a client that means harm # SKIP this needs root"
    echo "1..1"
    exit 0
fi
build=${BUILD:-build}
[[ $build == /* ]] || build=$PWD/$build
python3 -B "$here/hub_fuzz.py" --tapedeck "$build/tapedeck" --work "$work" --requests "${REQUESTS:-2000}" "$@"
