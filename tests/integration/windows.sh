#!/usr/bin/env bash
# Windows of a raw capture against editcap and tcpdump on the same data: `windows.sh [TIMES]`, 25 without it. Real traffic of many hosts is
# recorded by the worker; of random windows with random filters the packets must be the same, bytes and times, to the nanosecond.
set -u
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.." || exit 1
# shellcheck source=../loopback.bash
source "$here/../loopback.bash"
enter_namespace "$0" "$@"
times=${1:-25} tapedeck=$PWD/${BUILD:-build}/tapedeck sender=$PWD/${BUILD:-build}/tests/bench/sender
url=http://127.0.0.1:48999
if [[ -z ${IN_NAMESPACE:-} ]]; then
    echo "ok 1 - windows # SKIP no network namespace can be made here"
    echo "1..1"
    exit 0
fi

ip link add left type veth peer name right && ip link set left up && ip link set right up || die "no veth pair"
cat >"$work/worker.yaml" <<END
tap:
  node: n1
  dataDir: $work
  capture: {interfaces: [right, lo], raw: {storageSize: 512Mi, segmentSize: 4Mi, minFreeSpace: 0}}
END
start worker "$tapedeck" worker -c "$work/worker.yaml"
is_up() { curl -sf -o /dev/null "$url/readyz"; }
wait_for worker is_up
# Small and large packets, and some of another interface among them, over about three seconds.
"$sender" left --size 60-300 --rate 20000 --seconds 1 --flows 50 >/dev/null
"$sender" left --size 1024 --rate 5000 --seconds 1 --flows 300 --share 20 >/dev/null &
for i in $(seq 30); do curl -s "$url/api/v1/node" >/dev/null; curl -s -m 1 http://127.0.0.1:9 >/dev/null; done
wait $!
"$sender" left --size 60-1500 --rate 8000 --seconds 1 --flows 5 >/dev/null
sleep 1
curl -s "$url/api/v1/window" >"$work/all.pcapng"
read -r first last < <(tshark -n -r "$work/all.pcapng" -T fields -e frame.time_epoch 2>/dev/null | sort -n | sed -n '1p;$p' | tr '\n' ' ')
[[ -n $last ]] || die "nothing was recorded"

filters=("" "host 10.200.0.1" "udp" "tcp" "net 10.1.0.0/16 and tcp" "port 80" "portrange 50-1000" "not ip" "icmp or arp" "greater 800" "less 100"
    "src host 10.2.0.1" "tcp[tcpflags] & tcp-syn != 0" "ip6" "tcp port 9" "udp and not port 53" "ip[8] < 64" "dst net 10.2.0.0/24 and greater 200")
facts() { "$tapedeck" capture info -o json "$1" | grep -oE '"(data_sha256|ts_sha256)": *"[^"]*"|"packets": *[0-9]+'; }
# theirs START END FILTER: editcap takes the window, tcpdump the filter.
theirs() {
    editcap -A "$1" -B "$2" "$work/all.pcapng" "$work/cut.pcapng" 2>/dev/null
    if [[ -n $3 ]]; then
        tcpdump --time-stamp-precision=nano -r "$work/cut.pcapng" -w "$work/theirs.pcap" "$3" 2>/dev/null
    else
        mv "$work/cut.pcapng" "$work/theirs.pcap"
    fi
}
# A time between the first packet and the last, in nanoseconds.
moment() { awk -v a="$first" -v b="$last" -v r="$RANDOM.$RANDOM" 'BEGIN {
    split(r, v, "."); split(a, x, "."); split(b, y, ".")
    span = (y[1] - x[1]) * 1e9 + y[2] - x[2]
    at = x[2] + int(span * (v[1] * 32768 + v[2]) / (32768 * 32768))
    printf "%d.%09d", x[1] + int(at / 1e9), at % 1e9 }'; }

same=0 full=0 different=
RANDOM=1
for i in $(seq "$times"); do
    start=$(moment) end=$(moment) filter=${filters[RANDOM % ${#filters[@]}]}
    [[ $start < $end ]] || { swap=$start && start=$end && end=$swap; }
    theirs "$start" "$end" "$filter"
    if ((i % 2)); then
        curl -s -G "$url/api/v1/window" -d "start=$start" -d "end=$end" --data-urlencode "bpf=$filter" >"$work/ours.pcapng"
    else
        "$tapedeck" raw window -q "$work/raw" --start "$start" --end "$end" --bpf "$filter" -w "$work/ours.pcapng" 2>/dev/null
    fi
    ours=$(facts "$work/ours.pcapng") want=$(facts "$work/theirs.pcap")
    [[ -n $ours && $ours == "$want" ]] && same=$((same + 1)) || different+="# $i: $start to $end, \"$filter\"; ours: $ours; want: $want"$'\n'
    [[ $want == *'"packets": 0'* || $want == *'"packets":0'* ]] || full=$((full + 1))
done
printf '%s' "$different" | tr -d '\r' | head -n 40
[[ $same -eq $times ]] && echo -n ok || echo -n "not ok"
echo " 1 - $same of $times windows have the packets that editcap and tcpdump find"
[[ $full -gt $((times / 3)) ]] && echo -n ok || echo -n "not ok"
echo " 2 - $full of them are not empty"
echo "1..2"
