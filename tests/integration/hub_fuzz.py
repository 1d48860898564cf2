#!/usr/bin/env python3
"""A client that means harm: `hub_fuzz.py --tapedeck FILE --work DIR`. Prints as a test does.

`tapedeck run` gets thousands of requests made from its own OpenAPI description and then spoiled: methods, paths, parameters, bodies,
header fields, broken JSON, huge and odd values, several at once, cut off in the middle or never read. It must not crash, not hang, not
answer with 500, lose neither descriptors nor threads, answer with what it has described, and work as before afterwards."""

import argparse
import collections
import contextlib
import http.client
import json
import os
import pathlib
import random
import re
import signal
import socket
import string
import struct
import subprocess
import sys
import threading
import time
import urllib.parse

CAPTURE = "plugins/dissectors/http/captures/nginx_curl.pcap"
CLIENTS = 6
HANG_S = 30  # nothing takes so long
CROWD = 260  # connections: more than tap.hub takes at once
CHUNK = 200  # requests; in between it is seen to that there is something to ask for
GOOD_5XX = {501, 503, 505, 507}  # cannot, come again, a version of HTTP that it does not speak, no room

WORDS = ["", "keep", "keep/default", "default", "fuzz-1", "fuzz-2", "first", "..", ".", "/", "a/b", "A", "-", "x" * 127, "x" * 129,
         "x" * 5000,
         "é", "\u0000", "\ud7ff", "😀", "%", "%%", "%00", "'", '"', "\\", "<script>", "${x}", "{{}}", "$(id)", "; drop table jobs", "null",
         "true", "0", "-1", "1", "9223372036854775807", "9223372036854775808", "18446744073709551616", "1e9", "1e999", "NaN", "0x10", " 1",
         "1 ",
         "now", "now-5m", "now+1h", "2026-01-02T03:04:05Z", "2026-13-45T99:99:99Z", "1970-01-01T00:00:00Z",
         "9999-12-31T23:59:59.999999999Z",
         "0001-01-01T00:00:00Z", "10s", "1h", "-1h", "1000000000h", "0s", "1ns", "n1", "n1.1", "o0.1", "n-9223372036854775808.1",
         "n99999999999999999999.99999999999999999999", "keep/default:1", "keep/default:0", "keep:1", "keep/default:99999999999999999999",
         "%F0%9F"]
FILTERS = ["http", "dns", "status_code >= 400", "status_code == 200 && http", 'request.path.startsWith("/")', "statsu == 1", "(((((",
           ")" * 500,
           "!" * 2000 + "http", "(" * 3000, "a.b.c.d.e", '"' + "x" * 60000, 'matches(request.path, "(a+)+$")',
           'request.path.matches("(x{1000}){1000}")',
           "timestamp > now() - duration('5m')", "1/0 == 1", "-9223372036854775808 / -1 == 1", "[1,2,3].exists(x, x == 1)",
           "[1,2,3,4,5,6,7,8].all(a, [1,2,3,4,5,6,7,8].all(b, [1,2,3,4,5,6,7,8].all(c, [1,2,3,4,5,6,7,8].all(d, a+b+c+d > 0))))",
           "\u0000", "é == 'é'", "{}", "has(request)", "src.ip == '10.0.0.0/8'", "http || " * 3000 + "http", "size(request.headers) > 0"]
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", "PROPFIND", "X" * 300, "G\x00T", "É",
           "M-SEARCH", ""]


class Checks:
    def __init__(self):
        self.number, self.failed, self.lock = 0, collections.OrderedDict(), threading.Lock()

    def fault(self, what, said):
        with self.lock:
            self.failed.setdefault(what, []).append(str(said)[:1500])

    def holds(self, what, good, said=""):
        if not good:
            self.fault(what, said)
        self.tell(what)

    def tell(self, what):
        self.number += 1
        faults = self.failed.get(what, [])
        print(f"{'not ok' if faults else 'ok'} {self.number} - {what}")
        for said in faults[:5]:
            print("#   " + said.replace("\n", "\n#   "))


