"""Adds checks up: per field the mean over captures (macro), so that big captures do not drown small ones, and the total (micro)."""

from collections import defaultdict

from .checks import FULL

# Percent of the macro-averaged agreement; fields without a bar are information.
BARS = {
    "http1": {"recall": 99.9, "precision": 99.9, "endpoints": 99.9, "method": 99.9, "uri": 99.9, "version": 99.9, "host": 99.9,
              "status": 99.9, "phrase": 99.9, "headers": 99.9, "body_len": 99.9, "body_sha256": 99.9, "body_size": 99.9, "pairs": 99.9},
    "http2": {"recall": 99, "precision": 99, "endpoints": 99, "method": 99, "path": 99, "authority": 99, "scheme": 99, "status": 99,
              "headers": 99, "trailers": 99, "data_len": 99, "data_sha256": 99, "data_frames": 99, "complete": 99, "stream_id": 99,
              "pairs": 99},
    "grpc": {"recall": 99, "precision": 99, "endpoints": 99, "service": 99, "method": 99, "status": 99, "status_message": 99,
             "message_count": 99, "message_sizes": 99, "compressed": 99, "pairs": 99},
    "kafka": {"recall": 99, "precision": 99, "endpoints": 99, "correlation_id": 99, "length": 99, "api_key": 99, "api_name": 99,
              "api_version": 99, "client_id": 99, "group_id": 99, "topics": 99, "partitions": 99, "errors": 99, "pairs": 99},
    "dns": {"recall": 99.9, "precision": 99.9, "endpoints": 99.9, "id": 99.9, "name": 99.9, "type": 99.9, "rcode": 99.9,
            "opcode": 99.9, "class": 99.9, "counts": 99.9, "records": 99.9, "pairs": 99.9},
}
EXACT = ("survive", "container")  # every field of these must always agree


class Tally:
    def __init__(self):
        self.by_capture = defaultdict(lambda: [0, 0])

    def add(self, check):
        counts = self.by_capture[check.capture]
        counts[0] += check.agrees
        counts[1] += 1

    def micro(self):
        return tuple(map(sum, zip(*self.by_capture.values())))

    def macro(self):
        return 100 * sum(good / total for good, total in self.by_capture.values()) / len(self.by_capture)


class Score:
    def __init__(self, bars):
        self.bars = bars
        self.kinds = defaultdict(lambda: defaultdict(lambda: defaultdict(Tally)))  # kind, field, level
        self.excused = defaultdict(int)                                           # (kind, field): count

    def add(self, checks):
        for check in checks:
            self.kinds[check.kind][check.field][check.level].add(check)

    def bar(self, kind, field):
        return 100 if kind in EXACT else self.bars.get(kind, {}).get(field)

    def rows(self, kind):
        """(field, captures, macro, agreed, total, bar, passed, other level's text) for each field."""
        for field, levels in self.kinds[kind].items():
            other = " ".join("%d/%d" % tally.micro() for level, tally in levels.items() if level != FULL)
            if FULL not in levels:
                yield field, 0, None, 0, 0, None, True, other
                continue
            tally, bar = levels[FULL], self.bar(kind, field)
            agreed, total = tally.micro()
            yield field, len(tally.by_capture), tally.macro(), agreed, total, bar, bar is None or tally.macro() >= bar, other

    def print(self):
        """Prints a table per kind; returns how many bars held and how many did not."""
        passed = failed = 0
        for kind in self.kinds:
            print("\n%-26s %8s %9s %16s %8s %6s %8s   %s" % (kind, "captures", "macro %", "micro", "micro %", "bar", "excused", "others"))
            for field, captures, macro, agreed, total, bar, ok, other in self.rows(kind):
                verdict = "" if bar is None else "PASS" if ok else "FAIL"
                passed += verdict == "PASS"
                failed += verdict == "FAIL"
                numbers = ("%9.3f %16s %8.3f" % (macro, "%d/%d" % (agreed, total), 100 * agreed / total) if total else " " * 35)
                print("  %-24s %8d %s %6s %8s   %-14s %s" % (
                    field, captures, numbers, "" if bar is None else "%g" % bar, self.excused.get((kind, field), ""), other, verdict))
        return passed, failed

    def print_captures(self):
        """For each capture that is not perfect: kind, field and counts."""
        print()
        for kind, fields in self.kinds.items():
            for field, levels in fields.items():
                for capture, (agreed, total) in sorted(levels[FULL].by_capture.items()):
                    if agreed < total:
                        print("%-10s %-14s %5d/%-5d %s" % (kind, field, agreed, total, capture))
