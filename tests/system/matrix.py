"""The world of the fault matrix (docs/faults.md), and what each round of each row must show.

Three sites of one node each with a network of its own, an etcd of three members in a fourth place, and a link to the
west that takes time. Clients write at every node all the time, a watch asks every node who it is, and whoever
puts a connector server in use leaves a line in one file. See rows.py for the rows themselves.
"""
import http.client
import os
import random
import signal
import threading
import time

from arbiters import ThirdPlace
from cluster import Failed, until
from history import History
from network import NetworkCluster, has_taps
from servers import Authority, Server

TTL_MS = 5000
RTT_MS = float(os.environ.get("TORTURE_RTT_MS", "10"))  # of the link to the west
HEAL_S = 90    # a busy machine; what it took is told
SETTINGS = {"takeover.across_sites": "automatic", "takeover.cooldown_ms": 0, "takeover.per_hour_max": 60,
            "peer.poll_ms": 500, "sync.commit_wait_ms": 3000, "write.hold_ms": 3000}
# One line for each time that a connector server is put in or out of use, in a place that all nodes share.
ACTIVATE = """#!/bin/sh
echo "$BATON_NODE $BATON_KIND $BATON_EPOCH" >> %s
"""


class Watch(threading.Thread):
    """Asks every node all the time whether it is primary, and of which epoch: no epoch has two."""

    def __init__(self, nodes):
        super().__init__(daemon=True)
        self.nodes = nodes
        self.primaries = {}  # names by the number of the epoch
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.wait(0.02):
            for node in self.nodes:
                try:
                    document = node.api("GET", "/v1/status", timeout=0.5).json
                    here = next(one for one in document["nodes"] if one["name"] == node.name)
                    if here["state"] == "PRIMARY":
                        self.primaries.setdefault(here["epoch"]["number"], set()).add(node.name)
                except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, StopIteration):
                    continue

    def stop(self):
        self.stopping.set()
        self.join(30)
        wrong = {number: names for number, names in self.primaries.items() if len(names) > 1}
        if wrong:
            raise Failed("two primaries of one epoch: %s" % wrong)


