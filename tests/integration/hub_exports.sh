#!/usr/bin/env bash
# What leaves a hub as files, and what comes back: packets of snapshots and of calls, archives, calls as events, imports. A capture
# is replayed into a snapshot; tcpdump, tshark, zstd, tar and sha256sum look at what comes out.
set -u
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.." || exit 1
# shellcheck source=../loopback.bash
source "$here/../loopback.bash"
enter_namespace "$0" "$@"
tapedeck=$PWD/${BUILD:-build}/tapedeck
replayed=$PWD/plugins/dissectors/http/captures/nginx_curl.pcap
port=8898 number=0
url=http://127.0.0.1:$port api=http://127.0.0.1:$port/api/v1
packets=242 calls=27

get() { curl -sS --max-time 20 "$api$1"; }
has() { get "$1" | tee "$work/last" | grep -q -- "$2" || { cat "$work/last" && false; }; }
# code STATUS PATTERN CURL...: the answer's status, and what stands in it.
code() {
    local got
    got=$(curl -sS --max-time 20 -o "$work/body" -w '%{http_code}' "${@:3}")
    [[ $got == "$1" ]] && { [[ -z $2 ]] || grep -aq -- "$2" "$work/body"; } || { echo "$got: $(head -c 500 "$work/body")" && false; }
}
# fetch FILE PATH [PARAMETER=VALUE...]: whole, or it fails.
fetch() {
    local out=$1 path=$2 parameters=()
    shift 2
    for one in "$@"; do parameters+=(--data-urlencode "$one"); done
    curl -sSf --max-time 20 -G -D "$work/head" -o "$work/$out" "${parameters[@]}" "$api$path"
}
count() { tcpdump -nr "$work/$1" 2>/dev/null | wc -l; }
# holds FILE N: so many packets.
holds() { [[ $(count "$1") -eq $2 ]] || { echo "$(count "$1") packets, not $2" && false; }; }
# What of packets must survive: their bytes, not when the replay sent them.
bytes_of() { tshark -nr "$1" -T fields -e frame.len -e ip.id -e tcp.seq_raw -e tcp.ack_raw -e tcp.checksum 2>/dev/null; }
is_up() { curl -sf -o /dev/null "$url/healthz"; }
run_hub() {
    start hub "$tapedeck" run -c "$work/run.yaml"
    wait_for hub is_up
}
ended() { has "/jobs/$1" '"state":"\(completed\|failed\|cancelled\)"' >/dev/null; }

cat >"$work/run.yaml" <<END
tap:
  node: n1
  dataDir: $work/data
  capture: {source: {file: $replayed, times: now}, raw: {storageSize: 16Mi, minFreeSpace: 0}}
  snapshots: {local: {storageSize: 90Mi}}
  worker: {listen: '127.0.0.1:0'}
  hub: {auditLog: $work/audit.log}
END
begin=$(date -u +%Y-%m-%dT%H:%M:%SZ)
run_hub
captured() { has /nodes "\"state\":\"capturing\".*\"packets\":$packets" >/dev/null; }
wait_for hub captured
sleep 0.8 # the last of its packets is of then
check "a snapshot is begun" code 202 '"job":"' "$api/snapshots" \
    -d "{\"name\":\"first\",\"start\":\"$begin\",\"end\":\"now\",\"allow_partial\":true}"
made() { has /snapshots/first "\"packets\":$packets" >/dev/null; }
wait_for hub made

# ---- Packets ----
check "pcap" fetch all.pcap /snapshots/first/pcap
check "is named, and of its type" bash -c "grep -qi 'content-disposition: attachment; filename=\"first.pcap\"' '$work/head' &&
    grep -qi 'content-type: application/vnd.tcpdump.pcap' '$work/head'"
