"""What a comparison yields: checks that agreed or did not, and the differences that people read."""

import hashlib
import json

FULL = "full"    # counts for the bars: a second reader confirmed the expectation
OTHER = "other"  # information only
MAX_SHOWN = 300


class Check:
    """One field of one message (or one property of one capture) compared.

    `message` is the same for all checks of a message, `frame` the packet that ends it. A message that was not found yields
    a failed check for each of its fields, so that what is missing counts against every bar; only the one named
    "recall" is shown as a difference."""

    __slots__ = ("capture", "kind", "message", "frame", "level", "field", "agrees", "expected", "got", "implied")

    def __init__(self, capture, kind, message, frame, level, field, agrees, expected=None, got=None, implied=False):
        self.capture = capture
        self.kind = kind
        self.message = message
        self.frame = frame
        self.level = level
        self.field = field
        self.agrees = agrees
        self.expected = None if agrees else short(expected)
        self.got = None if agrees else short(got)
        self.implied = implied

    def difference(self):
        return {"capture": self.capture, "kind": self.kind, "frame": self.frame, "field": self.field, "level": self.level,
                "expected": self.expected, "got": self.got}


def short(value):
    """A value as text, cut but still telling different values apart."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=repr)
    if len(text) <= MAX_SHOWN:
        return text
    return "%s... sha256:%s" % (text[:MAX_SHOWN], hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16])


class Checks(list):
    """The checks of one capture and kind."""

    def __init__(self, capture, kind):
        super().__init__()
        self.capture = capture
        self.kind = kind

    def add(self, message, frame, level, field, agrees, expected=None, got=None, implied=False):
        self.append(Check(self.capture, self.kind, message, frame, level, field, agrees, expected, got, implied))

    def equal(self, message, frame, level, field, expected, got):
        self.add(message, frame, level, field, expected == got, expected, got)
