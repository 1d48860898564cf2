"""Expectations that are wrong: differences that a packet proves to be the facts' fault.

The file is a list of {capture, kind, field, why, proof} with frame and got, or with `each`: a list of [frame, digest of got]
for many differences of one cause. An entry excuses exactly these differences, with exactly what tapedeck said; they are
counted, and told when they no longer apply."""

import hashlib
import json

COMMON = ("capture", "kind", "field", "why", "proof")


def digest(text):
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]


class Expectations:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            entries = json.load(file)
        self.keys = set()
        for entry in entries:
            absent = [key for key in COMMON if not entry.get(key)]
            if absent or ("each" in entry) == ("got" in entry):
                raise ValueError("%s: entry for %s lacks %s" % (path, entry.get("capture"), ", ".join(absent) or "got or each"))
            each = entry["each"] if "each" in entry else [[entry.get("frame"), digest(entry["got"])]]
            self.keys.update((entry["capture"], entry["kind"], entry["field"], frame, got) for frame, got in each)
        self.used = set()

    def excuse(self, checks):
        """The checks that count. Excusing that a message is missing excuses all of its fields."""
        gone = set()
        for check in checks:
            if check.agrees or check.implied:
                continue
            key = (check.capture, check.kind, check.field, check.frame, digest(check.got))
            if key in self.keys:
                self.used.add(key)
                gone.add(id(check))
                if check.field == "recall":
                    gone.update(id(other) for other in checks
                                if other.implied and other.kind == check.kind and other.message == check.message)
        return [check for check in checks if id(check) not in gone]

    def stale(self, captures_and_kinds):
        """Excuses for what was compared this time, but whose difference was not seen."""
        return sorted((key for key in self.keys - self.used if key[:2] in captures_and_kinds), key=repr)
