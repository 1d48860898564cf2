# `tapedeck capture` and `tapedeck export` against tcpdump, tshark, editcap and mergecap, on traffic that is captured here.
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$(dirname "$here")")
program=${TAPEDECK:-$root/${BUILD:-build}/tapedeck}
dir=$(mktemp -d) && trap 'rm -rf "$dir"; [[ -z ${capture_pid:-} ]] || kill "$capture_pid" 2>/dev/null' EXIT
cd "$dir" || exit 1
number=0

check() { # check NAME STATUS
    number=$((number + 1))
    if [[ $2 -eq 0 ]]; then
        echo "ok $number - $1"
    else
        echo "not ok $number - $1"
        head -n 5 err | sed 's/^/# /'
    fi
}

# facts FILE: a line for each packet as tshark sees it: time, lengths, a hash of its bytes. Starting tshark takes long, so
# what it said of a file is kept until the file changes.
facts() {
    [[ $1.facts -nt $1 ]] ||
        tshark -n -r "$1" -o frame.generate_md5_hash:TRUE -T fields -e frame.time_epoch -e frame.len -e frame.cap_len -e frame.md5_hash \
            >"$1.facts" 2>/dev/null
    cat "$1.facts"
}

same_facts() { # same_facts A B: and there are some
    facts "$1" >facts.a && facts "$2" >facts.b && [[ -s facts.a ]] && cmp -s facts.a facts.b
}

# field FILE NAME: a value that `capture info` tells.
field() {
    "$program" capture info -o json "$1" 2>/dev/null | python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$2"
}

export_to() { # export_to OUT ARGUMENTS...
    "$program" export -w "$@" 2>err
}

fails_with() { # fails_with CODE WORDS ARGUMENTS...: exit code, and one line on stderr that has the words
    local code=$1 words=$2
    shift 2
    "$program" "$@" >out 2>err
    [[ $? -eq $code && $(grep -c . err) -eq 1 ]] && grep -q "^tapedeck: .*$words" err
}

# Connections over IPv4 and IPv6 and some datagrams, all on loopback.
make_traffic() {
    python3 - <<'END'
import socket, threading
for family, address in ((socket.AF_INET, '127.0.0.1'), (socket.AF_INET6, '::1')):
    server = socket.create_server((address, 0), family=family)
    def serve():
        for _ in range(3):
            connection = server.accept()[0]
            while True:
                data = connection.recv(65536)
                if not data:
                    break
                connection.sendall(data * 2)
            connection.close()
    thread = threading.Thread(target=serve)
    thread.start()
    for i in range(3):
        with socket.create_connection(server.getsockname()[:2]) as client:
            for size in (10, 1000, 20000 + i):
                client.sendall(b'x' * size)
                got = 0
                while got < 2 * size:
                    got += len(client.recv(65536))
    thread.join()
    receiver = socket.socket(family, socket.SOCK_DGRAM)
    receiver.bind((address, 0))
    sender = socket.socket(family, socket.SOCK_DGRAM)
    for size in (0, 1, 512, 9000):
        sender.sendto(bytes(size), receiver.getsockname())
END
}

record() { # into base.pcap, with nanoseconds
    tcpdump -i lo --nano -s 2000 -U -w base.pcap 'host 127.0.0.1 or host ::1' 2>record.err &
    capture_pid=$!
    for _ in $(seq 50); do
        grep -q 'listening on' record.err && break
        sleep 0.1
    done
    make_traffic
    for _ in $(seq 50); do # until the last datagram is there
        tcpdump -nr base.pcap 'udp and greater 9000' 2>/dev/null | grep -q '::1' && break
        sleep 0.1
    done
    kill -INT "$capture_pid" 2>/dev/null
    wait "$capture_pid"
    capture_pid=
    [[ $(facts base.pcap | wc -l) -gt 50 ]]
}

if ! command -v tshark editcap mergecap tcpdump >/dev/null || ! record; then
    echo "ok 1 # SKIP needs tshark, tcpdump and the right to capture on lo"
    echo "1..1"
    exit 0
fi
packets=$(facts base.pcap | wc -l) data=$(field base.pcap data_sha256)

