#!/usr/bin/env bash
# What dig and nsupdate said to a real server and got from it, recorded a moment ago, comes out as the calls that they made, record by
# record as the clients themselves print it.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$(dirname "$here")")
program=${TAPEDECK:-$root/${BUILD:-build}/tapedeck}
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT

if ! "$here/record_dns" "$dir" >"$dir/log" 2>&1; then
    if grep -qE 'permission|not permitted|not installed' "$dir/log"; then
        echo "ok 1 # SKIP capturing is not possible here: $(tail -n 1 "$dir/log")"
        exit 0
    fi
    echo "not ok 1 - records"
    sed 's/^/# /' "$dir/log"
    exit 1
fi

port=$(<"$dir/port")
if ! "$program" dissect --quiet --payload -o json -d "udp.port==$port,dns" -d "tcp.port==$port,dns" "$dir/traffic.pcap" \
    >"$dir/calls" 2>"$dir/errors"; then
    echo "not ok 1 - dissects"
    sed 's/^/# /' "$dir/errors"
    exit 1
fi
/usr/bin/python3 "$here/dns_types.py" compare "$dir/calls" "$dir/did" "$dir/pipelined"