class Hub:
    def __init__(self, tapedeck, work):
        self.log, self.process = os.path.join(work, "hub.log"), None
        options = {"node": "n1", "dataDir": os.path.join(work, "data"), "worker": {"listen": "127.0.0.1:0"},
                   "hub": {"listen": "127.0.0.1:0", "workerPatience": "2s", "auditLog": os.path.join(work, "audit.log")},
                   "capture": {"source": {"file": os.path.abspath(CAPTURE), "times": "now"},
                               "raw": {"storageSize": "16Mi", "minFreeSpace": "0"}},
                   "snapshots": {"local": {"storageSize": "64Mi"}}}
        config = os.path.join(work, "run.yaml")
        pathlib.Path(config).write_text(json.dumps({"tap": options}), encoding="utf-8")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([tapedeck, "run", "-c", config], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.port = self.find_port()

    def said(self):
        return pathlib.Path(self.log).read_text(encoding="utf-8", errors="replace")

    def find_port(self):
        """The one of its two that has the hub's API."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.process.poll() is None:
            for port in re.findall(r"127\.0\.0\.1:(\d+)", self.said()):
                with contextlib.suppress(OSError, http.client.HTTPException):
                    if ask(int(port), "GET", "/api/v1/openapi.json")[0] == 200:
                        return int(port)
            time.sleep(0.05)
        raise SystemExit(f"Bail out! it does not start: {self.said()[-1000:]}")

    def count(self, what):
        return len(os.listdir(f"/proc/{self.process.pid}/{what}"))

    def resident_mb(self):
        return int(re.search(r"VmRSS:\s+(\d+)",
                             pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")).group(1)) / 1024


def ask(port, method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HANG_S)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        answer = connection.getresponse()
        text = answer.read()
        with contextlib.suppress(ValueError):
            return answer.status, json.loads(text)
        return answer.status, text
    finally:
        connection.close()


def until(seconds, good):
    deadline = time.monotonic() + seconds
    while not good():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


# ---- Requests ----

Request = collections.namedtuple("Request", "data method what whole cut reads")


class Maker:
    """Makes requests. `ids`: what the hub has told that there is."""

    def __init__(self, operations, seed, ids):
        self.operations, self.random, self.ids = operations, random.Random(seed), ids

    def chance(self, p):
        return self.random.random() < p

    def word(self):
        kind = self.random.random()
        if kind < 0.5:
            return self.random.choice(WORDS)
        if kind < 0.6:
            return self.random.choice(FILTERS)
        return "".join(self.random.choice(string.printable) for _ in range(self.random.randrange(20)))

    def value(self, name, schema):
        """One that the description allows, mostly."""
        if self.chance(0.12):
            return self.word()
        if "enum" in schema:
            return self.random.choice(schema["enum"])
        known = {"name": ["keep", f"fuzz-{self.random.randrange(6)}", "default", "other"], "snapshot": ["keep", "keep", "fuzz-1"],
                 "db": ["keep", "keep/default", "keep/other"], "filter": FILTERS, "last": ["10s", "1m", "1h"], "cursor": ["n1.1"],
                 "start": ["now-1h", "2026-01-01T00:00:00Z"], "end": ["now", "now-1s"], "id": self.ids or ["x"],
                 "subject": ["keep", "fuzz-1"],
                 "nodes": ["n1"], "kind": ["create", "dissect", "verify"], "bpf": ["tcp", "port 80", "(((", "host 127.0.0.1"],
                 "connections": ["true"]}
        if schema.get("type") == "boolean":
            return self.random.choice([True, False, "true", "false"])
        if schema.get("type") in ("integer", "number"):
            return self.random.choice([0, 1, 5, 100, 1000, 1001, -1, 2**31, 2**63 - 1, 2**63, 1.5])
        if schema.get("type") == "array":
            return [self.value(name, schema.get("items", {})) for _ in range(self.random.choice([0, 1, 1, 2, 50]))]
        return self.random.choice(known.get(name, WORDS))

    def text(self, value):
        if isinstance(value, list):
            value = ",".join(map(self.text, value))
        if isinstance(value, bool):
            return "true" if value else "false"
        if self.chance(0.02):
            return str(value)  # not encoded
        return urllib.parse.quote(str(value).encode("utf-8", "surrogatepass"), safe="")

    def target(self, path, operation):
        query = []
        for parameter in operation["parameters"]:
            value = self.value(parameter["name"], parameter["schema"])
            if parameter["in"] == "path":
                path = path.replace("{" + parameter["name"] + "}", self.text(value))
            elif self.chance(0.8 if parameter["required"] else 0.35):
                query.append(f"{parameter['name']}={self.text(value)}")
        if self.chance(0.04):
            query.append(f"{self.text(self.word())}={self.text(self.word())}")
        if query and self.chance(0.03):
            query.append(query[0])
        target = path + ("?" + "&".join(query) if query else "")
        if self.chance(0.06):
            target = self.spoil_target(target)
        return target

    def spoil_target(self, target):
        at = self.random.randrange(len(target) + 1)
        return self.random.choice([
            lambda: target[:at] + self.random.choice(["/", "//", "/../", "/./", "%2e%2e/", "%00", "%", "%zz", "?", "&", "=", "#", ";", "+",
                                                      "\\", "\t"])
            + target[at:], lambda: target[:at], lambda: target + "/" * 3,
            lambda: target + "a" * self.random.choice([100, 8000, 9000, 40000]),
            lambda: target.upper(), lambda: "http://elsewhere.test" + target, lambda: "*", lambda: target[1:],
            lambda: target + "?" + "&".join(f"a{i}=1" for i in range(500))])()

    def body(self, operation):
        schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        if schema is None:
            return self.random.choice([b"x", b"{}", b"x" * 100000]) if self.chance(0.05) else b""
        needed = schema.get("required", [])
        value = {name: self.value(name, one) for name, one in schema.get("properties", {}).items() if name in needed or self.chance(0.3)}
        if "last" in value and self.chance(0.9):
            value.pop("start", None), value.pop("end", None)
        if self.chance(0.05):
            value[self.word()] = self.odd_value()
        if value and self.chance(0.1):
            value[self.random.choice(list(value))] = self.odd_value()
        if value and self.chance(0.03):
            value.pop(self.random.choice(list(value)))
        data = json.dumps(value, ensure_ascii=self.chance(0.5)).encode("utf-8", "surrogatepass")
        return self.spoil_body(data) if self.chance(0.12) else data

    def odd_value(self):
        return self.random.choice([None, True, [], {}, "", 0, -1, 1.5, 2**70, "x" * 100000, [[]] * 100, {"a": {"b": {"c": []}}},
                                   ["n1"] * 5000, ["n1", None],
                                   [1], "\ud800", "a\u0000b", self.word()])

    def spoil_body(self, data):
        at = self.random.randrange(len(data) + 1)
        flipped = bytearray(data)
        for _ in range(self.random.randrange(1, 4)):
            flipped[self.random.randrange(len(flipped))] = self.random.randrange(256)
        return self.random.choice([
            data[:at], bytes(flipped), data[:at] + data[at:] * 2, b"[" * 5000, b'{"a":' * 3000, b'{"name":"a","name":"b"}',
            b"\xff\xfe" + data, b"",
            b"null", b"1e9999", b'"' + b"x" * 300000 + b'"', b"{" + b" " * 250000 + b"}", b'{"name":"\\ud800"}', b'{"name":"\\u0000"}',
            b"\0" * 100,
            b'{"limit":99999999999999999999999999}', data + b"garbage", b"<xml/>"])

    def headers(self, body):
        """Lines, and whether they tell the truth about the body."""
        lines, whole = [f"Host: {self.random.choice(['127.0.0.1', 'localhost', '127.0.0.1:80'])}"], True
        if self.chance(0.02):
            lines, whole = self.random.choice([[], ["Host: evil.test"], ["Host: a", "Host: b"], ["Host:"]]), False
        chunked = body and self.chance(0.1)
        if chunked:
            lines.append("Transfer-Encoding: chunked")
        elif body or self.chance(0.3):
            lines.append(f"Content-Length: {len(body)}")
        if self.chance(0.1):
            name = self.random.choice(["Range", "If-None-Match", "If-Range", "Accept", "Accept-Encoding", "Authorization", "Cookie",
                                       "Last-Event-ID", "Origin",
                                       "Content-Type", "If-Modified-Since", "Connection", "Via", "X-Forwarded-For", "Accept-Language",
                                       "Content-Encoding"])
            lines.append(name + ": " + self.random.choice([
                "bytes=0-10", "bytes=-1", "bytes=99999999999999999999-", "bytes=0-1,3-4", "gzip", "gzip;q=0, *;q=99", "identity;q=0",
                "zstd, br, gzip;q=0.5",
                "text/event-stream", '"x"', "*", 'W/"', "Bearer x", "Bearer " + "y" * 5000, "Basic Og==", "close", "upgrade", "keep-alive",
                "é", "x" * 20000,
                ",,,,;q=;=", ""]))
        if self.chance(0.03):
            lines += self.random.choice([["X-Many: 1"] * 2000, ["X: " + "z" * 40000], ["no colon"], [": empty"], ["A b: c"], ["X: a\x00b"],
                                         [" folded"],
                                         ["Expect: 100-continue"], ["Expect: nonsense"]])
            whole = False
        if self.chance(0.02):
            wrong = self.random.choice(["Content-Length: -1", "Content-Length: 99999999999999999999999",
                                        f"Content-Length: {len(body) + 10}",
                                        "Content-Length: 1e3", "Transfer-Encoding: gzip", "Transfer-Encoding: chunked",
                                        "Content-Length: 0x10"])
            lines, whole = lines + [wrong], False
        if chunked:
            size = self.random.choice([1, 7, 1000, 1 << 20])
            parts = [body[i:i + size] for i in range(0, len(body), size)][:3000]
            body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
            if self.chance(0.1):
                body, whole = self.random.choice([b"zz\r\n", b"ffffffffffffffffffff\r\nx", b"-1\r\n", body[:-3], b"5\r\nab"]), False
        return lines, body, whole

    def make(self):
        path, method, operation = self.random.choice(self.operations)
        target, body = self.target(path, operation), self.body(operation)
        sent_method = self.random.choice(METHODS) if self.chance(0.04) else method
        lines, body, whole = self.headers(body)
        version = "HTTP/1.1"
        if self.chance(0.02):
            version = self.random.choice(["HTTP/1.0", "HTTP/2.0", "HTTP/1.2", "HTTP/0.9", "http/1.1", "", "HTTP/1.1 x"])
        whole &= version == "HTTP/1.1" and sent_method.isupper() and not re.search(r"[\x00-\x20\x7f#]", target) and target.startswith("/")
        head = "\r\n".join([f"{sent_method} {target} {version}", *lines]) + "\r\n\r\n"
        data = head.encode("utf-8", "surrogatepass") + body
        cut = None
        if self.chance(0.06):
            cut = self.random.randrange(len(data))
        if self.chance(0.01):
            data, whole = self.random.randbytes(self.random.randrange(1, 3000)), False
        return Request(data, sent_method, f"{method} {path}", whole, cut, not self.chance(0.04))


# ---- Asking, and judging the answer ----

class Client:
    def __init__(self, port, maker, checks):
        self.port, self.maker, self.checks, self.statuses = port, maker, checks, collections.Counter()

    def send(self, request):
        with socket.create_connection(("127.0.0.1", self.port), timeout=HANG_S) as s:
            if request.cut is not None:
                self.cut(s, request)
                return
            with contextlib.suppress(ConnectionError):  # it may refuse before it has everything
                s.sendall(request.data)
            if not request.reads:
                time.sleep(self.maker.random.uniform(0, 0.02))
                return
            if not request.whole:
                s.settimeout(1)  # it may wait for the rest
                with contextlib.suppress(OSError):
                    s.shutdown(socket.SHUT_WR)
            self.read(s, request)

    def cut(self, s, request):
        with contextlib.suppress(ConnectionError):
            s.sendall(request.data[:request.cut])
        if self.maker.chance(0.5):  # with a reset
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        time.sleep(self.maker.random.uniform(0, 0.03))

    def read(self, s, request):
        answer = http.client.HTTPResponse(s, method=request.method or "GET")
        try:
            answer.begin()
            kind = answer.getheader("Content-Type", "")
            events = kind.startswith("text/event-stream")
            text = b"" if events else answer.read()
        except TimeoutError:
            if request.whole:
                self.checks.fault("nothing hangs", request.data[:600])
            return
        except (OSError, http.client.HTTPException) as error:
            if request.whole and not isinstance(error, ConnectionError):
                self.checks.fault("answers are HTTP", f"{error!r}: {request.data[:600]}")
            return
        finally:
            answer.close()
        self.statuses[answer.status] += 1
        self.judge(request, answer.status, kind, text)

    def judge(self, request, status, kind, text):
        if status >= 500 and status not in GOOD_5XX:
            self.checks.fault("no 500", f"{status} {text[:500]}: {request.data[:900]}")
        if request.method == "HEAD":
            return
        if kind.startswith("application/") and kind.split(";")[0].endswith("json") and text[:2] != b"\x1f\x8b":
            try:
                value = json.loads(text)
            except ValueError as error:
                if b"ncoding" not in request.data:  # else it may be compressed
                    self.checks.fault("JSON is JSON", f"{error}: {text[:300]}: {request.data[:600]}")
                return
            if kind.startswith("application/problem") and not {"type", "title", "status", "detail", "code"} <= value.keys():
                self.checks.fault("problems are whole", f"{text[:300]}: {request.data[:600]}")
            if kind.startswith("application/problem") and value.get("status") != status:
                self.checks.fault("problems are whole", f"{status}: {text[:300]}")
        elif status >= 400 and request.whole and b"x" * 5000 not in request.data and len(request.data) < 6000:
            self.checks.fault("errors are problems", f"{status} {kind} {text[:200]}: {request.data[:600]}")

    def run(self, times):
        for _ in range(times):
            request = self.maker.make()
            try:
                self.send(request)
            except OSError as error:
                self.checks.fault("connections are taken", f"{error!r}: {request.data[:300]}")
                return


# ---- The whole ----

def job_of(port, answer):
    """The job's state when it has ended."""
    if answer[0] != 202:
        return f"{answer[0]} {answer[1]}"
    until(HANG_S, lambda: ask(port, "GET", f"/api/v1/jobs/{answer[1]['job']}")[1]["state"] in ("completed", "failed", "cancelled"))
    job = ask(port, "GET", f"/api/v1/jobs/{answer[1]['job']}")[1]
    return job["state"] if job["state"] == "completed" else job


def end_jobs(port):
    for job in ask(port, "GET", "/api/v1/jobs")[1]["jobs"]:
        if job["state"] in ("pending", "running"):
            ask(port, "POST", f"/api/v1/jobs/{job['id']}/cancel")
    return until(HANG_S, lambda: not any(job["state"] in ("pending", "running") for job in ask(port, "GET", "/api/v1/jobs")[1]["jobs"]))


def provide(port, ids):
    """A snapshot and a dissection to be asked for, and ids that there are."""
    snapshots = ask(port, "GET", "/api/v1/snapshots")[1]["snapshots"]
    if len(snapshots) > 12:
        for one in snapshots:
            ask(port, "DELETE", f"/api/v1/snapshots/{urllib.parse.quote(one['name'], safe='')}")
    if ask(port, "GET", "/api/v1/snapshots/keep")[1].get("status") not in ("Completed", "Dissected"):
        job_of(port, ask(port, "POST", "/api/v1/snapshots", {"name": "keep", "last": "1h", "allow_partial": True}))
    if ask(port, "GET", "/api/v1/dissections/keep/default")[1].get("state") != "completed":
        job_of(port, ask(port, "POST", "/api/v1/dissections", {"snapshot": "keep"}))
    status, answer = ask(port, "GET", "/api/v1/calls?db=keep/default&limit=5")
    ids[:] = [call["id"] for call in answer["calls"]] if status == 200 else []
    ids += [job["id"] for job in ask(port, "GET", "/api/v1/jobs")[1]["jobs"][:5]]


def fuzz(hub, arguments, checks, operations):
    ids, statuses = [], collections.Counter()
    clients = [Client(hub.port, Maker(operations, arguments.seed + i, ids), checks) for i in range(CLIENTS)]
    for _ in range(0, arguments.requests, CHUNK):
        provide(hub.port, ids)
        threads = [threading.Thread(target=client.run, args=(CHUNK // CLIENTS,)) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if hub.process.poll() is not None:
            break
    for client in clients:
        statuses += client.statuses
    print("# answers: " + ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items())))
    return statuses


def check_crowd(hub, checks):
    """More clients than it takes, all of whom have begun a request and do not end it."""
    crowd = []
    with contextlib.suppress(OSError):
        for _ in range(CROWD):
            crowd.append(socket.create_connection(("127.0.0.1", hub.port), timeout=5))
            crowd[-1].sendall(b"GET /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nX: ")
    health, jobs = ask(hub.port, "GET", "/healthz")[0], ask(hub.port, "GET", "/api/v1/jobs")
    checks.holds("when there is a crowd, its health is told", health == 200, health)
    checks.holds("and others are told to come again", jobs[0] == 503 and jobs[1]["code"] == "too_many_connections", jobs)
    for one in crowd:
        one.close()
    checks.holds("when it has left, it answers as before", until(10, lambda: ask(hub.port, "GET", "/api/v1/jobs")[0] == 200))


def open_files(pid):
    files = []
    for entry in os.scandir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed since
            files.append(os.readlink(entry.path))
    return files


def check_after(hub, checks, before):
    port = hub.port
    checks.holds("jobs come to an end", end_jobs(port))
    provide(port, [])
    settled = until(15, lambda: hub.count("fd") <= before["fd"] + 2 and hub.count("task") <= before["task"] + 1)
    now = {what: hub.count(what) for what in before}
    checks.holds("no descriptors or threads are lost", settled, f"before {before}, after {now}: {open_files(hub.process.pid)}")
    print(f"# {hub.resident_mb():.0f} MB resident")
    name = "after-all"
    for one in ask(port, "GET", "/api/v1/snapshots")[1]["snapshots"]:
        if one["name"] != "keep":
            ask(port, "DELETE", f"/api/v1/snapshots/{one['name']}")
    made = job_of(port, ask(port, "POST", "/api/v1/snapshots", {"name": name, "last": "1h", "allow_partial": True}))
    checks.holds("a snapshot can be made", made == "completed", made)
    dissected = job_of(port, ask(port, "POST", "/api/v1/dissections", {"snapshot": name}))
    checks.holds("and dissected", dissected == "completed", dissected)
    calls = ask(port, "POST", "/api/v1/calls", {"db": name, "filter": "http"})
    checks.holds("and searched", calls[0] == 200 and calls[1]["calls"], calls)
    verified = job_of(port, ask(port, "POST", f"/api/v1/snapshots/{name}/verify"))
    checks.holds("and verified", verified == "completed", verified)
    deleted = ask(port, "DELETE", f"/api/v1/snapshots/{name}")
    checks.holds("and deleted", deleted[0] == 204, deleted)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tapedeck", required=True)
    parser.add_argument("--work", required=True, help="a directory for everything that is written")
    parser.add_argument("--requests", type=int, default=3000, help="how many (default: 3000)")
    parser.add_argument("--seed", type=int, default=None, help="of what is random (default: by the clock)")
    arguments = parser.parse_args()
    arguments.seed = time.time_ns() % 10**9 if arguments.seed is None else arguments.seed
    print(f"# seed {arguments.seed}")
    checks, hub = Checks(), Hub(arguments.tapedeck, arguments.work)
    try:
        until(10, lambda: any(node["packets"] for node in ask(hub.port, "GET", "/api/v1/nodes")[1]["nodes"]))
        provide(hub.port, [])
        description = ask(hub.port, "GET", "/api/v1/openapi.json")[1]
        operations = [(path, method.upper(), operation)
                      for path, item in description["paths"].items() for method, operation in item.items()]
        time.sleep(0.3)
        before = {"fd": hub.count("fd"), "task": hub.count("task")}
        statuses = fuzz(hub, arguments, checks, operations)
        checks.holds("it lives", hub.process.poll() is None, f"status {hub.process.poll()}: {hub.said()[-1500:]}")
        for what in ("no 500", "nothing hangs", "answers are HTTP", "JSON is JSON", "problems are whole", "errors are problems",
                     "connections are taken"):
            checks.tell(what)
        checks.holds("requests were good and bad ones",
                     statuses[200] > 50 and statuses[202] > 3 and statuses[400] > 50 and statuses[404] > 20, statuses)
        check_crowd(hub, checks)
        check_after(hub, checks, before)
    finally:
        hub.process.send_signal(signal.SIGTERM)
        try:
            status = hub.process.wait(20)
        except subprocess.TimeoutExpired:
            hub.process.kill()
            status = "none: it had to be killed"
        checks.holds("it ends well", status == 0 and "Sanitizer" not in hub.said() and "runtime error" not in hub.said(),
                     f"status {status}: {hub.said()[-3000:]}")
    print(f"1..{checks.number}")
    sys.exit(1 if checks.failed else 0)


if __name__ == "__main__":
    main()
