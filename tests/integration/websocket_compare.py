#!/usr/bin/python3
"""Compares dissected WebSocket messages with what the clients know: websocket_compare.py TRUTH CALLS. Says what differs."""

import base64
import collections
import hashlib
import json
import sys


def body(half):
    return base64.b64decode(half["body_base64"]) if "body_base64" in half else half.get("body", "").encode()


def differences(truth, call):
    def differ(what, expected, got):
        if expected != got:
            yield "%s: %r, not %r" % (what, got, expected)

    direction = truth["direction"]
    half, data = call.get(direction, {}), body(call.get(direction, {}))
    yield from differ("opcode", truth["opcode"], call.get("ws_opcode"))
    yield from differ("path", truth["path"].split("?")[0], call.get("path"))
    yield from differ("query", truth["path"].partition("?")[2], call.get("query_string", ""))
    yield from differ("subprotocol", truth["subprotocol"], call.get("ws_subprotocol", ""))
    yield from differ("length", truth["length"], call.get("ws_%s_payload_length" % direction))
    yield from differ("body", truth["sha256"], hashlib.sha256(data).hexdigest())
    yield from differ("complete", True, half.get("complete"))
    yield from differ("partial", False, call.get("partial", False))
    if "frames" in truth:
        yield from differ("frames", truth["frames"], call.get("ws_frames"))
    if truth["opcode"] == "text":
        yield from differ("text", data.decode()[:200], call.get("ws_%s_payload_data" % direction, "")[:200])
    if truth["opcode"] == "close":
        yield from differ("code", truth["code"], call.get("ws_close_code"))
        yield from differ("reason", truth["reason"], call.get("ws_close_reason", ""))
    yield from differ("not UTF-8", False, call.get("ws_invalid_utf8", False))


def main():
    truth, calls = collections.defaultdict(list), collections.defaultdict(list)
    handshakes, total, bad = 0, 0, 0
    for line in open(sys.argv[1], encoding="utf-8"):
        one = json.loads(line)
        truth[one["port"], one["direction"], one["opcode"] in ("ping", "pong", "close")].append(one)
    for line in open(sys.argv[2], encoding="utf-8"):
        call = json.loads(line)
        if call["protocol"] == "HTTP":
            handshakes += call["status_code"] == 101
            continue
        direction = "request" if call.get("ws_request") else "response"
        calls[call["src"]["port"], direction, call["ws_opcode"] in ("ping", "pong", "close")].append(call)
    for key in sorted(truth.keys() | calls.keys()):
        expected, got = truth[key], calls[key]
        total += len(expected)
        if len(expected) != len(got):
            print("%s: %d messages, not %d" % (key, len(got), len(expected)))
            bad += 1
        for i, (one, call) in enumerate(zip(expected, got)):
            for what in differences(one, call):
                print("%s, message %d: %.300s" % (key, i, what))
                bad += 1
    connections = len({key[0] for key in truth})
    if handshakes != connections:
        print("%d handshakes, not %d" % (handshakes, connections))
        bad += 1
    print("%d messages on %d connections compared" % (total, connections))
    return bad > 0 or total == 0


sys.exit(main())
