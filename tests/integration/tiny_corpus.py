"""A corpus of one capture, made here: an HTTP and a Kafka exchange over TCP and a DNS exchange over UDP, with the facts about them.

tiny_corpus.py DIR [PATH VALUE]...

writes the corpus and then changes facts: http1.messages.0.method '"PUT"'.
"""

import hashlib
import json
import os
import struct
import sys

CLIENT, SERVER = "192.0.2.1", "192.0.2.2"
START_NS = 1_700_000_000_123_456_000
BODY = b"hello, tape\n"
REQUEST = b"GET /tape?deck=1 HTTP/1.1\r\nHost: tape.example\r\nAccept: */*\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-Deck: a\r\n\r\n" % len(BODY) + BODY
# OffsetFetch of version 1: group g asks for partition 3 of topic deck, and is told UNKNOWN_TOPIC_OR_PARTITION.
FETCH = struct.pack("!hhih4s", 9, 1, 7, 4, b"test") + b"\0\x01g\0\0\0\x01\0\x04deck\0\0\0\x01\0\0\0\x03"
FETCHED = struct.pack("!i", 7) + b"\0\0\0\x01\0\x04deck\0\0\0\x01" + struct.pack("!iqhh", 3, -1, -1, 3)
SYN, ACK, PUSH_ACK, FIN_ACK = 2, 16, 24, 17


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def address(text):
    return bytes(map(int, text.split(".")))


def ethernet(src, dst, protocol, payload):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0, address(src), address(dst))
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0" + head + payload


def tcp(src, sport, dst, dport, seq, ack, flags, payload=b""):
    return ethernet(src, dst, 6, struct.pack("!HHIIBBHHH", sport, dport, seq, ack, 0x50, flags, 8192, 0, 0) + payload)


def udp(src, sport, dst, dport, payload):
    return ethernet(src, dst, 17, struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload)


def packets():
    c, s = (CLIENT, 40000, SERVER, 80), (SERVER, 80, CLIENT, 40000)
    requested, answered = 1001 + len(REQUEST), 5001 + len(RESPONSE)
    question = b"\x04deck\x07example\0\0\x01\0\x01"
    answer = b"\xc0\x0c\0\x01\0\x01\0\0\x01\x2c\0\x04" + address("192.0.2.7")
    kc, ks = (CLIENT, 40001, SERVER, 9092), (SERVER, 9092, CLIENT, 40001)
    return [
        tcp(*c, 1000, 0, SYN),
        tcp(*s, 5000, 1001, SYN | ACK),
        tcp(*c, 1001, 5001, ACK),
        tcp(*c, 1001, 5001, PUSH_ACK, REQUEST),
        tcp(*s, 5001, requested, PUSH_ACK, RESPONSE),
        tcp(*c, requested, answered, FIN_ACK),
        tcp(*s, answered, requested + 1, FIN_ACK),
        udp(CLIENT, 50000, SERVER, 53, struct.pack("!6H", 77, 0x0100, 1, 0, 0, 0) + question),
        udp(SERVER, 53, CLIENT, 50000, struct.pack("!6H", 77, 0x8180, 1, 1, 0, 0) + question + answer),
        tcp(*kc, 100, 0, SYN),
        tcp(*ks, 500, 101, SYN | ACK),
        tcp(*kc, 101, 501, PUSH_ACK, struct.pack("!i", len(FETCH)) + FETCH),
        tcp(*ks, 501, 105 + len(FETCH), PUSH_ACK, struct.pack("!i", len(FETCHED)) + FETCHED),
    ]