check "has every packet" holds all.pcap $packets
same_packets() { cmp <(bytes_of "$replayed") <(bytes_of "$work/all.pcap"); }
check "the same as went in" same_packets
check "pcapng" fetch all.pcapng /snapshots/first/pcapng
check "has every packet, too" holds all.pcapng $packets
check "with the node's name" bash -c "tshark -nr '$work/all.pcapng' -c 1 -T fields -e frame.interface_name | grep -q n1"
check "BPF" fetch bpf.pcap /snapshots/first/pcap 'bpf=tcp[tcpflags] & tcp-syn != 0'
check "chooses as tcpdump does" holds bpf.pcap "$(tcpdump -nr "$replayed" 'tcp[tcpflags] & tcp-syn != 0' 2>/dev/null | wc -l)"
check "nodes" fetch node.pcap /snapshots/first/pcap nodes=n1
check "has them all" holds node.pcap $packets
check "a time before it all" fetch none.pcap /snapshots/first/pcap end=2001-01-01T00:00:00Z
check "has none, but is a capture" holds none.pcap 0
check "an unknown node: 404" code 404 'no node' "$api/snapshots/first/pcap?nodes=n2"
check "an unknown snapshot: 404" code 404 snapshot_not_found "$api/snapshots/second/pcap"
check "a bad expression: 400" code 400 'portt' -G "$api/snapshots/first/pcap" --data-urlencode 'bpf=portt 80'
check "a bad time: 400" code 400 'is no time' "$api/snapshots/first/pcap?start=soon"
check "an unknown parameter: 400" code 400 invalid_parameter "$api/snapshots/first/pcap?bpff=tcp"
check "a filter without a dissection: 409, with the remedy" code 409 'snapshot dissect first.*not_dissected' \
    "$api/snapshots/first/pcap?filter=http"
check "a dissection without a filter: 400" code 400 'go with filter' "$api/snapshots/first/pcap?dissection=default"

# ---- Calls ----
(curl -sSN --max-time 20 "$api/calls/stream?db=first" >"$work/early" 2>&1)
check "a stream of what is not dissected: 404" grep -q '"status":404' "$work/early"
check "dissecting is begun" code 202 '"kind":"dissect"' "$api/dissections" -d '{"snapshot":"first"}'
check "the stream goes on to its end, and has all calls" bash -c \
    "curl -sSN --max-time 20 '$api/calls/stream?db=first/default' >'$work/stream'
     grep -c '^data: {\"id\":\"first/default/' '$work/stream' | grep -qx $calls"
check "and says that it ends" grep -q '^event: end' "$work/stream"
resumes() {
    local id
    id=$(grep '^id: ' "$work/stream" | sed -n 10p | cut -c5-)
    curl -sSN --max-time 20 -H "Last-Event-ID: $id" "$api/calls/stream?db=first" >"$work/rest"
    cmp <(grep '^data: {"id"' "$work/stream" | tail -n +11) <(grep '^data: {"id"' "$work/rest")
}
check "and goes on behind the last that came" resumes
check "one of what is finished" bash -c "curl -sSN --max-time 20 '$api/calls/stream?db=first' >'$work/later' &&
    cmp <(grep '^data: {\"id\"' '$work/later' | sort) <(grep '^data: {\"id\"' '$work/stream' | sort)"
mv "$work/later" "$work/stream"
oldest_first() { grep -o '"timestamp":"[^"]*"' "$work/stream" | sort -c; }
check "has the oldest first" oldest_first
check "and goes on behind the last that came, too" resumes
check "a stream with a filter" bash -c "curl -sSN --max-time 20 '$api/calls/stream?db=first&filter=status_code%20%3D%3D%20999' |
    grep -q '\"calls\":0'"
