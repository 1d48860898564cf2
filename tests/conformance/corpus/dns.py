"""DNS messages: the facts' and ours, field by field."""

import re
from collections import Counter

from .checks import FULL, OTHER
from .matching import Message

KIND = "dns"
PROTOCOL = "DNS"
RULE = ",dns"
SHARED = True  # a query and its retransmissions are one call

# The facts' word for a section, and our field.
SECTIONS = (("answer", "answers"), ("prerequisite", "prerequisites"), ("authority", "authority"), ("update", "updates"),
            ("additional", "additional"))
TYPES = {
    "A": 1, "NS": 2, "MD": 3, "MF": 4, "CNAME": 5, "SOA": 6, "MB": 7, "MG": 8, "MR": 9, "NULL": 10, "WKS": 11, "PTR": 12, "HINFO": 13,
    "MINFO": 14, "MX": 15, "TXT": 16, "RP": 17, "AFSDB": 18, "X25": 19, "ISDN": 20, "RT": 21, "NSAP": 22, "NSAP-PTR": 23, "SIG": 24,
    "KEY": 25, "PX": 26, "GPOS": 27, "AAAA": 28, "LOC": 29, "NXT": 30, "EID": 31, "NIMLOC": 32, "SRV": 33, "ATMA": 34, "NAPTR": 35,
    "KX": 36, "CERT": 37, "A6": 38, "DNAME": 39, "SINK": 40, "OPT": 41, "APL": 42, "DS": 43, "SSHFP": 44, "IPSECKEY": 45, "RRSIG": 46,
    "NSEC": 47, "DNSKEY": 48, "DHCID": 49, "NSEC3": 50, "NSEC3PARAM": 51, "TLSA": 52, "SMIMEA": 53, "HIP": 55, "NINFO": 56, "RKEY": 57,
    "TALINK": 58, "CDS": 59, "CDNSKEY": 60, "OPENPGPKEY": 61, "CSYNC": 62, "ZONEMD": 63, "SVCB": 64, "HTTPS": 65, "SPF": 99, "UINFO": 100,
    "UID": 101, "GID": 102, "UNSPEC": 103, "NID": 104, "L32": 105, "L64": 106, "LP": 107, "EUI48": 108, "EUI64": 109, "TKEY": 249,
    "TSIG": 250, "IXFR": 251, "AXFR": 252, "MAILB": 253, "MAILA": 254, "ANY": 255, "URI": 256, "CAA": 257, "AVC": 258, "DOI": 259,
    "AMTRELAY": 260, "TA": 32768, "DLV": 32769,
}
CLASSES = {"IN": 1, "CS": 2, "CH": 3, "HS": 4, "NONE": 254, "ANY": 255}
# Which word of a record's data (as dig writes it) the facts hold; -1: all of it.
MAIN_VALUE = {1: -1, 2: 0, 5: 0, 6: 0, 12: 0, 15: 1, 28: -1, 33: 3}
TXT = 16
OPT = 41
SRV = 33
MULTICAST_PORTS = {"5353", "5355"}
ESCAPE = re.compile(rb"\\(?:(\d{3})|(.))", re.S)
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.S)


def number(name, table, prefix):
    if name.startswith(prefix) and name[len(prefix):].isdigit():
        return int(name[len(prefix):])
    return table.get(name, name)


def unescape(text):
    """Presentation format to bytes: \\. and \\DDD (decimal) are undone."""
    return ESCAPE.sub(lambda m: bytes([int(m.group(1)) & 0xFF]) if m.group(1) else m.group(2), text.encode("utf-8"))


def our_name(text):
    """A name in a form that can be compared: as the facts write it, in lower case."""
    if text.endswith(".") and not text.endswith("\\."):
        text = text[:-1]
    return unescape(text).decode("latin-1").lower()


def fact_name(text):
    return "" if text == "<Root>" else text.lower()


def known(facts):
    return facts.get(KIND, {}).get("messages", [])


def level_of(fact):
    confirmed = fact.get("confirmed")
    return FULL if confirmed == "full" else OTHER if confirmed else None


def expected_message(fact):
    names = tuple(fact_name(q["name"]) for q in fact["questions"])
    values = {
        "id": fact["id"], "opcode": fact["opcode"], "counts": fact["counts"], "name": list(names),
        "type": [q["type"] for q in fact["questions"]],
        "class": [q["cls"] for q in fact["questions"]],
        "records": [fact_record(record) for record in fact["records"]],
    }
    if "rcode" in fact:
        values["rcode"] = fact["rcode"]
    half = "request" if fact["qr"] == "query" else "response"
    return Message(half, fact["src"], fact["dst"], [fact["frame"]], (fact["id"], names), values)


