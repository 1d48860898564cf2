"""The captures of a corpus and their facts; the format is described in the corpus's own README."""

import fnmatch
import json
import os


class Capture:
    def __init__(self, directory, entry):
        self.id = entry["id"]
        self.path = os.path.join(directory, entry["file"])
        self.kinds = set(entry["kinds"])
        self.expect = entry["expect"]
        self.decode_as = entry["decode_as"]
        with open(os.path.join(directory, entry["facts"]), encoding="utf-8") as facts:
            self.facts = json.load(facts)

    def container(self):
        return self.facts["container"]

    def may_be_refused(self):
        """Is the file damaged, or no capture at all, so that tapedeck may end in an error?"""
        container = self.container()
        return (self.expect == "damaged-container" or "fmt-damaged" in self.kinds or container["format"] == "unknown"
                or "error" in container or "warnings" in container)


def load(directory, pattern):
    """Lazily: the entries whose id matches, each as a function that loads its facts."""
    with open(os.path.join(directory, "manifest.json"), encoding="utf-8") as manifest:
        entries = json.load(manifest)["captures"]
    return [entry for entry in entries if fnmatch.fnmatch(entry["id"], pattern)]