check "a wrong one: 400, with the place" code 400 'filter_error.*"from":0' "$api/calls/stream?db=first&filter=statsu"
check "packets of calls" fetch get.pcap /snapshots/first/pcap 'filter=method == "GET"'
fewer() { [[ $(count get.pcap) -gt 0 && $(count get.pcap) -lt $(count conn.pcap) && $(count conn.pcap) -le $packets ]]; }
check "and of their connections" fetch conn.pcap /snapshots/first/pcap 'filter=method == "GET"' connections=true dissection=default
check "are more" fewer
check "with the requests in them" bash -c "tshark -nr '$work/get.pcap' -Y 'http.request.method == GET' 2>/dev/null | grep -q GET"
check "a wrong filter: 400" code 400 filter_error "$api/snapshots/first/pcap?filter=statsu%20%3D%3D%201"
check "a dissection that is not there: 404" code 404 dissection_not_found "$api/snapshots/first/pcap?filter=http&dissection=other"
id=$(get "/calls?db=first&limit=1&filter=method%20%3D%3D%20%22GET%22" | grep -o '"id":"[^"]*"' | head -n 1 | cut -d'"' -f4)
check "packets of one call" fetch call.pcap "/calls/${id//\//%2F}/pcap"
check "with its name" grep -qi "filename=\"first-default-${id##*/}.pcap\"" "$work/head"
one_call() { # a request and its response, of one connection
    [[ $(count call.pcap) -ge 2 && $(count call.pcap) -lt $(count get.pcap) ]] &&
        [[ $(tshark -nr "$work/call.pcap" -T fields -e tcp.stream 2>/dev/null | sort -u | wc -l) -eq 1 ]]
}
check "and no other's" one_call
check "of one that there is not: 404" code 404 '"code":"' "$api/calls/first%2Fdefault%2F999999999/pcap"
check "the command line does the same" bash -c \
    "'$tapedeck' call packets '$id' -w '$work/cli.pcap' && cmp '$work/cli.pcap' '$work/call.pcap'"
check "exports of a snapshot, too" bash -c \
    "'$tapedeck' snapshot export first --filter 'method == \"GET\"' -w '$work/cli.pcap' && cmp '$work/cli.pcap' '$work/get.pcap'"
check "and follows calls" bash -c "'$tapedeck' calls first -f -o json | grep -c first/default | grep -qx $calls"

# ---- Archives ----
check "an archive" fetch first.tar.zst "/snapshots/first/archive?dissections=true"
unpacks() {
    mkdir "$work/unpacked" && tar -C "$work/unpacked" --zstd -xf "$work/first.tar.zst" &&
        cd "$work/unpacked/first" && sha256sum -c SHA256SUMS
}
check "unpacks, with digests that hold" bash -c "$(declare -f unpacks); work=$work unpacks"
check "and has the dissection" test -s "$work/unpacked/first/dissections/default.calls"
check "with gzip" fetch first.tar.gz "/snapshots/first/archive?compression=gzip"
check "that gzip tests" gzip -t "$work/first.tar.gz"
check "the command line does both" \
    "$tapedeck" snapshot export first --format archive --dissections --compression gzip -q -w "$work/cli.tar.gz"
same_archive() { cmp <(gzip -dc "$work/cli.tar.gz") <(zstd -dc "$work/first.tar.zst"); }
check "with the same in it" same_archive
check "also bare" bash -c "'$tapedeck' snapshot export first --format archive --compression none -q -w - | tar -t | grep -q SHA256SUMS"
check "packets have no compression" bash -c "'$tapedeck' snapshot export first --compression gzip -w '$work/none'; [[ \$? -eq 2 ]]"
check "nor is a part an archive" bash -c "'$tapedeck' snapshot export first --format archive --bpf tcp -w '$work/none'; [[ \$? -eq 2 ]]"
check "parts are no archive: 400" code 400 'whole snapshot' "$api/snapshots/first/archive?bpf=tcp"

