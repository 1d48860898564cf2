"""Servers of object storage for scripts, as tests/servers starts them, and on them a hub's cloud (tests/bench/cloud_client.c), or hubs."""

import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import load
from report import Failed

S3 = """
source tests/servers/ceph.bash
trap ceph_stop EXIT
ceph_start "$1" >&2 && ceph_bucket one || exit 1
echo "$ceph_http $ceph_access_key $ceph_secret_key"
while read -r command; do
    case $command in
    unfinished) ceph_uploads one ;;
    collect) radosgw-admin -c "$ceph_dir/ceph.conf" gc process --include-all >/dev/null 2>&1 ;;
    esac
    echo .
done"""
AZBLOB = """
source tests/loopback.bash
source tests/servers/azurite.bash
work=$1
trap 'stop azurite' EXIT
start_azurite azurite "$2"
azurite_ask PUT "http://127.0.0.1:$2/$azurite_account/one?restype=container" "$azurite_key" || exit 1
echo "http://127.0.0.1:$2 $azurite_account $azurite_key"
while read -r command; do
    [[ $command != unfinished ]] ||
        azurite_ask GET "http://127.0.0.1:$2/$azurite_account/one?restype=container&comp=list&include=uncommittedblobs" "$azurite_key" |
        grep -o '<Name>[^<]*' | cut -d'>' -f2
    echo .
done"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


TRIAL = "tapedeck-check-"  # of a hub that was killed while it started: the next one removes it an hour later


class Server:
    """Of a provider: s3 (Ceph's radosgw) or azblob (Azurite)."""

    def __init__(self, provider, work, gib=4):
        self.provider, self.work = provider, work
        environment = os.environ | {"ceph_bytes": str(gib << 30)}
        command = ["bash", "-c", {"s3": S3, "azblob": AZBLOB}[provider], "bash", work, str(free_port())]
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        words = self.process.stdout.readline().split()
        if len(words) != 3:
            raise Failed(f"the server of {provider} does not start; `make deps` installs it")
        self.endpoint, self.account, self.secret = words
        self.port = urllib.parse.urlsplit(self.endpoint).port

    def ask(self, command):
        """Lines of an answer."""
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        lines = []
        while (line := self.process.stdout.readline().rstrip("\n")) != ".":
            if self.process.poll() is not None:
                raise Failed(f"the server of {self.provider} has gone")
            lines.append(line)
        return lines

    def unfinished(self):
        """Keys of uploads that were begun and not ended. Azurite lists committed blobs with them."""
        return [key for key in self.ask("unfinished") if TRIAL not in key]

    def config(self, name, endpoint, **options):
        """Of a hub: the path of a file."""
        if self.provider == "s3":
            options |= {"endpoint": endpoint, "bucket": "one", "accessKey": self.account, "secretKey": self.secret}
        else:
            options |= {"endpoint": endpoint, "container": "one", "storageAccount": self.account, "storageKey": self.secret}
        path = os.path.join(self.work, f"{name}.yaml")
        content = {"tap": {"snapshots": {"cloud": {"provider": self.provider, self.provider: options}}}}
        pathlib.Path(path).write_text(json.dumps(content), encoding="utf-8")  # JSON is YAML
        return path

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


class Proxy:
    """tests/servers/fault_proxy before a server."""

    def __init__(self, server):
        self.control, self.port = free_port(), free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen([sys.executable, "tests/servers/fault_proxy", "--control", str(self.control), "--to",
                                         str(server.port), "--listen", str(self.port), "--dialect", server.provider])
        for _ in range(200):
            with contextlib.suppress(OSError):
                self.ask("stats")
                return
            time.sleep(0.05)
        raise Failed("the proxy does not start")

    def ask(self, what, **words):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.control}/{what}?{urllib.parse.urlencode(words)}") as answer:
            return json.load(answer)

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Client:
    """A hub's local storage and its cloud; each call is a process."""

    def __init__(self, build, config, folder, *options):
        self.command = [os.path.join(build, "tests/bench/cloud_client"), *options, config, folder]
        self.folder = folder

    def start(self, *words):
        return subprocess.Popen([*self.command, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def attempt(self, *words):
        """(it went well, what it said)"""
        process = self.start(*words)
        said = process.communicate()[0]
        return process.returncode == 0, said.strip()

    def do(self, *words):
        good, said = self.attempt(*words)
        if not good:
            raise Failed(f"{words[0]}: {said}")
        return said

    def make(self, name, segments, size, seed):
        return self.do("make", name, str(segments), str(size), str(seed)).split()[0]

    def keys(self):
        """Of all objects, and their sizes."""
        lines = [line.rsplit(" ", 1) for line in self.do("keys").splitlines()]
        return {key: int(size) for key, size in lines if TRIAL not in key}

    def files(self, prefix):
        """As keys() tells them once they are in the cloud."""
        top = os.path.join(self.folder, "snapshots")
        paths = [os.path.join(folder, name) for folder, _, names in os.walk(top) for name in names]
        return {prefix + os.path.relpath(path, top): os.path.getsize(path) for path in paths}

    def work(self):
        """What transfers have left."""
        return os.listdir(os.path.join(self.folder, "work"))


class Hub:
    """`tapedeck hub` in the folder of a client. `config`: of the cloud, as Server.config() writes it."""

    def __init__(self, build, work, config, folder, prefix):
        cloud = json.loads(pathlib.Path(config).read_text(encoding="utf-8"))["tap"]["snapshots"]["cloud"]
        cloud |= {"prefix": prefix, "patience": "60s", "refreshInterval": "1s"}
        self.build, self.work, self.folder, self.port, self.program = build, work, folder, free_port(), None
        self.options = {"node": "n1", "dataDir": folder, "hub": {"listen": f"127.0.0.1:{self.port}"}, "snapshots": {"cloud": cloud}}

    def start(self):
        self.program = load.Service(self.build, self.work, "hub", f"127.0.0.1:{self.port}", self.options)

    def wait_ready(self):
        self.program.wait_ready()

    def kill(self):
        self.program.end(signal.SIGKILL)

    def stop(self):
        if self.program and self.program.usage is None:
            self.kill()

    def ask(self, method, path):
        """(status, answer)"""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=90)
        with contextlib.closing(connection):
            connection.request(method, "/api/v1" + path)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else None

    def begin(self, method, path):
        """The id of a job."""
        status, answer = self.ask(method, path)
        if status != 202:
            raise Failed(f"{method} {path}: {status}: {answer}")
        return answer["job"]

    def end(self, job):
        """What became of it."""
        for _ in range(6):
            answer = self.ask("GET", f"/jobs/{job}?wait=30")[1]
            if answer["state"] not in ("pending", "running"):
                break
        return answer

    def jobs(self, kind):
        return self.ask("GET", f"/jobs?kind={kind}")[1]["jobs"]

    def work_left(self):
        return os.listdir(os.path.join(self.folder, "hub/work"))
