"""Real Baton nodes for tests, demo and bench: real batond, real PostgreSQL, real TLS, on loopback.

Each node has an address of its own in 127.0.0.0/8, so all use the same ports. Everything lives under
one folder and is ended by process id. Nothing here waits for a time to pass: every wait names what
it waits for and has a deadline.
"""
import http.client
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = pathlib.Path(os.environ.get("BATON_BUILD", ROOT / "build"))
PORT = int(os.environ.get("BATON_PORT", "7443"))
PG_PORT = int(os.environ.get("BATON_PG_PORT", "7444"))
FIRST_ADDRESS = int(os.environ.get("BATON_FIRST_ADDRESS", "11"))
PASSWORD = "correct-horse-battery"
# Head of a node; whether it receives: what its daemon says of that is what it saw when it last looked; whether the sync set changes.
AT_REST = """select applied, applied_hash, exists (select from local.subs() where running and received is not null),
                    exists (select from shared.config where key = 'sync/set' and value::jsonb #> '{old,k}' is not null)
             from local.position()"""


class Failed(AssertionError):
    """What was told to happen did not."""


def until(what, condition, seconds=60.0, step=None):
    """Waits for condition() to be true and returns it; says what it waited for when it is not. Asks again after 'step'
    seconds, or seldom when it has waited for long: to ask costs more than the wait it is to end."""
    start, seldom = time.monotonic(), step is None
    end = start + seconds
    last = None
    while time.monotonic() < end:
        if seldom:
            step = min(max(0.02, (time.monotonic() - start) / 20), 0.1)
        try:
            last = condition()
            if last:
                return last
        except (OSError, Failed, LookupError, StopIteration, TypeError, ValueError, http.client.HTTPException,
                subprocess.SubprocessError) as problem:  # what is looked for may not be there yet
            last = problem
        time.sleep(step)
    raise Failed("not in %.0f s: %s (last: %r)" % (seconds, what, last))


def free_address(first=FIRST_ADDRESS):
    """The first of 127.0.0.N whose ports nobody listens on."""
    for last in range(first, 250):
        address = "127.0.0.%d" % last
        try:
            for port in (PORT, PG_PORT):
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind((address, port))
            return address
        except OSError:
            continue
    raise Failed("no free address in 127.0.0.0/8 for ports %d and %d" % (PORT, PG_PORT))


class Reply:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body) if self.body else None


