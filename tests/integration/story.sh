#!/usr/bin/env bash
# The whole story, with real servers and clients on the loopback interface of a network namespace: run, traffic of curl and dig, a snapshot
# of the last minute, list, dissect, calls with five filters, a pcap that tshark opens with the packets that tcpdump recorded beside it, an
# archive and back, delete.
set -u
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.." || exit 1
# shellcheck source=../loopback.bash
source "$here/../loopback.bash"
enter_namespace "$0" "$@"
tapedeck=$PWD/${BUILD:-build}/tapedeck
number=0
unset TAPEDECK_TOKEN TAPEDECK_TOKEN_FILE TAPEDECK_CA TAPEDECK_PLUGIN_PATH
export TAPEDECK_HUB=http://127.0.0.1:18898

# check NAME COMMAND...: what must succeed.
check() {
    local name=$1
    shift
    number=$((number + 1))
    if "$@" >"$work/check" 2>&1; then
        echo "ok $number - $name"
    else
        echo "not ok $number - $name"
        head -c 3000 "$work/check" | sed 's/^/#   /'
    fi
}

# td ARGUMENTS...: tapedeck; exits TEXT ARGUMENTS...: its exit code, and what must stand on its stderr or stdout.
td() { "$tapedeck" "$@"; }
exits() {
    local code=$1 text=$2 status
    shift 2
    "$tapedeck" "$@" >"$work/said" 2>&1
    status=$?
    cat "$work/said"
    [[ $status -eq $code && (-z $text || $(<"$work/said") == *"$text"*) ]] && return
    echo "exit code $status, want $code and \"$text\""
    return 1
}
lines() { # COUNT COMMAND...
    local n
    n=$("${@:2}" | tee "$work/lines" | wc -l)
    [[ $n -eq $1 ]] || { echo "$n lines, want $1:" && cat "$work/lines" && false; }
}
packets_of() { "$tapedeck" capture info -o json "$1" | grep -oE '"data_sha256": *"[^"]*"|"packets": *[0-9]+'; }
# Packets as tshark sees them, whatever link layer and order each capture has: what TCP and UDP carry. Each socket of the kernel's may have
# taken the time by itself, so that times differ by a microsecond.
as_tshark() {
    tshark -n -r "$1" -T fields -e ip.src -e ip.dst -e ipv6.src -e ipv6.dst -e tcp.srcport -e tcp.seq_raw -e tcp.len \
        -e udp.srcport -e udp.length -e dns.id 2>"$work/tshark.log" | sort
}

# ---- Servers ----
listen=
for host in "${localhosts[@]}"; do
    [[ $host == *:* ]] && listen+="listen [$host]:$http_port; " || listen+="listen $host:$http_port; "
done
start_nginx "
    server {
        $listen
        server_name localhost;
        location = /api/items { return 200 '{\"items\":[1,2,3]}'; }
        location = /api/orders { return 201 '{\"order\":\"\$request_id\"}'; }
        location = /api/missing { return 404 '{\"error\":\"not found\"}'; }
        location = /api/broken { return 503 '{\"error\":\"try later\"}'; }
    }"
