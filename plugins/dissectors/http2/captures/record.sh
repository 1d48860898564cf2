#!/usr/bin/env bash
# Records the captures of this folder: nghttp2's server and proxy, with its own client and curl, on loopback; one capture for each subject.
# Needs nghttp2-client, nghttp2-server, nghttp2-proxy, curl, tcpdump and the right to capture. Usage: record.sh [DIR] (default: this folder)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../../.." && pwd)
out=$(mkdir -p "${1:-$here}" && cd "${1:-$here}" && pwd)
. "$root/tests/loopback.bash"
enter_namespace "$here/record.sh" "$out"
port=8080 proxy=8081 at=http://127.0.0.1:8080

mkdir "$work/www"
seq 1 60 | sed 's/$/ green bottles/' >"$work/www/song.txt"
printf '{"id":7}\n' >"$work/www/item.json"
echo '<link rel=stylesheet href=/style.css>' >"$work/www/page.html"
echo 'p { color: green }' >"$work/www/style.css"
seq 1 4000 >"$work/upload"
start nghttpd nghttpd --no-tls -d "$work/www" -p /page.html=/style.css,/item.json --echo-upload --trailer 'x-sum: 42' -e -b 20 $port
wait_for nghttpd tcp_open 127.0.0.1 $port
start nghttpx nghttpx -f "127.0.0.1,$proxy;no-tls" -b "127.0.0.1,$port;;proto=h2" --workers=1 --conf=/dev/null
wait_for nghttpx tcp_open 127.0.0.1 $proxy

# record NAME COMMAND...
record() {
    local name=$1
    shift
    start_capture "$work/$name.pcap" --immediate-mode -s 0 tcp port ${recorded:-$port}
    "$@" >/dev/null
    sleep 0.5
    stop_capture
    cp "$work/$name.pcap" "$out/$name.pcap"
}

several() {
    nghttp -n -H 'cookie: a=b; c=d' $at/song.txt "$at/item.json?q=1" $at/missing
    curl -s --http2-prior-knowledge $at/item.json
    curl -s --http2-prior-knowledge $at/song.txt $at/song.txt || : # curl 7.88 does not like the server's padding, and says so
    curl -s --http2-prior-knowledge -T "$work/upload" $at/up
}

record plain several
record many nghttp -n -m 12 -c 0 -c 4096 $at/item.json $at/song.txt
record pushed nghttp -n $at/page.html
record upload nghttp -n -d "$work/upload" -H ':method: PUT' --trailer 'x-end: yes' -b 100 $at/up
record continued nghttp -n --continuation $at/item.json
recorded=$proxy record upgraded nghttp -n -u http://127.0.0.1:$proxy/item.json http://127.0.0.1:$proxy/song.txt
recorded=$proxy record expecting nghttp -n -d "$work/upload" --expect-continue http://127.0.0.1:$proxy/up
