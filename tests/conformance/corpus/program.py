"""Runs tapedeck under limits and reads what it prints."""

import json
import os
import re
import resource
import subprocess
import tempfile
import threading

MAX_OUTPUT = 1 << 30
# What a sanitizer prints when it finds something.
SANITIZER = re.compile(r"Sanitizer|runtime error:|SUMMARY: ")
ERROR_LINE = re.compile(r"^(tapedeck: |time=\S+ level=error )")


class Outcome:
    """One finished run: status (negative: killed by that signal), stdout, stderr, peak memory, whether time ran out."""

    def __init__(self, status, stdout, stderr, max_rss, timed_out):
        self.status = status
        self.stdout = stdout
        self.stderr = stderr
        self.max_rss = max_rss
        self.timed_out = timed_out

    def error_lines(self):
        return [line for line in self.stderr.splitlines() if ERROR_LINE.match(line)]

    def trouble(self, may_fail, max_rss):
        """Why this run is unacceptable whatever it printed; None when it is fine.

        may_fail: the input is damaged, so that exit code 1 with one error line is right."""
        if self.timed_out:
            return "time limit"
        if self.status < 0:
            return "killed by signal %d; stderr: %s" % (-self.status, self.stderr[-300:])
        if SANITIZER.search(self.stderr):
            return "sanitizer: " + SANITIZER.split(self.stderr, 1)[-1][:300]
        if self.status not in (0, 1):
            return "exit code %d; stderr: %s" % (self.status, self.stderr[-300:])
        if self.max_rss > max_rss:
            return "used %d MiB of memory" % (self.max_rss >> 20)
        errors = self.error_lines()
        if self.status == 1 and not may_fail:
            return "exit code 1 on a sound capture: " + self.stderr[-300:]
        if self.status == 1 and len(errors) != 1:
            return "exit code 1 with %d error lines instead of one: %s" % (len(errors), self.stderr[-300:])
        if self.status == 0 and errors:
            return "exit code 0 with an error line: " + errors[0]
        return None


def run(argv, timeout_s):
    # Files, not pipes: nothing here can then block the program, and its peak memory can be asked for.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        try:
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (MAX_OUTPUT, MAX_OUTPUT))
        except ProcessLookupError:
            pass
        expired = threading.Event()

        def stop():
            expired.set()
            process.kill()

        timer = threading.Timer(timeout_s, stop)
        timer.start()
        _, wait_status, usage = os.wait4(process.pid, 0)
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(wait_status)
        out.seek(0)
        err.seek(0)
        return Outcome(process.returncode, out.read(), err.read().decode("utf-8", "replace"), usage.ru_maxrss << 10, expired.is_set())


def json_lines(data):
    """The objects of a JSON-lines output; ValueError when a line is not strict JSON in UTF-8."""
    return [json.loads(line) for line in data.decode("utf-8").splitlines()]


class Tapedeck:
    """The program under test, with a configuration under which no body is cut."""

    CONFIG = """\
tap:
  dissection: {maxMemory: 256Mi, maxConnectionMemory: 32Mi}
  dissectors: {http: {maxBodySize: 16Mi}}
"""

    def __init__(self, path, timeout_s, directory):
        self.path = path
        self.timeout_s = timeout_s
        self.directory = directory
        self.config = os.path.join(directory, "config.yaml")
        with open(self.config, "w", encoding="ascii") as out:
            out.write(self.CONFIG)

    def run(self, *args):
        return run([self.path, *args], self.timeout_s)

    def dissect(self, capture, threads=1, decode_as=()):
        rules = [arg for rule in decode_as for arg in ("-d", rule)]
        return self.run("dissect", capture, "-c", self.config, "-o", "json", "--payload", "-j", str(threads), *rules)
