#!/usr/bin/env bash
# The calls that Tapedeck finds are those that the servers say they had: nginx and dnsmasq on the loopback interface write
# logs while tcpdump records and curl and dig ask in many ways; live.py compares.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$(dirname "$here")")
# shellcheck source=../loopback.bash
source "$here/../loopback.bash"
enter_namespace "$here/live.sh"
if [[ -z ${IN_NAMESPACE:-} && $(id -u) -ne 0 ]]; then
    echo "ok 1 - the servers' logs # SKIP neither root nor a network namespace: nobody may record here"
    echo "1..1"
    exit 0
fi
tapedeck=$root/${BUILD:-build}/tapedeck
[[ ${BUILD:-build} == /* ]] && tapedeck=$BUILD/tapedeck
behind_port=$((http_port + 1))
log="access_log $work/access.log calls;"

mkdir -p "$work/www"
head -c 300000 /dev/urandom | base64 >"$work/www/large.txt"
head -c 200000 /dev/urandom >"$work/upload.bin"
head -c 3000 "$work/www/large.txt" >"$work/www/small.txt"
echo '<p>A page</p>' >"$work/www/page.html"

start_nginx "
    log_format calls escape=json '{\"port\":\$remote_port,\"method\":\"\$request_method\",\"uri\":\"\$request_uri\",'
        '\"version\":\"\$server_protocol\",\"host\":\"\$http_host\",\"agent\":\"\$http_user_agent\",\"request_size\":\$request_length,'
        '\"status\":\$status,\"response_size\":\$bytes_sent,\"body_size\":\$body_bytes_sent,\"coding\":\"\$sent_http_transfer_encoding\",'
        '\"expect\":\"\$http_expect\",\"body\":\"\$http_content_length\$http_transfer_encoding\"}';
    client_max_body_size 1m;
    gzip_types *; gzip_min_length 100;
    server {
        listen 127.0.0.1:$http_port; listen 127.0.0.1:$behind_port; $log
        root $work/www;
        location /answer/ { return 200 '{\"method\":\"\$request_method\"}'; }
        location /status/ { return 418 'teapot'; }
        location /none { return 204; }
        location /moved { return 302 /page.html; }
        location /gzip/ { alias $work/www/; gzip on; }
        location /chunked/ { alias $work/www/; ssi on; ssi_types *; }
        location /behind/ { proxy_pass http://127.0.0.1:$behind_port/; }
        location /behind11/ {
            proxy_http_version 1.1; proxy_set_header Connection ''; proxy_buffering off; proxy_pass http://127.0.0.1:$behind_port/;
        }
        location /stored { proxy_pass http://127.0.0.1:$behind_port/answer/; }
        location /upload { proxy_http_version 1.1; proxy_request_buffering off; proxy_pass http://127.0.0.1:$behind_port/answer/; }
    }"
start dnsmasq dnsmasq --no-daemon --conf-file=/dev/null --pid-file= --port="$dns_port" --listen-address=127.0.0.1 --bind-interfaces \
    --no-resolv --no-hosts --local=/example.test/ --log-queries=extra --local-ttl=300 \
    --host-record=www.example.test,192.0.2.10,2001:db8::10 --cname=alias.example.test,www.example.test \
    --mx-host=example.test,mail.example.test,10 --txt-record=example.test,"v=spf1 mx -all" \
    --txt-record=long.example.test,"$(printf 'x%.0s' {1..250})","$(printf 'y%.0s' {1..250})","$(printf 'z%.0s' {1..250})"
wait_for dnsmasq tcp_open 127.0.0.1 "$dns_port"
start_capture "$work/live.pcap" -s 0 -U --immediate-mode "tcp port $http_port or tcp port $behind_port or port $dns_port"

site=http://127.0.0.1:$http_port
ask() { curl -sS --max-time 20 "$@" >/dev/null 2>>"$work/curl.log" || die "curl $*: $(tail -n 1 "$work/curl.log")"; }
for method in GET POST PUT PATCH DELETE OPTIONS PROPFIND; do
    ask -X $method "$site/answer/$method?with=query&and=%C3%A9"
    ask -X $method -d "body of $method" "$site/answer/$method"
done
ask -I "$site/page.html"
ask --http1.0 "$site/large.txt"
ask "$site/large.txt"
ask -r 1000-1999 "$site/large.txt"
ask -r 0-9,20-29 "$site/large.txt"
ask --compressed "$site/gzip/large.txt"
ask --compressed "$site/gzip/small.txt"
ask "$site/chunked/small.txt"
ask "$site/chunked/large.txt"
ask "$site/nowhere" "$site/status/418" "$site/none" "$site/moved"
ask -L "$site/moved"
for path in stored upload; do # nginx reads all of the first before it answers, and little of the second
    ask -H 'Expect: 100-continue' -T "$work/upload.bin" "$site/$path"
    ask -H 'Expect:' -T "$work/upload.bin" "$site/$path"
    ask -H 'Transfer-Encoding: chunked' -T "$work/upload.bin" "$site/$path"
    ask -F "file=@$work/upload.bin" -F name=value "$site/$path"
done
ask -H 'Transfer-Encoding: chunked' -H 'Expect:' -d 'a=1' "$site/answer/chunked"
ask -H 'Content-Length: 2000000' -X POST --http1.0 "$site/upload" # too large, refused at once
ask "$site/behind/page.html" "$site/behind/large.txt" "$site/behind/chunked/large.txt" "$site/behind/none"
ask "$site/behind11/page.html" "$site/behind11/large.txt" "$site/behind11/chunked/large.txt" "$site/behind11/status/1"
ask -H "X-Long: $(printf 'long%.0s' {1..900})" "$site/answer/long-header"
ask "$site/answer/$(printf 'x%.0s' {1..3000})"
# shellcheck disable=SC2046 # many words
ask $(for i in {1..100}; do echo "$site/answer/keep-alive/$i"; done)
ask -Z $(for i in {1..40}; do echo "$site/chunked/small.txt?parallel=$i"; done)
exec {pipeline}<>"/dev/tcp/127.0.0.1/$http_port"
for i in {1..20}; do
    [[ $i -lt 20 ]] && then=keep-alive || then=close
    printf 'GET /answer/pipelined/%d HTTP/1.1\r\nHost: pipelined.test\r\nConnection: %s\r\n\r\n' "$i" $then
done >&"$pipeline"
cat <&"$pipeline" >/dev/null
exec {pipeline}>&-

look() { dig +tries=1 +time=5 -p "$dns_port" @127.0.0.1 "$@" >>"$work/dig.log" || die "dig $* failed"; }
for question in "www.example.test A" "www.example.test AAAA" "alias.example.test A" "alias.example.test CNAME" "example.test MX" \
    "example.test TXT" "example.test ANY" "nowhere.example.test A" "www.example.test SRV" \
    "www.example.test HTTPS" "www.example.test TYPE4711" "-x 192.0.2.10" "-x 2001:db8::10" "example.org A" \
    "WwW.eXaMpLe.TeSt A" "www.example.test A +noedns" "www.example.test A +dnssec" \
    "www.example.test A +nocookie +norecurse" "www.example.test A +tcp" "long.example.test TXT +noedns" \
    "long.example.test TXT +bufsize=512" \
    "long.example.test TXT +bufsize=4096" "long.example.test TXT +ignore +noedns" "a.b.c.d.e.f.example.test A"; do
    # shellcheck disable=SC2086
    look $question
done
look +tcp +keepopen www.example.test A example.test MX nowhere.example.test AAAA long.example.test TXT
for i in {1..50}; do echo "host$i.example.test A"; done >"$work/batch"
look -f "$work/batch"

sleep 0.2
stop_capture
grep -a ' query\[' "$work/dnsmasq.log" >"$work/queries.log"
"$tapedeck" dissect -o json "$work/live.pcap" >"$work/calls.jsonl" 2>"$work/summary" || die "dissect: $(tail -n 1 "$work/summary")"
python3 "$here/live.py" "$work" || { sed 's/^/# /' "$work/summary" && exit 1; }
