"""Finds for each expected message the message of ours that means the same one."""

from collections import defaultdict, namedtuple


class Message:
    """One half of a call, ours or expected.

    type: "request" or "response"; src, dst: "address:port" of its sender and receiver; frames: the packets that
    carry it, ascending, empty when unknown; start: what its beginning says (start line, or id and questions);
    values: its fields by name; call: number of the call that it belongs to (ours only)."""

    def __init__(self, type, src, dst, frames, start, values, call=None):
        self.type = type
        self.src = src
        self.dst = dst
        self.frames = frames
        self.start = start
        self.values = values
        self.call = call


# What must agree: sender and receiver; the start; and the expected message's last packet with our "last" one, with "every"
# one of ours, or with "any" packet at all.
Pass = namedtuple("Pass", "route start frames")
PASSES = (
    Pass(True, True, "last"),
    Pass(True, False, "last"),
    Pass(True, True, "every"),
    Pass(True, True, "any"),
    Pass(False, True, "last"),
    Pass(True, False, "any"),
)


def keys(message, rule, is_ours):
    frames = {"any": [None], "last": message.frames[-1:], "every": message.frames if is_ours else message.frames[-1:]}[rule.frames]
    return [(message.type, rule.route and (message.src, message.dst), rule.start and message.start, frame) for frame in frames]


def match(expected, ours, shared):
    """{index in expected: index in ours}.

    shared: one of our messages may stand for several expected ones whose packets are among its own (a query and its
    retransmissions are one call). Otherwise each is used once, in order."""
    found, used = {}, set()
    for rule in PASSES:
        reuse = shared and rule.frames == "every"
        waiting = defaultdict(list)
        for index, message in enumerate(ours):
            if reuse or index not in used:
                for key in keys(message, rule, True):
                    waiting[key].append(index)
        for index, message in enumerate(expected):
            if index in found:
                continue
            for key in keys(message, rule, False):
                free = [i for i in waiting[key] if reuse or i not in used]
                if free:
                    found[index] = min(free, key=lambda i: distance(message, ours[i]))
                    used.add(found[index])
                    break
    return found


def distance(expected, got):
    """In how many fields two messages differ: of several that end in one packet the nearest is meant; if in doubt, the first."""
    return sum(got.values.get(field, value) != value for field, value in expected.values.items())
