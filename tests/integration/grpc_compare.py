#!/usr/bin/python3
"""Compares dissected gRPC calls with what the client knows: grpc_compare.py TRUTH CALLS named|plain. Says what differs."""

import json
import math
import sys

CODES = ("OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED RESOURCE_EXHAUSTED "
         "FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED").split()


def same(expected, got):
    if isinstance(expected, dict) and isinstance(got, dict):
        return expected.keys() == got.keys() and all(same(value, got[key]) for key, value in expected.items())
    if isinstance(expected, list) and isinstance(got, list):
        return len(expected) == len(got) and all(map(same, expected, got))
    if isinstance(expected, float) or isinstance(got, float):
        return math.isclose(expected, got, rel_tol=1e-6)
    return expected == got


def messages(call, half):
    text = call.get(half, {}).get("messages")
    return json.loads(text) if text else []


def plainly_same(expected, got):
    """Without names: the texts and numbers that a guess cannot miss."""
    if "text" in expected or "limit" in expected:
        return got.get("1", "") == expected.get("text", "") and got.get("2", 0) == expected.get("limit", 0)
    return got.get("1", "") == expected.get("name", "") and got.get("17", 0) == expected.get("count", 0)


def differences(truth, call, named):
    def differ(what, expected, got):
        if expected != got:
            yield "%s: %r, not %r" % (what, got, expected)

    yield from differ("service", "tapedeck.test.Shop", call.get("grpc_service"))
    yield from differ("method", truth["method"], call.get("grpc_method"))
    # A deadline or the client itself ended it: the server's status may never have been sent.
    local = truth["status"] in ("DEADLINE_EXCEEDED", "CANCELLED")
    if local:
        if "http2_error" not in call and call.get("grpc_status_name") != truth["status"]:
            yield "status: neither a reset nor %s" % truth["status"]
    else:
        yield from differ("status", truth["status"], call.get("grpc_status_name"))
        yield from differ("status code", CODES.index(truth["status"]), call.get("grpc_status"))
        yield from differ("message", truth["message"], call.get("grpc_message", ""))
        yield from differ("complete", True, "response" in call and call["response"]["complete"])
    if truth["timeout"]:
        timeout = call.get("grpc_timeout", 0) / 1e9
        if not truth["timeout"] * 0.8 <= timeout <= truth["timeout"] * 1.01:
            yield "timeout: %r, not about %r" % (timeout, truth["timeout"])
    if named and truth["known"]:
        yield from differ("kind", truth["kind"], call.get("grpc_call_type"))
    for half, compressed in (("request", truth["compression"] not in (None, "NoCompression")), ("response", False)):
        expected, got = truth[half + "s"], messages(call, half)
        if half == "request" and truth["status"] not in ("OK", "DEADLINE_EXCEEDED"):
            expected = expected[:len(got)]  # the rest may not have been sent
        if half == "response" and local:
            got = got[:len(expected)]  # more may have been on the way
        if named and truth["known"] and not same(expected, got):
            yield "%s: %.3000r, not %.3000r" % (half, got, expected)
        if not named and not (len(expected) == len(got) and all(map(plainly_same, expected, got))):
            yield "%s without names: %.3000r, not %.3000r" % (half, got, expected)
        sizes = [int(size) for size in call.get("grpc_%s_message_sizes" % half, [])]
        if not compressed and not local and truth["status"] == "OK" and "compressed" not in json.dumps(truth["requests"]):
            yield from differ(half + " sizes", truth[half + "_sizes"], sizes)
        if compressed and truth["compression"].lower() not in call.get("grpc_request_encoding", ""):
            yield "encoding: %r" % call.get("grpc_request_encoding")


def main():
    truth = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
    calls = [json.loads(line) for line in open(sys.argv[2], encoding="utf-8")]
    calls = sorted((call for call in calls if call["protocol"] == "GRPC"), key=lambda call: call["timestamp"])
    bad = 0
    if len(truth) != len(calls):
        print("%d calls, not %d" % (len(calls), len(truth)))
        bad += 1
    for number, (expected, got) in enumerate(zip(truth, calls)):
        for difference in differences(expected, got, sys.argv[3] == "named"):
            print("call %d (%s): %s" % (number, expected["method"], difference))
            bad += 1
    metadata = [(pair["name"], pair["value"]) for pair in calls[0]["request"].get("metadata", [])]
    wanted = [] if "grpc_web" in calls[0] else [("x-token-bin", "a,b"), ("x-token-bin", "")]
    if not metadata or metadata[0][0] != "grpc-trace-bin" or metadata[1:] != wanted:
        print("call 0: its binary metadata is %r" % metadata)
        bad += 1
    if calls[0].get("partial"):
        print("call 0: it is partial")
        bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
