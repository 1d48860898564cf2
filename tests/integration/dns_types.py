#!/usr/bin/env python3
"""For dns_types.sh and record_dns: `compare CALLS DID PIPELINED` compares dissected calls with what dig and nsupdate printed, field by
field. `pipeline PORT <TYPES` sends a query for each line at once over one connection, and prints its own port and then "id rcode size"
for each answer in the order in which they come."""
import json
import random
import re
import socket
import struct
import sys

SECTIONS = {"ANSWER": "answers", "AUTHORITY": "authority", "ADDITIONAL": "additional", "PREREQUISITE": "prerequisites",
            "UPDATE": "updates", "TSIG": "additional"}


# ---- What dig and nsupdate printed ---------------------------------------------------------------------------------------

def new_message():
    return {"flags": [], "counts": None, "questions": [], "edns": [], "size": None,
            "answers": [], "authority": [], "additional": [], "prerequisites": [], "updates": []}


class Transcript:
    """Exchanges: {sent, got, transport, truncated, transfer}, in the order in which they were made."""

    def __init__(self, lines):
        self.exchanges = []
        self.message = self.section = None
        for line in lines:
            self.take(line.rstrip("\n"))

    def begin(self, transfer=False):
        self.exchanges.append({"sent": new_message(), "got": None, "transport": None, "truncated": False, "transfer": transfer})
        self.message = self.exchanges[-1]["sent"]
        self.section = "AUTHORITY" if transfer else None

    def answer(self):
        self.message = self.exchanges[-1]["got"] = new_message()
        self.section = None

    def take(self, line):
        if re.match(r"; <<>> DiG .* [AI]XFR(=\d+)?$", line):
            self.begin(transfer=True)
        elif line in (";; Sending:", "Outgoing update query:"):
            self.begin()
        elif line in (";; Got answer:", "Reply from update query:"):
            self.answer()
        elif line.startswith(";; Truncated"):
            self.exchanges[-1]["truncated"] = True
            self.exchanges[-1]["transport"] = "UDP"
        elif line.startswith(";; "):
            self.remark(line)
        elif line.startswith(";") and self.section in ("QUESTION", "ZONE"):
            self.message["questions"].append(line[1:].split())
        elif line.startswith("; ") and self.section == "OPT":
            self.message["edns"].append(re.sub(r" \((bad|good|echoed|\d+ bytes)\)$", "", line[2:]))
        elif line and not line.startswith(";") and self.section in SECTIONS:
            self.message[SECTIONS[self.section]].append("\t".join((line.split(None, 4) + [""])[:5]))

    def remark(self, line):
        if found := re.match(r";; ->>HEADER<<- opcode: (\S+), status: (\S+), id: +(\d+)", line):
            self.message.update(opcode=found[1], status=found[2], id=int(found[3]))
        elif found := re.match(r";; flags:([^;]*);(?: MBZ: 0x4;)?", line):
            self.message["flags"] = found[1].split() + ["z"] * ("MBZ" in line)
            self.message["counts"] = [int(number) for number in re.findall(r"[A-Z]: (\d+)\b", line)]
        elif found := re.match(r";; (\w+) (?:PSEUDO)?SECTION:", line):
            self.section = found[1]
        elif found := re.match(r";; QUERY SIZE: (\d+)", line):
            self.message["size"] = int(found[1])
            if self.exchanges[-1]["transfer"]:
                self.answer()
                self.section = "ANSWER"
        elif found := re.match(r";; MSG SIZE  rcvd: (\d+)|;; XFR size: \d+ records \(messages \d+, bytes (\d+)\)", line):
            self.message["size"] = int(found[1] or found[2])
            self.section = None
        elif found := re.match(r";; SERVER: .*\((UDP|TCP)\)", line):
            self.exchanges[-1]["transport"] = found[1]


# ---- Comparing -----------------------------------------------------------------------------------------------------------

def plain(name):
    name = name.lower()
    return name[:-1] if len(name) > 1 and name.endswith(".") and not name.endswith("\\.") else name


def expected_half(message):
    """What a half of the call must hold, by our names."""
    if message["counts"] is None:  # of a transfer dig prints the records only
        return {"answers": message["answers"]}
    edns = message["edns"]
    flags = message["flags"] + (re.search(r"flags:([^;]*);", edns[0])[1].split() if edns else [])
    additional = message["additional"] + (["; " + "; ".join(edns)] if edns else [])
    return {"flags": sorted(flags), "counts": [], "edns_options": edns[1:], "additional": sorted(additional),
            **{name: message[name] for name in ("answers", "authority", "prerequisites", "updates")}}


def our_half(half, fields):
    """Dig prints a query's padding before it knows how much that is."""
    got = {field: half.get(field, []) for field in fields}
    for field in ("edns_options", "additional"):
        if field in got:
            got[field] = [re.sub(r"(PAD:) \(\d+ bytes\)$", r"\1", text) for text in got[field]]
    for field in ("flags", "additional"):
        if field in got:
            got[field] = sorted(got[field])
    return got