def facts(frames, times):
    client, server = CLIENT + ":40000", SERVER + ":80"
    asker, resolver = CLIENT + ":50000", SERVER + ":53"
    consumer, broker = CLIENT + ":40001", SERVER + ":9092"
    size = sum(map(len, frames))
    question = [{"name": "deck.example", "type": 1, "cls": 1}]
    return {
        "container": {
            "format": "pcap", "packets": len(frames), "captured_bytes": size, "original_bytes": size, "packets_snapped": 0,
            "first_ts_ns": times[0], "last_ts_ns": times[-1],
            "data_sha256": hashlib.sha256(b"".join(frames)).hexdigest(),
            "ts_sha256": hashlib.sha256(struct.pack("<%dq" % len(times), *times)).hexdigest(),
        },
        "http1": {
            "messages": [
                {"frame": 4, "type": "request", "src": client, "dst": server, "method": "GET", "uri": "/tape?deck=1", "version": "HTTP/1.1",
                 "host": "tape.example", "headers": [["Host", "tape.example"], ["Accept", "*/*"]], "body_len": 0, "confirmed": "full"},
                {"frame": 5, "type": "response", "src": server, "dst": client, "version": "HTTP/1.1", "status": 200, "phrase": "OK",
                 "headers": [["Content-Length", str(len(BODY))], ["X-Deck", "a"]], "body_len": len(BODY),
                 "body_sha256": hashlib.sha256(BODY).hexdigest(), "confirmed": "full"},
            ],
            "pairs": [[0, 1]],
        },
        "dns": {
            "messages": [
                {"frame": 8, "src": asker, "dst": resolver, "id": 77, "qr": "query", "opcode": 0, "counts": [1, 0, 0, 0],
                 "questions": question, "records": [], "confirmed": "full"},
                {"frame": 9, "src": resolver, "dst": asker, "id": 77, "qr": "response", "opcode": 0, "rcode": 0, "counts": [1, 1, 0, 0],
                 "questions": question, "confirmed": "full",
                 "records": [{"section": "answer", "name": "deck.example", "type": 1, "ttl": 300, "data": "192.0.2.7"}]},
            ],
            "pairs": [[0, 1]],
        },
        "kafka": {
            "messages": [
                {"frame": 12, "type": "request", "src": consumer, "dst": broker, "correlation_id": 7, "api_key": 9, "length": len(FETCH),
                 "api_name": "OffsetFetch", "api_version": 1, "client_id": "test", "topics": ["deck"], "group_id": "g",
                 "partitions": [3], "confirmed": "full"},
                {"frame": 13, "type": "response", "src": broker, "dst": consumer, "correlation_id": 7, "api_key": 9,
                 "length": len(FETCHED), "api_name": "OffsetFetch", "api_version": 1, "topics": ["deck"], "partitions": [3], "errors": [3],
                 "confirmed": "full"},
            ],
            "pairs": [[0, 1]],
        },
    }


def write(directory):
    frames = packets()
    times = [START_NS + number * 1_000_000 for number in range(len(frames))]
    for folder in ("captures", "facts"):
        os.makedirs(os.path.join(directory, folder), exist_ok=True)
    with open(os.path.join(directory, "captures", "tiny.pcap"), "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for frame, time in zip(frames, times):
            out.write(struct.pack("<4I", time // 10**9, time % 10**9 // 1000, len(frame), len(frame)) + frame)
    save(directory, facts(frames, times))
    entry = {"id": "own/tiny", "file": "captures/tiny.pcap", "facts": "facts/tiny.json", "kinds": ["http1", "dns-udp", "kafka"],
             "expect": "parse", "decode_as": []}
    with open(os.path.join(directory, "manifest.json"), "w", encoding="ascii") as out:
        json.dump({"captures": [entry]}, out)


def save(directory, content):
    with open(os.path.join(directory, "facts", "tiny.json"), "w", encoding="ascii") as out:
        json.dump(content, out)


def change(directory, path, value):
    with open(os.path.join(directory, "facts", "tiny.json"), encoding="ascii") as file:
        content = json.load(file)
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    place = content
    for step in way:
        place = place[step]
    place[last] = json.loads(value)
    save(directory, content)


if __name__ == "__main__":
    write(sys.argv[1])
    for fact, changed in zip(sys.argv[2::2], sys.argv[3::2]):
        change(sys.argv[1], fact, changed)
