"""Compares the messages of one protocol in one capture: what was found, what was invented, and each field."""

from collections import Counter

from .checks import Checks, FULL, OTHER
from .matching import match

MISSING = "(message not found)"


def compare(protocol, capture, calls):
    """All checks of this protocol (the module http1, http2 ...) on this capture."""
    checks = Checks(capture.id, protocol.KIND)
    facts = protocol.known(capture.facts)
    expected = [protocol.expected_message(fact) for fact in facts]
    levels = [protocol.level_of(fact) for fact in facts]
    ours = protocol.our_messages(calls)
    found = match(expected, ours, protocol.SHARED)
    for index, message in enumerate(expected):
        if levels[index]:
            compare_message(checks, protocol, index, levels[index], message, ours[found[index]] if index in found else None)
    compare_pairs(checks, pairs_of(protocol, capture.facts) if facts else [], levels, expected, ours, found)
    # Malformed captures are full of messages that one may or may not take for real.
    find_invented(checks, FULL if capture.expect == "parse" else OTHER, ours, set(found.values()),
                  protocol.Unlisted(capture.facts))
    return checks


def pairs_of(protocol, facts):
    return protocol.pairs(facts) if hasattr(protocol, "pairs") else facts[protocol.KIND]["pairs"]


def compare_message(checks, protocol, index, level, expected, got):
    frame = expected.frames[-1]
    checks.add(index, frame, level, "recall", got is not None, [expected.type, expected.src, expected.dst, expected.start], MISSING)
    for field, value in expected.values.items():
        if got is None:
            checks.add(index, frame, level, field, False, value, MISSING, implied=True)
        elif field in got.values:
            given = got.values[field]
            checks.add(index, frame, level, field, protocol.agrees(field, value, given), value, given)
    if got is not None:
        checks.equal(index, frame, level, "endpoints", [expected.src, expected.dst], [got.src, got.dst])


def compare_pairs(checks, pairs, levels, expected, ours, found):
    """Requests and responses that the facts put together must be one call; those that stand alone must not get a partner.

    Only where both halves were found: what was not is counted already."""
    uses = Counter(found.values())
    owner = {found[index]: index for index in sorted(found, reverse=True)}
    halves = {}
    for our, message in enumerate(ours):
        if message.frames:
            halves.setdefault(message.call, []).append(our)
    for pair in pairs:
        present = [index for index in pair if index is not None]
        if any(index not in found or not levels[index] or uses[found[index]] > 1 for index in present):
            continue
        level = FULL if all(levels[index] == FULL for index in present) else OTHER
        index = present[0]
        partners = [owner.get(our) for our in halves.get(ours[found[index]].call, []) if our != found[index]]
        # A partner that the facts do not know at all is an invented message, counted as that.
        got = [partner for partner in partners if partner is not None]
        checks.add(index, expected[index].frames[-1], level, "pairs", got == present[1:],
                   [expected[i].frames[-1] for i in present[1:]], [expected[i].frames[-1] for i in got])


def find_invented(checks, level, ours, matched, unlisted):
    """Messages of ours that the facts do not know, except those of which the facts themselves say that they are not listed."""
    for index, message in enumerate(ours):
        real = index in matched
        if not real and unlisted.take(message):
            continue
        frame = message.frames[-1] if message.frames else None
        checks.add("our %d" % index, frame, level, "precision", real, "no such message",
                   [message.type, message.src, message.dst, message.start])
