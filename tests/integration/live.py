"""Compares calls.jsonl in a directory with what the servers and clients there wrote down; prints TAP.

access.log: nginx, JSON lines; queries.log: dnsmasq's log of queries; dig.log: what dig printed."""

import collections
import json
import re
import sys

number = 0
failed = 0


def check(name, differences):
    global number, failed
    number += 1
    failed += bool(differences)
    print(("not ok" if differences else "ok"), number, "-", name)
    for difference in differences[:10]:
        print("#", difference)


def compare(name, got, want):
    """Both are multisets; nothing may be missing, and nothing more be there."""
    got, want = collections.Counter(got), collections.Counter(want)
    differences = ["missing: %s" % (v,) for v in want - got] + ["not logged: %s" % (v,) for v in got - want]
    check("%s (%d)" % (name, sum(want.values())), differences if want else ["nothing was logged"])


def read(name):
    with open(sys.argv[1] + "/" + name, encoding="utf-8") as f:
        return f.read().splitlines()


CONTINUE = len("HTTP/1.1 100 Continue\r\n\r\n")  # nginx counts it, we do not


def is_read(target, body):
    """Did the server wait for the whole request? If not, the client may not have sent all."""
    return not body or target.startswith("/stored")


def check_http(calls, log):
    def same(name, call_key, log_key, of_calls=calls, of_log=log):
        compare(name, [(c["src"]["port"], c["method"], call_key(c)) for c in of_calls],
                [(r["port"], r["method"], log_key(r)) for r in of_log])

    same("targets", lambda c: c["http_request_target"], lambda r: r["uri"])
    same("versions", lambda c: "HTTP/" + c["http_version"], lambda r: r["version"])
    same("hosts", lambda c: c.get("http_host", ""), lambda r: r["host"])
    same("agents", lambda c: c.get("http_user_agent", ""), lambda r: r["agent"])
    same("status codes", lambda c: c["status_code"], lambda r: r["status"])
    same("sizes of responses on the wire", lambda c: c["response"]["size"],
         lambda r: r["response_size"] - CONTINUE * bool(r["expect"]))
    chunked = {(r["port"], r["uri"]) for r in log if r["coding"] == "chunked"}
    same("sizes of bodies that are not in chunks", lambda c: c["response_body_size"],
         lambda r: r["body_size"] - CONTINUE * bool(r["expect"]),
         [c for c in calls if (c["src"]["port"], c["http_request_target"]) not in chunked], [r for r in log if r["coding"] != "chunked"])
    read = {(r["port"], r["uri"]) for r in log if is_read(r["uri"], r["body"])}
    whole = [c for c in calls if (c["src"]["port"], c["http_request_target"]) in read]
    same("sizes of requests on the wire", lambda c: c["request"]["size"], lambda r: r["request_size"],
         whole, [r for r in log if is_read(r["uri"], r["body"])])
    check("they are complete (%d)" % len(whole), [c["http_request_target"] for c in whole if not c["request"]["complete"]])
    check("all responses are complete", [c["http_request_target"] for c in calls if not c["response"]["complete"] or c.get("partial")])


def check_dns(calls, queries, dig):
    want = []
    for line in queries:
        found = re.search(r" 127\.0\.0\.1/(\d+) query\[(\S+)\] (\S+) from ", line)
        if not found:
            check("dnsmasq's log is understood", [line])
            continue
        port, kind, name = found.groups()
        kind = re.sub(r"^type=", "TYPE", kind)
        want.append((int(port), kind, name.lower()))
    got = [(c["src"]["port"], c["dns_question_types"][0], c["dns_questions"][0]) for c in calls]
    compare("questions", got, want)

    header = r"opcode: (\w+), status: (\w+), id: (\d+)\n;; flags: ([a-z ]*); QUERY: 1, ANSWER: (\d+), AUTHORITY: (\d+)"
    seen = collections.Counter((c["dns_opcode_name"], c["dns_rcode_name"], str(c["dns_id"]), header_flags(c["response"]["flags"]),
                                str(len(c["response"].get("answers", []))), str(len(c["response"].get("authority", [])))) for c in calls)
    told = collections.Counter(re.findall(header, "\n".join(dig)))
    check("answers that dig printed (%d)" % sum(told.values()), [str(v) for v in told - seen] if told else ["dig printed none"])
    cut = [c for c in calls if "tc" in c["response"]["flags"]]
    check("all others were cut, and dig asked again (%d)" % len(cut), [str(v) for v in seen - told if " tc" not in v[3]])
    check("each was answered", [c["dns_questions"][0] for c in calls if not c["response"]["complete"]])


def header_flags(flags):
    """Without those of EDNS, which dig tells elsewhere."""
    return " ".join(flag for flag in flags if flag not in ("do", "co"))


def main():
    calls = [json.loads(line) for line in read("calls.jsonl")]
    check_http([c for c in calls if c["protocol"] == "HTTP"], [json.loads(line) for line in read("access.log")])
    check_dns([c for c in calls if c["protocol"] == "DNS"], read("queries.log"), read("dig.log"))
    check("nothing else was found", [c["protocol"] for c in calls if c["protocol"] not in ("HTTP", "DNS")])
    print("1..%d" % number)
    return failed != 0


sys.exit(main())
