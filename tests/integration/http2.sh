#!/usr/bin/env bash
# HTTP/2 as nghttp2's tools and curl speak it, recorded a moment ago: each call with what the client itself wrote down of it.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
. "$root/tests/loopback.bash"
enter_namespace "$root/tests/integration/http2.sh" "$@"
program=${TAPEDECK:-$root/${BUILD:-build}/tapedeck}
port=8080 proxy=8081 number=0

for tool in nghttp nghttpd nghttpx h2load curl; do
    command -v $tool >/dev/null || {
        echo "ok 1 # SKIP $tool is not installed; \`make deps\` installs it"
        exit 0
    }
done

mkdir "$work/www"
seq 1 400 | sed 's/$/ green bottles/' >"$work/www/song.txt"
printf '{"id":7}\n' >"$work/www/item.json"
echo '<link rel=stylesheet href=/style.css>' >"$work/www/page.html"
echo 'p { color: green }' >"$work/www/style.css"
head -c 300000 /dev/urandom >"$work/www/large.bin"
seq 1 30000 >"$work/upload"

start_capture "$work/http2.pcap" --immediate-mode -s 0 tcp port $port or tcp port $proxy
start nghttpd nghttpd --no-tls -d "$work/www" -p /page.html=/style.css,/item.json --echo-upload --trailer 'x-sum: 42' -e -b 20 $port
wait_for nghttpd tcp_open 127.0.0.1 $port
start nghttpx nghttpx -f "127.0.0.1,$proxy;no-tls" -b "127.0.0.1,$port;;proto=h2" --workers=1 --conf=/dev/null
wait_for nghttpx tcp_open 127.0.0.1 $proxy
at=http://127.0.0.1:$port

# ask NAME OPTION... URL...: its own record of the calls is NAME.har.
ask() {
    local name=$1
    shift
    nghttp -n -r "$work/$name.har" "$@" >"$work/$name.log" 2>&1
}
check "plain requests" ask plain -H 'cookie: a=b; c=d' $at/song.txt $at/item.json "$at/missing?q=1"
check "many at a time" ask many -m 60 -a $at/song.txt $at/page.html
check "pushed ones" ask pushed $at/page.html
check "an upload, with trailers and padding" ask upload -d "$work/upload" -H ':method: PUT' --trailer 'x-end: yes' -b 100 $at/up
check "CONTINUATION" ask continued --continuation $at/item.json
check "a small table" ask small -c 0 -m 5 $at/item.json $at/song.txt
check "a table whose size changes" ask sizes -c 0 -c 8192 -m 5 $at/item.json
check "a large table" ask large -c 65536 --encoder-header-table-size=65536 -m 20 $at/item.json
check "a small window" ask window -w 14 -W 15 $at/large.bin
check "100-continue" ask expect -d "$work/upload" --expect-continue http://127.0.0.1:$proxy/up
check "an upgrade" ask upgrade -u http://127.0.0.1:$proxy/item.json http://127.0.0.1:$proxy/song.txt
check "curl: prior knowledge" curl -s -o /dev/null --compressed --http2-prior-knowledge -H 'x-curl: one' $at/item.json
check "curl: upgrade" curl -s -o /dev/null --http2 http://127.0.0.1:$proxy/item.json
check "curl: an upload" curl -s -o /dev/null --http2-prior-knowledge -T "$work/upload" $at/up
check "h2load" h2load -n 300 -c 3 -m 10 $at/item.json
sleep 0.3
stop_capture

"$program" dissect -q -o json --payload "$work/http2.pcap" >"$work/calls.jsonl" 2>"$work/errors"
check "each call is as its client knows it" python3 "$root/tests/integration/http2_compare.py" "$work" "$proxy"
check "nothing to complain about" test ! -s "$work/errors"
[[ -n ${KEEP:-} ]] && cp "$work"/*.jsonl "$work"/*.pcap "$work"/*.har "$work"/*.log "$KEEP/"
echo "1..$number"
