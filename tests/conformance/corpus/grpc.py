"""gRPC calls: the facts' and ours, half by half, field by field."""

from . import http2
from .matching import Message

KIND = "grpc"
RULE = ",http2"
SHARED = False
level_of = http2.level_of
Unlisted = http2.Unlisted


def known(facts):
    return [half for half in http2.known(facts) if half["stream"].get("grpc")]


def pairs(facts):
    indexes = {}
    for index, half in enumerate(known(facts)):
        indexes.setdefault(half["number"], {})[half["type"]] = index
    return [[found.get("request"), found.get("response")] for found in indexes.values()]


def expected_message(half):
    message = http2.expected_message(half)
    stream, type = half["stream"], half["type"]
    values = {"message_count": stream[type].get("grpc_message_count", 0),
              "message_sizes": [one["len"] for one in stream[type].get("grpc_messages", [])],
              "compressed": sum(bool(one["compressed"]) for one in stream[type].get("grpc_messages", []))}
    if type == "request":
        service, method = stream["path"].rsplit("/", 2)[-2:]
        values.update(service=service, method=method)
    elif stream.get("grpc_status") is not None:
        values.update(status=int(stream["grpc_status"]), status_message=stream.get("grpc_message") or "")
    return Message(type, message.src, "", message.frames, message.start, values)


def our_messages(calls):
    messages = []
    for number, call in enumerate(calls):
        if call["protocol"] != "GRPC":
            continue
        client, server = ("%s:%d" % (call[end]["ip"], call[end]["port"]) for end in ("src", "dst"))
        for type, source in (("request", client), ("response", server)):
            if type in call:
                messages.append(Message(type, source, "", sorted(call[type]["frames"]), (call.get("http2_stream_id"), client),
                                        our_values(call, type), number))
    return messages


def our_values(call, type):
    values = {"message_count": call["grpc_%s_message_count" % type], "compressed": call.get("grpc_%s_compressed_count" % type, 0),
              "message_sizes": [int(size) for size in call.get("grpc_%s_message_sizes" % type, [])], "headers": ["some"]}
    if type == "request":
        values.update(service=call.get("grpc_service"), method=call.get("grpc_method"))
    else:
        values.update(status=call.get("grpc_status"), status_message=call.get("grpc_message", ""))
    return values


def agrees(field, expected, got):
    return expected == got
