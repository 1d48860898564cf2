#!/usr/bin/env bash
# What dig and nsupdate say to a real server and get from it comes out as the calls that they made, record by record as the client
# itself prints it: every type that BIND takes, signed zones, truncation and the way to TCP, options, errors, updates, transfers.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$(dirname "$here")")
program=${TAPEDECK:-$root/${BUILD:-build}/tapedeck}
# shellcheck source=../loopback.bash
source "$here/../loopback.bash"
enter_namespace "$0" "$@"

for command in named dig nsupdate dnssec-keygen dnssec-signzone dnssec-dsfromkey; do
    command -v "$command" >/dev/null || {
        echo "ok 1 # SKIP $command is not installed"
        exit 0
    }
done
chmod 755 "$work"
cd "$work" || exit 1
secret=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=

# ---- Zones: one with every type that named takes, from the vectors of the unit test; two that are signed --------------
begin_zone() {
    echo "\$TTL 300"
    echo '@ SOA ns post\.master 1 7200 3600 86400 60'
    echo '@ NS ns'
    echo 'ns A 127.0.0.1'
    echo 'ns AAAA ::1'
}
{
    begin_zone
    echo 'alias CNAME target'
    echo 'target A 198.51.100.7'
    echo 'old DNAME elsewhere.example.'
    echo '*.wild TXT "from a wildcard"'
    echo 'with\032space TXT "a name"'
    for i in $(seq 40); do echo "many TXT \"text number $i, so that the answer does not fit into a datagram\""; done
    sed -n '/^RECORDS = /,/^"""/p' "$root/tests/unit/dns/vectors.py" | grep '^IN ' |
        awk '$2 !~ /^(SOA|NSEC|NSEC3|NSEC3PARAM|RRSIG|SIG|NXT|KEY|DNSKEY|CDS|CDNSKEY|DS|DNAME|CNAME|NULL|MD|MF|DLV|TYPE)/ {
                 type = $2; sub(/^IN /, ""); print "r" ++n[type] "." type " " $0 }'
} >zone
begin_zone >closed
# signed NAME OPTION...: a zone with keys for zone and delegation, signed.
signed() {
    local zone=$1 key
    shift
    key=$(dnssec-keygen -q -a ECDSAP256SHA256 -f KSK "$zone")
    dnssec-keygen -q -a ECDSAP256SHA256 "$zone" >/dev/null
    {
        begin_zone
        echo 'sub NS ns.sub'
        echo 'ns.sub A 198.51.100.53'
        dnssec-dsfromkey -2 "$key" | sed 's/^[^ ]*/sub/'
        dnssec-dsfromkey -C -2 "$key"
        sed -n 's/^\([^;].*\) DNSKEY /\1 CDNSKEY /p' "$key.key"
        echo '@ ZONEMD 1 1 1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f000102030405060708090a0b0c0d0e0f'
        echo '@ CSYNC 1 3 A NS AAAA'
        echo 'www HTTPS 1 . alpn=h2,h3 ipv4hint=198.51.100.7 ech=AAECAw=='
    } >"$zone.zone"
    dnssec-signzone -S -Q -o "$zone" -f "$zone.signed" "$@" "$zone.zone" >signzone.log 2>&1 || die "$(cat signzone.log)"
}
signed nsec.test
signed nsec3.test -3 00ff10 -H 5

cat >named.conf <<END
options { directory "$work"; listen-on port $dns_port { 127.0.0.1; }; listen-on-v6 { none; }; pid-file none; recursion no;
          session-keyfile none; version "9"; server-id "ns-1"; minimal-responses no; check-names primary ignore; notify no;
          ixfr-from-differences yes; dnssec-validation no; allow-transfer { any; }; tcp-clients 100; };
controls { };
key "update" { algorithm hmac-sha256; secret "$secret"; };
zone "tape.test" { type primary; file "zone"; allow-update { key "update"; }; journal "zone.jnl"; };
zone "nsec.test" { type primary; file "nsec.test.signed"; };
zone "nsec3.test" { type primary; file "nsec3.test.signed"; };
zone "closed.test" { type primary; file "closed"; allow-query { none; }; };
zone "copy.test" { type secondary; primaries { 127.0.0.9 port 5301; }; file "copy"; };
END
start named named -g -4 -c named.conf
wait_for named grep -q 'running$' named.log

