#!/usr/bin/env bash
# Calls of a dissection while it runs: its child is stopped and let go by turns, so that it takes seconds, and is followed by the
# command line and by streams of events. It ends well, is cancelled, or its child is killed; no call comes twice, and none is lost.
set -u
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.." || exit 1
# shellcheck source=../loopback.bash
source "$here/../loopback.bash"
enter_namespace "$0" "$@"
tapedeck=$PWD/${BUILD:-build}/tapedeck
port=8897 number=0 copies=2500
url=http://127.0.0.1:$port api=http://127.0.0.1:$port/api/v1
calls=$((27 * copies))
export TAPEDECK_HUB=$url

get() { curl -sS --max-time 20 "$api$1"; }
has() { get "$1" | tee "$work/last" | grep -q -- "$2" || { head -c 500 "$work/last" && false; }; }
is_up() { curl -sf -o /dev/null "$url/healthz"; }
child() { cat "/proc/${started[hub]}"/task/*/children 2>/dev/null | tr ' ' '\n' | sed -n 1p; }
# slow_down: the child of the hub, whichever it is, works for 10 ms of 100.
slow_down() {
    local pid
    while true; do
        pid=$(child)
        [[ -n $pid ]] && { kill -STOP "$pid"; sleep 0.09; kill -CONT "$pid"; }
        sleep 0.01
    done 2>/dev/null
}
# dissect NAME: begins, slowly; followed by a stream.
dissect() {
    slow_down &
    started[slow]=$!
    job=$(curl -sS --max-time 20 "$api/dissections" -d "{\"snapshot\":\"long\",\"name\":\"$1\"}" | grep -o '"job":"[^"]*"' | cut -d'"' -f4)
    [[ -n $job ]] || die "no dissection was begun"
    curl -sSN --max-time 60 "$api/calls/stream?db=long/$1" >"$work/$1.events" 2>"$work/$1.err" &
    stream=$!
}
go_on() { # at full speed
    local pid
    stop slow
    pid=$(child)
    [[ -z $pid ]] || kill -CONT "$pid" 2>/dev/null
}
running() { has "/jobs/$job" '"state":"running"' >/dev/null; }
ended() { has "/jobs/$job" '"state":"\(completed\|failed\|cancelled\)"' >/dev/null; }
# came NAME: calls that the stream has sent so far; came_some NAME: there are some.
came() { grep -c '^id: ' "$work/$1.events"; }
came_some() { [[ $(came "$1") -gt 0 ]]; }
# ids FILE: of the events behind the last restart.
ids() { tac "$1" | sed '/^event: restart/q' | tac | grep '^id: ' | cut -d. -f2; }
stored() { curl -sSN --max-time 20 "$api/calls/stream?db=long/$1" | grep '^id: o' | cut -d. -f2 | sort -n; } # in the order of time
# all_once NAME: the stream had what the store has, each once, in the order in which it was found.
all_once() {
    stored "$1" >"$work/stored"
    ids "$work/$1.events" >"$work/ids"
    [[ $(wc -l <"$work/stored") -eq $calls ]] || { echo "$(wc -l <"$work/stored") calls, not $calls" && false; } &&
        cmp "$work/stored" "$work/ids" # ids ascend as calls are found
}

cat >"$work/hub.yaml" <<END
tap:
  dataDir: $work/data
  dissection: {threads: 2}
  hub: {listen: '127.0.0.1:$port', auditLog: $work/audit.log}
END
tests/repeat_capture.py plugins/dissectors/http/captures/nginx_curl.pcap $copies >"$work/long.pcap"
start hub "$tapedeck" hub -c "$work/hub.yaml"
wait_for hub is_up
check "a long capture becomes a snapshot" "$tapedeck" snapshot import "$work/long.pcap" --name long -q
rm "$work/long.pcap"

# ---- To its end ----
dissect default
"$tapedeck" calls long/default -f -o json >"$work/followed" 2>"$work/followed.err" &
follower=$!
wait_for hub running
check "before anything is found, there are no calls" has "/calls?db=long/default" '"calls":\[\],"cursor":null,"state":"writing","total":0'
wait_for hub came_some default
check "calls come while it runs" running
check "pages have what was found, and say that more will come" \
    has "/calls?db=long&limit=3" '"id":"long/default/.*"state":"writing","total":[1-9]'
check "with a filter" has "/calls?db=long&limit=1&filter=status_code%20%3D%3D%20200" '"state":"writing"'
id=$(get "/calls?db=long&limit=1" | grep -o '"id":"[^"]*"' | head -n 1 | cut -d'"' -f4)
check "one call can be had in full" has "/calls/${id//\//%2F}" "\"id\":\"$id\".*headers"
check "its packets cannot yet" has "/calls/${id//\//%2F}/pcap" '"code":"dissecting"'
check "the command line has some, too" test -s "$work/followed"
early=$(came default)
check "it still runs" running
more() { [[ $(came default) -gt $early ]]; }
wait_for hub more
check "and more came" running
go_on
wait_for hub ended
wait "$stream"
check "the stream ends" grep -q "^event: end" "$work/default.events"
check "with all calls, each once" all_once default
wait "$follower"
code=$?
check "well" test "$code" -eq 0
check "with as many" test "$(wc -l <"$work/followed")" -eq "$calls"
resumed() {
    local at=$1
    ids "$work/default.events" | tail -n +$((at + 1)) >"$work/want"
    curl -sSN --max-time 20 -H "Last-Event-ID: $(grep '^id: ' "$work/default.events" | sed -n "${at}p" | cut -c5-)" \
        "$api/calls/stream?db=long/default" >"$work/rest"
    grep -q '^event: end' "$work/rest" && ! grep -q '^event: restart' "$work/rest" && ids "$work/rest" | cmp - "$work/want"
}
check "who was cut off early goes on behind it" resumed 5
check "who was cut off at the end gets the end" resumed "$calls"
check "the packets of the call can be had now" bash -c "curl -sSf '$api/calls/${id//\//%2F}/pcap' | tcpdump -nr - 2>/dev/null | grep -q IP"

# ---- The child is killed ----
dissect killed
wait_for hub came_some killed
first=$(child)
kill -KILL "$first"
another() { [[ -n $(child) && $(child) != "$first" ]]; }
wait_for hub another
go_on
wait_for hub ended
wait "$stream"
check "the child is killed: it is told that the calls are void" grep -q '^event: restart' "$work/killed.events"
check "and they come again, each once, to the last" all_once killed

# ---- It is cancelled ----
dissect cancelled
"$tapedeck" calls long/cancelled -f -o json >"$work/followed" 2>"$work/followed.err" &
follower=$!
wait_for hub came_some cancelled
check "it is cancelled" curl -sSf -o /dev/null -X POST "$api/jobs/$job/cancel"
wait_for hub ended
stop slow
wait "$stream"
check "the stream says so" grep -A1 '^event: problem' "$work/cancelled.events"
check "and nothing behind it" bash -c "! sed '1,/^event: problem/d' '$work/cancelled.events' | grep -q '^id: '"
check "no call came twice" bash -c "grep '^id: ' '$work/cancelled.events' | sort | uniq -d | grep -c . | grep -qx 0"
wait "$follower"
code=$?
check "the command line fails" test "$code" -eq 1
check "and says why" grep -q 'stop\|cancel' "$work/followed.err"
check "there is no such dissection then" has "/calls?db=long/cancelled" '"status":404'
nothing_left() { [[ $(find "$work/data/hub/work" -name '*.calls*' | wc -l) -eq 0 ]]; }
check "and nothing of it is left" nothing_left

# ---- Its file is damaged ----
dissect damaged
wait_for hub came_some damaged
pid=$(child)
kill -STOP "$pid"
stop slow # which may let it go once more
kill -STOP "$pid"
wreck() {
    python3 - "$work/data/hub/work/long:damaged.calls.tmp" <<'PYTHON'
import os, sys
with open(sys.argv[1], "r+b") as file:
    size = os.fstat(file.fileno()).st_size
    file.seek(size // 8)
    file.write(os.urandom(size - size // 8))
PYTHON
}
check "all but an eighth of the file is overwritten" wreck
curl -sSN --max-time 10 "$api/calls/stream?db=long/damaged" >"$work/wrecked" 2>&1
check "that is told, by a stream" grep -A1 '^event: problem' "$work/wrecked"
check "in words" grep -q 'damaged\|checksum\|missing\|contradicts' "$work/wrecked"
check "and by pages" bash -c "curl -sS --max-time 10 '$api/calls?db=long/damaged&limit=1000' | grep '\"status\":5'"
check "the hub is well" is_up
curl -sSf -o /dev/null -X POST "$api/jobs/$job/cancel"
wait_for hub ended
wait "$stream"
check "nothing is left of this one, either" nothing_left
echo "1..$number"
