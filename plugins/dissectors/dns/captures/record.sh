#!/usr/bin/env bash
# Records the captures of this folder anew, with real servers and clients: named, dnsmasq, dig, nsupdate, dnsperf; and
# multicast.py for mDNS and LLMNR. Everything runs in a network namespace of its own, of which only the loopback is up.
# Needs root; Debian: bind9 bind9-dnsutils dnsmasq-base dnsperf tcpdump iproute2 python3.
#
# Afterwards: make bless T=dns, and read what it shows.
set -eu
cd "$(dirname "$0")"
if [[ ${1:-} != inside ]]; then
    exec unshare --net "$0" inside
fi

work=$(mktemp -d)
chmod 755 "$work"
started=()
finish() {
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait
    rm -rf "$work"
}
trap finish EXIT
ip link set lo up multicast on
ip route add 224.0.0.0/4 dev lo

recorder=
record() {
    tcpdump -q -i lo -B 65536 -w "$work/$1.pcap" "${2:-port 53}" 2>"$work/tcpdump.log" &
    recorder=$!
    until grep -qs listening "$work/tcpdump.log"; do sleep 0.05; done
}
recorded() {
    sleep 1.5
    kill -INT "$recorder"
    wait "$recorder" || true
    grep -q '^0 packets dropped by kernel' "$work/tcpdump.log" || { cat "$work/tcpdump.log"; exit 1; }
    cp "$work/$1.pcap" "$1.pcap"
}
ask() { dig @127.0.0.1 +tries=1 +time=2 "$@" >/dev/null 2>&1 || true; }

# ---- A zone with every type that named takes, from the vectors of the unit test -----------------------------------
{
    echo '$TTL 300'
    echo '@ SOA ns post\.master 1 7200 3600 86400 60'
    echo '@ NS ns'
    echo 'ns A 127.0.0.1'
    echo 'ns AAAA ::1'
    echo 'alias CNAME target'
    echo 'target A 198.51.100.7'
    echo '*.wild TXT "from a wildcard"'
    echo 'sub NS ns.sub'
    echo 'ns.sub A 198.51.100.53'
    for i in $(seq 40); do echo "many TXT \"text number $i, so that the answer does not fit into a datagram\""; done
    sed -n '/^RECORDS = /,/^"""/p' ../../../../tests/unit/dns/vectors.py | grep '^IN ' |
        awk '$2 !~ /^(SOA|NSEC|NSEC3|NSEC3PARAM|RRSIG|SIG|NXT|KEY|DNSKEY|CDS|CDNSKEY|DS|DNAME|CNAME|NULL|MD|MF|DLV|TYPE)/ {
                 type = $2; sub(/^IN /, ""); print "r" ++n[type] "." type " " $0 }'
} >"$work/zone"
# ---- Zones that are signed, with NSEC and with NSEC3 ---------------------------------------------------------------
signed() {
    local zone=$1 key
    shift
    key=$(dnssec-keygen -q -K "$work" -a ECDSAP256SHA256 -f KSK "$zone")
    dnssec-keygen -q -K "$work" -a ECDSAP256SHA256 "$zone" >/dev/null
    {
        echo '$TTL 300'
        echo '@ SOA ns post.master 1 7200 3600 86400 60'
        echo '@ NS ns'
        echo 'ns A 127.0.0.1'
        echo 'www HTTPS 1 . alpn=h2,h3 ipv4hint=198.51.100.7 ech=AAECAw=='
        echo 'sub NS ns.sub'
        echo 'ns.sub A 198.51.100.53'
        dnssec-dsfromkey -2 "$work/$key" | sed 's/^[^ ]*/sub/'
        dnssec-dsfromkey -C -2 "$work/$key"
        sed -n 's/^\([^;].*\) DNSKEY /\1 CDNSKEY /p' "$work/$key.key"
        echo '@ ZONEMD 1 1 1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f000102030405060708090a0b0c0d0e0f'
        echo '@ CSYNC 1 3 A NS AAAA'
    } >"$work/$zone"
    (cd "$work" && dnssec-signzone -S -Q -o "$zone" -f "$zone.signed" "$@" "$zone") >/dev/null 2>&1
}
signed nsec.test
signed nsec3.test -3 00ff10 -H 5

cat >"$work/named.conf" <<END
options { directory "$work"; listen-on port 53 { 127.0.0.1; }; listen-on-v6 { none; }; pid-file none; recursion no;
          session-keyfile none; version "9"; server-id "ns-1"; minimal-responses no; check-names primary ignore; notify no;
          ixfr-from-differences yes; transfer-format one-answer; dnssec-validation no; };
controls { };
key "update" { algorithm hmac-sha256; secret "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="; };
zone "tape.test" { type primary; file "zone"; allow-update { key "update"; }; allow-transfer { any; }; journal "zone.jnl"; };
zone "nsec.test" { type primary; file "nsec.test.signed"; };
zone "nsec3.test" { type primary; file "nsec3.test.signed"; };
zone "copy.test" { type secondary; primaries { 127.0.0.1 port 5301; }; file "copy"; };
END
named -g -4 -c "$work/named.conf" >"$work/named.log" 2>&1 &
started+=($!)
until grep -q 'running$' "$work/named.log"; do sleep 0.1; done