# ---- What is asked ------------------------------------------------------------------------------------------------------
# ask OPTION...: with what is sent and what comes back in full.
ask() { dig @127.0.0.1 -p "$dns_port" +tries=1 +time=3 +qr "$@" >>did || die "dig $* failed"; }

if ! (start_capture traffic.pcap -c 1 -s 0 "port $dns_port" && stop tcpdump) 2>log; then
    echo "ok 1 # SKIP capturing is not possible here: $(tail -n 1 log)"
    exit 0
fi
start_capture traffic.pcap -s 0 -U --immediate-mode "port $dns_port"

awk '$1 ~ /^r[0-9]+\./ {split($1, part, "."); print $1 ".tape.test " part[2]}' zone >types
for zone in nsec.test nsec3.test; do
    for type in SOA NS DNSKEY CDS CDNSKEY ZONEMD CSYNC NSEC NSEC3PARAM RRSIG ANY; do echo "$zone $type"; done
    printf '%s\n' "sub.$zone DS" "www.$zone HTTPS" "www.$zone A" "nothing.$zone A" "www.sub.$zone A"
done >secure
ask +noedns -f types
ask +tcp +keepopen -f types # one connection for all
ask +dnssec -f secure
ask +dnssec +cd +ad +bufsize=1232 +ignore -f secure
ask +dnssec +notcp +bufsize=512 nsec.test ANY # truncated, then over TCP
ask +bufsize=512 many.tape.test TXT
ask +bufsize=512 +ignore many.tape.test TXT

ask ns.tape.test # a cookie, as dig sends by itself
ask +nocookie +nsid +dnssec +subnet=198.51.100.0/24 +padding=128 +keepalive +expire tape.test SOA
ask +tcp +keepalive +nsid +subnet=2001:db8::/56 tape.test SOA
ask +subnet=0/0 +cookie=0102030405060708 tape.test SOA
ask +ednsopt=15:0012 +ednsopt=65001:6162 +ednsflags=0x4000 ns.tape.test AAAA
ask +edns=1 +noednsnegotiation ns.tape.test # BADVERS
ask ns.closed.test                          # REFUSED, with an extended error where the server has them
ask elsewhere.example
ask alias.tape.test
ask www.old.tape.test
ask nothing.tape.test # NXDOMAIN
ask target.tape.test MX
ask any.wild.tape.test TXT
ask version.bind CH TXT
ask 'with\032space.tape.test' TXT
ask 'a\.b\255\(.tape.test' TYPE65280
ask +aaflag +adflag +cdflag +raflag +zflag +norec tape.test SOA
ask +opcode=STATUS tape.test SOA # NOTIMP
ask +opcode=NOTIFY +aaflag +norec copy.test SOA
ask -x 198.51.100.7
ask -y "hmac-sha256:update:$secret" ns.tape.test
ask tape.test AXFR
nsupdate -d -y "hmac-sha256:update:$secret" >>did 2>&1 <<END || die "nsupdate failed"
server 127.0.0.1 $dns_port
zone tape.test
prereq nxdomain new.tape.test
prereq yxrrset ns.tape.test A
update add new.tape.test 60 A 198.51.100.99
update delete target.tape.test A
update delete many.tape.test
send
END
ask +tcp tape.test IXFR=1 # the differences
/usr/bin/python3 "$here/dns_types.py" pipeline "$dns_port" <types >pipelined || die "the pipeline failed"
sleep 0.2
stop_capture
[[ -z ${KEEP:-} ]] || cp traffic.pcap did pipelined "$KEEP"

"$program" dissect --quiet --payload -o json -d "udp.port==$dns_port,dns" -d "tcp.port==$dns_port,dns" traffic.pcap >calls ||
    die "dissecting failed"
/usr/bin/python3 "$here/dns_types.py" compare calls did pipelined
