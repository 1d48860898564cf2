"""The container: `capture info` against the facts, and what `export` writes, read back by a reader of our own."""

import json
import os
import re
import tempfile

from . import reader
from .checks import Checks, FULL

KIND = "container"
FIELDS = ("packets", "captured_bytes", "original_bytes", "packets_snapped", "first_ts_ns", "last_ts_ns", "data_sha256", "ts_sha256")
EXPORT_MAX_NS = 2**32 * 10**9  # pcap's seconds are 32 bits wide
MAX_RSS = 256 << 20


def compare(tapedeck, capture):
    checks = Checks(capture.id, KIND)
    facts = capture.container()
    outcome = tapedeck.run("capture", "info", capture.path, "-o", "json")
    refused = capture.may_be_refused()
    trouble = outcome.trouble(refused, MAX_RSS)
    checks.add(0, None, FULL, "info runs", trouble is None, "runs", trouble)
    try:
        info = json.loads(outcome.stdout)
    except ValueError:
        info = {}
    if facts["format"] != "unknown" and not (refused and "error" not in facts):
        for field in FIELDS:
            if field in facts:
                checks.equal(0, None, FULL, field, facts[field], info.get(field))
    if "error" in facts:
        compare_fault(checks, facts["error"], outcome, capture.path)
    elif facts["format"] != "unknown" and not refused:
        compare_export(checks, tapedeck, capture)
    return checks


def compare_fault(checks, expected, outcome, path):
    """One error that names the offset at which the file stops making sense, and exit code 1."""
    at = re.search(r" at (\d+)", expected).group(1)
    errors = [line.replace(path, "FILE") for line in outcome.error_lines()]
    checks.add(0, None, FULL, "one error", outcome.status == 1 and len(errors) == 1, "exit code 1 and one error",
               [outcome.status, errors])
    checks.add(0, None, FULL, "error's offset", any(at in re.findall(r"\d+", line) for line in errors), "offset " + at, errors)


def compare_export(checks, tapedeck, capture):
    """An export must hold the same bytes, lengths and times in the same order; one file for each link type."""
    originals = list(reader.read(capture.path))
    facts = capture.container()
    checks.equal(0, None, FULL, "own reader", [facts["data_sha256"], facts["ts_sha256"]],
                 [reader.data_sha256(originals), reader.ts_sha256(originals)])
    linktypes = sorted({packet.linktype for packet in originals})
    for linktype in linktypes:
        wanted = [packet for packet in originals if packet.linktype == linktype]
        choose = ["--linktype", str(linktype)] if len(linktypes) > 1 else []
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "export.pcap")
            outcome = tapedeck.run("export", capture.path, "--format", "pcap", "-O", "precision=nano", *choose, "-w", path)
            trouble = outcome.trouble(False, MAX_RSS)
            checks.add(linktype, None, FULL, "export runs", trouble is None, "runs", trouble)
            if not trouble:
                compare_packets(checks, linktype, wanted, path)


def compare_packets(checks, linktype, wanted, path):
    try:
        got = list(reader.read(path))
    except reader.Damaged as fault:
        checks.add(linktype, None, FULL, "export reads back", False, "a sound file", "damaged at %s" % fault)
        return
    checks.equal(linktype, None, FULL, "export packets", len(wanted), len(got))
    checks.equal(linktype, None, FULL, "export linktype", [linktype], sorted({packet.linktype for packet in got}) or [linktype])
    checks.equal(linktype, None, FULL, "export data_sha256", reader.data_sha256(wanted), reader.data_sha256(got))
    checks.equal(linktype, None, FULL, "export lengths", differing(wanted, got, "original_length"), [])
    # Only times that the format can hold.
    timed = [(w, g) for w, g in zip(wanted, got) if w.time_ns is not None and 0 <= w.time_ns < EXPORT_MAX_NS]
    checks.equal(linktype, None, FULL, "export times", differing([w for w, _ in timed], [g for _, g in timed], "time_ns"), [])


def differing(wanted, got, field):
    """The first few packets whose field differs: [number, wanted, got]."""
    pairs = [(getattr(w, field), getattr(g, field)) for w, g in zip(wanted, got)]
    return [[number, w, g] for number, (w, g) in enumerate(pairs, 1) if w != g][:3]
