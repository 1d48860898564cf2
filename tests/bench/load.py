"""Putting load on a worker and its peers: a network namespace with a pair of interfaces, the sender, the worker.

Everything runs in a network namespace of its own with two interfaces, td0 and td1: what is sent on the one is captured on the
other. There is no other traffic on them."""

import calendar
import contextlib
import glob
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from report import Failed

SEND, CAPTURE = "td0", "td1"
ADDRESS, HUB = "127.0.0.1:48999", "127.0.0.1:8898"
GIB = 1 << 30
SEGMENTS = "[0-9]" * 10 + ".pcapng"


def enter_namespace(mount=False):
    """Starts the script again in a namespace of its own; returns there. With `mount`, of mounts as well."""
    if os.environ.get("IN_NAMESPACE") != "load":
        how = ["unshare", "--net"] + ["--mount"] * mount
        if os.getuid() != 0:
            how += ["--map-root-user"] if mount else ["--map-current-user", "--keep-caps"]
        if subprocess.run(how + ["true"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
            raise Failed("this needs a network namespace of its own: run it as root, outside of containers")
        os.environ["IN_NAMESPACE"] = "load"
        os.execvp(how[0], how + [sys.executable] + sys.argv)
    with contextlib.suppress(OSError):  # neither router solicitations nor reports of multicast groups
        pathlib.Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1", encoding="ascii")
    for command in (f"ip link add name {SEND} type veth peer name {CAPTURE}", f"ip link set {SEND} up", f"ip link set {CAPTURE} up",
                    "ip link set lo up"):
        subprocess.run(command.split(), check=True)


@contextlib.contextmanager
def directory_on_disk(parent, free_bytes):
    """A directory that is removed at the end, on a file system with room that is a disk, not memory."""
    parent = os.path.abspath(parent)
    os.makedirs(parent, exist_ok=True)
    kind = subprocess.run(["stat", "-f", "-c", "%T", parent], check=True, capture_output=True, text=True).stdout.strip()
    if kind in ("tmpfs", "ramfs"):
        raise Failed(f"{parent} is on {kind}; give a directory on a disk with --dir")
    free = shutil.disk_usage(parent).free
    if free < free_bytes:
        raise Failed(f"{parent} has {free / 1e9:.1f} GB free; this needs {free_bytes / 1e9:.0f} GB")
    with tempfile.TemporaryDirectory(prefix="load.", dir=parent) as path:
        yield path


def settle():
    """What others left in the page cache is written before the next is measured."""
    os.sync()
    time.sleep(1)


def forget(files):
    """Takes files out of the page cache."""
    for path in files:
        with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
            os.fdatasync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def keep(files):
    """Reads them once, so that they are in the page cache."""
    for path in files:
        with open(path, "rb") as file:
            while file.read(1 << 20):
                pass


def timed(command, output=None):
    """Wall time."""
    begin = time.monotonic()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output or subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    took = time.monotonic() - begin
    if done.returncode != 0:
        raise Failed(f"{' '.join(command[:2])} ... failed: {done.stderr.decode(errors='replace').strip()}")
    return took


def sync(*paths):
    """Seconds until files are on the disk."""
    return timed(["sync", *paths])


def arrived():
    """Packets that the capturing interface has received, and those it or its peer dropped, since it is there."""
    with open("/proc/net/dev", encoding="ascii") as lines:
        counters = {line.split(":")[0].strip(): line.split(":")[1].split() for line in lines if ":" in line}
    return int(counters[CAPTURE][1]), int(counters[CAPTURE][3]) + int(counters[SEND][11])


class Program:
    """A program that runs beside this one, with what it says in a log."""

    def __init__(self, command, log, **options):
        self.command, self.log = command, log
        with open(log, "ab") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, **options)
        self.pid = self.process.pid
        self.usage = None

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def last_words(self):
        lines = self.said().strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def is_running(self):
        return self.usage is None and os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def state(self):
        """For people: whether it runs, and what it said last."""
        if not self.is_running():
            return f"ended with status {self.wait(1) if self.usage is None else self.process.returncode}: {self.last_words()}"
        return f"runs: {self.last_words()}"

    def cpu_s(self):
        """Processor time so far, of all its threads."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii", errors="replace").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self, number=signal.SIGINT, timeout_s=60):
        """Ends it and waits for that; its exit status. Then `usage` is what it took, with all its threads and children."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)
        return self.wait(timeout_s)

    def wait(self, timeout_s):
        deadline = time.monotonic() + timeout_s
        while self.is_running():
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                self._reap()
                raise Failed(f"{' '.join(self.command[:2])} ... does not end: {self.last_words()}")
            time.sleep(0.01)
        return self._reap()

    def _reap(self):
        _, status, self.usage = os.wait4(self.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        return self.process.returncode

    def used_s(self):
        return self.usage.ru_utime + self.usage.ru_stime


class Sender(Program):
    """tests/bench/sender.c; see there for the options."""

    def __init__(self, build, work, **options):
        command = [os.path.join(build, "tests/bench/sender"), SEND]
        for name, value in options.items():
            command += [f"--{name}", str(value)]
        super().__init__(command, os.path.join(work, f"sender.{time.monotonic_ns()}.log"))

    def result(self):
        """Once it has ended: packets, bytes, seconds, packets a second."""
        if self.process.returncode != 0:
            raise Failed(f"the sender failed: {self.last_words()}")
        packets, size, seconds, rate = self.said().split()
        return int(packets), int(size), float(seconds), float(rate)


def tally(build, files):
    """What tests/bench/tally.c tells of captures, and how it ended."""
    done = subprocess.run([os.path.join(build, "tests/bench/tally"), *files], capture_output=True, text=True, check=False)
    if not done.stdout:
        raise Failed(f"tally: {done.stderr.strip()}")
    result = {name: int(value) for name, value in (word.split("=") for word in done.stdout.split())}
    return result | {"said": done.stderr.strip()}


class Service(Program):
    """`tapedeck worker` or `tapedeck hub`, which answers at an address. `options`: what stands below tap."""

    def __init__(self, build, work, what, address, options, command=()):
        self.what, self.address = what, address
        path = os.path.join(work, f"{what}.yaml")
        pathlib.Path(path).write_text(json.dumps({"tap": options}), encoding="utf-8")  # JSON is YAML
        super().__init__([*command, os.path.join(build, "tapedeck"), what, "-c", path], os.path.join(work, f"{what}.log"))

    def open(self, path, timeout_s=60):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            return opener.open(f"http://{self.address}{path}", timeout=timeout_s)
        except urllib.error.HTTPError as error:
            raise Failed(f"GET {path}: {error.code}: {error.read(1000).decode(errors='replace')}") from None
        except OSError as error:
            raise Failed(f"GET {path}: {error}") from None

    def get(self, path):
        """An answer of the API."""
        with self.open(f"/api/v1/{path}") as answer:
            text = answer.read()
        try:
            return json.loads(text)
        except ValueError:
            raise Failed(f"GET {path}: not JSON: {text[:200]}") from None

    def wait_ready(self, timeout_s=30):
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                with self.open("/readyz", timeout_s=5):
                    return self
            except Failed as error:
                if not self.is_running():
                    raise Failed(f"the {self.what} ended: {self.last_words()}") from None
                if time.monotonic() > deadline:
                    raise Failed(f"the {self.what} is not ready after {timeout_s} s: {error}; {self.last_words()}") from None
            time.sleep(0.05)


class Worker(Service):
    """`tapedeck worker` with a ring in work/raw. `raw` and `capture` replace options of the same name."""

    def __init__(self, build, work, raw=None, capture=None, command=()):
        capture = {"interfaces": [CAPTURE], "bufferSize": "32Mi"} | (capture or {})
        self.ring = (raw or {}).get("path", os.path.join(work, "raw"))
        capture["raw"] = {"storageSize": "1Gi", "path": self.ring} | (raw or {})
        options = {"node": "n1", "dataDir": work, "capture": capture, "worker": {"listen": ADDRESS}}
        super().__init__(build, work, "worker", ADDRESS, options, command)

    def segments(self):
        return sorted(glob.glob(os.path.join(self.ring, SEGMENTS)) + glob.glob(os.path.join(self.ring, SEGMENTS + ".zst")))


def nanoseconds(text):
    """Since 1970, of a time as the API writes it: 2025-01-31T12:00:00.123456789Z."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    seconds = calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S"))
    return seconds * 10**9 + int((fraction or "0").ljust(9, "0")[:9])


def rfc3339(ns):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ns // 10**9)) + f".{ns % 10**9:09}Z"


def spans(files):
    """What capinfos says of captures: path -> (packets, first, last in nanoseconds; None without packets)."""
    result = {}
    for begin in range(0, len(files), 500):
        command = ["capinfos", "-T", "-r", "-B", "-c", "-a", "-e", "-S", *files[begin:begin + 500]]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0 or done.stderr.strip():
            raise Failed(f"capinfos: {done.stderr.strip() or done.returncode}")
        for line in done.stdout.splitlines():
            path, packets, first, last = line.split("\t")
            result[path] = (int(packets), *(None if time == "n/a" else int(time.replace(".", "").ljust(19, "0")) for time in (first, last)))
    return result


def bytes_of(directory):
    """Apparent and allocated bytes of all files in a directory at one instant: if one comes or goes meanwhile, it is done again."""
    while True:
        before = os.stat(directory).st_mtime_ns
        with os.scandir(directory) as entries, contextlib.suppress(FileNotFoundError):
            stats = [os.stat(entry.path) for entry in entries]
            if os.stat(directory).st_mtime_ns == before:
                return sum(s.st_size for s in stats), sum(s.st_blocks * 512 for s in stats)


def has_worker(build):
    """Whether this program has the worker yet."""
    done = subprocess.run([os.path.join(build, "tapedeck"), "worker", "--help"], capture_output=True, check=False)
    return done.returncode == 0
