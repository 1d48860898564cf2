#!/usr/bin/python3
"""Compares dissected HTTP/2 calls with what clients wrote down: http2_compare.py DIR PROXYPORT. Says what differs.

DIR has the clients' records (HAR files of nghttp), the files that were served, and calls.jsonl.
"""

import base64
import glob
import json
import os
import sys
from collections import Counter


def body(half):
    return base64.b64decode(half["body_base64"]) if "body_base64" in half else half.get("body", "").encode()


def pairs(headers):
    return [(pair["name"], pair["value"]) for pair in headers]


class Comparison:
    def __init__(self, directory, proxy):
        self.directory, self.proxy, self.bad = directory, proxy, 0
        calls = [json.loads(line) for line in open(directory + "/calls.jsonl", encoding="utf-8")]
        self.all = calls
        self.calls = sorted((call for call in calls if call["protocol"] == "HTTP2"), key=lambda call: call["timestamp"])
        self.used = set()

    def say(self, text):
        print(text)
        self.bad += 1

    def har(self, name, entries):
        for entry in entries[name == "upgrade.har":]:  # the request that was upgraded is the HTTP/1.1 call's
            request, response = entry["request"], entry["response"]
            call = self.find(request, response)
            if call is None:
                self.say("%s: no call for %s %s" % (name, request["method"], request["url"]))
                continue
            self.compare(name, request, response, call)

    def find(self, request, response):
        """The first call that is not used and has these header fields; those that depend on the time are among them."""
        wanted = (request["method"] or "GET", request["url"], response["status"])  # it has no method of what was pushed
        for index, call in enumerate(self.calls):
            if index in self.used or (call.get("method"), call.get("url"), call.get("status_code")) != wanted:
                continue
            got = None
            if "headers" in call.get("request", {}):
                got = [pair for pair in pairs(call["request"]["headers"]) if pair[0] != "trailer"]  # of which it writes nothing
            if got is not None and not call.get("http2_pushed") and pairs(request["headers"]) != got:
                continue
            self.used.add(index)
            return call
        return None

    def compare(self, name, request, response, call):
        what = "%s: %s %s" % (name, request["method"], request["url"])
        missing = set(pairs(response["headers"])) - set(pairs(call["response"]["headers"])) - set(
            pairs(call["response"].get("trailers", [])))
        if missing:
            self.say("%s: response fields %r" % (what, missing))
        if call["response_body_size"] != response["content"]["size"]:
            self.say("%s: body of %d bytes, not %d" % (what, call["response_body_size"], response["content"]["size"]))
        if not call["response"]["complete"] or call.get("partial"):
            self.say("%s: incomplete or partial" % what)
        path = self.directory + "/www" + call["path"]
        if call["status_code"] == 200 and os.path.isfile(path) and body(call["response"]) != open(path, "rb").read():
            self.say("%s: another body" % what)

    def expect(self, what, count, condition):
        got = sum(1 for call in self.calls if condition(call))
        if got != count if isinstance(count, int) else not count(got):
            self.say("%s: %d calls" % (what, got))

    def facts(self):
        upload = open(self.directory + "/upload", "rb").read()
        at_server = [call for call in self.calls if call["dst"]["port"] != self.proxy]
        self.expect("pushed", lambda n: n >= 4, lambda call: call.get("http2_pushed") and call.get("http2_promised_on") and
                    call["http2_stream_id"] % 2 == 0 and call["status_code"] == 200)
        self.expect("upgraded", 2, lambda call: call.get("http2_upgraded") and call["status_code"] == 200 and
                    call["method"] == "GET" and call["path"] == "/item.json" and call["request"]["complete"] and
                    call["url"] == "http://127.0.0.1:%s/item.json" % self.proxy and body(call["response"]) == b'{"id":7}\n')
        self.expect("uploads", 3, lambda call: call.get("path") == "/up" and body(call["request"]) == upload and
                    call["dst"]["port"] != self.proxy)
        self.expect("echoes", 3, lambda call: call.get("path") == "/up" and body(call["response"]) == upload and
                    call["dst"]["port"] != self.proxy)
        self.expect("request trailers", 1, lambda call: pairs(call.get("request", {}).get("trailers", [])) == [("x-end", "yes")])
        self.expect("response trailers", lambda n: n > 100, lambda call: pairs(call.get("response", {}).get("trailers", [])) ==
                    [("x-sum", "42")])
        self.expect("padding", lambda n: n > 0, lambda call: call.get("http2_padding", 0) > 0)
        self.expect("flow control", lambda n: n >= 1, lambda call: call.get("path") == "/large.bin" and
                    call.get("http2_response_window", 0) > 200000)
        self.expect("settings", lambda n: n > 5, lambda call: "http2_client_settings" in call)
        self.expect("cookies", 3, lambda call: pairs(call.get("request", {}).get("cookies", [])) == [("a", "b"), ("c", "d")])
        self.expect("continued", 1, lambda call: call.get("request_headers_size", 0) > 16384)
        self.expect("interim", lambda n: n >= 1, lambda call: "100" in map(str, call.get("http_informational", [])))
        self.expect("h2load", 300, lambda call: str(call.get("http_user_agent", "")).startswith("h2load") and
                    call["status_code"] == 200)
        self.expect("curl", 1, lambda call: ("x-curl", "one") in pairs(call.get("request", {}).get("headers", [])))
        ids = Counter((call["conn_id"], call["http2_stream_id"]) for call in self.calls)
        if max(ids.values()) > 1:
            self.say("a stream is in several calls")
        if any(not call.get("request", {}).get("complete") and not call.get("http2_pushed")
               for call in at_server):
            self.say("a request is not complete")
        if sum(call["protocol"] == "HTTP" and call["status_code"] == 101 for call in self.all) != 2:
            self.say("there are not two calls that ask for an upgrade")


def main():
    comparison = Comparison(sys.argv[1], int(sys.argv[2]))
    records = [(os.path.basename(path), json.load(open(path, encoding="utf-8"))["log"]["entries"])
               for path in glob.glob(sys.argv[1] + "/*.har")]
    if len(records) < 11:
        comparison.say("only %d records" % len(records))
    for name, entries in sorted(records, key=lambda record: record[1][0]["startedDateTime"]):
        comparison.har(name, entries)
    comparison.facts()
    return 1 if comparison.bad else 0


if __name__ == "__main__":
    sys.exit(main())
