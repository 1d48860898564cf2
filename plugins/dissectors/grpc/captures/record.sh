#!/usr/bin/env bash
# Records the capture of this folder: what the live test's server and client say. Needs python3-grpcio, python3-grpc-tools, tcpdump and the
# right to capture. Usage: record.sh [DIR] (default: this folder)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../../.." && pwd)
out=$(mkdir -p "${1:-$here}" && cd "${1:-$here}" && pwd)
. "$root/tests/loopback.bash"
enter_namespace "$here/record.sh" "$out"
start_capture "$work/shop.pcap" --immediate-mode -s 0 tcp port 50051
/usr/bin/python3 "$root/tests/integration/grpc_live.py" "$work" 50051
sleep 0.5
stop_capture
cp "$work/shop.pcap" "$out/shop.pcap"