def fact_record(record):
    """[section, name, type, ttl, main value], None where the facts are silent."""
    data, kind = record.get("data"), record["type"]
    if kind == TXT and data is not None:
        data = data if isinstance(data, list) else [data]
    elif kind not in MAIN_VALUE:
        data = None
    elif isinstance(data, str) and MAIN_VALUE[kind] >= 0:
        data = fact_name(data)
    name = None if record.get("name") is None else fact_name(record["name"])
    return [record["section"], name, kind, record.get("ttl"), data]


def our_record(section, line):
    if line.startswith(";"):
        return [section, "", OPT, None, line] if "EDNS" in line else [section, None, line, None, None]
    name, ttl, _, kind, data = (line.split("\t", 4) + [""] * 5)[:5]
    kind = number(kind, TYPES, "TYPE")
    if kind == TXT:
        data = [unescape(part).decode("latin-1") for part in QUOTED.findall(data)]
    elif kind in MAIN_VALUE and MAIN_VALUE[kind] >= 0:
        words = data.split(" ")
        data = our_name(words[MAIN_VALUE[kind]]) if len(words) > MAIN_VALUE[kind] else None
    return [section, our_name(name), kind, int(ttl) if ttl.isdigit() else ttl, data]


def counts_of(names, records):
    """Of a message that is told whole."""
    sections = Counter(record[0] for record in records)
    return [len(names), sections["answer"] + sections["prerequisite"], sections["authority"] + sections["update"], sections["additional"]]


def our_messages(calls):
    messages = []
    for index, call in enumerate(calls):
        if call["protocol"] != PROTOCOL:
            continue
        client, server = ("%s:%d" % (call[end]["ip"], call[end]["port"]) for end in ("src", "dst"))
        for half, src, dst in (("request", client, server), ("response", server, client)):
            if half not in call:
                continue
            parts = call[half]
            names = [our_name(name) for name in call.get("dns_questions", [])]
            records = [our_record(section, line) for section, field in SECTIONS for line in parts.get(field, [])]
            values = {
                "id": call.get("dns_id"), "opcode": call.get("dns_opcode"), "name": names,
                # The facts hold the header's four bits; the upper ones are in the OPT record.
                "rcode": None if call.get("dns_rcode") is None else call["dns_rcode"] & 15,
                "type": [number(kind, TYPES, "TYPE") for kind in call.get("dns_question_types", [])],
                "class": [number(name, CLASSES, "CLASS") for name in call.get("dns_question_classes", [])],
                "counts": parts.get("counts") or counts_of(names, records),
                "records": records,
            }
            messages.append(Message(half, src, dst, sorted(parts["frames"]), (call.get("dns_id"), tuple(names)), values, index))
    return messages


def agrees(field, expected, got):
    if field == "class":  # the top bit is mDNS's wish for a unicast answer
        return len(expected) == len(got) and all(g in (e, e & 0x7FFF) for e, g in zip(expected, got))
    if field in ("name", "records", "counts"):
        return same(expected, got)
    return expected == got


def same(expected, got):
    """Equal where the facts say something; U+FFFD in their text stands for any bytes that are not ASCII."""
    if expected is None:
        return True
    if isinstance(expected, list):
        return isinstance(got, list) and len(expected) == len(got) and all(map(same, expected, got))
    if isinstance(expected, str) and "\ufffd" in expected and isinstance(got, str):
        return re.fullmatch(re.sub("\ufffd+", "[\x80-\xff]+", re.escape(expected)), got) is not None
    return expected == got


class Unlisted:
    """Messages that only the second reader saw, and mDNS and LLMNR, of which the facts only count the packets: finding them is
    neither right nor wrong, as long as there are no more of them than that."""

    def __init__(self, facts):
        self.starts = Counter((m["id"], tuple(q[0].lower() for q in m["q"]))
                              for m in facts.get("cross_check", {}).get("dns_second_only", []))
        self.multicast = sum(facts.get("protocol_frames", {}).get(name, 0) for name in ("mdns", "llmnr"))

    def take(self, message):
        if {message.src.rsplit(":", 1)[1], message.dst.rsplit(":", 1)[1]} & MULTICAST_PORTS:
            self.multicast -= 1
            return self.multicast >= 0
        self.starts[message.start] -= 1
        return self.starts[message.start] >= 0
