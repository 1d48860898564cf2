#!/usr/bin/env python3
"""Writes vectors.h: record data on the wire, and the text that dig prints for it.

Needs dig and named-rrchecker (Debian: bind9-dnsutils, bind9-utils). Each record goes through named-rrchecker (text to
wire) unless it is given in hex, is then served to a real dig on 127.0.0.1, and dig's text is kept.

    tests/unit/dns/vectors.py > tests/unit/dns/vectors.h
"""
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading

RECORDS = r"""
IN A 198.51.100.7
HS A 198.51.100.8
CH A gate.lan. 1750
IN NS Ns1.Tape.test.
IN MD md.tape.test.
IN MF mf.tape.test.
IN CNAME c.tape.test.
IN SOA ns.tape.test. post\.master.tape.test. 4294967295 1 2 3 4
IN MB mb.tape.test.
IN MG mg.tape.test.
IN MR mr.tape.test.
IN NULL \# 5 00017f80ff
IN WKS 198.51.100.7 6 0 7 8 80 1023
IN WKS 198.51.100.7 17
IN PTR host\032a.tape.test.
IN HINFO "CPU" "OS \"9\""
IN MINFO r.tape.test. e.tape.test.
IN MX 0 .
IN MX 65535 mx.tape.test.
IN TXT "one" "" "t;w,o\\ \"3\" \009\127\200"
IN RP who.tape.test. what.tape.test.
IN AFSDB 2 db.tape.test.
IN X25 "2342"
IN ISDN "4930" "12"
IN ISDN "4930"
IN RT 3 via.tape.test.
IN NSAP 0x390f0102.03
IN NSAP-PTR n.tape.test.
IN SIG A 8 2 60 20301231235959 20000229000000 7 tape.test. AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKiss
IN SIG TYPE4242 8 2 60 20301231235959 20000229000000 7 . AAEC
IN KEY 257 3 13 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v
IN KEY 49408 3 1
IN PX 1 a.tape.test. b.tape.test.
IN GPOS "-12.5" "33.25" "8"
IN AAAA 2001:db8:0:1::
IN AAAA ::
IN AAAA ::2
IN AAAA ::198.51.100.9
IN AAAA ::ffff:198.51.100.9
IN AAAA 1:0:2:0:0:3:0:0
IN AAAA 0:1:0:1:0:1:0:1
IN LOC 0 0 0.000 N 0 0 0.000 E 0m 0m 0m 0m
IN LOC 12 34 56.789 S 179 59 59.999 W -99.50m 0.05m 90000m 1m
IN LOC 90 0 0 N 180 0 0 E 42849672.95m 3m 50m 0.10m
IN NXT n.tape.test. A MX TYPE54 NXT
IN EID 00ff10
IN NIMLOC 00ff10
IN SRV 1 2 3 s.tape.test.
IN ATMA 39.0f01
IN ATMA +49.30
IN NAPTR 7 8 "u" "E2U+x" "!^(.*)$!y:\\1!" .
IN KX 5 kx.tape.test.
IN CERT PKIX 1 RSASHA256 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v
IN CERT 9 1 200 AAEC
IN A6 0 2001:db8::5
IN A6 57 ::1:2:3:4:5 p.tape.test.
IN A6 128 p.tape.test.
IN DNAME d.tape.test.
IN SINK 1 2 3 AAEC
IN APL 1:198.51.100.0/24 !2:2001:db8::/33 1:0.0.0.0/0
IN APL
IN DS 1 13 2 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
IN SSHFP 4 2 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
IN IPSECKEY 1 0 2 . AAECAw==
IN IPSECKEY 1 1 2 198.51.100.7 AAECAw==
IN IPSECKEY 1 2 2 2001:db8::7 AAECAw==
IN IPSECKEY 1 3 2 gw.tape.test. AAECAw==
IN RRSIG AAAA 13 3 3600 20360207062816 19700101000001 60000 tape.test. AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKiss
IN RRSIG TYPE4242 13 0 0 20200229120000 20191231235959 0 . AAEC
IN NSEC z.tape.test. A NS SOA TXT AAAA RRSIG NSEC CAA TYPE4242 TYPE65535
IN DNSKEY 256 3 15 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=
IN DHCID AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=
IN NSEC3 1 0 0 - 0123456789abcdefghijklmnopqrstuv
IN NSEC3 1 1 12 00ff10 vutsrqponmlkjihgfedcba9876543210 A RRSIG TYPE4242
IN NSEC3PARAM 1 0 0 -
IN NSEC3PARAM 1 1 500 00ff10
IN TLSA 3 1 1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
IN SMIMEA 2 0 0 0001
IN HIP 2 000102030405060708090a0b0c0d0e0f AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v r1.tape.test. r2.tape.test.
IN HIP 1 00 AA==
IN NINFO "n" "info"
IN RKEY 0 3 13 AAEC
IN TALINK a.tape.test. b.tape.test.
IN CDS 0 0 0 00
IN CDNSKEY 0 3 0 AA==
IN OPENPGPKEY AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v
IN CSYNC 5 1 NS AAAA
IN ZONEMD 5 1 1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f000102030405060708090a0b0c0d0e0f
IN SVCB 0 s.tape.test.
IN SVCB 1 . mandatory=alpn,ipv4hint alpn="h2,h3" no-default-alpn port=8443 ipv4hint=198.51.100.7,198.51.100.8
IN SVCB 1 . ech=AAECAw== ipv6hint=2001:db8::1,2001:db8::2
IN SVCB 1 . alpn="a\\\\b,c\\,d" key4242="x \"y\" \\ \200" key4243
IN HTTPS 2 h.tape.test. alpn=h3
IN DSYNC CDS NOTIFY 53 d.tape.test.
IN DSYNC TYPE4242 200 53 .
IN HHIT AAEC
IN BRID AAEC
IN SPF "v=spf1 -all"
IN NID 1 0:1:ffff:20
IN L32 1 198.51.100.7
IN L64 1 2001:db8:0:1
IN LP 1 l.tape.test.
IN EUI48 00-01-0a-0f-f0-ff
IN EUI64 00-01-0a-0f-f0-ff-80-7f
IN URI 1 2 "https://tape.test/\"q\"?a=\\"
IN CAA 128 issuewild "ca.test; k=\"v\""
IN AVC "k=v" "w"
IN DOA 1 2 3 "text/plain" AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v
IN DOA 0 0 0 "" -
IN AMTRELAY 1 0 0 .
IN AMTRELAY 1 1 1 198.51.100.7
IN AMTRELAY 1 0 2 2001:db8::7
IN AMTRELAY 1 1 3 relay.tape.test.
IN RESINFO "a=b" "c"
IN WALLET "COIN" "0x0"
IN TA 1 13 1 000102030405060708090a0b0c0d0e0f10111213
IN DLV 1 13 2 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
IN TYPE65280 \# 0
IN TYPE65280 \# 30 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d
CH AAAA \# 3 010203
CH TXT "9.18"
CLASS42 SRV \# 2 0102
"""

