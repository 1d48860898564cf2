"""Text as tshark's facts hold it and as tapedeck prints it."""

import re

CUT = re.compile(r"^(.*)\.\.\.\[(\d+)\]$", re.S)


def with_replacements(text):
    """Facts hold bytes that are not UTF-8 as Latin-1; tapedeck prints each such byte as U+FFFD."""
    try:
        raw = text.encode("latin-1")
    except UnicodeEncodeError:
        return text
    out = []
    while raw:
        try:
            out.append(raw.decode("utf-8"))
            break
        except UnicodeDecodeError as error:
            out.append(raw[:error.start].decode("utf-8") + "\ufffd")
            raw = raw[error.start + 1:]
    return "".join(out)


def same(expected, got):
    """Equal text; an expectation that was cut ("...[length]") is compared as far as it goes, and by length."""
    if expected is None or got is None:
        return expected == got
    cut = CUT.match(expected)
    if cut and not got.endswith(expected[-8:]):
        head, length = cut.group(1), int(cut.group(2))
        return same(head, got[:len(head)]) and length in (len(got), len(got.encode("utf-8")))
    return got in (expected, with_replacements(expected))


def same_pairs(expected, got):
    """Lists of [name, value]; white space around values means nothing."""
    return len(expected) == len(got) and all(
        same(e[0], g[0]) and same(e[1].strip(), g[1].strip()) for e, g in zip(expected, got))
