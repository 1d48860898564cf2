#!/usr/bin/env python3
"""An HTTP Archive beside the same calls as JSON lines: har_compare.py CALLS.jsonl CALLS.har"""

import base64
import json
import sys

faults = 0


def same(what, got, want):
    global faults
    if got != want:
        faults += 1
        print(f"{what}: {got!r}, not {want!r}")


def body_of(entry, text="text", encoding="encoding"):
    value = entry.get(text)
    return base64.b64decode(value) if value is not None and entry.get(encoding) == "base64" else (value or "").encode()


def body_of_call(half):
    if "body_base64" in half:
        return base64.b64decode(half["body_base64"])
    return half.get("body", "").encode()


def fields(what, har, call):
    """Names and values in order; of values that JSON lines mend with U+FFFD, the length."""
    want = [(field["name"], field["value"]) for field in call or []]
    got = [(field["name"], field["value"]) for field in har or []]
    for i, (name, value) in enumerate(want):
        if "\ufffd" in value and i < len(got):
            same(f"{what}: {name}", len(got[i][1]), len(value))
            same(f"{what}: {name} is whole", "\ufffd" in got[i][1], False)
            want[i] = got[i]
    same(what, got, want)


def compare(call, entry):
    request, response = entry["request"], entry["response"]
    asked, answered = call.get("request", {}), call.get("response", {})
    version = call.get("http_version", "")
    same("method", request["method"], call.get("method", ""))
    same("request's version", request["httpVersion"], "HTTP/" + version if "method" in call else "")
    same("response's version", response["httpVersion"], "HTTP/" + call["http_response_version"] if "http_response_version" in call else "")
    if call.get("url", "").startswith("http"):
        same("url", request["url"], call["url"])
    same("status", response["status"], call.get("status_code", 0))
    for half, side, name in ((asked, request, "request"), (answered, response, "response")):
        if not half:  # JSON lines have nothing of a half without packets, as the request of what was pushed
            continue
        told = [field for field in half.get("headers") or [] if field["name"] != ":status"]
        fields(f"{name}'s headers", side["headers"], told)
        fields(f"{name}'s trailers", side.get("_trailers"), half.get("trailers"))
    if version == "2" and "method" in call and not call.get("http2_upgraded"):
        own = [h["name"] for h in request["headers"] if h["name"].startswith(":")]
        same("a request of HTTP/2 has fields of its own", ":method" in own, True)
    same("request's body", body_of(request.get("postData", {}), encoding="_encoding"), body_of_call(asked))
    same("response's body", body_of(response["content"]), body_of_call(answered))
    grpc = any(h["name"].lower() == "content-type" and h["value"].startswith("application/grpc") for h in request["headers"])
    if grpc and request.get("postData", {}).get("text"):
        same("messages of gRPC are binary", request["postData"].get("_encoding"), "base64")


def main():
    with open(sys.argv[1], encoding="utf-8") as lines:
        calls = [json.loads(line) for line in lines]
    with open(sys.argv[2], encoding="utf-8") as archive:
        entries = json.load(archive)["log"]["entries"]
    calls = [call for call in calls if "http_version" in call or "http_response_version" in call]
    calls.sort(key=lambda c: (c["timestamp"], c.get("url", ""), c.get("status_code", 0)))
    entries.sort(key=lambda e: (e["startedDateTime"], e["request"]["url"], e["response"]["status"]))
    same("entries", len(entries), len(calls))
    for call, entry in zip(calls, entries):
        compare(call, entry)
    print(f"{len(entries)} entries")
    sys.exit(faults > 0 or not entries)


main()