addresses=(--listen-address=127.0.0.1)
[[ ${#localhosts[@]} -gt 1 ]] && addresses+=(--listen-address=::1)
start dnsmasq dnsmasq --no-daemon --conf-file=/dev/null --pid-file= --port="$dns_port" "${addresses[@]}" \
    --bind-interfaces --no-resolv --no-hosts --local=/example.test/ --auth-ttl=300 --local-ttl=300 \
    --host-record=www.example.test,192.0.2.10,2001:db8::10 --txt-record=example.test,"v=spf1 mx -all"
wait_for dnsmasq tcp_open 127.0.0.1 "$dns_port"

# ---- run ----
cat >"$work/tapedeck.yaml" <<YAML
tap:
  node: node-1
  dataDir: $work/data
  capture:
    interfaces: [lo]
    bpf: port $http_port or port $dns_port
    raw: {storageSize: 64Mi, minFreeSpace: 0}
  worker: {listen: "127.0.0.1:18999"}
  hub: {listen: "127.0.0.1:18898"}
  snapshots: {local: {storageSize: 256Mi}}
YAML
check "the configuration is right" td config check "$work/tapedeck.yaml"
start tapedeck "$tapedeck" run -c "$work/tapedeck.yaml"
is_ready() { curl -sSf -o /dev/null "$TAPEDECK_HUB/readyz"; }
wait_for tapedeck is_ready
check "the node is there" exits 0 node-1 node list

# ---- Traffic ----
began=$(date -u +%Y-%m-%dT%H:%M:%S.%NZ)
start_capture "$work/beside.pcap" -s 0 -U --immediate-mode "port $http_port or port $dns_port"
ask() { curl -sS -o /dev/null --max-time 5 "$@" || die "curl $* failed"; }
look() { dig +tries=1 +time=5 -p "$dns_port" @127.0.0.1 "$@" >/dev/null || die "dig $* failed"; }
site=http://127.0.0.1:$http_port
ask "$site/api/items"
ask "$site/api/items?page=2"
ask "$site/api/orders" --json '{"item":1}'
ask "$site/api/orders" --json '{"item":2}'
ask "$site/api/orders" -X PUT -d 'item=1'
ask "$site/api/missing"
ask "$site/api/broken"
ask "$site/api/items" -o /dev/null "$site/api/broken" # one connection
look www.example.test A
look www.example.test AAAA
look example.test TXT
look nowhere.example.test A
look www.example.test A +tcp
sleep 0.5
stop_capture
ended=$(date -u +%Y-%m-%dT%H:%M:%S.%NZ)
http_calls=9 dns_calls=5

# ---- Snapshot ----
check "the last hour is not there: refused, saying what is" exits 2 "allow_partial" snapshot create early --last 1h
check "of which nothing is left" exits 3 early snapshot show early
check "the last minute, as far as it is there: partial" exits 6 "not whole" snapshot create minute --last 1m --allow-partial --wait
check "the time of the traffic: complete" exits 0 story snapshot create story --start "$began" --end "$ended" --wait
check "a name that is in use is refused" exits 5 story snapshot create story --last 1s
check "a name that is none is refused" exits 2 "" snapshot create "No Name" --last 1s
check "both are listed" lines 2 td snapshot list
check "list: the name, the status" exits 0 Completed snapshot list
check "show: the node" exits 0 node-1 snapshot show story
check "as JSON" exits 0 '"name": "story"' snapshot show story -o json
check "as YAML" exits 0 'name: story' snapshot show story -o yaml
check "verify" exits 0 "" snapshot verify story
check "its jobs are told" exits 0 story job list

# ---- Dissection and calls ----
check "dissect" exits 0 "" snapshot dissect story --as all --wait
check "the dissection is listed" exits 0 completed dissection list story
check "and shown" exits 0 completed dissection show story/all
check "one that has no name is called default, and shown" exits 0 $'name\tdefault' snapshot dissect story --wait
check "and deleted" exits 0 "" dissection delete story/default
check "the snapshot is Dissected" exits 0 Dissected snapshot show story
calls() { td calls story/all "$@"; }
check "all calls" lines $((http_calls + dns_calls)) calls
check "filter 1: status" lines 2 calls --filter 'http && status_code >= 500'
check "filter 2: method" lines 2 calls --filter 'method == "POST"'
check "filter 3: path" lines 3 calls --filter 'path.startsWith("/api/items")'
check "filter 4: a name that is not there" lines 1 calls --filter 'dns && dns_rcode_name == "NXDOMAIN"'
check "filter 5: a question" lines 3 calls --filter 'dns_questions.exists(q, q == "www.example.test")'
check "a filter that is wrong is shown with the place" exits 2 "^" calls story/all --filter 'statuscode >= 500'
check "the newest first" exits 0 "www.example.test" calls story/all --limit 1
check "how many" exits 0 "$dns_calls" calls story/all --filter dns -o count
first=$(calls --limit 1 --order oldest --fields id)
check "one call" exits 0 "/api/items" call show "$first"

# ---- pcap ----
check "export" td snapshot export story --bpf "port $http_port or port $dns_port" -q -w "$work/story.pcap"
same_packets() { diff <(packets_of "$1") <(packets_of "$2"); }
check "the same packets as tcpdump recorded" same_packets "$work/story.pcap" "$work/beside.pcap"
same_in_tshark() {
    diff <(as_tshark "$1") <(as_tshark "$2") | head -n 20
    ! grep -v 'could be dangerous' "$work/tshark.log" && cmp <(as_tshark "$1") <(as_tshark "$2")
}
check "tshark opens it, and sees the same" same_in_tshark "$work/story.pcap" "$work/beside.pcap"
tshark_counts() { [[ $(tshark -n -r "$work/some.pcap" -Y "$2" 2>/dev/null | wc -l) -eq $1 ]]; }
check "the packets of calls" td snapshot export story --filter 'status_code == 404' -q -w "$work/some.pcap"
check "request and response" tshark_counts 2 http
check "the packets of one call" td call packets "$first" -w "$work/some.pcap"
check "are those of the first" tshark_counts 1 'http.request.uri == "/api/items"'
check "pcapng" td snapshot export story --format pcapng -q -w "$work/story.pcapng"
names_interface() { tshark -n -r "$work/story.pcapng" -T fields -e frame.interface_name | sort -u | grep -qx node-1/lo; }
check "interfaces are named by their node" names_interface
fields=timestamp,summary.method,summary.target,summary.status
same_calls() { diff <("$tapedeck" dissect -q --fields $fields "$work/story.pcapng" | sort) <(calls --fields $fields | sort); }
check "dissected here, it gives the same calls" same_calls
to_pipe() { td snapshot export story -q -w - | tshark -n -r - 2>/dev/null | grep -q HTTP; }
check "into a pipe" to_pipe

# ---- Archive ----
check "archive" td snapshot export story --format archive -q -w "$work/story.tar.zst"
unpacks() {
    mkdir -p "$work/unpacked" && tar --zstd -xf "$work/story.tar.zst" -C "$work/unpacked" || return 1
    local sums
    sums=$(find "$work/unpacked" -name SHA256SUMS)
    cd "$(dirname "$sums")" && sha256sum --quiet -c SHA256SUMS
}
check "it unpacks, and its sums are right" unpacks
check "import" exits 0 "" snapshot import "$work/story.tar.zst" --name copy
check "verifies" exits 0 "" snapshot verify copy
check "export of the copy" td snapshot export copy --bpf "port $http_port or port $dns_port" -q -w "$work/copy.pcap"
check "the same bytes" cmp "$work/copy.pcap" "$work/story.pcap"
check "import of what tcpdump recorded" exits 0 "" snapshot import "$work/beside.pcap" --name foreign

# ---- Delete ----
check "delete a dissection" exits 0 "" dissection delete story/all
check "it is gone" exits 3 "" dissection show story/all
check "delete all" exits 0 "" snapshot delete story minute copy foreign
check "they are gone" exits 3 story snapshot show story
check "no snapshot is listed" lines 0 td snapshot list
no_files() { [[ -z $(find "$work/data/snapshots" -type f) ]] || { find "$work/data/snapshots" -type f && false; }; }
check "no file is left" no_files
ends() {
    kill "${started[tapedeck]}" && wait "${started[tapedeck]}"
    local status=$?
    unset "started[tapedeck]"
    return $status
}
check "SIGTERM ends it well" ends
check "without a hub: exit code 7" exits 7 "--hub" snapshot list
echo "1..$number"