# What named-rrchecker does not take. (class, type, hex)
HEX = [
    (1, 9, "00"), (1, 100, "0102"), (1, 103, "0102"),
    (1, 16, "".join("02%02x%02x" % (i, 255 - i) for i in range(128))),
    (1, 2, "".join("02%02x61" % i for i in range(0, 64)) + "00"),
    (1, 2, "".join("02%02x61" % i for i in range(64, 128)) + "00"),
    (1, 2, "".join("02%02x61" % i for i in range(128, 192)) + "00"),
    (1, 2, "".join("02%02x61" % i for i in range(192, 256)) + "00"),
    (255, 249, "0468617368000100000001100000000300000000" + "0000"),
    (255, 249, "04686173680001000000011000000003001100030102030002ffff"),
]

TSIG = "0468617368000000659000000 12c".replace(" ", "")
TSIGS = [TSIG + "0000" + "1234" + "0000" + "0000", TSIG + "0003010203" + "1234" + "0012" + "0006000065900001"]

EDNS = [  # (UDP size, TTL, hex)
    (1232, 0x00008000, ""), (512, 0, ""), (4096, 0x0001c001, ""), (0, 0x00000002, ""),
] + [(1232, 0x8000, "%04x%04x%s" % (code, len(value) // 2, value)) for code, value in [
    (1, "000100020000000000000001ffff00000010"), (3, ""), (3, "7461706522ff"), (4, "00"),
    (8, "00011800c63364"), (8, "000238 40 20010db8000001".replace(" ", "")), (8, "00010000"), (8, "00000000"), (9, ""),
    (9, "00000000"), (9, "0012d687"), (9, "00000001"), (10, "0001020304050607"), (10, "000102030405060708090a0b0c0d0e0f"), (11, ""),
    (11, "0105"), (12, ""), (12, "000000"), (14, "4f660001"), (15, "0016"), (15, "000f6e6f206d6f7265"),
    (15, "4242"), (16, "0005"), (17, "0006"), (65001, "6162"), (65001, "")]]
EDNS.append((1400, 0x8000, "00030001610000" + "0000" + "000c000100"))


def ask(cases, port):
    """Serves (type, class, ttl, rdata) to dig, as answers or, for what is no data, as additional records."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", port))
    server.settimeout(0.2)
    stop = threading.Event()

    def serve():
        while not stop.is_set():
            try:
                query, client = server.recvfrom(4096)
            except socket.timeout:
                continue
            at = 12
            number = int(query[13:13 + query[12]])
            while query[at]:
                at += 1 + query[at]
            rtype, cls, ttl, rdata = cases[number]
            extra = rtype in (41, 250)
            owner = {41: b"\0", 50: b"\x200123456789abcdefghijklmnopqrstuv\xc0\x0c", 250: b"\3key\0"}.get(rtype, b"\xc0\x0c")
            server.sendto(query[:2] + struct.pack("!5H", 0x8400, 1, not extra, 0, extra) + query[12:at + 5] + owner +
                          struct.pack("!HHIH", rtype, cls, ttl, len(rdata)) + rdata, client)

    thread = threading.Thread(target=serve)
    thread.start()
    with tempfile.NamedTemporaryFile("w") as batch:
        for i, (rtype, cls, _, _) in enumerate(cases):
            asked = rtype if rtype not in (41, 249, 250) else 1
            batch.write("%d.t TYPE%d -c CLASS%d\n" % (i, asked, cls if cls in (1, 3, 4, 42) and rtype != 41 else 1))
        batch.flush()
        out = subprocess.run(["dig", "@127.0.0.1", "-p", str(port), "+noedns", "+norec", "+ignore", "+noquestion", "+nocmd", "+nostats",
                              "+tries=1", "-f", batch.name], capture_output=True, check=False).stdout.decode("latin1")
    stop.set()
    thread.join()
    server.close()
    return re.split(r"(?m)^;; (?=Got )", out)[1:]


def on_wire(text):
    out = subprocess.run(["named-rrchecker", "-u"], input=text + "\n", capture_output=True, text=True, check=False)
    found = re.match(r"CLASS(\d+)\s+TYPE(\d+)\s+\\# \d+ ?(.*)", out.stdout)
    if not found:
        sys.exit("named-rrchecker: %s: %s" % (text, out.stderr))
    return int(found[2]), int(found[1]), 300, bytes.fromhex(found[3])


def quote(text):
    """A C string, in pieces of no more than a line."""
    pieces = [""]
    for c in text.encode("latin1"):
        if len(pieces[-1]) > 110:
            pieces.append("")
        pieces[-1] += "\\" + chr(c) if c in b'"\\' else chr(c) if 32 <= c < 127 else "\\%03o" % c
    return "\n     ".join('"%s"' % piece for piece in pieces)


def record_text(part):
    for line in part.split("\n"):
        found = re.match(r"\S+\s+(?:300|0)\s+\S+\s+\S+?(?:\t| )(.*)$", line)
        if found and not line.startswith(";"):
            return found[1]
    return None


def edns_text(part):
    lines = [line for line in part.split("\n") if line.startswith("; ")]
    return re.sub(r" \((bad|good|echoed)\)", "", "; ".join([lines[0]] + [line[2:] for line in lines[1:]])) if lines else None


def main():
    port = int(os.environ.get("PORT", "5399"))
    records = [on_wire(line) for line in RECORDS.strip().split("\n")]
    records += [(rtype, cls, 300, bytes.fromhex(data)) for cls, rtype, data in HEX]
    records += [(250, 255, 0, bytes.fromhex(data)) for data in TSIGS]
    edns = [(41, size, ttl, bytes.fromhex(data)) for size, ttl, data in EDNS]
    print("/* Written by vectors.py: record data in hex, and what dig (BIND 9.18) prints for it. */")
    for name, cases, text_of in (("records", records, record_text), ("options", edns, edns_text)):
        print("static const struct vector %s[] = {" % name)
        for (rtype, cls, ttl, rdata), part in zip(cases, ask(cases, port)):
            text = text_of(part)
            if text is None:
                sys.exit("dig refuses %d %s:\n%s" % (rtype, rdata.hex(), part))
            print("    {%d, %d, %d,\n     %s,\n     %s}," % (rtype, cls, ttl, quote(rdata.hex()), quote(text)))
        print("};")


main()
