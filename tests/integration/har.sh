#!/usr/bin/env bash
# The HTTP Archive of recorded calls of HTTP/2 and gRPC, beside what the same captures' calls are as JSON.
set -u
cd "$(dirname "$0")/../.." || exit 1
unset TAPEDECK_PLUGIN_PATH
tapedeck=${BUILD:-build}/tapedeck
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
number=0
for capture in plugins/dissectors/{http,http2,grpc}/captures/*.pcap; do
    number=$((number + 1))
    "$tapedeck" dissect --quiet --payload -o json "$capture" >"$dir/calls.jsonl" 2>"$dir/err" &&
        "$tapedeck" dissect --quiet -w "$dir/$number.calls" "$capture" >"$dir/err" 2>&1 &&
        "$tapedeck" calls "$dir/$number.calls" -o har --order oldest -w "$dir/calls.har" 2>"$dir/err" &&
        python3 tests/integration/har_compare.py "$dir/calls.jsonl" "$dir/calls.har" >"$dir/said" 2>&1
    if [[ $? -eq 0 ]]; then # of all of them
        echo "ok $number - $capture: $(tail -n 1 "$dir/said")"
    else
        echo "not ok $number - $capture"
        cat "$dir/err" "$dir/said" 2>/dev/null | tail -n 20 | cut -c1-300 | sed 's/^/# /'
    fi
done
echo "1..$number"
