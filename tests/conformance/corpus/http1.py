"""HTTP/1 messages: the facts' and ours, field by field."""

import base64
import hashlib
from collections import Counter

from . import text
from .checks import FULL, OTHER
from .matching import Message

KIND = "http1"
PROTOCOL = "HTTP"
RULE = ",http"  # how a decode_as of the manifest that concerns this kind ends
SHARED = False  # each of our messages is one expected message
# Encodings that are undone; for others the facts' encoded_body_* say what to expect.
DECODED = {"gzip", "x-gzip", "deflate", "br", "zstd", "identity"}


def known(facts):
    return facts.get(KIND, {}).get("messages", [])


def level_of(message):
    """None: not visible in the clear (inside TLS), so that nobody is expected to find it."""
    confirmed = message.get("confirmed")
    return FULL if confirmed == "full" else OTHER if confirmed else None


def expected_message(fact):
    if fact["type"] == "request":
        start = (fact.get("method"), fact.get("uri"))
    else:
        start = fact["status"]
    return Message(fact["type"], fact["src"], fact["dst"], [fact["frame"]], start, expected_values(fact))


def expected_values(fact):
    values = {name: fact[name] for name in ("method", "uri", "version", "host", "status", "phrase") if fact.get(name) is not None}
    if fact["type"] == "response" and 100 <= fact["status"] < 200 and fact["status"] != 101:
        return {"status": fact["status"]}  # of interim responses tapedeck keeps the code only
    values["headers"] = fact.get("headers", [])
    if fact.get("incomplete_body") or "body_len" not in fact:
        return values
    encoding = {word.strip().lower() for word in (fact.get("content_encoding") or "").split(",") if word.strip()}
    length, digest = fact["body_len"], fact.get("body_sha256") or hashlib.sha256(b"").hexdigest()
    if encoding - DECODED and "encoded_body_sha256" in fact:
        length, digest = fact["encoded_body_len"], fact["encoded_body_sha256"]
    values["body_len"] = length
    values["body_sha256"] = digest
    values["body_size"] = fact.get("encoded_body_len", None if encoding else length)
    return {name: value for name, value in values.items() if value is not None}


def our_messages(calls):
    messages = []
    for number, call in enumerate(calls):
        if call["protocol"] != PROTOCOL:
            continue
        client, server = ("%s:%d" % (call[end]["ip"], call[end]["port"]) for end in ("src", "dst"))
        if "request" in call:
            start = (call.get("method"), call.get("http_request_target"))
            messages.append(Message("request", client, server, sorted(call["request"]["frames"]), start, request_values(call), number))
        # Interim responses have no packets of their own in a call.
        for code in call.get("http_informational", []):
            messages.append(Message("response", server, client, [], int(code), {"status": int(code)}, number))
        if "response" in call:
            messages.append(Message("response", server, client, sorted(call["response"]["frames"]), call.get("status_code"),
                                    response_values(call), number))
    return messages


def request_values(call):
    values = half_values(call, "request")
    values.update(method=call.get("method"), uri=call.get("http_request_target"), host=call.get("http_host"),
                  version=version(call.get("http_version")))
    return values


def response_values(call):
    values = half_values(call, "response")
    values.update(status=call.get("status_code"), phrase=call.get("http_reason"))
    # http_version is the request's, or the response's if there is no request.
    if "http_response_version" in call or "request" not in call:
        values["version"] = version(call.get("http_response_version", call.get("http_version")))
    return values


def version(number):
    return "HTTP/" + number if number else None


def half_values(call, half):
    parts = call[half]
    if "body_base64" in parts:
        body = base64.b64decode(parts["body_base64"])
    else:
        body = parts.get("body", "").encode("utf-8")
    return {"headers": [[pair["name"], pair["value"]] for pair in parts.get("headers", [])],
            "body_len": len(body), "body_sha256": hashlib.sha256(body).hexdigest(),
            "body_size": call.get(half + "_body_size", 0)}


def agrees(field, expected, got):
    if field == "headers":
        return text.same_pairs(expected, got)
    if isinstance(expected, str):
        return text.same(expected, got)
    return expected == got


class Unlisted:
    """Messages that only the second reader saw: finding them is neither right nor wrong."""

    def __init__(self, facts):
        self.starts = Counter()
        for message in facts.get("cross_check", {}).get("http1_second_only", []):
            words = message["line"].split(" ")
            self.starts[int(words[1]) if message["type"] == "response" else (words[0], words[1] if len(words) > 1 else None)] += 1

    def take(self, message):
        self.starts[message.start] -= 1
        return self.starts[message.start] >= 0