def lives(pid):
    """A dead one that nobody has collected does not."""
    try:
        return pathlib.Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Node:
    def __init__(self, cluster, name, site, address, user=None):
        self.cluster = cluster
        self.user = user  # that batond and baton run as; None: as we do
        self.wrap = []    # words before those of its programs
        self.name = name
        self.site = site
        self.address = address
        self.folder = cluster.folder / name
        self.process = None
        self.log = cluster.folder / (name + ".log")
        self.kept = threading.local()  # a connection of each thread that asks

    # ---- programs

    def program(self, name):
        """The words that run a program of ours as the node's user."""
        if self.user is None:
            return [*self.wrap, str(BUILD / name)]
        return [*self.wrap, "setpriv", "--reuid", self.user, "--regid", self.user, "--clear-groups", "--",
                str(self.cluster.programs() / name)]

    def cli(self, *words, check=True, stdin=None, env=None, timeout=120):
        """Runs `baton` for this node; its answer, or Failed with what it said. Told to try again in a moment, it does."""
        command = [*self.program("baton"), *map(str, words), "--data-dir", str(self.folder)]

        def run():
            return subprocess.run(command, capture_output=True, text=True, input=stdin, timeout=timeout,
                                  env={**self.cluster.env, **(env or {})},
                                  stdin=subprocess.DEVNULL if stdin is None else None)

        def taken():
            done = run()
            return "try again in a moment" not in done.stderr and done
        done = until("'baton %s' is taken" % " ".join(map(str, words)), taken) if check else run()
        if check and done.returncode != 0:
            raise Failed("%s: exit %d\n%s%s" % (" ".join(command), done.returncode, done.stdout, done.stderr))
        return done

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*self.program("batond"), "--data-dir", str(self.folder), "--log-level",
                 os.environ.get("BATON_LOG_LEVEL", "info")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.cluster.env,
                start_new_session=True)
        return self

    def stop(self, seconds=40):
        """As systemd would."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process = None

    def postmaster(self):
        """Process id of the node's PostgreSQL, or None."""
        try:
            pid = int((self.folder / "pg/data/postmaster.pid").read_text().split()[0])
            os.kill(pid, 0)
            return pid
        except (OSError, ValueError, IndexError):
            return None

    def daemon(self):
        """Process id of batond itself; that of its keeper is self.process.pid. None while none runs."""
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                name, rest = (entry / "stat").read_text().split("(", 1)[1].rsplit(")", 1)
            except (OSError, IndexError):
                continue
            if name == "batond" and int(rest.split()[1]) == self.process.pid:
                return int(entry.name)
        return None

    def tree(self, pid):
        """The process and all below it."""
        found = [pid]
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError, ValueError):
                continue
            if parent == pid:
                found += self.tree(int(entry.name))
        return found

    def pids(self, what="both"):
        """Of its 'daemon', its 'database' (with all its backends), or 'both'."""
        pids = []
        if what in ("daemon", "both") and self.process is not None:
            pids += [pid for pid in (self.process.pid, self.daemon()) if pid]
        if what in ("database", "both") and self.postmaster():
            pids += self.tree(self.postmaster())
        return pids

    def signal(self, what, number, pids=None):
        for pid in self.pids(what) if pids is None else pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def kill(self, what="both", pids=None):
        """SIGKILL; with 'pids' to the processes that were looked up before. All of them are gone afterwards."""
        pids = self.pids(what) if pids is None else pids
        self.signal(what, signal.SIGKILL, pids)
        if what in ("daemon", "both") and self.process is not None:
            self.process.wait()
            self.process = None
        until("the killed are gone", lambda: not any(map(lives, pids)), 30)

    def running(self):
        return self.process is not None and self.process.poll() is None

    # ---- asking

    def context(self):
        context = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        context.load_cert_chain(self.folder / "node.crt", self.folder / "node.key")
        return context

    def read(self, path, timeout):
        """GET with the node's own certificate, as it is now, through a connection that is kept: a handshake costs more than
        all else of it."""
        stamps = [(self.folder / name).stat().st_mtime_ns for name in ("ca.crt", "node.crt", "node.key")]
        old, self.kept.connection = getattr(self.kept, "connection", None), None
        if old is not None and (self.kept.stamps, self.kept.pid) != (stamps, os.getpid()):
            old.close()
            old = None
        for connection in [old, None] if old else [None]:
            fresh = connection is None
            if fresh:
                connection = http.client.HTTPSConnection(self.address, PORT, timeout=timeout, context=self.context())
            else:
                connection.sock.settimeout(timeout)
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                reply = Reply(answer.status, dict(answer.headers), answer.read())
            except (ConnectionError, ssl.SSLError):
                connection.close()
                if fresh:
                    raise
                continue  # it was of a daemon that is gone, or idle for too long
            except BaseException:
                connection.close()
                raise
            if not answer.will_close and connection.sock is not None:
                self.kept.connection, self.kept.stamps, self.kept.pid = connection, stamps, os.getpid()
            return reply

    def api(self, method, path, body=None, headers=None, timeout=60, context=None):
        """One request with the node's own certificate (local administrator)."""
        if method == "GET" and body is None and not headers and context is None:
            return self.read(path, timeout)
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            "https://%s:%d%s" % (self.address, PORT, path), data=data, method=method,
            headers={"Content-Type": "application/json", **(headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=timeout, context=context or self.context()) as reply:
                return Reply(reply.status, dict(reply.headers), reply.read())
        except urllib.error.HTTPError as problem:
            return Reply(problem.code, dict(problem.headers), problem.read())

    def status(self):
        reply = self.api("GET", "/v1/status", timeout=10)
        if reply.status != 200:
            raise Failed("%s: status %d %s" % (self.name, reply.status, reply.body))
        return reply.json

    def state(self):
        """State of the node's machine as it says itself: PRIMARY, STANDBY, FENCED ..."""
        for node in self.status()["nodes"]:
            if node["name"] == self.name:
                return node["state"]
        return None

    def settled_fenced(self):
        """Fenced, and its own database has answered: it waits for its peers, or for a person."""
        for node in self.status()["nodes"]:
            if node["name"] == self.name:
                return node["state"] == "FENCED" and "database" not in node["reason"]
        return False

    def psql(self, role="baton_owner"):
        """The words that reach the node's PostgreSQL through its socket."""
        config = json.loads((self.folder / "node.json").read_text())
        user = config["pg"].get("run_as")
        command = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", config["pg"]["socket"], "-p",
                   str(config["pg"]["port"]), "-U", role, "-d", config["pg"]["dbname"]]
        return ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--", *command] \
            if user and os.geteuid() == 0 else command

    def sql_session(self, statements, role="baton_owner"):
        """A session that has done these, and stays open until it is ended."""
        session = subprocess.Popen(self.psql(role), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/",
                                   env=self.cluster.env)
        session.stdin.write(statements + "\n\\echo done\n")
        session.stdin.flush()
        if session.stdout.readline() != "done\n":
            raise Failed("%s: %s" % (self.name, statements))
        return session

    def sql(self, statement, role="baton_owner"):
        """One statement on the node's PostgreSQL through its socket; rows of text."""
        command = [*self.psql(role), "-c", statement]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60,
                              env={**self.cluster.env, "PGCONNECT_TIMEOUT": "10"}, cwd="/")
        if done.returncode != 0:
            raise Failed("%s: %s: %s" % (self.name, statement, done.stderr.strip()))
        return [line.split("|") for line in done.stdout.splitlines()]

    def put(self, key, value, **options):
        return self.api("PUT", "/v1/config/" + urllib.parse.quote(key), {"value": value}, **options)

    def get(self, key):
        reply = self.api("GET", "/v1/config/" + urllib.parse.quote(key))
        return reply.json["value"] if reply.status == 200 else None

    def head(self):
        row = self.sql("select applied, applied_hash from local.position()")[0]
        return int(row[0]), row[1]