# --- Reading what others write ---
for kind in pcap nsecpcap pcapng modpcap nokiapcap rh6_1pcap suse6_3pcap; do
    editcap -F "$kind" base.pcap "as.$kind" 2>err
    [[ $(field "as.$kind" packets) -eq $packets && $(field "as.$kind" data_sha256) == "$data" ]]
    check "editcap -F $kind: all packets and bytes" $?
    export_to out.pcap -O precision=nano "as.$kind" && same_facts "as.$kind" out.pcap
    check "editcap -F $kind: exported with all digits" $?
done
[[ $(field as.nsecpcap ts_sha256) == $(field as.pcapng ts_sha256) && $(field as.nsecpcap ts_sha256) != $(field as.pcap ts_sha256) ]]
check "nanoseconds are the same in pcap and pcapng" $?

# --- Export ---
export_to out.pcap base.pcap && capinfos -t out.pcap | grep -q 'Wireshark/tcpdump/... - pcap$' &&
    same_facts as.pcap out.pcap
check "the default is microseconds, as editcap -F pcap makes them" $?
grep -q 'level=warn .*precision' err && grep -q "^$packets of $packets packets" err
check "with a word on the lost digits, and a summary" $?
tcpdump -r base.pcap -w theirs.pcap 'tcp and greater 500' 2>/dev/null
export_to ours.pcap --bpf 'tcp and greater 500' base.pcap && same_facts theirs.pcap ours.pcap
check "--bpf chooses what tcpdump chooses" $?

from=$(facts as.pcap | sed -n "$((packets / 3))p" | cut -f1)
until=$(facts as.pcap | sed -n "$((packets * 2 / 3))p" | cut -f1)
editcap -A "$(date -u -d "@$from" +%Y-%m-%dT%H:%M:%S.%NZ)" -B "$(date -u -d "@$until" +%Y-%m-%dT%H:%M:%S.%NZ)" as.pcap theirs.pcap 2>err
export_to ours.pcap --start "$from" --end "$until" as.pcap && same_facts theirs.pcap ours.pcap
check "--start and --end choose what editcap -A and -B choose" $?

endpoints=$(tshark -n -r base.pcap -Y 'tcp.stream == 1' -T fields -e ip.src -e tcp.srcport -e ip.dst -e tcp.dstport 2>/dev/null | head -n 1)
read -r a ap b bp <<<"$endpoints"
tshark -n -r base.pcap -Y 'tcp.stream == 1' -w theirs.pcap 2>/dev/null
export_to ours.pcap -O precision=nano --conn "$b:$bp-$a:$ap/tcp" base.pcap && same_facts theirs.pcap ours.pcap
check "--conn chooses what tshark calls a stream" $?
endpoints=$(tshark -n -r base.pcap -Y 'udp and ipv6' -T fields -e udp.srcport -e udp.dstport 2>/dev/null | head -n 1)
read -r ap bp <<<"$endpoints"
tshark -n -r base.pcap -Y "ipv6 and udp.port == $ap and udp.port == $bp" -w theirs.pcap 2>/dev/null
export_to ours.pcap -O precision=nano --conn "[::1]:$ap-[::1]:$bp" base.pcap && same_facts theirs.pcap ours.pcap
check "--conn with IPv6 and UDP" $?

# --- Merging ---
editcap base.pcap one.pcap 1-20 35-45 2>/dev/null                # these packets removed ...
editcap -r -F pcapng base.pcap two.pcapng 1-10 40-45 2>/dev/null # ... or only these kept
editcap -r -F nsecpcap base.pcap three.pcap 11-20 35-39 2>/dev/null
gzip -k three.pcap
mergecap -F nsecpcap -w theirs.pcap one.pcap two.pcapng three.pcap
export_to ours.pcap -O precision=nano one.pcap two.pcapng three.pcap.gz && same_facts theirs.pcap ours.pcap
check "merges as mergecap does" $?
same_facts base.pcap ours.pcap
check "which gives back what was split" $?

# --- Compressed, and through pipes ---
gzip -k as.pcapng && zstd -q as.pcapng
for file in as.pcapng.gz as.pcapng.zst; do
    export_to ours.pcap -O precision=nano $file && same_facts base.pcap ours.pcap
    check "$file" $?
    cat $file | export_to ours.pcap -O precision=nano - && same_facts base.pcap ours.pcap
    check "$file through a pipe" $?
