"""Expectations that are wrong: differences that a packet proves to be the facts' fault.

The file is a list of {capture, kind, frame, field, got, why, proof}. An entry excuses exactly that difference, with exactly
what tapedeck said; it is counted, and told when it no longer applies."""

import json

KEYS = ("capture", "kind", "frame", "field", "got")


class Expectations:
    def __init__(self, path):
        self.entries = []
        if path:
            with open(path, encoding="utf-8") as file:
                self.entries = json.load(file)
        for entry in self.entries:
            absent = [key for key in KEYS + ("why", "proof") if not entry.get(key) and key != "frame"]
            if absent:
                raise ValueError("%s: entry for %s lacks %s" % (path, entry.get("capture"), ", ".join(absent)))
        self.by_key = {tuple(entry[key] for key in KEYS): entry for entry in self.entries}
        self.used = set()

    def excuse(self, checks):
        """The checks that count. Excusing that a message is missing excuses all of its fields."""
        gone = set()
        for check in checks:
            key = (check.capture, check.kind, check.frame, check.field, check.got)
            if not check.agrees and key in self.by_key:
                self.used.add(key)
                gone.add(id(check))
                if check.field == "recall":
                    gone.update(id(other) for other in checks if other.implied and other.message == check.message)
        return [check for check in checks if id(check) not in gone]

    def stale(self, captures_and_kinds):
        """Entries for what was compared this time, but whose difference was not seen."""
        return [entry for key, entry in self.by_key.items()
                if key not in self.used and (entry["capture"], entry["kind"]) in captures_and_kinds]
