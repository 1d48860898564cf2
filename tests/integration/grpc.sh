#!/usr/bin/env bash
# gRPC as a real server and a real client speak it, recorded a moment ago: each call with what the client itself knows that it
# sent and got, with a descriptor set and without.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
. "$root/tests/loopback.bash"
enter_namespace "$root/tests/integration/grpc.sh" "$@"
program=${TAPEDECK:-$root/${BUILD:-build}/tapedeck}
port=50051 number=0

if ! /usr/bin/python3 -c 'import grpc, grpc_tools' 2>/dev/null; then
    echo "ok 1 # SKIP python3-grpcio and python3-grpc-tools are not installed"
    exit 0
fi
if [[ -z ${IN_NAMESPACE:-} && $(id -u) -ne 0 ]]; then
    echo "ok 1 # SKIP capturing is not possible here"
    exit 0
fi

start_capture "$work/grpc.pcap" --immediate-mode -s 0 tcp port $port
check "server and client talk" /usr/bin/python3 "$root/tests/integration/grpc_live.py" "$work" $port
sleep 0.3
stop_capture
start_capture "$work/web.pcap" --immediate-mode -s 0 tcp port 8080
check "a browser's gRPC, over HTTP/1.1" /usr/bin/python3 "$root/tests/integration/grpc_web.py" "$work" 8080
sleep 0.3
stop_capture
cat >"$work/config.yaml" <<EOF
tap:
  dissectors:
    grpc:
      descriptorSets: [$work/shop.pb]
EOF
"$program" dissect -q -o json --payload -c "$work/config.yaml" "$work/grpc.pcap" >"$work/named.jsonl" 2>"$work/errors"
check "with a descriptor set: each call is as the client knows it" \
    python3 "$root/tests/integration/grpc_compare.py" "$work/truth.jsonl" "$work/named.jsonl" named
"$program" dissect -q -o json --payload "$work/grpc.pcap" >"$work/plain.jsonl" 2>>"$work/errors"
check "without one: under field numbers" \
    python3 "$root/tests/integration/grpc_compare.py" "$work/truth.jsonl" "$work/plain.jsonl" plain
"$program" dissect -q -o json --payload -c "$work/config.yaml" "$work/web.pcap" >"$work/web-calls.jsonl" 2>>"$work/errors"
check "gRPC-Web: binary and base64" python3 "$root/tests/integration/grpc_compare.py" "$work/web.jsonl" "$work/web-calls.jsonl" named
check "nothing to complain about" test ! -s "$work/errors"
[[ -n ${KEEP:-} ]] && cp "$work"/*.jsonl "$work"/*.pcap "$work/shop.pb" "$KEEP/"
echo "1..$number"
