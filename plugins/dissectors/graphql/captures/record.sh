#!/usr/bin/env bash
# Records the capture of this folder: what the live test's server and clients say. Needs what tests/deps installs, and the right to
# capture. Usage: record.sh [DIR] (default: this folder)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../../.." && pwd)
out=$(mkdir -p "${1:-$here}" && cd "${1:-$here}" && pwd)
modules=$(ls -d "${TAPEDECK_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tapedeck-tests}"/graphql-yoga-* | tail -n 1)
. "$root/tests/loopback.bash"
enter_namespace "$here/record.sh" "$out"
start_capture "$work/shop.pcap" --immediate-mode -s 0 tcp portrange 4000-4001
node "$root/tests/integration/graphql_live.mjs" "$modules" "$work" 4000 few
sleep 0.5
stop_capture
cp "$work/shop.pcap" "$out/shop.pcap"
