"""Sends the mDNS and LLMNR messages that record.sh captures, over the loopback: questions with known answers, answers to
the group and to one host, a goodbye, LLMNR with its answer."""
import socket
import struct

MDNS, LLMNR = ("224.0.0.251", 5353), ("224.0.0.252", 5355)
UNICAST_WANTED = CACHE_FLUSH = 0x8000


def name(text):
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".")) + b"\0"


def question(text, rtype, cls=1):
    return name(text) + struct.pack("!HH", rtype, cls)


def record(text, rtype, data, cls=1, ttl=120):
    return name(text) + struct.pack("!HHIH", rtype, cls, ttl, len(data)) + data


def message(number, flags, questions=(), answers=(), additional=()):
    return (struct.pack("!6H", number, flags, len(questions), len(answers), 0, len(additional)) + b"".join(questions) +
            b"".join(answers) + b"".join(additional))


def member(port, group):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("", port))
    s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + socket.inet_aton("127.0.0.1"))
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
    s.settimeout(5)
    return s


ADDRESS = record("printer.local", 1, bytes([198, 51, 100, 9]), 1 | CACHE_FLUSH)
SERVICE = record("Upstairs._ipp._tcp.local", 33, struct.pack("!HHH", 0, 0, 631) + name("printer.local"), 1 | CACHE_FLUSH)
POINTER = record("_ipp._tcp.local", 12, name("Upstairs._ipp._tcp.local"), ttl=4500)
TEXT = record("Upstairs._ipp._tcp.local", 16, b"\x09txtvers=1\x0bcolor=false", 1 | CACHE_FLUSH, 4500)
ABSENT = record("printer.local", 47, name("printer.local") + bytes([0, 1, 0x40]), 1 | CACHE_FLUSH)

host = member(*reversed(MDNS))
host.sendto(message(0, 0, [question("_ipp._tcp.local", 12, 1 | UNICAST_WANTED), question("_http._tcp.local", 12)], [POINTER]), MDNS)
host.sendto(message(0, 0x8400, (), [POINTER], [SERVICE, TEXT, ADDRESS, ABSENT]), MDNS)
host.sendto(message(0, 0, [question("_ipp._tcp.local", 12)]), MDNS)
host.sendto(message(0, 0x8400, (), [record("_ipp._tcp.local", 12, name("Upstairs._ipp._tcp.local"), ttl=0)]), MDNS)
while host.recvfrom(4096)[0][4:12] != struct.pack("!4H", 0, 1, 0, 0):
    pass

# A simple resolver asks from another port and is answered there (RFC 6762 section 6.7).
simple = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
simple.bind(("127.0.0.1", 40001))
simple.sendto(message(77, 0x0100, [question("printer.local", 1)]), ("127.0.0.1", 5353))
query, client = host.recvfrom(4096)
while client[1] != 40001:
    query, client = host.recvfrom(4096)
host.sendto(message(77, 0x8400, [question("printer.local", 1)], [record("printer.local", 1, bytes([198, 51, 100, 9]), ttl=10)]), client)
simple.recvfrom(4096)

# LLMNR: the question to the group, the answer to the one who asked; the second question to the host itself.
responder = member(*reversed(LLMNR))
simple.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
simple.sendto(message(78, 0, [question("printer", 28)]), LLMNR)
responder.recvfrom(4096)
simple.sendto(message(79, 0, [question("printer", 1)]), ("127.0.0.1", 5355))
responder.recvfrom(4096)
responder.sendto(message(79, 0x8000, [question("printer", 1)], [record("printer", 1, bytes([198, 51, 100, 9]), ttl=30)]),
                 ("127.0.0.1", 40001))
simple.recvfrom(4096)