class World:
    def __init__(self, folder):
        self.folder = folder
        self.cluster = NetworkCluster(folder / "three", rtt_ms={"west-1": RTT_MS if has_taps() else 0})
        self.network = self.cluster.network
        self.acted_log = folder / "acted"
        self.history = None
        self.moment = None  # when the fault of this round began
        self.undo = []      # what ends the faults of this round
        self.rounds = 0
        try:
            self._make()
        except BaseException:
            self.close()
            raise

    def _make(self):
        wrap = self.network.add("arbiter")
        self.etcd = ThirdPlace(self.folder / "etcd", self.network.address("arbiter"), wrap).start()
        self.acted_log.touch()
        self.acted_log.chmod(0o666)
        script = self.folder / "activate"
        script.write_text(ACTIVATE % self.acted_log)
        script.chmod(0o755)
        here = self.network.prefix + ".254"
        self.server = Server(Authority(self.folder / "ca"), "pam", here)
        cluster = self.cluster
        cluster.init("east-1", "east")
        cluster.join("north-1", "north")
        cluster.join("west-1", "west")
        changes = [{"key": key, "value": value} for key, value in SETTINGS.items()]
        reply = cluster.east_1.api("POST", "/v1/config", {"changes": changes})
        if reply.status != 200:
            raise Failed(str(reply.body))
        connector = {"main": self.server.document(), "target_connectors": ["ad"],
                     "probe": {"path": "/health", "interval_ms": 5000, "timeout_ms": 5000},
                     "activation": [{"driver": "exec", "command": [str(script)], "timeout_ms": 5000}]}
        reply = cluster.east_1.put("connector/pam", connector)
        if reply.status != 200:
            raise Failed(str(reply.body))
        cluster.east_1.cli("arbiter", "set", "etcd", "--endpoints", ",".join(self.etcd.urls),
                           "--yes")
        self.rest()

    def close(self):
        for name in ("etcd", "server"):
            if hasattr(self, name):
                getattr(self, name).stop()
        self.cluster.__exit__(None, None, None)

    # ---- what is asked

    @property
    def nodes(self):
        return list(self.cluster.nodes.values())

    def primary(self):
        return self.cluster.primary()

    def others(self, *nodes):
        return [node for node in self.nodes if node not in nodes]

    def epoch(self):
        return self.primary().status()["primary"]["epoch"]["number"]

    def taken_over(self, old, seconds=60):
        """Another node is primary; returned."""
        def another():
            return next((node for node in self.others(old) if node.running() and node.state() == "PRIMARY"), None)
        return until("another node than %s is primary" % old.name, another, seconds)

    def flows(self, more=20, seconds=60):
        before = self.history.count()
        until("writes flow", lambda: self.history.count() > before + more, seconds)

    def alarms(self, node):
        return {alarm["name"] for alarm in node.status()["alarms"]}

    def leases(self):
        return [node.status()["arbiter"] for node in self.cluster.alive()]

    def acted_alone(self):
        """I9, I10: once a later epoch acts, no earlier one does; and each epoch is one node's."""
        latest, holders = 0, {}
        for line in self.acted_log.read_text().splitlines():
            node, kind, number = line.split()
            if kind != "activate":
                continue
            if int(number) < latest or holders.setdefault(number, node) != node:
                raise Failed("effects of an old epoch: %s" % self.acted_log.read_text())
            latest = int(number)

    # ---- faults

    def fault(self):
        """It begins now."""
        self.moment = time.monotonic()

    def lasts(self, seconds):
        """The fault goes on for so long: the one thing here that is a time and not an event."""
        threading.Event().wait(seconds)

    def freeze(self, pids):
        for pid in pids:
            try:
                os.kill(pid, signal.SIGSTOP)
            except ProcessLookupError:
                pass
        self.undo.append(lambda: self.thaw(pids))

    def thaw(self, pids):
        for pid in pids:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass

    def cut(self, one, *others, both=True):
        self.network.cut(one, *others, both=both)

    def mend(self):
        self.network.mend()

    def heal(self):
        """All faults end."""
        for name in self.network.names:
            self.network.link(name, "up")
        self.network.mend()
        while self.undo:
            self.undo.pop()()
        self.etcd.start()
        for node in self.nodes:
            if not node.running():
                node.process = None
                node.start()

    def rest(self):
        """All are alike, and ready for more; nobody writes."""
        self.cluster.settled(HEAL_S, k=1)
        self.ready()

    def ready(self):
        """The primary holds the lease, and all others could take over."""
        until("the lease is held", lambda: all(one["lease"] and one["lease"]["state"] == "HELD" and one["answers"]
                                               for one in self.leases()), HEAL_S)

        def able():
            return {name for node in self.cluster.alive() for name in node.status()["takeover"]["able"]} == \
                {node.name for node in self.others(self.primary())}
        until("all others could take over", able, HEAL_S)

    def one_holder_each(self):
        for node in self.nodes:
            wrong = node.sql("select epoch from shared.log group by epoch having count(distinct holder) > 1")
            if wrong:
                raise Failed("%s: epochs of two holders: %s" % (node.name, wrong))

    def round(self, row, seed):
        """One round of the row, beside clients and watch. Raises Failed; else what it came to."""
        self.rounds += 1
        self.moment = None
        before = self.epoch()
        watch = Watch(self.nodes)
        self.history = History(self.cluster, prefix="app/m%d" % self.rounds, reads=row.reads, pinned=True, timeout_s=5)
        watch.start()
        try:
            with self.history:
                self.flows()
                row.run(self, random.Random(seed))
                self.heal()
                healed = time.monotonic()
                self.flows(seconds=HEAL_S)
                recovery = self.history.outage_ms(self.moment)
        finally:
            watch.stop()
        self.rest()
        healing = time.monotonic() - healed
        promotions = self.epoch() - before
        operations = self.history.judge(*self.nodes)
        self.acted_alone()
        self.one_holder_each()
        if promotions < 0 or (row.promotions is not None and promotions not in row.promotions):
            raise Failed("%d promotions, and %s were to be expected" % (promotions, row.promotions))
        outcomes = self.history.outcomes()
        unknown = sum(count for name, count in outcomes.items() if "unknown" in name)
        return {"recovery_ms": recovery, "healing_s": healing, "operations": operations, "unknown": unknown,
                "acknowledged": self.history.count(), "promotions": promotions}


def log_of(node, offset):
    with open(node.log, "rb") as log:
        log.seek(offset)
        return log.read().decode(errors="replace")
