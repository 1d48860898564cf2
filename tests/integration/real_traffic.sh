#!/usr/bin/env bash
# What real servers and clients said, recorded a moment ago, comes out as the calls that were made: each request's method,
# target and status, in order, over IPv4 and IPv6.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$(dirname "$here")")
program=${TAPEDECK:-$root/${BUILD:-build}/tapedeck}
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT

if ! "$here/record_traffic" "$dir/traffic.pcap" >"$dir/log" 2>&1; then
    if grep -qE 'permission|not permitted|not installed' "$dir/log"; then
        echo "ok 1 # SKIP capturing is not possible here: $(tail -n 1 "$dir/log")"
        exit 0
    fi
    echo "not ok 1 - records"
    sed 's/^/# /' "$dir/log"
    exit 1
fi

cat >"$dir/http" <<'EOF'
GET /api/items 200
GET /api/items?page=2&size=10 200
POST /api/orders 201
PUT /api/orders 201
POST /api/orders 201
POST /api/orders 201
DELETE /api/items 200
GET /page.html 200
GET /page.html 200
GET /page.html 206
HEAD /page.html 200
GET /chunked 200
GET /api/missing 404
GET /nowhere 404
GET /api/broken 503
GET /api/empty 204
GET /old 301
GET /page.html 200
GET /cached 304
OPTIONS /api/items 200
GET /api/items 200
GET /api/items 200
GET /api/empty 204
GET /page.html 200
EOF
cat >"$dir/dns" <<'EOF'
A www.example.test NOERROR
AAAA www.example.test NOERROR
A alias.example.test NOERROR
MX example.test NOERROR
TXT example.test NOERROR
SRV _http._tcp.example.test NOERROR
CAA example.test NOERROR
A nowhere.example.test NXDOMAIN
AAAA mail.example.test NOERROR
PTR 10.2.0.192.in-addr.arpa NOERROR
A example.org REFUSED
A www.example.test NOERROR
A www.example.test NOERROR
A www.example.test NOERROR
TXT example.test NOERROR
TXT version.bind NOERROR
EOF
printf 'GET /api/items?n=%d 200\n' 1 2 3 >"$dir/pipeline"

hosts=1
"$program" dissect -q --bpf ip6 "$dir/traffic.pcap" 2>/dev/null | grep -q . && hosts=2
for ((i = 0; i < hosts; i++)); do cat "$dir/http"; done >"$dir/want"
cat "$dir/pipeline" >>"$dir/want"
for ((i = 0; i < hosts; i++)); do cat "$dir/dns"; done >>"$dir/want"

number=0
for jobs in 1 3; do
    number=$((number + 1))
    "$program" dissect -q -j "$jobs" "$dir/traffic.pcap" 2>"$dir/errors" | cut -f 3-5 | tr '\t' ' ' >"$dir/got"
    if diff "$dir/want" "$dir/got" >"$dir/diff" && [[ ! -s $dir/errors ]]; then
        echo "ok $number - real traffic, -j $jobs"
    else
        echo "not ok $number - real traffic, -j $jobs"
        sed 's/^/# /' "$dir/errors" "$dir/diff"
    fi
done
echo "1..$number"