# ---- Imports ----
imported() { # NAME FILE PARAMETERS
    code 202 "\"name\":\"$1\"" --data-binary "@$2" -H 'Content-Type: application/octet-stream' "$api/snapshots/import?$3" || return 1
    job=$(grep -o '"job":"[^"]*"' "$work/body" | cut -d'"' -f4)
    wait_for hub ended "$job"
    has "/jobs/$job" '"state":"completed"'
}
check "an archive is imported" imported second "$work/first.tar.zst" name=second
check "with its packets" has /snapshots/second "\"packets\":$packets"
check "and its dissection" has "/calls?db=second&limit=1" '"id":"second/default/'
check "they are the same" bash -c "curl -sSf '$api/snapshots/second/pcap' | cmp - '$work/all.pcap'"
check "a capture is imported, by its file's name" imported nginx-curl "$replayed" file=nginx-curl.pcap
check "with its packets" has /snapshots/nginx-curl "\"packets\":$packets"
check "come back" fetch back.pcap /snapshots/nginx-curl/pcap
check "as they were" cmp <(tcpdump -nttxxr "$work/back.pcap" 2>/dev/null) <(tcpdump -nttxxr "$replayed" 2>/dev/null)
"$tapedeck" snapshot import "$work/first.tar.gz" --name third >/dev/null 2>&1 # which tells that the window is not whole
check "the command line does it" has /snapshots/third "\"packets\":$packets"
python3 - "$work/named.pcapng" <<'END'
import struct, sys
def block(kind, body):
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)
def record(kind, value):
    return struct.pack("<HH", kind, len(value)) + value + bytes(-len(value) % 4)
names = {(10, 0, 0, 1): "frontend.shop", (10, 0, 0, 2): "cart.shop"}
packet = bytes.fromhex("0200000000010200000000020800" "4500001c000100004011" "66cf0a0000010a000002" "0400003500080000")
with open(sys.argv[1], "wb") as f:
    f.write(block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)) + block(1, struct.pack("<HHI", 1, 0, 0)))
    f.write(block(4, b"".join(record(1, bytes(ip) + name.encode() + b"\0") for ip, name in names.items()) +
                  record(2, bytes([253] + [0] * 14 + [1]) + b"six.shop\0") + bytes(4)))
    for i in range(3):
        f.write(block(6, struct.pack("<IIIII", 0, 0x5F5E1, i, len(packet), len(packet)) + packet + bytes(-len(packet) % 4)))
END
hosts() { tshark -r "$1" -q -z hosts 2>/dev/null | grep -E '^[0-9a-f.:]+[[:space:]]' | sort; }
has_hosts() {
    [[ $(hosts "$1" | tr -s '[:space:]' ' ') == "10.0.0.1 frontend.shop 10.0.0.2 cart.shop fd00::1 six.shop " ]] || { hosts "$1" && false; }
}
check "names of addresses, as tshark sees them" has_hosts "$work/named.pcapng"
check "are imported with their capture" imported named "$work/named.pcapng" name=named
check "verified" code 202 '"kind":"verify"' "$api/snapshots/named/verify" -X POST
job=$(grep -o '"job":"[^"]*"' "$work/body" | cut -d'"' -f4)
wait_for hub ended "$job"
check "as all of it" has "/jobs/$job" '"state":"completed"'
check "exported" fetch named.back.pcapng /snapshots/named/pcapng
check "and are the same" has_hosts "$work/named.back.pcapng"
check "an archive of it" fetch named.tar.zst /snapshots/named/archive
check "has them in a file that tshark reads" bash -c "tar -C '$work/unpacked' --zstd -xf '$work/named.tar.zst'"
check "too" has_hosts "$work/unpacked/named/imported/context.pcapng"
check "imported again" imported renamed "$work/named.tar.zst" name=renamed
check "exported again" fetch renamed.pcapng /snapshots/renamed/pcapng
check "they are still there" has_hosts "$work/renamed.pcapng"
check "a name that is taken: 409" code 409 name_taken --data-binary "@$replayed" "$api/snapshots/import?name=first"
check "no name: 400" code 400 'name is missing' --data-binary "@$replayed" "$api/snapshots/import"
check "one that is none: 400" code 400 'name' --data-binary "@$replayed" "$api/snapshots/import?file=My%20File.pcap"
check "nothing: 400" code 400 'empty' -X POST "$api/snapshots/import?name=nothing"
head -c 3000000 /dev/urandom >"$work/noise"
noise() {
    code 202 job --data-binary "@$work/noise" "$api/snapshots/import?name=noise" || return 1
    job=$(grep -o '"job":"[^"]*"' "$work/body" | cut -d'"' -f4)
    wait_for hub ended "$job"
    has "/jobs/$job" '"state":"failed".*"error":"'
}
check "what is neither: the job fails, and says why" noise
check "which the list of snapshots tells, too" has /snapshots '"name":"noise","status":"Failed","reason":"..*"imported":true'
check "and a question for it" has /snapshots/noise '"status":"Failed","reason":".'
head -c 100000000 /dev/zero >"$work/huge"
check "more than there is room for: 507" code 507 no_room --data-binary "@$work/huge" \
    "$api/snapshots/import?name=huge"
