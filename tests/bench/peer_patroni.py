"""Patroni for the same in the same run: three synchronous PostgreSQLs, an etcd in a third place, and the primary is killed.

Each has a network of its own. There is a client at each that asks all three for whoever takes writes
(target_session_attrs), as libpq's own fail-over does it: it does not go through a proxy, which would need time of
its own to see who is primary. A host that goes silent or freezes is not measured: such a client has no time-out of its
own for an answer, so that the figure would be the client's.
"""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

import psycopg2
import yaml

from arbiters import Etcd
from client import Writer, Writers, longest_gap, now_ms
from cluster import Failed, until
from figures import Row, median, tree
from floor import PROGRAMS
from measures import during
from network import Network

PATRONI = shutil.which("patroni")
NAMES = ["one", "two", "three"]
SETTINGS = {"default": {"ttl": 30, "loop_wait": 10, "retry_timeout": 10},
            "tightest": {"ttl": 20, "loop_wait": 1, "retry_timeout": 3}}  # the least that its documents allow
USER = "postgres"  # PostgreSQL never runs as root


class Member:
    """As a node to Writer and Network: it has a name and an address."""

    def __init__(self, world, name):
        self.world = world
        self.name = name
        self.wrap = world.network.add(name)
        self.address = world.network.address(name)
        self.folder = world.folder / name
        self.process = None

    def configure(self, settings, etcd):
        trust = ["local all all trust", "host all all 198.18.0.0/15 trust", "host replication all 198.18.0.0/15 trust"]
        document = {
            "scope": "bench", "name": self.name, "etcd3": {"host": etcd.url.removeprefix("http://")},
            "restapi": {"listen": self.address + ":8008", "connect_address": self.address + ":8008"},
            "bootstrap": {
                "dcs": {**settings, "synchronous_mode": True, "postgresql": {"use_pg_rewind": True, "use_slots": True}},
                "initdb": ["data-checksums", {"encoding": "UTF8"}, {"auth-local": "trust"}, {"auth-host": "trust"}],
            },
            "postgresql": {
                "listen": self.address + ":5432", "connect_address": self.address + ":5432",
                "data_dir": str(self.folder / "data"), "bin_dir": str(PROGRAMS), "pgpass": str(self.folder / "pgpass"),
                "authentication": {"superuser": {"username": "postgres"}, "replication": {"username": "postgres"}},
                "parameters": {"unix_socket_directories": str(self.folder)}, "pg_hba": trust,
            },
        }
        self.folder.mkdir()
        path = self.folder / "patroni.yml"
        path.write_text(yaml.safe_dump(document))
        if os.geteuid() == 0:
            shutil.chown(self.folder, USER, USER)
            shutil.chown(path, USER, USER)

    def start(self):
        user = ["setpriv", "--reuid", USER, "--regid", USER, "--init-groups", "--"] if os.geteuid() == 0 else []
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([*self.wrap, *user, PATRONI, str(self.folder / "patroni.yml")],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def pids(self):
        """Patroni and its PostgreSQL, which is a child of it unless one before has left it."""
        found = set(tree(self.process.pid)) if self.process is not None else set()
        try:
            found |= set(tree(int((self.folder / "data/postmaster.pid").read_text().split("\n")[0])))
        except (OSError, ValueError):
            pass
        return sorted(found)

    def kill(self):
        pids = self.pids()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.process is not None:
            self.process.wait()
            self.process = None
        for pid in pids:  # ours since their parents are dead (moves.adopt_orphans)
            try:
                os.waitpid(pid, 0)
            except ChildProcessError:
                pass

    def sql(self, statement):
        connection = psycopg2.connect(host=self.address, user="postgres", dbname="postgres", connect_timeout=2)
        try:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
        except psycopg2.Error as problem:
            raise Failed("%s: %s" % (self.name, problem)) from problem
        finally:
            connection.close()

    def is_primary(self):
        try:
            with urllib.request.urlopen("http://%s:8008/primary" % self.address, timeout=1) as reply:
                return reply.status == 200
        except urllib.error.HTTPError:
            return False


class PatroniWriter(Writer):
    def _run(self):
        acknowledged, errors, number, connection = [], [], 0, None
        while not self.stopping.is_set():
            number += 1
            sent = now_ms()
            try:
                if connection is None:
                    connection = psycopg2.connect(
                        host=",".join(self.node.world.addresses), user="postgres", dbname="postgres",
                        target_session_attrs="read-write", connect_timeout=2)
                    connection.autocommit = True
                cursor = connection.cursor()
                cursor.execute("insert into entry values (%s, %s)", (self.key(number), number))
            except psycopg2.Error as problem:
                if connection is not None:
                    connection.close()
                connection = None
                errors.append((sent, str(problem)))
                self.stopping.wait(0.002)
                continue
            if connection.notices:  # the server gave up waiting for the standby: that is no acknowledgement
                errors.append((sent, connection.notices[-1]))
                connection.notices.clear()
                continue
            acknowledged.append((sent, now_ms(), number, 0))
            self.count.value += 1
        self.sender.send((acknowledged, errors))


class PatroniWriters(Writers):
    def __init__(self, members, prefix):
        super().__init__([], prefix)
        self.list = [PatroniWriter(member, "%s/%s" % (prefix, member.name)) for member in members]

    def missing(self, member):
        have = {row[0] for row in member.sql("select key from entry where key like '%s/%%'" % self.prefix)}
        return [writer.key(entry[2]) for writer in self.list for entry in writer.acknowledged
                if writer.key(entry[2]) not in have]


class World:
    def __init__(self, folder, settings):
        self.folder = folder
        self.network = Network()
        self.members = [Member(self, name) for name in NAMES]
        self.addresses = [member.address for member in self.members]
        wrap = self.network.add("third")
        self.etcd = Etcd(folder / "etcd", self.network.address("third"), wrap)
        try:
            self.etcd.start()
            for member in self.members:
                member.configure(settings, self.etcd)
                member.start()
            primary = self.ready()
            primary.sql("create table entry (key text primary key, value integer)")
        except BaseException:
            self.close()
            raise

    def ready(self):
        """The primary; both others stream from it, and one of them acknowledges."""
        def at_rest():
            primary = next((member for member in self.members if answers(member)), None)
            if primary is None:
                raise Failed("nobody is primary")
            rows = primary.sql("select application_name, state, sync_state from pg_stat_replication")
            if sorted(row[1] for row in rows) != ["streaming"] * 2 or "sync" not in [row[2] for row in rows]:
                raise Failed(str(rows))
            return primary
        return until("Patroni has a primary and two standbys, one of them synchronous", at_rest, 180, 0.1)

    def close(self):
        for member in self.members:
            member.kill()
        self.etcd.stop()
        self.network.close()


def answers(member):
    try:
        return member.is_primary()
    except OSError:
        return False


def one_failover(world, number, result):
    primary = world.ready()
    with PatroniWriters(world.members, "switch/%d" % number) as writers:
        until("all write", lambda: min(writers.counts()) > 30, 60)
        at = now_ms()
        primary.kill()
        until("another is primary", lambda: any(answers(one) for one in world.members if one is not primary), 180, 0.02)
        before = writers.counts()
        others = [index for index, member in enumerate(world.members) if member is not primary]
        until("they write again", lambda: all(writers.counts()[one] > before[one] + 10 for one in others), 120)
        during(0.2)
    result["outage"].append(longest_gap(writers.stamps(), at, now_ms()))
    primary.start()
    start = now_ms()
    new = world.ready()
    result["back"].append(now_ms() - start)
    lost = writers.missing(new)
    result["lost"] += len(lost)
    result["writes"] += writers.total()


def patroni(bench, settings):
    if PATRONI is None:
        raise Failed("Patroni is not installed; .ci/deps peers installs it")
    name = "peer: Patroni, synchronous, everything killed, " + settings
    count = bench.size(3, 1, 5)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="patroni-", dir=bench.folder))
    folder.chmod(0o755)
    result = {"outage": [], "back": [], "lost": 0, "writes": 0}
    world = World(folder, SETTINGS[settings])
    try:
        for number in range(count):
            one_failover(world, number, result)
    except BaseException:
        for member in world.members:
            sys.stderr.write("---- %s\n%s\n" % (member.name, (member.folder / "log").read_text()[-2000:]))
        raise
    finally:
        world.close()
    return [
        Row(name + ": outage, p50", "ms", median(result["outage"]), count),
        Row(name + ": outage, max", "ms", max(result["outage"]), count),
        Row(name + ": acknowledged writes lost", "", result["lost"], result["writes"]),
        Row(name + ": the old primary back, p50", "ms", median(result["back"]), count),
    ]


def patroni_killed(bench):
    return patroni(bench, "default") + patroni(bench, "tightest")
