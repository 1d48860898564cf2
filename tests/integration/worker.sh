#!/usr/bin/env bash
# `tapedeck worker` as people run it: a capture replayed, and real traffic of nginx and curl captured on the loopback interface of a network
# namespace; its API, token, TLS, windows beside tcpdump's own reading, signals, and what it refuses.
set -u
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.." || exit 1
# shellcheck source=../loopback.bash
source "$here/../loopback.bash"
enter_namespace "$0" "$@"
tapedeck=$PWD/${BUILD:-build}/tapedeck
replayed=$PWD/plugins/dissectors/http/captures/nginx_curl.pcap
port=48999 number=0

# config FILE MORE: a configuration with MORE below tap.
config() {
    printf 'tap:\n  node: n1\n  dataDir: %s/data\n%s\n' "$work" "$2" >"$1"
}

get() { curl -sS --max-time 20 "${auth[@]}" "$url$1"; }
code() {
    [[ $(curl -sS --max-time 20 -o "$work/body" -w '%{http_code}' "${auth[@]}" "${@:2}") == "$1" ]] || { cat "$work/body" && false; }
}
has() { get "$1" | tee "$work/last" | grep -q -- "$2" || { cat "$work/last" && false; }; }
packets() { capinfos -Mc "$1" | awk '/Number of packets/ {print $NF}'; }
stats() { get /api/v1/statistics | grep -o "\"$1\":[0-9]*" | head -n 1 | cut -d: -f2; }
is_up() { curl -s -o /dev/null -k "${auth[@]}" "$url/healthz"; }
logged() { grep -q -- "$1" "$work/worker.log"; }
# The log of the worker that ran is kept for `logged`.
run_worker() {
    start worker "$tapedeck" worker -c "$1"
    wait_for worker is_up
}
same_packets() { # two captures with the same packets, bytes and times
    cmp <("$tapedeck" capture info -o json "$1" | grep -oE '"(data|ts)_sha256": *"[^"]*"|"packets": *[0-9]+') \
        <("$tapedeck" capture info -o json "$2" | grep -oE '"(data|ts)_sha256": *"[^"]*"|"packets": *[0-9]+')
}