done
"$program" export -q -w - -O precision=nano - <base.pcap 2>err | tcpdump -nr - -w theirs.pcap 2>/dev/null
[[ $(facts theirs.pcap | wc -l) -eq $packets ]]
check "from standard input to standard output, into tcpdump" $?

# --- What goes wrong is told, and leaves nothing half-done ---
head -c $(($(stat -c %s base.pcap) - 7)) base.pcap >cut.pcap
rm -f ours.pcap
fails_with 1 'cut.pcap: offset [0-9]*: packet [0-9]* is cut' export -q -w ours.pcap -O precision=nano cut.pcap
check "a cut capture: one error, exit code 1" $?
[[ $(facts ours.pcap | wc -l) -eq $((packets - 1)) ]] && cmp -s <(facts ours.pcap) <(facts base.pcap | head -n $((packets - 1)))
check "and all packets before the cut" $?
half=$(($(stat -c %s as.pcapng.gz) / 2))
head -c $half as.pcapng.gz >cut.gz
fails_with 1 "cut.gz: compressed offset $half: the gzip stream is cut" export -q -w ours.pcap -O precision=nano cut.gz
[[ $? -eq 0 && $(facts ours.pcap | wc -l) -gt 10 ]] && cmp -s <(facts ours.pcap) <(facts base.pcap | head -n "$(facts ours.pcap | wc -l)")
check "a cut compressed capture: what is readable, and one error" $?

echo '000000 45 00 00 1c 00 01 00 00 40 11 00 00 7f 00 00 01 7f 00 00 01 00 01 00 02 00 08 00 00' |
    text2pcap -l 101 - raw.pcap >/dev/null 2>&1
cp base.pcap ours.pcap
fails_with 1 'link type .* choose one, as with --linktype' export -q -w ours.pcap -O precision=nano base.pcap raw.pcap
[[ $? -eq 0 ]] && cmp -s base.pcap ours.pcap
check "two link types are refused, and what stood there stays" $?
export_to ours.pcap --linktype 101 base.pcap raw.pcap && same_facts raw.pcap ours.pcap
check "--linktype chooses one" $?
fails_with 1 'the disk is full' export -q -w /dev/full -O precision=nano base.pcap
check "a full disk" $?
fails_with 3 'No such file' export -w ours.pcap missing.pcap
check "a capture that is missing: exit code 3" $?
fails_with 3 'cannot be created' export -w missing/ours.pcap base.pcap
check "a folder that is missing: exit code 3" $?
fails_with 2 'there is no exporter "pcpa"; did you mean "pcap"' export -w ours.pcap --format pcpa base.pcap
check "an unknown format: exit code 2, with the nearest name" $?
fails_with 2 'unknown option "precison".*did you mean "precision"' export -w ours.pcap -O precison=nano base.pcap
check "an unknown option of the exporter" $?
fails_with 2 'is no connection' export -w ours.pcap --conn 127.0.0.1:80 base.pcap
check "half a connection" $?
fails_with 2 'is no time' export -w ours.pcap --start yesterday base.pcap
check "a time that is none" $?
fails_with 2 '-w is missing' export base.pcap
check "no output" $?
fails_with 2 'a capture is missing' export -w ours.pcap
check "no input" $?
"$program" export -w ours.pcap --bpf 'tcp prot 80' base.pcap 2>err
[[ $? -eq 2 ]] && grep -q '^  tcp prot 80$' err && grep -q '^      ^$' err
check "a filter error shows the place, exit code 2" $?
"$program" export --help | grep -q -- '--conn'
check "--help" $?

mkfifo slow && rm -f ours.pcap
(exec 3>slow && head -c 4000 base.pcap >&3 && sleep 5) &
feeder=$!
"$program" export -q -w ours.pcap slow 2>/dev/null &
exporter=$!
sleep 0.5
kill -TERM $exporter
wait $exporter 2>/dev/null
kill $feeder 2>/dev/null
[[ -z $(ls | grep '^ours.pcap' | grep -v facts) ]]
check "killed half-way it leaves nothing" $?

echo "1..$number"
