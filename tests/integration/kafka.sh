#!/usr/bin/env bash
# What two kinds of Kafka clients say to librdkafka's mock broker comes out as the calls that they made: each codec, each message
# format, consumer groups, transactions, offsets and records as the clients know them.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$(dirname "$here")")
program=${TAPEDECK:-$root/${BUILD:-build}/tapedeck}
# shellcheck source=../loopback.bash
source "$here/../loopback.bash"
enter_namespace "$0" "$@"

# Debian's Python, which has Debian's modules.
python=/usr/bin/python3
if ! "$python" -c 'import confluent_kafka, kafka, lz4, snappy, zstandard' 2>"$work/modules"; then
    echo "ok 1 # SKIP not installed: $(tail -n 1 "$work/modules")"
    exit 0
fi

start broker "$python" "$here/kafka_clients.py" broker "$work/address"
wait_for broker test -s "$work/address"
read -r host port <"$work/address"
if ! (start_capture "$work/traffic.pcap" -c 1 -s 0 "port $port" && stop tcpdump) 2>"$work/log"; then
    echo "ok 1 # SKIP capturing is not possible here: $(tail -n 1 "$work/log")"
    exit 0
fi
start_capture "$work/traffic.pcap" -s 0 -U --immediate-mode "port $port"
"$python" "$here/kafka_clients.py" rdkafka "$host:$port" >"$work/did.rdkafka" 2>"$work/errors.rdkafka" &
rdkafka=$!
"$python" "$here/kafka_clients.py" python "$host:$port" >"$work/did.python" 2>"$work/errors.python" ||
    die "$(tail -n 5 "$work/errors.python")"
wait "$rdkafka" || die "$(tail -n 5 "$work/errors.rdkafka")"
sleep 0.3
stop_capture
[[ -z ${KEEP:-} ]] || cp "$work/traffic.pcap" "$KEEP"

"$program" dissect --quiet --payload -o json "$work/traffic.pcap" >"$work/calls" || die "dissecting failed"
cat "$work/did.rdkafka" "$work/did.python" >"$work/did"
"$python" "$here/kafka_compare.py" "$work/calls" "$work/did"