# ---- A capture replayed, without rights ----
url=http://127.0.0.1:$port auth=()
config "$work/replay.yaml" "  capture: {source: {file: $replayed}, raw: {storageSize: 16Mi, minFreeSpace: 0}}"
check "worker --check finds nothing amiss" "$tapedeck" worker -c "$work/replay.yaml" --check
run_worker "$work/replay.yaml"
all=$(packets "$replayed")
has_all() { [[ $(stats written_packets) == "$all" ]]; }
wait_for worker has_all
check "all $all packets are replayed" has_all
check "/healthz" has /healthz ok
check "/readyz" has /readyz ok
check "/metrics" has /metrics "^tapedeck_captured_packets_total $all\$"
check "/api/v1/node" has /api/v1/node '"node":"n1"'
check "the source's end is told" has /api/v1/node '"source_ended":true'
first=$("$tapedeck" capture info -o json "$replayed" | grep -o '"first[^,]*' | head -n 1)
check "boundaries: the oldest" has /api/v1/data-boundaries '"oldest":"20'
get /api/v1/window >"$work/window.pcapng"
check "the whole window is the capture, packet for packet" same_packets "$work/window.pcapng" "$replayed"
curl -sS --get --data-urlencode "bpf=tcp port 80 and tcp[tcpflags] & tcp-syn != 0" "$url/api/v1/window" >"$work/syn.pcapng"
tcpdump -r "$replayed" -w "$work/syn.pcap" "tcp port 80 and tcp[tcpflags] & tcp-syn != 0" 2>/dev/null
check "with a filter it is what tcpdump finds" same_packets "$work/syn.pcapng" "$work/syn.pcap"
check "segments are listed" has /api/v1/segments '"state":"writing"'
check "a segment that is written is not given out" code 409 "$url/api/v1/segments/1"
check "a window that ends before it starts: 400" code 400 "$url/api/v1/window?start=2026-01-02T00:00:00Z&end=2026-01-01T00:00:00Z"
check "a filter that is wrong: 400" code 400 "$url/api/v1/window?bpf=tcp+prot+80"
check "a parameter that is wrong: 400" code 400 "$url/api/v1/window?strat=now"
check "with the nearest right name" grep -q 'start' "$work/body"
check "a window without packets: 422" code 422 "$url/api/v1/window?start=2001-01-01&end=2001-01-02"
check "which tells what there is" grep -q 'holds packets from 20' "$work/body"
check "another node: 404" code 404 "$url/api/v1/window?node=n2"
check "another path: 404" code 404 "$url/api/v2/window"
check "another method: 405" code 405 -X DELETE "$url/api/v1/window"
kill -HUP "${started[worker]}"
reread() { logged "read again"; }
wait_for worker reread
check "SIGHUP: the configuration is read again" reread
echo "tap: {node: [}" >"$work/replay.yaml"
kill -HUP "${started[worker]}"
stays() { logged "stays as it was"; }
wait_for worker stays
check "a wrong one is refused, and it goes on" has /readyz ok
stop worker
check "SIGTERM seals the segment" test -s "$work/data/raw/0000000001.idx"
check "which tshark reads" tshark -n -r "$work/data/raw/0000000001.pcapng"
check "without a word" test -z "$(capinfos "$work/data/raw/0000000001.pcapng" 2>&1 >/dev/null)"
check "with all packets" same_packets "$work/data/raw/0000000001.pcapng" "$replayed"
"$tapedeck" raw window -q "$work/data/raw" -w "$work/offline.pcapng"
check "tapedeck raw window: without the worker" same_packets "$work/offline.pcapng" "$replayed"
lists() { "$tapedeck" raw list "$work/data/raw" | grep -qE "^1 +20.* $all "; }
check "tapedeck raw list" lists
config "$work/replay.yaml" "  capture: {source: {file: $replayed, times: now}, raw: {storageSize: 16Mi, minFreeSpace: 0}}"
run_worker "$work/replay.yaml"
check "it is there after a restart, byte for byte" cmp <(get /api/v1/segments/1) "$work/data/raw/0000000001.pcapng"
curl -sS -r 100-299 "$url/api/v1/segments/1" >"$work/range"
check "and in ranges" cmp "$work/range" <(tail -c +101 "$work/data/raw/0000000001.pcapng" | head -c 200)
wait_for worker has_all
check "the gap is told" has /api/v1/data-boundaries '"reason":"the worker was stopped"'
stop worker

# ---- What it refuses ----
refuses() { # TEXT CONFIG
    local status
    config "$work/bad.yaml" "$2"
    timeout 10 "$tapedeck" worker -c "$work/bad.yaml" 2>"$work/err"
    status=$?
    [[ $status -ne 0 && $status -ne 124 ]] && grep -q -- "$1" "$work/err" || { cat "$work/err" && false; }
}
file="capture: {source: {file: $replayed}, raw: {storageSize: 16Mi, minFreeSpace: 0}}"
check "another address without a token is refused" refuses token "  $file
  worker: {listen: ':$port'}"
echo short >"$work/token" && chmod 600 "$work/token"
check "a short token is refused" refuses "$work/token" "  $file
  worker: {tokenFile: $work/token}"
check "a certificate that is not there is refused" refuses "$work/no.pem" "  $file
  worker: {tls: {cert: $work/no.pem, key: $work/no.key}}"
check "a filter that is wrong is refused" refuses "tcp prot" "  capture: {interfaces: [lo], bpf: tcp prot 80}"
check "a capture file that is not there is refused" refuses "$work/no.pcap" "  capture: {source: {file: $work/no.pcap}}"
check "a directory that cannot be made is refused" refuses "/proc/none" "  capture: {source: {file: $replayed}, raw: {path: /proc/none}}"
lacks() {
    config "$work/bad.yaml" "  capture: {interfaces: [nonesuch0], raw: {path: /proc/none}}"
    "$tapedeck" worker -c "$work/bad.yaml" --check >"$work/out" 2>&1 && return 1
    cat "$work/out"
    grep -q '^LACKS ' "$work/out" && grep -q nonesuch0 "$work/out"
}
check "worker --check tells what is lacking" lacks

# ---- Token and TLS ----
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 \
    -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
