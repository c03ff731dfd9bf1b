"""Takeovers by itself: the primary is killed, goes silent or freezes, and nobody is told what to do.

Three nodes with a network of their own each, an arbiter in a third place, and a client at every node that
writes all the time. An outage is the longest time between two acknowledged writes, whoever's they are.
Correctness is checked here and fails the run: an acknowledged write that is missing, a node that does not
end with the same head. Times are only reported.
"""
import datetime
import pathlib
import signal
import tempfile
import time

from arbiters import Etcd, Witness
from client import Writers, longest_gap, now_ms
from cluster import Failed, logs, until
from figures import Row, median
from moves import check_nothing_lost, come_back, kill
from network import NetworkCluster

# As low as `baton setting list` goes, of what is on the way from a failure to writes; but for two: what an
# answer may take has room for a busy machine, or it is taken for a dead one.
TIGHTEST = {"lease.ttl_ms": 2000, "lease.renew_ms": 500, "takeover.delay_ms": 0, "peer.poll_ms": 100,
            "peer.timeout_ms": 500}
# One failure after the other, as no cluster has them: neither is on the way from a failure to writes.
OFTEN = {"takeover.cooldown_ms": 0, "takeover.per_hour_max": 60, "digest.interval_ms": 1000}
VICTIM_CLIENT_S = 1  # who waits for an answer of a silent host waits so long


class World:
    """The cluster, its arbiter, and what is done to its primary."""

    def __init__(self, folder, arbiter, settings):
        self.cluster = NetworkCluster(folder / "nodes", name="bench")
        self.network = self.cluster.network
        self.arbiter = None
        self.number = 0
        try:
            self._make(folder, arbiter, settings)
        except BaseException:
            logs(self.cluster)
            self.close()
            raise

    def _make(self, folder, arbiter, settings):
        cluster = self.cluster.three()
        wrap = self.network.add("third")
        address = self.network.address("third")
        if arbiter == "etcd":
            self.arbiter = Etcd(folder / "etcd", address, wrap).start()
            words = ["etcd", "--endpoints", self.arbiter.url]
        else:
            self.arbiter = Witness(folder / "witness", cluster.east_1.folder / "ca.crt", address=address,
                                   wrap=wrap).start()
            words = ["postgres", "--file", self.arbiter.document]
        changes = [{"key": key, "value": value} for key, value in {**OFTEN, **settings}.items()]
        reply = cluster.east_1.api("POST", "/v1/config", {"changes": changes})
        if reply.status != 200:
            raise Failed("the settings are refused: %s" % reply.body)
        until("every node can ask the arbiter", lambda: all(
            node.cli("arbiter", "test", *words, check=False).returncode == 0 for node in cluster.nodes.values()))
        cluster.east_1.cli("arbiter", "set", *words, "--reason", "bench")

    def close(self):
        try:
            self.cluster.__exit__(None, None, None)
        finally:
            if self.arbiter is not None:
                self.arbiter.stop()

    def why(self, node):
        answer = node.api("GET", "/v1/why?node=" + node.name).json["nodes"][0]["answer"]
        return {rule["name"]: rule["verdict"] for rule in answer["rules"]}

    def ready(self):
        """(primary, who takes over): all are in their place, and only the evidence is missing."""
        cluster = self.cluster

        def at_rest():
            primary = cluster.primary()
            document = primary.status()
            states = sorted(node["state"] for node in document["nodes"])
            lease = document["arbiter"]["lease"]
            if states != ["PRIMARY", "STANDBY", "STANDBY"] or document["durability"]["satisfied"] is not True:
                raise Failed("%s, %s" % (states, document["durability"]))
            if document["durability"]["k"] != 1 or lease is None or lease["state"] != "HELD":
                raise Failed("%s, lease %s" % (document["durability"], lease))
            new = next(node for node in cluster.nodes.values() if node.site == primary.site and node is not primary)
            missing = {name for name, verdict in self.why(new).items() if verdict != "pass"}
            if missing != {"evidence"}:
                raise Failed("%s: %s" % (new.name, missing))
            return primary, new
        return until("all nodes are in their place, and one is ready to take over", at_rest, 120, 0.05)


# ---- what befalls the primary: does it, and returns when it began and how it is undone

def killed(world, node):
    del world
    return kill(node), node.start


