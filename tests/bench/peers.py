"""What others need for the same in the same run: an etcd of three members, whose leader is killed, goes silent or freezes.

The members have a network each, as the nodes have, and there is a client at each that writes all the time. A client
gives up an answer after 0.2 s, asks its member again and takes that write for unknown: it does not wait for
etcd's own time-out, which is longer than an election takes.
"""
import base64
import http.client
import json
import os
import pathlib
import signal
import subprocess
import tempfile

from arbiters import ETCD
from client import Writer, Writers, longest_gap, now_ms
from cluster import Failed, until
from figures import Row, median
from measures import during
from network import Network

NAMES = ["one", "two", "three"]
CLIENT_S = 0.2
TIGHTEST = ["--heartbeat-interval", "10", "--election-timeout", "100"]


def encode(text):
    return base64.b64encode(text.encode()).decode()


class Member:
    """As a node to Writer and Network: it has a name and an address."""

    def __init__(self, world, name):
        self.world = world
        self.name = name
        self.wrap = world.network.add(name)
        self.address = world.network.address(name)
        self.folder = world.folder / name
        self.process = None

    def start(self):
        peers = ["%s=http://%s:2380" % (name, self.world.network.address(name)) for name in NAMES]
        with open(self.world.folder / (self.name + ".log"), "ab") as log:
            self.process = subprocess.Popen(
                [*self.wrap, ETCD, "--name", self.name, "--data-dir", str(self.folder), "--log-level", "error",
                 "--listen-client-urls", "http://%s:2379" % self.address,
                 "--advertise-client-urls", "http://%s:2379" % self.address,
                 "--listen-peer-urls", "http://%s:2380" % self.address,
                 "--initial-advertise-peer-urls", "http://%s:2380" % self.address,
                 "--initial-cluster", ",".join(peers), *self.world.options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def ask(self, path, body, timeout=5):
        connection = http.client.HTTPConnection(self.address, 2379, timeout=timeout)
        try:
            connection.request("POST", path, json.dumps(body))
            answer = connection.getresponse()
            text = answer.read()
        except http.client.HTTPException as problem:
            raise Failed("%s: %r" % (self.name, problem)) from problem
        finally:
            connection.close()
        if answer.status != 200:
            raise Failed("%s: %d %s" % (self.name, answer.status, text))
        return json.loads(text)

    def leads(self):
        status = self.ask("/v3/maintenance/status", {}, timeout=1)
        return status["leader"] == status["header"]["member_id"]

    def revision(self):
        """Of what it has itself, whatever the others have."""
        answer = self.ask("/v3/kv/range", {"key": encode("x"), "serializable": True}, timeout=1)
        return int(answer["header"]["revision"])

    def keys(self, prefix):
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        answer = self.ask("/v3/kv/range", {"key": encode(prefix), "range_end": encode(end), "keys_only": True,
                                           "serializable": True}, timeout=30)
        return {base64.b64decode(row["key"]).decode() for row in answer.get("kvs", [])}


class EtcdWriter(Writer):
    def _run(self):
        acknowledged, errors, number, connection = [], [], 0, None
        while not self.stopping.is_set():
            number += 1
            body = json.dumps({"key": encode(self.key(number)), "value": encode("x")})
            sent = now_ms()
            try:
                if connection is None:
                    connection = http.client.HTTPConnection(self.node.address, 2379, timeout=self.timeout)
                connection.request("POST", "/v3/kv/put", body)
                answer = connection.getresponse()
                text = answer.read()
                if answer.status != 200:
                    raise OSError(text.decode(errors="replace"))
            except (OSError, http.client.HTTPException) as problem:
                if connection is not None:
                    connection.close()
                connection = None
                errors.append((sent, repr(problem)))
                self.stopping.wait(0.002)
                continue
            acknowledged.append((sent, now_ms(), number, int(json.loads(text)["header"]["revision"])))
            self.count.value += 1
        self.sender.send((acknowledged, errors))


class EtcdWriters(Writers):
    def __init__(self, members, prefix):
        super().__init__([], prefix)
        self.list = [EtcdWriter(member, "%s/%s" % (prefix, member.name), CLIENT_S) for member in members]

    def missing(self, member):
        have = member.keys(self.prefix + "/")
        return [writer.key(entry[2]) for writer in self.list for entry in writer.acknowledged
                if writer.key(entry[2]) not in have]


class World:
    def __init__(self, folder, options):
        self.folder = folder
        self.options = options
        self.network = Network()
        self.members = []

    def start(self):
        self.members = [Member(self, name) for name in NAMES]
        for member in self.members:
            member.start()
        self.leader()
        return self

    def leader(self):
        def at_rest():
            if len({member.revision() for member in self.members}) != 1:
                raise Failed("not all have the same")
            return next((member for member in self.members if member.leads()), None)
        return until("etcd has a leader and three equal members", at_rest, 60)

    def close(self):
        for member in self.members:
            member.kill()
        self.network.close()


def killed(world, member):
    at = now_ms()
    member.kill()
    return at, member.start


def silent(world, member):
    at = now_ms()
    world.network.silence(member.name)
    return at, world.network.mend


def frozen(world, member):
    at = now_ms()
    os.kill(member.process.pid, signal.SIGSTOP)
    return at, lambda: os.kill(member.process.pid, signal.SIGCONT)


FAULTS = {"everything killed": killed, "host silent": silent, "everything frozen": frozen}


def one_failover(world, number, befalls, result):
    leader = world.leader()
    others = [index for index, member in enumerate(world.members) if member is not leader]
    with EtcdWriters(world.members, "switch/%d" % number) as writers:
        until("all write", lambda: min(writers.counts()) > 30)
        at, undo = befalls(world, leader)
        until("another leads", lambda: any(world.members[one].leads() for one in others), 60, 0.005)
        before = writers.counts()
        until("they write again", lambda: all(writers.counts()[one] > before[one] + 10 for one in others), 60)
        during(0.2)
    result["outage"].append(longest_gap(writers.stamps(), at, now_ms()))
    undo()
    start = now_ms()
    head = world.members[others[0]].revision()
    until("it is back", lambda: leader.revision() >= head and not leader.leads(), 60, 0.005)
    result["back"].append(now_ms() - start)
    world.leader()
    for member in world.members:
        lost = writers.missing(member)
        if lost:
            raise Failed("etcd: %d acknowledged writes are not at %s, first %s" % (len(lost), member.name, lost[0]))
    result["writes"] += writers.total()


def etcd(bench, what, options=()):
    name = "peer: etcd, %s, %s" % (what, "heartbeat 10 ms, election 100 ms" if options else "default")
    count = bench.size(3, 1, 7)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="etcd-", dir=bench.folder))
    result = {"outage": [], "back": [], "writes": 0}
    world = World(folder, options)
    try:
        world.start()
        for number in range(count):
            one_failover(world, number, FAULTS[what], result)
    finally:
        world.close()
    return [
        Row(name + ": outage, p50", "ms", median(result["outage"]), count),
        Row(name + ": outage, max", "ms", max(result["outage"]), count),
        Row(name + ": acknowledged writes lost", "", 0, result["writes"]),
        Row(name + ": the old leader back, p50", "ms", median(result["back"]), count),
    ]


def etcd_killed(bench):
    return etcd(bench, "everything killed") + etcd(bench, "everything killed", TIGHTEST)


def etcd_silent(bench):
    return etcd(bench, "host silent") + etcd(bench, "host silent", TIGHTEST)


def etcd_frozen(bench):
    return etcd(bench, "everything frozen") + etcd(bench, "everything frozen", TIGHTEST)