# ---- Every type over UDP ------------------------------------------------------------------------------------------
record types
awk '$1 ~ /^r[0-9]+\./ {print $1}' "$work/zone" | while read -r name; do
    ask +noedns "$name.tape.test" "${name#*.}"
done
recorded types

# ---- DNSSEC: what the signed zones hold, what they deny, a referral --------------------------------------------------
record dnssec
for zone in nsec.test nsec3.test; do
    for type in DNSKEY CDS CDNSKEY ZONEMD CSYNC NSEC NSEC3PARAM; do ask +dnssec "$zone" "$type"; done
    ask +dnssec "sub.$zone" DS
    ask +dnssec "www.$zone" HTTPS
    ask +dnssec +cd +ad "nothing.$zone"
    ask +dnssec "www.sub.$zone"
    dig @127.0.0.1 +tries=1 +notcp +dnssec +bufsize=512 "$zone" ANY >/dev/null # truncated, then over TCP
done
recorded dnssec

# ---- What queries and answers can be besides ----------------------------------------------------------------------
record exchanges
ask ns.tape.test                              # a cookie, as dig does by itself
ask +nocookie +nsid +dnssec +subnet=198.51.100.0/24 +padding=128 +keepalive +expire tape.test SOA
ask +ednsopt=15:0012 +ednsopt=65001:6162 +ednsflags=0x4000 ns.tape.test AAAA
ask +edns=1 +noednsnegotiation ns.tape.test   # BADVERS
ask alias.tape.test
ask nothing.tape.test                         # NXDOMAIN
ask target.tape.test MX                       # no data
ask any.wild.tape.test TXT
ask www.sub.tape.test                         # a referral
ask elsewhere.example                         # REFUSED
ask version.bind CH TXT
ask 'With Space.tape.test' TYPE65280
ask +opcode=STATUS tape.test SOA              # NOTIMP
ask +noedns -x 198.51.100.7
dig @127.0.0.1 +tries=1 +bufsize=512 many.tape.test TXT >/dev/null   # truncated, then over TCP
ask +tcp tape.test ANY
ask tape.test AXFR
nsupdate -y hmac-sha256:update:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= <<'END'
server 127.0.0.1
zone tape.test
prereq nxdomain new.tape.test
prereq yxrrset ns.tape.test A
update add new.tape.test 60 A 198.51.100.99
update delete target.tape.test A
update delete many.tape.test
send
END
ask +tcp tape.test IXFR=1                     # differences
ask -y hmac-sha256:update:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= new.tape.test
dig @127.0.0.1 +tries=1 +time=1 +opcode=NOTIFY +aaflag +norec copy.test SOA >/dev/null 2>&1 || true
recorded exchanges

# ---- Many at once over TCP: pipelined, several in a segment ---------------------------------------------------------
record pipelined
for i in $(seq 30); do echo "$([[ $((i % 3)) = 0 ]] && echo "x$i.wild.tape.test TXT" || echo "r1.MX.tape.test MX")"; done >"$work/queries"
dnsperf -s 127.0.0.1 -m tcp -c 2 -q 10 -n 1 -d "$work/queries" >/dev/null 2>&1
recorded pipelined

# ---- A forwarder whose upstream is silent: queries sent again, and never answered ----------------------------------
python3 -c 'import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.2", 53))
time.sleep(60)' &
started+=($!)
dnsmasq --no-daemon --conf-file=/dev/null --no-resolv --no-hosts --pid-file= --user=root --listen-address=127.0.0.3 --bind-interfaces \
    --server=127.0.0.2 --server=/tape.test/127.0.0.1 --address=/fixed.test/198.51.100.42 --log-facility=/dev/null 2>/dev/null &
started+=($!)
until dig @127.0.0.3 +tries=1 +time=1 fixed.test >/dev/null; do sleep 0.1; done
record forwarded
for name in fixed.test ns.tape.test ns.tape.test; do dig @127.0.0.3 +tries=1 +time=2 "$name" >/dev/null || true; done
dig @127.0.0.3 +tries=2 +time=1 silent.example >/dev/null || true
dig @127.0.0.2 -b '127.0.0.1#40002' +tries=3 +time=1 +noedns also.silent.example AAAA >/dev/null || true
recorded forwarded

# ---- Not on its port ------------------------------------------------------------------------------------------------
record elsewhere 'port 8053'
python3 -c 'import socket
server, upstream = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 8053))
upstream.settimeout(5)
while True:
    query, client = server.recvfrom(4096)
    upstream.sendto(query, ("127.0.0.1", 53))
    server.sendto(upstream.recv(65535), client)' &
started+=($!)
sleep 0.3
ask -p 8053 r1.MX.tape.test MX
ask -p 8053 +noedns r1.TXT.tape.test TXT
recorded elsewhere

# ---- Multicast ------------------------------------------------------------------------------------------------------
record multicast 'port 5353 or port 5355'
python3 multicast.py
recorded multicast