def silent(world, node):
    at = now_ms()
    world.network.silence(node.name)
    return at, world.network.mend


def frozen(world, node):
    del world
    pids = node.pids()
    at = now_ms()
    node.signal("both", signal.SIGSTOP, pids)
    return at, lambda: node.signal("both", signal.SIGCONT, pids)


FAULTS = {"everything killed": killed, "host silent": silent, "everything frozen": frozen}


def promotion_of(node):
    """The newest takeover: (milliseconds since 1970 when it began, how long it took)."""
    rows = node.api("GET", "/v1/promotions").json["promotions"]
    row = next(row for row in rows if row["by"] == "baton" and row["kind"] == "failover")
    began = datetime.datetime.strptime(row["started_at"], "%Y-%m-%dT%H:%M:%S.%fZ")
    return began.replace(tzinfo=datetime.timezone.utc).timestamp() * 1000, row["duration_ms"]


def acts(node):
    lease = node.status()["arbiter"]["lease"]
    return lease is not None and lease["node"] == node.name and lease["state"] == "HELD"


def one_takeover(world, befalls, result):
    primary, new = world.ready()
    world.number += 1
    nodes = list(world.cluster.nodes.values())
    timeouts = {primary.name: VICTIM_CLIENT_S}
    with Writers(nodes, "app/takeover/%d" % world.number, timeouts) as writers:
        until("all write", lambda: min(writers.counts()) > 30)
        wall_ms = time.time() * 1000 - now_ms()
        at, undo = befalls(world, primary)
        others = [number for number, node in enumerate(nodes) if node is not primary]
        until("%s is primary" % new.name, lambda: new.state() == "PRIMARY", 120)
        before = writers.counts()
        until("they write again", lambda: all(writers.counts()[one] > before[one] + 10 for one in others), 60)
        until("it acts", lambda: acts(new), 60)
        result["acts"].append(now_ms() - at)
    result["outage"].append(longest_gap(writers.stamps(), at, now_ms()))
    began_ms, took_ms = promotion_of(new)
    result["begin"].append(began_ms - wall_ms - at)
    result["promotion"].append(took_ms)
    result["back"].append(come_back(primary, new, undo))
    world.ready()
    check_nothing_lost(world, writers)
    result["writes"] += writers.total()


def takeovers(bench, what, settings=None, arbiter="witness", target=None):
    """Rows of some takeovers; 'target': the outage in milliseconds that is to be reached."""
    name = "takeover, %s, %s" % (what, "tightest" if settings else "default")
    if arbiter == "etcd":
        name += ", etcd"
    count = bench.size(3, 1, 7)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="takeover-", dir=bench.folder))
    folder.chmod(0o755)
    result = {"outage": [], "begin": [], "promotion": [], "acts": [], "back": [], "writes": 0}
    world = World(folder, arbiter, settings or {})
    try:
        for _ in range(count):
            one_takeover(world, FAULTS[what], result)
    except BaseException:
        logs(world.cluster)
        raise
    finally:
        world.close()
    return [
        Row(name + ": outage, p50", "ms", median(result["outage"]), count, target=target),
        Row(name + ": outage, max", "ms", max(result["outage"]), count),
        Row(name + ": until the promotion begins, p50", "ms", median(result["begin"]), count),
        Row(name + ": the promotion itself, p50", "ms", median(result["promotion"]), count),
        Row(name + ": until it acts on the outside, p50", "ms", median(result["acts"]), count),
        Row(name + ": acknowledged writes lost", "", 0, result["writes"], target=0),
        Row(name + ": the old primary back, p50", "ms", median(result["back"]), count, target=1000),
        Row(name + ": the old primary back, max", "ms", max(result["back"]), count),
    ]


def killed_default(bench):
    return takeovers(bench, "everything killed", target=1500)


def killed_tightest(bench):
    return takeovers(bench, "everything killed", TIGHTEST, target=300)


def killed_etcd(bench):
    return takeovers(bench, "everything killed", arbiter="etcd", target=1500)


def silent_default(bench):
    return takeovers(bench, "host silent", target=6000)


def silent_tightest(bench):
    return takeovers(bench, "host silent", TIGHTEST)


def frozen_default(bench):
    return takeovers(bench, "everything frozen")


def frozen_tightest(bench):
    return takeovers(bench, "everything frozen", TIGHTEST)
