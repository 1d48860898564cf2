#!/usr/bin/env bash
# Holds of a real worker, as the hub uses them: segments as files and trimmed, beside what tcpdump reads of the same capture; ranges,
# digests, links, recycling, revoking, limits.
set -u
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.." || exit 1
# shellcheck source=../loopback.bash
source "$here/../loopback.bash"
enter_namespace "$0" "$@"
tapedeck=$PWD/${BUILD:-build}/tapedeck
port=48998 number=0 url=http://127.0.0.1:48998 auth=()

# capture FILE PACKETS SECONDS: packets of 1 KB from 2024-01-01 00:00:00 UTC on.
capture() {
    python3 - "$@" <<'END'
import struct, sys
path, count, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
frame = bytes.fromhex("020000000001020000000002" "0800" "450003e4000000004011" "0000" "0a0000010a000002" "0400" "0401" "03d0" "0000")
frame += bytes(1010 - len(frame))
with open(path, "wb") as out:
    out.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
    for i in range(count):
        at = 1704067200 * 10**6 + int(i * seconds * 10**6 / count)
        out.write(struct.pack("<IIII", at // 10**6, at % 10**6, 1010, 1010) + frame)
END
}

# config MORE-OF-SOURCE MORE-OF-RAW MORE
config() {
    printf 'tap:\n  node: n1\n  dataDir: %s/data\n  capture: {source: {file: %s%s}, raw: {minFreeSpace: 0, segmentSize: 2Mi%s}}\n%s\n' \
        "$work" "$work/replayed.pcap" "$1" "$2" "  worker: {listen: '127.0.0.1:$port'$3}" >"$work/worker.yaml"
}
is_up() { curl -s -o /dev/null "${auth[@]}" "$url/healthz"; }
run_worker() {
    start worker "$tapedeck" worker -c "$work/worker.yaml"
    wait_for worker is_up
}
get() { curl -sS --max-time 20 "${auth[@]}" "$url$1" "${@:2}"; }
statistic() { get /api/v1/statistics | grep -o "\"$1\":[0-9]*" | head -n 1 | cut -d: -f2; }
code() { # STATUS CURL...: the answer has it
    local got
    got=$(curl -sS --max-time 20 -o "$work/body" -w '%{http_code}' "${auth[@]}" "${@:2}")
    [[ $got == "$1" ]] || { echo "$got" && head -c 1000 "$work/body" && false; }
}
told() { grep -q -- "$1" "$work/body" || { cat "$work/body" && false; }; }
# json FILE EXPRESSION: of the object o
json() { python3 -c 'import json, sys; o = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$@"; }
is() { [[ $1 == "$2" ]] || { echo "$1, not $2" && false; }; }
# hold NAME QUERY: into $work/NAME.json; its id is in $id
hold() {
    get "/api/v1/holds?$2" -X POST >"$work/$1.json"
    id=$(json "$work/$1.json" 'o["id"]')
}

# ---- A capture replayed: whole segments, and the ends of the window ----
capture "$work/replayed.pcap" 12000 12
head -c 24 /dev/urandom | base64 >"$work/token"
chmod 600 "$work/token"
auth=(-H "Authorization: Bearer $(<"$work/token")")
config "" ", storageSize: 64Mi" ", tokenFile: $work/token"
run_worker
has_all() { [[ $(statistic written_packets) -eq 12000 ]]; }
wait_for worker has_all
all_hashed() { [[ $(statistic hashed) -eq 6 ]]; }
wait_for worker all_hashed
check "segments are hashed when it is calm" all_hashed
lists() { "$tapedeck" raw list -o json "$work/data/raw" | grep -c '"sha256"'; }
check "raw list shows it" is "$(lists)" 6
window="start=2024-01-01T00:00:01.5Z&end=2024-01-01T00:00:10.5Z"
hold a "$window"
check "a hold of six segments" is "$(json "$work/a.json" '[s["whole"] for s in o["segments"]]')" "[False, True, True, True, True, False]"
check "covered as the capture was, not when it was replayed" is "$(json "$work/a.json" 'o["covered_from"], o["covered_to"]')" \
    "('2024-01-01T00:00:01.500000000Z', '2024-01-01T00:00:10.500000000Z')"
check "without gaps and drops" is "$(json "$work/a.json" 'o["gaps"], o["dropped_by_kernel"], o["expires_s"], o["node"]')" \
    "([], 0, 120, 'n1')"
check "its directory" is "$(json "$work/a.json" 'o["directory"], o["device"]')" "('$work/data/raw', $(stat -c %d "$work/data/raw"))"
file=$work/data/raw/0000000002.pcapng
check "segment 2: a file" is "$(json "$work/a.json" '[o["segments"][1][k] for k in ("file", "inode", "bytes", "sha256")]')" \
    "['0000000002.pcapng', $(stat -c %i "$file"), $(stat -c %s "$file"), '$(sha256sum "$file" | cut -d' ' -f1)']"
check "and its index" is "$(json "$work/a.json" '[o["segments"][1][k] for k in ("index", "index_inode", "index_bytes")]')" \
    "['0000000002.idx', $(stat -c '%i, %s' "${file%.pcapng}.idx")]"
check "an end of the window has no file" is "$(json "$work/a.json" 'sorted(o["segments"][0])')" "['estimated_bytes', 'sequence', 'whole']"
held=/api/v1/holds/$id
get "$held/segments/2/data" >"$work/2.pcapng"
check "its bytes" cmp "$work/2.pcapng" "$file"
get "$held/segments/2/index" >"$work/2.idx"
check "those of its index" cmp "$work/2.idx" "${file%.pcapng}.idx"
tag=$(get "$held/segments/2/data" -D - -o /dev/null | tr -d '\r' | sed -n 's/^[Ee][Tt][Aa][Gg]: //p')
get "$held/segments/2/data" -r 0-999999 >"$work/part"
check "in ranges" cmp -n 1000000 "$work/part" "$file"
get "$held/segments/2/data" -r 1000000- -H "If-Range: $tag" >>"$work/part"
check "a broken transfer goes on with If-Range" cmp "$work/part" "$file"
check "with another tag it begins again" code 200 -r 1000000- -H 'If-Range: "other"' "$url$held/segments/2/data"
check "with the right one it is a part" code 206 -r 1000000- -H "If-Range: $tag" "$url$held/segments/2/data"
check "the index in ranges, too" code 206 -r 100-199 "$url$held/segments/2/index"
check "which are right" cmp "$work/body" <(tail -c +101 "${file%.pcapng}.idx" | head -c 100)
for i in 1 6; do get "$held/segments/$i/window?$window" >"$work/$i.pcapng"; done
count() { tshark -n -r "$1" 2>/dev/null | wc -l; }
whole=$(json "$work/a.json" 'sum(s["packets"] for s in o["segments"] if s["whole"])')
ends=$(($(count "$work/1.pcapng") + $(count "$work/6.pcapng")))
check "the ends have the other packets of the window" is "$((whole + ends))" 9000
check "first and last" is "$(tshark -n -r "$work/1.pcapng" -c 1 -T fields -e frame.time_epoch 2>/dev/null) $(
    tshark -n -r "$work/6.pcapng" -T fields -e frame.time_epoch 2>/dev/null | tail -n 1)" "1704067201.500000000 1704067210.499000000"
bytes=$(stat -c %s "$work/1.pcapng")
check "the estimate is near" is "$(json "$work/a.json" "abs(o['segments'][0]['estimated_bytes'] - $bytes) <= 140000")" True
get "$held/segments/3/window?start=2024-01-01T00:00:05Z&end=2024-01-01T00:00:05.1Z" >"$work/3.pcapng"
check "another window of a segment" is "$(count "$work/3.pcapng")" 100
get "$held/segments/1/window" >"$work/1-again.pcapng"
check "without times it is that of the hold" cmp "$work/1.pcapng" "$work/1-again.pcapng"
check "boundaries: covered as the capture was" is \
    "$(get /api/v1/data-boundaries | grep -o '"covered_[a-z]*":"[^"]*' | cut -d'"' -f4 | xargs)" \
    "2024-01-01T00:00:00.000000000Z 2024-01-01T00:00:11.999000001Z"

# ---- What is not there ----
check "no such segment: 404" code 404 "$url$held/segments/77/data"
check "no number: 404" code 404 "$url$held/segments/2x/data"
check "no such hold: 404" code 404 "$url/api/v1/holds/0000000000000000-1/segments/2/data"
check "not renewed either" code 404 -X POST "$url/api/v1/holds/nonsense/renew"
check "a window that ends before it starts: 400" code 400 -X POST "$url/api/v1/holds?start=2024-01-02T00:00:00Z&end=2024-01-01T00:00:00Z"
hold none "start=2023-01-01T00:00:00Z&end=2023-01-02T00:00:00Z"
check "a window without anything: nothing is held, nothing covered" is \
    "$(json "$work/none.json" 'o["segments"], o["covered_from"] == o["covered_to"]')" "([], True)"
hold open "start=2024-01-01T00:00:11.9Z&end=2024-01-02T00:00:00Z"
last=$(json "$work/open.json" 'o["segments"][-1]["sequence"]')
check "a segment that is being written is no file: 409" code 409 "$url/api/v1/holds/$id/segments/$last/data"
get "/api/v1/holds/$id/segments/$last/window" >"$work/open.pcapng"
check "but has a window" is "$(count "$work/open.pcapng")" 100
check "renewing" code 200 -X POST "$url$held/renew"
check "tells how long" told '"expires_s":120'
check "letting go: 204" code 204 -X DELETE "$url$held"
check "then it is gone: 410" code 410 "$url$held/segments/2/data"
check "with its code" told '"code":"hold_expired"'
check "for good" code 410 -X DELETE "$url$held"
with=("${auth[@]}") auth=()
check "without a token: 401" code 401 -X POST "$url/api/v1/holds?$window"
check "for files, too" code 401 "$url/api/v1/holds/$id/segments/2/data"
auth=("${with[@]}")
request='url = "%s/api/v1/holds?%s"\nrequest = POST\nheader = "%s"\noutput = /dev/null\n'
for _ in $(seq 61); do
    # shellcheck disable=SC2059
    printf "${request}next\n" "$url" "$window" "${auth[1]}"
done >"$work/curlrc"
# shellcheck disable=SC2059
printf "$request" "$url" "$window" "${auth[1]}" >>"$work/curlrc"
curl -sS -K "$work/curlrc"
check "64 holds are the most: 503" code 503 -X POST "$url/api/v1/holds?$window"
check "which is told" told '"code":"too_many_holds"'
check "one less" code 204 -X DELETE "$url/api/v1/holds/$id"
check "one more" code 201 -X POST "$url/api/v1/holds?$window"
stop worker
check "the worker ends with holds that nobody lets go" grep -q . "$work/data/raw/0000000006.idx"

# ---- Compressed ----
config "" ", storageSize: 64Mi, compression: zstd" ", tokenFile: $work/token"
run_worker
compressed() { [[ $(statistic compressed) -ge 6 ]]; }
wait_for worker compressed
hold z "$window"
file=$work/data/raw/0000000002.pcapng.zst
check "a compressed segment" is "$(json "$work/z.json" '[o["segments"][1][k] for k in ("file", "bytes", "sha256")]')" \
    "['0000000002.pcapng.zst', $(stat -c %s "$file"), '$(sha256sum "$file" | cut -d' ' -f1)']"
check "its bytes as they are" cmp <(get "/api/v1/holds/$id/segments/2/data") "$file"
check "the same packets at the ends" cmp <(get "/api/v1/holds/$id/segments/1/window") "$work/1.pcapng"
stop worker
rm -r "$work/data"

# ---- A ring that goes on ----
capture "$work/replayed.pcap" 36000 5
config ", pace: original" ", storageSize: 16Mi" ""
auth=()
run_worker
begun() { [[ $(statistic written_packets) -ge 7000 ]]; }
wait_for worker begun
hold early "start=2024-01-01T00:00:00.05Z&end=2024-01-01T00:00:00.7Z"
early=$id
sum=$(get "/api/v1/holds/$early/segments/2/data" | sha256sum | cut -d' ' -f1)
recycled() { [[ $(statistic recycled) -ge 3 ]]; }
wait_for worker recycled
check "recycled" test ! -e "$work/data/raw/0000000002.pcapng"
check "and still there for who holds it" is "$(get "/api/v1/holds/$early/segments/2/data" | sha256sum | cut -d' ' -f1)" "$sum"
check "with its index" code 200 "$url/api/v1/holds/$early/segments/2/index"
get "/api/v1/holds/$early/segments/1/window" >"$work/1.pcapng"
check "and its window" is "$(tshark -n -r "$work/1.pcapng" -c 1 -T fields -e frame.time_epoch 2>/dev/null)" 1704067200.050000000
hold everything "end=2025-01-01"
revoked() { [[ $(statistic revoked) -ge 1 ]]; }
wait_for worker revoked
check "pins alone cannot stop the capture: 410" code 410 "$url/api/v1/holds/$early/segments/1/window"
check "and it is told why" told '"code":"hold_lost"'
check "nothing was lost by that" is "$(statistic dropped_by_disk)" 0
check "the hold itself is still there" code 200 -X POST "$url/api/v1/holds/$early/renew"
check "within the budget" test "$(du -B1 -s --apparent-size "$work/data/raw" | cut -f1)" -le $((16 << 20))
stop worker
echo "1..$number"
