#!/usr/bin/env bash
# Three workers in three network namespaces, joined by a bridge, and a hub: real traffic between the nodes is cut into snapshots,
# while workers are killed, stall, come back or never were there, and while the hub is restarted. What is missing is told everywhere.
#
# node-1 has its ring on the hub's file system, so that segments are linked; node-2 and node-3 on another one, as if far away.
# node-3 speaks TLS.
set -u
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.." || exit 1
# shellcheck source=../loopback.bash
source "$here/../loopback.bash"
with_mounts=1
enter_namespace "$0" "$@"
number=0
if [[ -z ${IN_NAMESPACE:-} || $(stat -c %u /) -ne 0 ]]; then # in a namespace of users, / is nobody's: then no plugin is loaded
    echo "ok 1 - three nodes # SKIP this needs network namespaces, and root"
    echo "1..1"
    exit 0
fi
build=${BUILD:-build}
[[ $build == /* ]] || build=$PWD/$build
tapedeck=$build/tapedeck
api=http://127.0.0.1:8898/api/v1 data=$work/data

check() { # NAME COMMAND...: what must succeed
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
is() { [[ $1 == "$2" ]] || { echo "$1, not $2" && false; }; }
get() { curl -sS --max-time 20 "$api$1" "${@:2}"; }
# json PATH EXPRESSION: of the hub's answer o
json() { get "$1" | python3 -c 'import json, sys; o = json.load(sys.stdin); print(eval(sys.argv[1]))' "$2"; }
# until_true SECONDS COMMAND...: as soon as it succeeds
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [[ $SECONDS -lt $end ]] || return 1
        sleep 0.05
    done
}

# ---- Nodes ----
on() { nsenter --net="/proc/${started[ns$1]}/ns/net" "${@:2}"; } # NODE COMMAND...
has_own_network() { [[ $(readlink "/proc/$1/ns/net") != "$(readlink /proc/self/ns/net)" ]]; }
node() { # NUMBER
    start "ns$1" unshare --net sleep 3600
    wait_for "ns$1" has_own_network "${started[ns$1]}"
    ip link add "node$1" type veth peer name eth0 netns "${started[ns$1]}" || die "no interface for node-$1"
    ip link set "node$1" master bridge0 up
    on "$1" ip link set lo up
    on "$1" ip address add "10.77.0.$1/24" dev eth0
    on "$1" ip link set eth0 up
}
for name in all default; do # neither router solicitations nor reports of multicast groups
    echo 1 >"/proc/sys/net/ipv6/conf/$name/disable_ipv6"
done 2>/dev/null
ip link add bridge0 type bridge && ip link set bridge0 up && ip address add 10.77.0.100/24 dev bridge0 || die "no bridge"
mkdir "$work/far"
mount -t tmpfs -o size=160m tmpfs "$work/far" || die "no tmpfs"
trap 'umount -l "$work/far"; finish' EXIT
for i in 1 2 3; do node $i; done

umask 077
head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$work/token"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=node-3 -addext subjectAltName=IP:10.77.0.3 \
    -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null || die "openssl makes no certificate"
worker() { # NUMBER
    local place=$work/far/node-$1 tls=''
    [[ $1 -ne 1 ]] || place=$work/node-1
    [[ $1 -ne 3 ]] || tls=", tls: {cert: $work/cert.pem, key: $work/key.pem}"
    cat >"$work/worker-$1.yaml" <<END
tap:
  node: node-$1
  dataDir: $place
  capture: {interfaces: [eth0], raw: {storageSize: 32Mi, segmentSize: 1Mi, minFreeSpace: 0}}
  worker: {listen: '10.77.0.$1:48999', tokenFile: $work/token$tls}
END
    start "worker$1" nsenter --net="/proc/${started[ns$1]}/ns/net" "$tapedeck" worker -c "$work/worker-$1.yaml"
    wait_for "worker$1" tcp_open "10.77.0.$1" 48999
}
kill_hard() { # NAME
    kill -9 "${started[$1]}"
    wait "${started[$1]}" 2>/dev/null
}
hub_config() { # WORKER...
    cat >"$work/hub.yaml" <<END
tap:
  dataDir: $data
  hub:
    workers: ['http://10.77.0.1:48999', 'http://10.77.0.2:48999', 'https://10.77.0.3:48999'$1]
    workerTokenFile: $work/token
    workerCa: $work/cert.pem
    workerPatience: 2s
END
}
hub_is_up() { curl -sf -o /dev/null "http://127.0.0.1:8898/healthz"; }
hub() {
    start hub "$tapedeck" hub -c "$work/hub.yaml"
    wait_for hub hub_is_up
}
capturing() { is "$(json /nodes 'sum(n["state"] == "capturing" for n in o["nodes"])')" "$1"; }
for i in 1 2 3; do worker $i; done
hub_config ''
hub
check "three nodes capture" until_true 10 capturing 3
check "with a clock each" is "$(json /nodes 'sum(abs(n.get("clock_offset_ns", 1e9)) < 1e8 for n in o["nodes"])')" 3
begin=$(date -u +%Y-%m-%dT%H:%M:%S.%NZ)

# ---- Traffic ----
mkdir -p "$work/www"
head -c 9000000 /dev/urandom >"$work/www/large.bin"
echo '{}' >"$work/www/item.json"
nginx_in="nsenter --net=/proc/${started[ns2]}/ns/net" nginx_address=10.77.0.2
start_nginx "server { listen 10.77.0.2:80; root $work/www; }"
start dnsmasq nsenter --net="/proc/${started[ns3]}/ns/net" dnsmasq --no-daemon --conf-file=/dev/null --pid-file= --port=53 \
    --listen-address=10.77.0.3 --bind-interfaces --no-resolv --no-hosts --local=/example.test/ --host-record=www.example.test,10.77.0.2
wait_for dnsmasq tcp_open 10.77.0.3 53
for i in {1..20}; do echo "http://10.77.0.2/item.json?n=$i"; done >"$work/urls"
# shellcheck disable=SC2046 # many words
on 1 curl -sS --max-time 20 -o /dev/null $(sed 's/^/-o \/dev\/null /' "$work/urls") || die "no answer from nginx"
on 1 curl -sS --max-time 60 -o /dev/null http://10.77.0.2/large.bin || die "no large answer from nginx"
for from in 1 2; do
    for i in {1..5}; do
        on $from dig +tries=1 +time=5 @10.77.0.3 "www.example.test" >>"$work/dig.log" || die "no answer from dnsmasq"
    done
done
sleep 0.6 # what the kernel has is asked for a few times a second
end=$(date -u +%Y-%m-%dT%H:%M:%S.%NZ)

# ---- All nodes; some ----
window=(--start "$begin" --end "$end")
create() { timeout 60 "$tapedeck" snapshot create "$@"; }
of() { json "/snapshots/$1" "$2"; }
node_of() { of "$1" "next(($3) for n in o['nodes'] if n['name'] == '$2')"; }
# exits STATUS COMMAND...
exits() {
    "${@:2}"
    is $? "$1"
}
verifies() { timeout 60 "$tapedeck" snapshot verify "$1"; }
check "a snapshot of all" create all "${window[@]}" --wait
check "is complete" is "$(of all 'o["status"], o["complete"], [(n["name"], n["state"]) for n in o["nodes"]]')" \
    "('Completed', True, [('node-1', 'complete'), ('node-2', 'complete'), ('node-3', 'complete')])"
check "and verifies" verifies all
check "every node has packets" is "$(of all 'all(n["packets"] > 10 for n in o["nodes"])')" True
ring_1=$(find "$work/node-1/raw" -name '*.pcapng' -links +1 | wc -l)
check "the near node's segments are links" test "$ring_1" -ge 3
check "the far one's are not" is "$(find "$work/far/node-2/raw" -name '*.pcapng' -links +1 | wc -l)" 0
check "a snapshot of some" create some --nodes node-1,node-3 "${window[@]}" --wait
check "has those" is "$(of some '[n["name"] for n in o["nodes"]]')" "['node-1', 'node-3']"
check "as show tells" bash -c "'$tapedeck' snapshot show some | grep -c 'node-[13].*complete' | grep -qx 2"
check "a node that there is not" exits 3 create wrong --nodes node-1,node-9 "${window[@]}" --wait

# ---- Calls ----
check "it is dissected" timeout 60 "$tapedeck" snapshot dissect all --wait
count() { # FILTER
    curl -sS --max-time 20 "$api/calls" -d "{\"db\":\"all\",\"limit\":1000,\"filter\":\"$1\"}" |
        python3 -c 'import json, sys; print(len(json.load(sys.stdin)["calls"]))'
}
for i in 1 2; do
    check "node-$i has seen each request" is "$(count "http && node.name == \\\"node-$i\\\"")" 21
    check "and its own questions" is "$(count "dns && node.name == \\\"node-$i\\\"")" 5
done
check "node-3 has none of nginx" is "$(count "http && node.name == \\\"node-3\\\"")" 0
check "but all questions" is "$(count "dns && node.name == \\\"node-3\\\"")" 10

# ---- Killed half-way ----
# The wire of node-2 is slow: its 9 MB take some seconds, which is time to do harm.
on 2 tc qdisc add dev eth0 root tbf rate 24mbit burst 32k latency 400ms || die "the wire of node-2 cannot be made slow"
newest() { find "$data/snapshots" -mindepth 1 -maxdepth 1 | sort | tail -n 1; } # ids ascend with time
half_way() { # some segments of node-2 are there, and not the last
    local one
    one=$(newest)
    [[ ! -e $one/manifest.json && $(find "$one/node-2" -name '*.pcapng' 2>/dev/null | wc -l) -ge 2 ]]
}
ended() { is "$(json "/jobs?kind=create" 'o["jobs"][0]["state"] in ("completed", "failed", "cancelled")')" True; }
begun() { # NAME: and half-way
    create "$1" "${window[@]}" "${@:2}" && until_true 10 half_way
}
check "half-way" begun killed
kill_hard worker2
check "a worker is killed: the snapshot is made" until_true 20 ended
check "it is not complete, and says of which node" is \
    "$(of killed 'o["status"], o["complete"], "node-2" in o["reason"], [n["state"] for n in o["nodes"]]')" \
    "('Completed', False, True, ['complete', 'partial', 'complete'])"
has_part() { # NAME: of node-2
    json "/snapshots/$1" '[n for n in o["nodes"] if n["name"] == "node-2"]'
    local whole
    whole=$(node_of all node-2 'n["packets"]')
    is "$(node_of "$1" node-2 'n["state"], n["segments"] >= 2, 100 < n["packets"] < '"$whole"', len(n["reason"]) > 10')" \
        "('partial', True, True, True)"
}
check "with what there was" has_part killed
check "the list tells it" bash -c "'$tapedeck' snapshot list | grep -q '^killed[[:space:]]*Completed, partial.*2 of 3'"
check "show tells why" bash -c "'$tapedeck' snapshot show killed | grep -q 'node-2.*partial.*[a-z]'"
manifest=$(grep -l '"killed"' "$data"/snapshots/*/manifest.json)
check "the manifest too" python3 -c "
import json
m = json.load(open('$manifest'))
states = {n['node']: (n['state'], n['reason']) for n in m['nodes']}
assert states['node-2'][0] == 'partial' and states['node-2'][1] and states['node-1'] == ('complete', None), states"
check "it verifies" verifies killed
check "while it is gone, a part has to be asked for" exits 2 create none "${window[@]}" --wait
check "then there is one without it" exits 6 create without --allow-partial "${window[@]}" --wait
check "it is missing" is "$(node_of without node-2 'n["state"], n["packets"], len(n["reason"]) > 10')" "('missing', 0, True)"
check "that verifies, too" verifies without

# ---- Killed, and back at once ----
worker 2
check "what is captured is still there" until_true 10 capturing 3
check "half-way again" begun back
kill_hard worker2
worker 2
check "a worker that comes back" until_true 30 ended
check "has everything" is "$(of back 'o["status"]')" Completed
check "and the same packets" is "$(of back 'o["packets"]')" "$(of all 'o["packets"]')"

# ---- Stalled ----
check "half-way, once more" begun stalled
kill -STOP "${started[worker2]}"
check "a worker that stalls is given up" until_true 30 ended
check "its node is partial" has_part stalled
check "verifies" verifies stalled
kill -CONT "${started[worker2]}"
check "half-way" begun patient
kill -STOP "${started[worker2]}"
sleep 0.8
kill -CONT "${started[worker2]}"
check "one that stalls for a moment is waited for" until_true 30 ended
check "and has everything" is "$(of patient 'o["status"], o["packets"]')" "('Completed', $(of all 'o["packets"]'))"

# ---- The hub is restarted ----
for how in KILL TERM; do
    check "half-way, before SIG$how" begun "hub-${how,,}"
    before=$(find "$(newest)/node-2" -name '*.pcapng' -printf '%i' -quit)
    kill "-$how" "${started[hub]}"
    wait "${started[hub]}" 2>/dev/null
    hub
    check "the hub is restarted, and goes on" until_true 30 ended
    check "everything is there" is "$(of "hub-${how,,}" 'o["status"], o["packets"]')" "('Completed', $(of all 'o["packets"]'))"
    check "nothing came twice" test -n "$(find "$(newest)/node-2" -inum "$before")"
    check "verifies" verifies "hub-${how,,}"
done
on 2 tc qdisc del dev eth0 root

# ---- Never there ----
hub_config ", 'http://10.77.0.100:9'"
kill -HUP "${started[hub]}"
told() { is "$(json /nodes '[n["state"] for n in o["nodes"]].count("unreachable")')" 1; }
check "a worker that never was there is told" until_true 10 told
check "a snapshot with it is made" exits 6 create absent --allow-partial "${window[@]}" --wait
check "with the others" is "$(of absent 'sorted(n["state"] for n in o["nodes"])')" "['complete', 'complete', 'complete', 'missing']"

# ---- Nothing is left ----
for name in all some killed without back stalled patient hub-kill hub-term absent; do
    "$tapedeck" snapshot delete "$name" || die "$name cannot be deleted"
done
check "all are deleted" is "$(find "$data/snapshots" "$data/hub/work" -type f | wc -l)" 0
echo "1..$number"
