"""A small reader of pcap and pcapng, independent of tapedeck's: the captured packets as plain tuples."""

import hashlib
import struct
from collections import namedtuple

# time_ns is None where the container gives none (simple packet blocks) or one that no signed 64-bit number holds.
Packet = namedtuple("Packet", "linktype time_ns original_length data")

PCAP_MAGIC = {0xA1B2C3D4: (1000, 16), 0xA1B23C4D: (1, 16), 0xA1B2CD34: (1000, 24)}  # ns per tick, record header's size
SECTION_HEADER, INTERFACE, OLD_PACKET, SIMPLE_PACKET, ENHANCED_PACKET = 0x0A0D0D0A, 1, 2, 3, 6


class Damaged(Exception):
    """The file ends in the middle of a record; packets before it have been returned."""


def read(path):
    with open(path, "rb") as file:
        data = file.read()
    if data[:4] == b"\x0a\x0d\x0d\x0a":
        return read_pcapng(data)
    return read_pcap(data)


def read_pcap(data):
    for endian in "<>":
        magic = PCAP_MAGIC.get(struct.unpack_from(endian + "I", data)[0]) if len(data) >= 24 else None
        if magic:
            break
    else:
        raise Damaged("no capture")
    tick_ns, header = magic
    linktype = struct.unpack_from(endian + "I", data, 20)[0] & 0xFFFF
    at = 24
    while at < len(data):
        if at + header > len(data):
            raise Damaged(at)
        seconds, fraction, captured, original = struct.unpack_from(endian + "4I", data, at)
        begin = at + header
        if begin + captured > len(data):
            raise Damaged(at)
        yield Packet(linktype, seconds * 10**9 + fraction * tick_ns, original, data[begin:begin + captured])
        at = begin + captured


def read_pcapng(data):
    endian, interfaces, at = "<", [], 0
    while at < len(data):
        if at + 12 > len(data):
            raise Damaged(at)
        if struct.unpack_from("<I", data, at)[0] == SECTION_HEADER:
            endian = "<" if struct.unpack_from("<I", data, at + 8)[0] == 0x1A2B3C4D else ">"
            interfaces = []
        kind, length = struct.unpack_from(endian + "II", data, at)
        if length < 12 or length % 4 or at + length > len(data):
            raise Damaged(at)
        body = data[at + 8:at + length - 4]
        if kind == INTERFACE:
            interfaces.append(read_interface(body, endian))
        elif kind == ENHANCED_PACKET:
            index, high, low, captured, original = struct.unpack_from(endian + "5I", body)
            yield packet(interfaces[index], high << 32 | low, original, body[20:20 + captured])
        elif kind == OLD_PACKET:
            index, _, high, low, captured, original = struct.unpack_from(endian + "HHIIII", body)
            yield packet(interfaces[index], high << 32 | low, original, body[20:20 + captured])
        elif kind == SIMPLE_PACKET:
            linktype, snaplen, _, _ = interfaces[0]
            original = struct.unpack_from(endian + "I", body)[0]
            captured = min(original, snaplen or original, len(body) - 4)
            yield Packet(linktype, None, original, body[4:4 + captured])
        at += length


def read_interface(body, endian):
    linktype, _, snaplen = struct.unpack_from(endian + "HHI", body)
    ticks_per_s, offset_s, at = 10**6, 0, 8
    while at + 4 <= len(body):
        code, length = struct.unpack_from(endian + "HH", body, at)
        value = body[at + 4:at + 4 + length]
        if code == 0:
            break
        if code == 9 and length >= 1:
            ticks_per_s = 2 ** (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
        if code == 14 and length == 8:
            offset_s = struct.unpack(endian + "q", value)[0]
        at += 4 + (length + 3) // 4 * 4
    return linktype, snaplen, ticks_per_s, offset_s


def packet(interface, ticks, original, data):
    linktype, _, ticks_per_s, offset_s = interface
    time_ns = ticks * 10**9 // ticks_per_s + offset_s * 10**9
    return Packet(linktype, time_ns if -2**63 <= time_ns < 2**63 else None, original, data)


def data_sha256(packets):
    return hashlib.sha256(b"".join(p.data for p in packets)).hexdigest()


def ts_sha256(packets):
    times = [p.time_ns for p in packets if p.time_ns is not None]
    return hashlib.sha256(struct.pack("<%dq" % len(times), *times)).hexdigest()
