#!/usr/bin/python3
"""Compares dissected GraphQL calls with what the client knows: graphql_compare.py TRUTH CALLS. Says what differs."""

import json
import sys


def differences(truth, call):
    def differ(what, expected, got):
        if expected != got:
            yield "%s: %.200r, not %.200r" % (what, got, expected)

    yield from differ("type", truth["type"], call.get("graphql_operation_type"))
    yield from differ("name", truth["name"], call.get("graphql_operation_name", ""))
    yield from differ("fields", truth["fields"], call.get("graphql_fields"))
    yield from differ("batch", truth.get("batch"), call.get("graphql_batch_size"))
    yield from differ("variables", truth.get("variables"), json.loads(call.get("graphql_variables", "null")))
    yield from differ("errors", truth["errors"], call.get("graphql_errors"))
    yield from differ("message", truth["message"], call.get("graphql_error_message", ""))
    yield from differ("code", truth["code"], call.get("graphql_error_code", ""))
    yield from differ("data", truth["has_data"], call.get("graphql_has_data"))


def join_messages(messages):
    """An operation's messages as one call: what was asked, and what the answers add up to."""
    joined = {}
    for message in messages:
        kind, key = message["graphql_message_type"], message.get("graphql_message_id")
        if kind == "subscribe":
            joined[key] = dict(message, graphql_errors=0, graphql_has_data=False)
        elif kind in ("next", "error"):
            one = joined[key]
            one["graphql_has_data"] |= message["graphql_has_data"]
            if message["graphql_errors"] and not one["graphql_errors"]:
                one["graphql_error_message"] = message["graphql_error_message"]
                one["graphql_error_code"] = message.get("graphql_error_code", "")
            one["graphql_errors"] += message["graphql_errors"]
    return list(joined.values())


def main():
    truth = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
    calls = [json.loads(line) for line in open(sys.argv[2], encoding="utf-8")]
    others = [call["protocol"] for call in calls if call["protocol"] not in ("GRAPHQL", "WEBSOCKET")]
    calls = sorted((call for call in calls if call["protocol"] == "GRAPHQL"), key=lambda call: call["timestamp"])
    got = {
        "http": [call for call in calls if "http_version" in call and "http2_stream_id" not in call],
        "http2": [call for call in calls if "http2_stream_id" in call],
        "ws": join_messages([call for call in calls if "ws_opcode" in call]),
    }
    bad = others != ["HTTP", "HTTP", "HTTP"]
    if bad:
        print("other calls: %s" % others)
    for protocol in got:
        expected = [one for one in truth if one["protocol"] == protocol]
        if len(expected) != len(got[protocol]) or not expected:
            print("%s: %d operations, not %d" % (protocol, len(got[protocol]), len(expected)))
            bad = True
        for i, (one, call) in enumerate(zip(expected, got[protocol])):
            for what in differences(one, call):
                print("%s, operation %d: %s" % (protocol, i, what))
                bad = True
    print("%d operations compared" % len(truth))
    return bad


sys.exit(main())
