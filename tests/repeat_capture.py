#!/usr/bin/env python3
"""repeat_capture.py CAPTURE N [STEP] > OUT: a pcap file N times over, each copy STEP seconds (two hours) later.

After so long, connections of the copy before are forgotten, so that each copy has all its calls again.
"""

import struct
import sys

STEP = 7200


def main():
    with open(sys.argv[1], "rb") as file:
        head, packets = file.read(24), bytearray(file.read())
    times, at, step = [], 0, int(sys.argv[3]) if len(sys.argv) > 3 else STEP
    order = "<" if head[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    while at < len(packets):
        times.append(at)
        at += 16 + struct.unpack_from(order + "I", packets, at + 8)[0]
    out = sys.stdout.buffer
    out.write(head)
    for _ in range(int(sys.argv[2])):
        out.write(packets)
        for at in times:
            struct.pack_into(order + "I", packets, at, struct.unpack_from(order + "I", packets, at)[0] + step)


main()