class Cluster:
    """east-1, then whoever joins. Used as a context manager, it ends all and removes the folder."""

    def __init__(self, folder, name="demo", run_as=None):
        self.folder = pathlib.Path(folder)
        self.name = name
        self.nodes = {}
        self.env = {key: value for key, value in os.environ.items()
                    if key not in ("BATON_DATA_DIR", "BATON_SERVER", "PGHOST", "PGPORT", "PGUSER")}
        self.env["HOME"] = str(self.folder)
        self.env["NO_COLOR"] = "1"
        if run_as is None and os.geteuid() == 0:
            run_as = "postgres"
        self.run_as = run_as
        self.folder.mkdir(parents=True, exist_ok=True)
        if run_as and os.geteuid() == 0:
            pwd.getpwnam(run_as)
            os.chmod(self.folder, 0o755)  # the database's user passes through

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for node in self.nodes.values():
            if node.process is not None:
                node.process.send_signal(signal.SIGTERM)
        for node in self.nodes.values():
            node.stop()
            if node.postmaster():
                node.kill("database")
        if os.environ.get("BATON_KEEP") != "1":
            shutil.rmtree(self.folder, ignore_errors=True)

    def programs(self):
        """A copy of the programs that every user reaches, wherever the build is."""
        copies = self.folder / "programs"
        if not copies.exists():
            copies.mkdir()
            for name in ("baton", "batond"):
                shutil.copy(BUILD / name, copies)
        return copies

    def _address(self):
        taken = [int(node.address.rsplit(".", 1)[1]) for node in self.nodes.values()]
        return free_address(max(taken, default=FIRST_ADDRESS - 1) + 1)

    def _node(self, name, site, user=None):
        node = Node(self, name, site, self._address(), user)
        if user is not None:
            node.folder.mkdir(mode=0o700)
            shutil.chown(node.folder, user, user)
        self.nodes[name] = node
        setattr(self, name.replace("-", "_"), node)
        return node

    def _where(self, node):
        words = ["--listen", "%s:%d" % (node.address, PORT), "--pg-port", PG_PORT]
        return words + (["--run-as", self.run_as] if self.run_as and node.user is None else [])

    def init(self, name="east-1", site="east", start=True):
        node = self._node(name, site)
        secret = self.folder / "admin.password"
        secret.write_text(PASSWORD + "\n")
        secret.chmod(0o600)
        node.cli("init", "--cluster", self.name, "--site", site, "--node", name,
                 "--password-file", secret, *self._where(node))
        if start:
            node.start()
            until("%s is primary" % name, lambda: node.state() == "PRIMARY")
        return node

    def join(self, name, site, via=None, start=True, user=None):
        via = via or self.primary()
        token = json.loads(via.cli("token", "create", "--site", site, "--ttl", "10m", "--json").stdout)["token"]
        node = self._node(name, site, user)
        node.cli("join", token, "--node", name, *self._where(node))
        if start:
            node.start()
            until("%s is a standby" % name, lambda: node.state() == "STANDBY")
        return node

    def three(self):
        """The usual cluster: two nodes in the east, one in the west."""
        self.init("east-1", "east")
        for name, site in (("east-2", "east"), ("west-1", "west")):
            tries = self.join(name, site).log.read_text().count(" node.attach ")
            if tries:
                raise Failed("%s: the first attach failed: the primary was not ready for it" % name)
        self.settled()
        written = [line.split(" sync.", 1)[1] for line in self.east_1.log.read_text().splitlines()
                   if " sync.set " in line or " sync.record " in line]
        if any(one == other for one, other in zip(written, written[1:])):
            raise Failed("a sync set was written twice: %s" % written)
        return self

    def primary(self):
        for node in self.nodes.values():
            if node.running():
                try:
                    if node.state() == "PRIMARY":
                        return node
                except (OSError, http.client.HTTPException, Failed):
                    continue
        raise Failed("nobody is primary")

    def alive(self):
        return [node for node in self.nodes.values() if node.running()]

    def settled(self, seconds=90, k=None, writing=False):
        """One primary, all others receive, same head everywhere, the sync set is as it will be; and every node has read it all
        and sees the others so, whom it asks but once a second. Beside clients that write ('writing') heads move on."""
        def at_rest():
            documents = {node.name: node.status() for node in self.alive()}
            states = {name: one["state"] for name, document in documents.items() for one in document["nodes"]
                      if one["name"] == name}
            if sorted(states.values()) != ["PRIMARY"] + ["STANDBY"] * (len(documents) - 1):
                raise Failed(str(states))
            wanted = k if k is not None else (1 if len(self.nodes) >= 3 else 0)
            for name, document in documents.items():
                if document["durability"]["k"] != wanted or document["durability"]["satisfied"] is not True:
                    raise Failed("%s: %s" % (name, document["durability"]))
                if wanted > 0 and not set(states) <= set(document["durability"]["members"]):
                    raise Failed("%s: not everybody counts: %s" % (name, document["durability"]))
                seen = {one["name"]: (one["state"], one["reason"]) for one in document["nodes"] if one["name"] in states}
                if seen != {other: (state, "") for other, state in states.items()}:
                    raise Failed("%s sees %s" % (name, seen))
            rows = {node.name: node.sql(AT_REST)[0] for node in self.alive()}
            deaf = [name for name, (_, _, receives, _) in rows.items() if receives != "t" and states[name] == "STANDBY"]
            if deaf:
                raise Failed("%s: no subscription receives" % deaf)
            if any(changes == "t" for *_, changes in rows.values()):
                raise Failed("the sync set changes")
            if not writing and (len({(applied, told) for applied, told, *_ in rows.values()}) != 1 or
                                any(documents[name]["revision"] != int(applied) for name, (applied, *_) in rows.items())):
                raise Failed("heads differ")
            return True
        return until("the cluster is at rest", at_rest, seconds, 0.1)

    def promote(self, target, *words, via=None, check=True):
        via = via or next(iter(self.alive()))
        return via.cli("promote", target, "--yes", *words, check=check)


def logs(cluster, lines=30):
    """The last lines of all nodes' logs, for a failed test."""
    for node in cluster.nodes.values():
        if node.log.exists():
            last = node.log.read_text(errors="replace").splitlines()[-lines:]
            sys.stderr.write("---- %s\n%s\n" % (node.name, "\n".join(line[:300] for line in last)))
