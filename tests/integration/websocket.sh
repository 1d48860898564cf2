#!/usr/bin/env bash
# WebSocket as a real server and real clients speak it, recorded a moment ago: each message with what the client itself knows that it
# sent and got; over HTTP/2 as well; and from the middle of connections on.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
. "$root/tests/loopback.bash"
enter_namespace "$root/tests/integration/websocket.sh" "$@"
program=${TAPEDECK:-$root/${BUILD:-build}/tapedeck}
port=8765 number=0

if ! /usr/bin/python3 -c 'import websockets' 2>/dev/null; then
    echo "ok 1 # SKIP python3-websockets is not installed"
    exit 0
fi
if [[ -z ${IN_NAMESPACE:-} && $(id -u) -ne 0 ]]; then
    echo "ok 1 # SKIP capturing is not possible here"
    exit 0
fi

start_capture "$work/ws.pcap" --immediate-mode -s 0 tcp port $port
check "server and clients talk" /usr/bin/python3 "$root/tests/integration/websocket_live.py" "$work" $port
sleep 0.3
stop_capture
"$program" dissect -q -o json --payload "$work/ws.pcap" >"$work/calls.jsonl" 2>"$work/errors"
check "each message is as the client knows it" \
    python3 "$root/tests/integration/websocket_compare.py" "$work/truth.jsonl" "$work/calls.jsonl"
"$program" dissect -q -o json --filter 'ws && ws_opcode == "close" && ws_close_code == 4321' "$work/ws.pcap" \
    >"$work/closed.jsonl" 2>>"$work/errors"
check "they can be filtered: a code of a close frame" test "$(wc -l <"$work/closed.jsonl")" -eq 6

# Without the first packets of each connection nobody tells what it is, but its frames. (No compression: what refers to what came before
# cannot be read.)
tcpdump -n -r "$work/ws.pcap" -w "$work/late.pcap" 'tcp[13] & 2 = 0 and (less 120 or
    (tcp[((tcp[12] & 0xf0) >> 2):4] != 0x47455420 and tcp[((tcp[12] & 0xf0) >> 2):4] != 0x48545450))' 2>/dev/null
"$program" dissect -q -o json --payload "$work/late.pcap" >"$work/late.jsonl" 2>>"$work/errors"
late() {
    python3 - "$work/calls.jsonl" "$work/late.jsonl" <<'END'
import json, sys
def plain(path):
    calls = (json.loads(line) for line in open(path))
    return [(c["src"]["port"], c["ws_opcode"], c["request"].get("body") if "request" in c else c["response"].get("body"))
            for c in calls if c["protocol"] == "WEBSOCKET" and "ws_compressed_length" not in c and not c.get("partial")]
whole, late = plain(sys.argv[1]), plain(sys.argv[2])
print(len(whole), len(late), [m for m in whole if m not in late][:5], [m for m in late if m not in whole][:5])
sys.exit(not (len(late) > 100 and set(late) <= set(whole) and len(late) >= len(whole) * 0.9))
END
}
check "without their beginnings: what was not compressed" late

if command -v node >/dev/null; then
    start_capture "$work/h2.pcap" --immediate-mode -s 0 tcp port 8080
    check "over HTTP/2" timeout 20 node "$root/tests/integration/websocket_h2.mjs" 8080
    sleep 0.3
    stop_capture
    "$program" dissect -q -o json --payload "$work/h2.pcap" >"$work/h2.jsonl" 2>>"$work/errors"
    over_http2() {
        python3 - "$work/h2.jsonl" <<'END'
import json, sys
calls = [json.loads(line) for line in open(sys.argv[1])]
streams = [(c["method"], c["http2_protocol"], c["status_code"], c["path"]) for c in calls if c["protocol"] == "HTTP2"]
said = {}
for c in calls:
    if c["protocol"] == "WEBSOCKET":
        half = "request" if c.get("ws_request") else "response"
        said.setdefault((c["path"], half), []).append(c.get("ws_%s_payload_data" % half, c.get("ws_close_code")))
        assert c["ws_subprotocol"] == "echo" and c[half]["complete"], c
print(streams, said)
texts = ["first", "second", "third", 1000]
sys.exit(not (sorted(streams) == [("CONNECT", "websocket", 200, "/plain"), ("CONNECT", "websocket", 200, "/squeezed")]
              and said == {(path, half): texts for path in ("/plain", "/squeezed") for half in ("request", "response")}))
END
    }
    check "over HTTP/2: each message, and the calls that carry them" over_http2
fi
check "nothing to complain about" test ! -s "$work/errors"
[[ -n ${KEEP:-} ]] && cp "$work"/*.jsonl "$work"/*.pcap "$KEEP/"
echo "1..$number"