def expected_call(exchange):
    sent, got = exchange["sent"], exchange["got"]
    want = {"transport": exchange["transport"], "dns_truncated": exchange["truncated"] or (got is not None and "tc" in got["flags"])}
    if "id" in sent:
        want["dns_id"], want["dns_opcode_name"] = sent["id"], sent["opcode"]
        want["dns_questions"] = [plain(question[0]) for question in sent["questions"]]
        want["dns_question_classes"] = [question[1] for question in sent["questions"]]
        want["dns_question_types"] = [question[2] for question in sent["questions"]]
    if got and "status" in got:
        want["dns_rcode_name"] = got["status"]
        errors = [re.match(r"EDE: \d+ \(([^)]*)\)", option) for option in got["edns"]]
        want["dns_extended_errors"] = [error[1] for error in errors if error]
        subnets = [option[15:] for option in sent["edns"] + got["edns"] if option.startswith("CLIENT-SUBNET: ")]
        want["dns_client_subnet"] = subnets[-1] if subnets else None
    if sent["size"]:
        want["dns_request_length"] = sent["size"]
    if got and got["size"]:
        want["dns_response_length"] = got["size"]
    return want


def compare(exchange, call):
    """Pairs (field, difference)."""
    for field, value in expected_call(exchange).items():
        if value is None and field == "transport":
            continue
        ours = call.get(field, [] if isinstance(value, list) else False if isinstance(value, bool) else None)
        yield field, None if ours == value else "%s: want %s, got %s" % (field, value, ours)
    for half, message in (("request", exchange["sent"]), ("response", exchange["got"])):
        if message is None:
            continue
        want = expected_half(message)
        if half == "request" and exchange["transfer"]:
            want = {"authority": message["authority"]}
        for field, value in want.items():
            ours = our_half(call.get(half, {}), want)[field]
            yield half + "." + field, None if ours == value else "%s.%s: want %s, got %s" % (half, field, value, ours)
    whole = call.get("request", {}).get("complete") and call.get("response", {}).get("complete") and not call.get("partial")
    yield "whole", None if whole else "not whole"


def report(results):
    names = list(dict.fromkeys(name for name, _ in results))
    for number, name in enumerate(names, 1):
        wrong = [difference for field, difference in results if field == name and difference]
        print("%s %d - %s: %d compared" % ("not ok" if wrong else "ok", number, name, sum(field == name for field, _ in results)))
        for difference in wrong[:5]:
            print("# " + difference[:1500])
    print("1..%d" % len(names))
    sys.exit(any(difference for _, difference in results))


def compare_all(calls_path, did_path, pipelined_path):
    with open(calls_path, encoding="utf-8") as file:
        calls = sorted(map(json.loads, file), key=lambda call: call["request"]["first_time"] if "request" in call else "")
    with open(did_path, encoding="latin-1") as file:
        exchanges = Transcript(file).exchanges
    with open(pipelined_path, encoding="ascii") as file:
        port, *answers = [line.split() for line in file]
    connection = {"transport": "TCP", "port": int(port[0])}
    piped = [call for call in calls if {"transport": call["transport"], "port": call["src"]["port"]} == connection]
    calls = [call for call in calls if call not in piped]
    ours = [[str(call["dns_id"]), str(call["dns_rcode"]), str(call["dns_response_length"])] for call in piped]
    results = [("calls", None if len(calls) == len(exchanges) > 250 else "%d calls of %d" % (len(calls), len(exchanges))),
               ("pipelined calls", None if sorted(ours) == sorted(answers) and len(ours) > 50 else "%s, got %s" % (answers, ours))]
    for exchange, call in zip(exchanges, calls):
        asked = " ".join(exchange["sent"]["questions"][0]) if exchange["sent"]["questions"] else "a transfer"
        results += [(field, difference and "%s: %s" % (asked, difference)) for field, difference in compare(exchange, call)]
    report(results)


# ---- Pipelining ----------------------------------------------------------------------------------------------------------

TYPES = {"A": 1, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "NAPTR": 35, "TLSA": 52, "SVCB": 64, "HTTPS": 65, "CAA": 257}


def pipeline(port):
    queries = []
    for line in sys.stdin:
        name, kind = line.split()
        labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
        queries.append(labels + b"\0" + struct.pack("!HH", TYPES.get(kind, 255), 1))
    ids = random.sample(range(65536), len(queries))
    out = b"".join(struct.pack("!HHHHHHH", len(query) + 12, number, 0, 1, 0, 0, 0) + query for number, query in zip(ids, queries))
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        print(connection.getsockname()[1])
        connection.sendall(out)
        stream = connection.makefile("rb")
        for _ in queries:
            size = struct.unpack("!H", stream.read(2))[0]
            number, flags = struct.unpack("!HH", stream.read(size)[:4])
            print(number, flags & 15, size)


if sys.argv[1] == "compare":
    compare_all(*sys.argv[2:])
else:
    pipeline(int(sys.argv[2]))
