"""HTTP/2 streams: the facts' and ours, half by half, field by field."""

import base64
import hashlib

from . import text
from .checks import FULL, OTHER
from .matching import Message

KIND = "http2"
PROTOCOLS = ("HTTP2", "GRPC")
RULE = ",http2"  # how a decode_as of the manifest that concerns this kind ends
SHARED = False
UNKNOWN = "<unknown>"


def known(facts):
    """Halves of streams, each with the stream that it is of."""
    halves = []
    for number, stream in enumerate(facts.get(KIND, {}).get("streams", [])):
        for type in ("request", "response"):
            if "headers" in stream.get(type, {}):
                halves.append({"number": number, "type": type, "stream": stream})
    return halves


def level_of(half):
    """None: not visible in the clear (inside TLS), so that nobody is expected to find it."""
    confirmed = half["stream"].get("confirmed")
    return FULL if confirmed == "full" else None if confirmed in (None, "tls") else OTHER


def pairs(facts):
    """Indexes of request and response of each stream."""
    by_stream = {}
    for index, half in enumerate(known(facts)):
        by_stream.setdefault(half["number"], {})[half["type"]] = index
    return [[found.get("request"), found.get("response")] for found in by_stream.values()]


def expected_message(half):
    stream, type = half["stream"], half["type"]
    client = stream.get("request", {}).get("src", "")
    return Message(type, stream[type]["src"], "", [stream["first_frame"]], (stream["h2_stream"], client), expected_values(stream, type))


def expected_values(stream, type):
    half = stream[type]
    values = {"headers": half["headers"], "data_len": half["data_len"], "complete": half["end_stream"], "stream_id": stream["h2_stream"],
              "data_frames": half["data_frames"]}
    fields = {name: value for name, value in half["headers"]}
    if type == "request":
        for name in ("method", "path", "authority", "scheme"):
            if stream.get(name) is not None:
                values[name] = stream[name]
    elif stream.get("status") is not None:
        values["status"] = stream["status"]
    trailers = [block for block in half.get("more_header_blocks", []) if not any(name == ":status" for name, _ in block)]
    if trailers:
        values["trailers"] = trailers[-1]
    if half.get("data_sha256") and "content-encoding" not in fields:
        values["data_sha256"] = half["data_sha256"]
    return values


def our_messages(calls):
    messages = []
    for number, call in enumerate(calls):
        if call["protocol"] not in PROTOCOLS or "http2_stream_id" not in call:
            continue
        client, server = ("%s:%d" % (call[end]["ip"], call[end]["port"]) for end in ("src", "dst"))
        for type, source in (("request", client), ("response", server)):
            if type == "request" and call.get("http2_upgraded"):
                continue  # in HTTP/1.1, where the facts have it
            if type in call:
                messages.append(Message(type, source, "", sorted(call[type]["frames"]), (call["http2_stream_id"], client),
                                        our_values(call, type), number))
    return messages


def our_values(call, type):
    half = call[type]
    body = base64.b64decode(half["body_base64"]) if "body_base64" in half else half.get("body", "").encode("utf-8")
    values = {"headers": named(half.get("headers", [])), "trailers": named(half.get("trailers", [])),
              "data_len": call.get(type + "_body_size", 0), "data_frames": call.get("http2_%s_data_frames" % type, 0),
              "data_sha256": hashlib.sha256(body).hexdigest(), "complete": half["complete"], "stream_id": call["http2_stream_id"]}
    if type == "request":
        values.update(method=call.get("method"), path=call.get("http_request_target"), authority=call.get("http_host"),
                      scheme=call.get("http2_scheme"))
    else:
        values["status"] = call.get("status_code")
    return values


def named(headers):
    return [[pair["name"], pair["value"]] for pair in headers]


def same_field(expected, got):
    """What the facts do not know either may be anything."""
    if expected[0] == UNKNOWN:
        return expected[1] in ("", UNKNOWN) or text.same(expected[1], got[1])
    return text.same(expected[0], got[0]) and text.same(expected[1].strip(), got[1].strip())


def agrees(field, expected, got):
    if field in ("headers", "trailers"):
        return len(expected) == len(got) and all(map(same_field, expected, got))
    if isinstance(expected, str):
        return text.same(expected, got)
    return expected == got


class Unlisted:
    """A half without a header list is in the facts only by its frames."""

    def __init__(self, facts):
        pass

    def take(self, message):
        return not message.values["headers"]