head -c 24 /dev/urandom | base64 >"$work/token"
chmod 600 "$work/token" "$work/key.pem"
config "$work/secure.yaml" "  $file
  worker: {listen: ':$port', tokenFile: $work/token, tls: {cert: $work/cert.pem, key: $work/key.pem}}"
url=https://127.0.0.1:$port auth=(--cacert "$work/cert.pem" -H "Authorization: Bearer $(<"$work/token")")
run_worker "$work/secure.yaml"
check "over TLS, with the token" has /api/v1/node '"node":"n1"'
wrong_token() { auth=(--cacert "$work/cert.pem" -H "Authorization: Bearer wrong-wrong-wrong-wrong") && code 401 "$url/api/v1/node"; }
check "with another: 401" wrong_token
auth=(--cacert "$work/cert.pem" -H "Authorization: Bearer $(<"$work/token")")
check "health needs none" curl -sSf --cacert "$work/cert.pem" "$url/healthz"
head -c 24 /dev/urandom | base64 >"$work/token"
kill -HUP "${started[worker]}"
auth=(--cacert "$work/cert.pem" -H "Authorization: Bearer $(<"$work/token")")
takes_new() { code 200 "$url/api/v1/node"; }
wait_for worker takes_new
check "SIGHUP: a new token" takes_new
stop worker

# ---- Real traffic ----
url=http://127.0.0.1:$port auth=()
rm -rf "$work/data"
if [[ -n ${IN_NAMESPACE:-} ]]; then
    start_nginx "server { listen 127.0.0.1:$http_port; location / { return 200 'hello'; } }"
    config "$work/live.yaml" "  capture: {interfaces: [lo], raw: {minFreeSpace: 0, segmentDuration: 1s, compression: zstd}}"
    check "worker --check: it may capture" "$tapedeck" worker -c "$work/live.yaml" --check
    run_worker "$work/live.yaml"
    start tcpdump tcpdump -i lo --immediate-mode -U -w "$work/peer.pcap" "tcp port $http_port"
    listens() { grep -q listening "$work/tcpdump.log"; }
    wait_for tcpdump listens
    for i in $(seq 20); do curl -s "http://127.0.0.1:$http_port/$i" >/dev/null; done
    requests() { get "/api/v1/window?last=1m" >"$work/now.pcapng" && tshark -n -r "$work/now.pcapng" -Y http.request 2>/dev/null | wc -l; }
    sleep 0.8
    check "what was asked a second ago is in the window" test "$(requests)" -eq 20
    own() { tshark -n -r "$work/now.pcapng" -Y "tcp.port == $port" 2>/dev/null | wc -l; }
    check "its own traffic is not" test "$(own)" -eq 0
    sleep 1.5
    for i in $(seq 20); do curl -s "http://127.0.0.1:$http_port/$i" >/dev/null; done
    compressed() { get /api/v1/segments | grep -q '"state":"compressed"'; }
    wait_for worker compressed
    check "sealed segments are compressed" compressed
    all_requests() { [[ $(requests) -eq 40 ]]; }
    wait_for worker all_requests
    check "and read through the same window" all_requests
    curl -sS --get --data-urlencode "bpf=tcp port $http_port" "$url/api/v1/window" >"$work/mine.pcapng"
    plain() { "$tapedeck" export "$1" --linktype 1 -w - 2>/dev/null | tcpdump -nn -t -r - 2>/dev/null | sort; }
    as_many() { [[ $(plain "$work/mine.pcapng" | wc -l) -eq $(plain "$work/peer.pcap" | wc -l) ]]; }
    wait_for tcpdump as_many
    stop tcpdump
    check "the packets are those that tcpdump captured beside it" diff <(plain "$work/mine.pcapng") <(plain "$work/peer.pcap")
    for file in "$work"/data/raw/*.zst; do zstd -q -d -k "$file" -o "$work/plain-${file##*/}.pcapng"; done
    check "each segment opens in capinfos without a warning" test -z "$(capinfos "$work"/plain-*.pcapng 2>&1 >/dev/null)"
    check "and mergecap joins them" mergecap -w "$work/merged.pcapng" "$work"/plain-*.pcapng "$work/now.pcapng"
    stop worker
fi
echo "1..$number"