cut_upload() { curl -sS --max-time 1 --limit-rate 500k --data-binary "@$work/noise" "$api/snapshots/import?name=cut"; [[ $? -eq 28 ]]; }
check "an upload is cut" cut_upload
nothing_left() { ! find "$work/data/hub/work" -mindepth 1 | grep .; }
wait_for hub nothing_left
check "and leaves nothing, as all the others" nothing_left
unreserved() { has /snapshots '"reserved":0[,}]' >/dev/null; }
wait_for hub unreserved
check "nor any room" unreserved

# ---- Who leaves ----
packets() { # FILE N: a capture of so many packets of 1400 bytes
    python3 - "$1" "$2" <<'END'
import struct, sys
with open(sys.argv[1], "wb") as f:
    f.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
    for i in range(int(sys.argv[2])):
        f.write(struct.pack("<IIII", 1700000000 + i // 1000, i % 1000 * 1000, 1400, 1400) + i.to_bytes(4, "big") * 350)
END
}
packets "$work/large.pcap" 16000
check "a capture of more than what fits into buffers" imported large "$work/large.pcap" name=large
check "comes back whole" fetch large.back /snapshots/large/pcap
check "with all its packets" bash -c "capinfos -Mc '$work/large.back' | grep -q '16000'"
leavers=()
for what in pcap pcapng pcapng archive?compression=none; do
    curl -sS --max-time 4 --limit-rate 10k -o /dev/null "$api/snapshots/large/$what" 2>/dev/null &
    leavers+=($!)
done
sleep 0.3
check "who takes it holds it: 409" code 409 in_use -X DELETE "$api/snapshots/large"
kill "${leavers[@]}"
wait "${leavers[@]}" 2>/dev/null
deleted() { code 204 '' -X DELETE "$api/snapshots/large" >/dev/null; }
check "who left in the middle does not" deleted
check "with a name that is free again" code 404 snapshot_not_found "$api/snapshots/large"
check "another is deleted" code 204 '' -X DELETE "$api/snapshots/first"
check "the audit log knows who took packets" grep -q 'path="/api/v1/snapshots/first/pcap' "$work/audit.log"
check "and who brought some" grep -q 'method=POST path="/api/v1/snapshots/import?name=second" status=202' "$work/audit.log"

# ---- kill -9 while it comes in ----
curl -sS --limit-rate 500k --data-binary "@$work/noise" "$api/snapshots/import?name=killed" >/dev/null 2>&1 &
upload=$!
coming() { find "$work/data/hub/work" -name upload | grep -q .; }
wait_for hub coming
kill -9 "${started[hub]}"
wait "${started[hub]}" "$upload" 2>/dev/null
run_hub
check "after kill -9 nothing of an upload is left" nothing_left
check "and what was imported is there" has /snapshots/second "\"packets\":$packets"

# ---- The hub dies when the snapshot is there, and its job does not know it yet ----
# unfinish NAME: its import is as it was then.
unfinish() {
    kill -9 "${started[hub]}"
    wait "${started[hub]}" 2>/dev/null
    python3 - "$work/data/hub/hub.db" "$1" <<'END'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
change = "UPDATE job SET state='running', finished=0, result=x'' WHERE kind='import' AND state='completed' AND subject=?"
sys.exit(db.execute(change, sys.argv[2:]).rowcount != 1 or db.commit())
END
}
job_of() { get "/jobs?kind=import&subject=$1" | grep -o '"id":"[^"]*"' | cut -d'"' -f4; }
id_of() { get "/snapshots/$1" | grep -o '"id":"[^"]*"' | cut -d'"' -f4; }
second=$(job_of second) id=$(id_of second)
check "the job of an import is as before its end" unfinish second
run_hub
wait_for hub ended "$second"
check "it ends well, for its snapshot is there" has "/jobs/$second" '"state":"completed"'
check "and says which" has "/jobs/$second" "\"result\":{\"id\":\"$id\",\"name\":\"second\".*\"packets\":$packets,\"dissections\":1}"
check "again, with its file still there" unfinish second
mkdir "$work/data/hub/work/import-$id"
cp "$work/noise" "$work/data/hub/work/import-$id/upload" # which cannot be imported once more
run_hub
wait_for hub ended "$second"
check "it ends well" has "/jobs/$second" '"state":"completed"'
wait_for hub nothing_left
check "and its file goes" nothing_left
check "again, with another snapshot of its name" unfinish renamed
rename() { # the snapshot has another id than the job
    python3 - "$work/data/hub/hub.db" "$1" <<'END'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
request = db.execute("SELECT request FROM job WHERE kind='import' AND subject=?", sys.argv[2:]).fetchone()[0]
at = request.index(b'"id":"') + 6
other = request[:at] + bytes([request[at] ^ 1]) + request[at + 1:]
sys.exit(db.execute("UPDATE job SET request=? WHERE kind='import' AND subject=?", (other, sys.argv[2])).rowcount != 1 or db.commit())
END
}
check "whose id is not the job's" rename renamed
run_hub
renamed=$(job_of renamed)
wait_for hub ended "$renamed"
check "it fails, for its file is gone" has "/jobs/$renamed" '"state":"failed".*not there any more'

# ---- What came in counts until it has become a snapshot: twice 51 MB are more than the room of 94 ----
packets "$work/half.pcap" 36000
came_in() {
    code 202 job --data-binary "@$work/half.pcap" "$api/snapshots/import?name=$1" || return 1
    job=$(grep -o '"job":"[^"]*"' "$work/body" | cut -d'"' -f4)
}
no_room() { wait_for hub ended "$job" && has "/jobs/$job" '"state":"failed".*no room'; }
check "an upload" came_in half
check "counts while its job runs" no_room
wait_for hub unreserved
check "and then no more" unreserved
check "another" came_in half
kill -9 "${started[hub]}"
wait "${started[hub]}" 2>/dev/null
run_hub
check "counts after a restart, too" no_room
wait_for hub unreserved
check "and goes with its job" bash -c "[[ -z \$(find '$work/data/hub/work' -mindepth 1) ]]"

# ---- A dissection has the room that is left, and no more ----
# leave BYTES: so much is left for snapshots.
leave() {
    local limit
    limit=$(($(get /snapshots | grep -o '"used":[0-9]*' | cut -d: -f2) + $1))
    sed -i "s/local: {storageSize: [0-9A-Za-z]*}/local: {storageSize: $limit}/" "$work/run.yaml"
    kill -HUP "${started[hub]}"
    limited() { has /snapshots "\"limit\":$limit[,}]" >/dev/null; }
    wait_for hub limited
}
dissecting_fails() { # TEXT
    code 202 job "$api/dissections" -d '{"snapshot":"second","name":"more"}' || return 1
    job=$(grep -o '"job":"[^"]*"' "$work/body" | cut -d'"' -f4)
    wait_for hub ended "$job"
    has "/jobs/$job" "\"state\":\"failed\".*$1.*\"code\":\"limit_reached\"" && nothing_left
}
packets "$work/filler.pcap" 12000
check "more than the least that a hub may be given" imported filler "$work/filler.pcap" name=filler
leave 30000
check "calls that take more are not kept" dissecting_fails "no room: the calls take more than the"
leave 0
check "nor begun, without any" dissecting_fails "no room: nothing is left"
stop hub
echo "1..$number"
