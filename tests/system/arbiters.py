"""Arbiters for tests: a real etcd, and a real witness. Both stand on loopback and are ended by process id."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import urllib.request

from cluster import BUILD, PG_PORT, Failed, free_address, until
from servers import free_port

ETCD = shutil.which("etcd")


class Etcd:
    def __init__(self, folder, address=None, wrap=(), name="default", port=None):
        """'wrap': words before those of the program, for a network of its own."""
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.address = address or free_address()
        self.wrap = wrap
        self.name = name
        self.process = None
        client = port or (free_port(self.address) if address is None else 2379)
        peer = free_port(self.address, client + 1) if address is None else 2380
        self.url = "http://%s:%d" % (self.address, client)
        self.peer_url = "http://%s:%d" % (self.address, peer)
        self.members = {self.name: self.peer_url}

    def begin(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [*self.wrap, ETCD, "--name", self.name, "--data-dir", str(self.folder / "data"), "--listen-client-urls", self.url,
                 "--advertise-client-urls", self.url, "--listen-peer-urls", self.peer_url,
                 "--initial-advertise-peer-urls", self.peer_url,
                 "--initial-cluster", ",".join("%s=%s" % pair for pair in self.members.items()), "--log-level", "error"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def start(self):
        self.begin()
        return self.wait()

    def wait(self):
        until("etcd answers", lambda: urllib.request.urlopen(self.url + "/health", timeout=2).status == 200, 60)
        return self

    def leads(self):
        request = urllib.request.Request(self.url + "/v3/maintenance/status", data=b"{}", method="POST")
        with urllib.request.urlopen(request, timeout=2) as reply:
            status = json.loads(reply.read())
        return status["leader"] == status["header"]["member_id"]

    def value(self):
        """As `baton arbiter set` takes it."""
        return {"kind": "etcd", "endpoints": [self.url]}

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class Etcds:
    """Three of them, which are one etcd as long as two live."""

    def __init__(self, folder):
        self.list, port = [], None
        for name in ("one", "two", "three"):  # none listens yet: each looks behind the ports of the one before
            self.list.append(Etcd(pathlib.Path(folder) / name, name=name, port=port))
            port = free_port(self.list[-1].address, int(self.list[-1].peer_url.rsplit(":", 1)[1]) + 1)
        members = {etcd.name: etcd.peer_url for etcd in self.list}
        for etcd in self.list:
            etcd.members = members

    def start(self):
        for etcd in self.list:
            etcd.begin()
        for etcd in self.list:
            etcd.wait()
        return self

    @property
    def urls(self):
        return ",".join(etcd.url for etcd in self.list)

    def stop(self):
        for etcd in self.list:
            etcd.stop()


class ThirdPlace:
    """Three members of an etcd on one host: a leader may be stopped, and all may be lost, wiped or restored. 'wrap': words
    before those of a program, as those that run it in a network of its own."""

    def __init__(self, folder, address, wrap=()):
        self.folder, self.address, self.wrap = pathlib.Path(folder), address, list(wrap)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.urls = ["http://%s:%d" % (address, 2379 + 10 * number) for number in range(3)]
        self.peer_urls = ["http://%s:%d" % (address, 2380 + 10 * number) for number in range(3)]
        self.processes = [None] * 3

    def value(self):
        return {"kind": "etcd", "endpoints": self.urls}

    def start(self):
        cluster = ",".join("m%d=%s" % pair for pair in enumerate(self.peer_urls))
        for number, (url, peer_url) in enumerate(zip(self.urls, self.peer_urls)):
            if self.processes[number] is not None and self.processes[number].poll() is None:
                continue
            with open(self.folder / "log", "ab") as log:
                self.processes[number] = subprocess.Popen(
                    [*self.wrap, ETCD, "--name", "m%d" % number, "--data-dir", str(self.folder / ("data%d" % number)),
                     "--listen-client-urls", url, "--advertise-client-urls", url, "--listen-peer-urls", peer_url,
                     "--initial-advertise-peer-urls", peer_url, "--initial-cluster", cluster, "--log-level", "error"],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        for url in self.urls:
            until("etcd answers", lambda u=url: urllib.request.urlopen(u + "/health", timeout=2).status == 200)
        return self

    def leader(self):
        """Process id."""
        for url, process in zip(self.urls, self.processes):
            with urllib.request.urlopen(url + "/v3/maintenance/status", data=b"{}", timeout=2) as reply:
                status = json.load(reply)
            if status["leader"] == status["header"]["member_id"]:
                return process.pid
        raise Failed("no leader")

    def pids(self):
        return [process.pid for process in self.processes if process is not None]

    def stop(self):
        for process in self.processes:
            if process is not None:
                process.kill()
                process.wait()
        self.processes = [None] * 3

    def wipe(self):
        for number in range(3):
            shutil.rmtree(self.folder / ("data%d" % number))

    def keep(self):
        """All is stopped: a copy of what they hold, to be restored."""
        for number in range(3):
            shutil.rmtree(self.folder / ("kept%d" % number), ignore_errors=True)
            shutil.copytree(self.folder / ("data%d" % number), self.folder / ("kept%d" % number))

    def restore(self):
        self.wipe()
        for number in range(3):
            shutil.copytree(self.folder / ("kept%d" % number), self.folder / ("data%d" % number))


def witness_sql(folder, env, statement, database="baton"):
    """One statement on a witness's PostgreSQL through its socket; rows of text."""
    config = json.loads((pathlib.Path(folder) / "witness.json").read_text())
    words = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", config["socket"], "-p", str(config["port"]), "-U", "baton_owner",
             "-d", database]
    if config.get("run_as") and os.geteuid() == 0:
        words = ["runuser", "-u", config["run_as"], "--", *words]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, env=env, cwd="/", input=statement)
    if done.returncode != 0:
        raise Failed(done.stderr)
    return [line.split("|") for line in done.stdout.splitlines()]


class Witness:
    """`baton witness init` and `run`, for the clusters whose CA files are given."""

    def __init__(self, folder, *cluster_cas, address=None, wrap=()):
        self.base = pathlib.Path(folder)
        self.base.mkdir(parents=True, exist_ok=True)
        os.chmod(self.base, 0o755)
        self.folder = self.base / "third"
        self.address = address or free_address()
        self.wrap = wrap
        self.process = None
        self.env = {name: value for name, value in os.environ.items()
                    if not name.startswith("PG") and name not in ("BATON_DATA_DIR", "BATON_SERVER")}
        words = [*wrap, str(BUILD / "baton"), "witness", "init", "--listen", "%s:%d" % (self.address, PG_PORT),
                 "--data-dir", str(self.folder)]
        for ca in cluster_cas:
            words += ["--cluster-ca", str(ca)]
        if os.geteuid() == 0:
            words += ["--run-as", "postgres"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, env=self.env, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise Failed("witness init: exit %d\n%s%s" % (done.returncode, done.stdout, done.stderr))

    @property
    def document(self):
        return self.folder / "arbiter.json"

    def value(self):
        return json.loads(self.document.read_text())

    def sql(self, statement):
        return witness_sql(self.folder, self.env, statement)

    def start(self):
        with open(self.base / "log", "ab") as log:
            self.process = subprocess.Popen(
                [*self.wrap, str(BUILD / "baton"), "witness", "run", "--data-dir", str(self.folder)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env, start_new_session=True)
        return self

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None
