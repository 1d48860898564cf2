"""What must hold for every input: no crash, no hang, bounded memory, one clear error at most, the same bytes for any -j."""

from .checks import Checks, FULL
from .program import json_lines

KIND = "survive"


def compare(capture, runs, max_rss):
    """runs: {threads: outcome of dissect}. Returns the checks and the calls of the first run."""
    checks = Checks(capture.id, KIND)
    refused = capture.may_be_refused()
    for threads, outcome in runs.items():
        trouble = outcome.trouble(refused, max_rss)
        checks.add(threads, None, FULL, "-j%d" % threads, trouble is None, "survives", trouble)
    first = next(iter(runs.values()))
    for threads, outcome in list(runs.items())[1:]:
        same = outcome.stdout == first.stdout and outcome.status == first.status
        checks.add(threads, None, FULL, "same output", same, "as with -j1", same or where_different(first.stdout, outcome.stdout))
    try:
        calls = json_lines(first.stdout)
        checks.add(0, None, FULL, "valid JSON", True)
    except ValueError as error:
        calls = []
        checks.add(0, None, FULL, "valid JSON", False, "JSON lines in UTF-8", str(error))
    return checks, calls


def where_different(first, other):
    pairs = zip(first.split(b"\n") + [b""], other.split(b"\n") + [b""])
    for number, (a, b) in enumerate(pairs, 1):
        if a != b:
            return "line %d: %s" % (number, b[:200].decode("utf-8", "replace"))
    return "exit codes or lengths differ"
