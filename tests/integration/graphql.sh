#!/usr/bin/env bash
# GraphQL as a real server and real clients speak it, recorded a moment ago, over HTTP/1.1, HTTP/2 and WebSockets: each operation with what
# the client itself knows that it asked and got.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
. "$root/tests/loopback.bash"
modules=$(ls -d "${TAPEDECK_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tapedeck-tests}"/graphql-yoga-* 2>/dev/null | tail -n 1)
enter_namespace "$root/tests/integration/graphql.sh" "$@"
program=${TAPEDECK:-$root/${BUILD:-build}/tapedeck}
port=4000 number=0

if [[ ! -e $modules/complete ]]; then
    echo "ok 1 # SKIP graphql-yoga is not installed"
    exit 0
fi
if [[ -z ${IN_NAMESPACE:-} && $(id -u) -ne 0 ]]; then
    echo "ok 1 # SKIP capturing is not possible here"
    exit 0
fi

start_capture "$work/graphql.pcap" --immediate-mode -s 0 tcp portrange $port-$((port + 1))
check "server and clients talk" timeout 30 node "$root/tests/integration/graphql_live.mjs" "$modules" "$work" $port
sleep 0.3
stop_capture
"$program" dissect -q -o json "$work/graphql.pcap" >"$work/calls.jsonl" 2>"$work/errors"
check "each operation is as the client knows it" \
    python3 "$root/tests/integration/graphql_compare.py" "$work/truth.jsonl" "$work/calls.jsonl"
"$program" dissect -q -o json --filter 'gql && graphql_errors > 0 && graphql_error_code == "BROKEN"' "$work/graphql.pcap" \
    >"$work/broken.jsonl" 2>>"$work/errors"
check "they can be filtered: an error's code" test "$(wc -l <"$work/broken.jsonl")" -eq 4
check "nothing to complain about" test ! -s "$work/errors"
[[ -n ${KEEP:-} ]] && cp "$work"/*.jsonl "$work"/*.pcap "$KEEP/"
echo "1..$number"
