"""The role moves: switchovers under load, commanded failovers, and the return of who was killed.

Correctness is checked here and fails the run: a client error in a planned switchover, an acknowledged
write that is missing, a node that does not end with the same head. Times are only reported.
"""
import ctypes
import os
import signal

from client import Client, Writers, longest_gap, now_ms
from cluster import Failed, until
from figures import Row, median, tree
from measures import Sql, during

PR_SET_CHILD_SUBREAPER = 36
FLOW_MS = 500  # writes flow that long before and after a switchover


def steady(bench):
    """All nodes are in their place and a write is acknowledged by k; returns the primary."""
    cluster = bench.cluster

    def at_rest():
        primary = cluster.primary()
        document = primary.status()
        states = sorted(node["state"] for node in document["nodes"])
        if states != ["PRIMARY"] + ["STANDBY"] * (len(cluster.nodes) - 1):
            raise Failed(str([(node["name"], node["state"], node["reason"]) for node in document["nodes"]]))
        durability = document["durability"]
        if durability["k"] != 1 or durability["satisfied"] is not True:
            raise Failed(str(durability))
        return primary
    return until("all nodes are in their place", at_rest, 60, 0.05)


def order(client, target):
    """Orders a promotion until it is taken; its id and why it was refused before."""
    refused = []

    def taken():
        code, document = client.json("POST", "/v1/promote", {"target": target, "reason": "bench"})
        if code == 202:
            return document["id"]
        refused.append("%s: %s" % (code, document.get("detail")))
        raise Failed(refused[-1])
    return until("the promotion of %s is taken" % target, taken, 30, 0.005), refused


def finished(client, promotion):
    """The promotion's document once it is done."""
    def ended():
        code, document = client.json("GET", "/v1/promotions/" + promotion)
        if code == 200 and document["state"] == "failed":
            raise AssertionError("promotion failed: %s" % document["error"])
        return document if code == 200 and document["state"] == "done" else None
    return until("promotion %s is done" % promotion, ended, 30, 0.01)


def check_nothing_lost(bench, writers):
    """Every acknowledged write is at its revision in the log of every node, and the heads are equal."""
    steady(bench)
    until("all heads are equal", lambda: len({tuple(node.head()) for node in bench.cluster.alive()}) == 1, 30)
    for node in bench.cluster.alive():
        lost = writers.lost(node)
        if lost:
            raise Failed("%d acknowledged writes are not at %s, first %s" % (len(lost), node.name, lost[0]))


# ---- switchover

def switchover(bench):
    count = bench.size(15, 2)
    nodes = list(bench.cluster.nodes.values())
    clients = {node.name: Client(node) for node in nodes}
    spans, closed, refusals = [], [], []
    with Writers(nodes, "app/switch") as writers:
        until("all write", lambda: min(writers.counts()) > 20)
        for _ in range(count):
            primary = steady(bench)
            target = nodes[(nodes.index(primary) + 1) % len(nodes)]
            during(FLOW_MS / 1000)
            start = now_ms()
            promotion, refused = order(clients[target.name], target.name)
            refusals += refused
            document = finished(clients[target.name], promotion)
            if document["kind"] != "switchover":
                raise Failed("not a switchover: %s" % document)
            spans.append((start, now_ms() + FLOW_MS / 2))
            if document["writes_closed_ms"] is not None:
                closed.append(document["writes_closed_ms"])
            before = writers.counts()
            until("all write again", lambda b=before: all(now > was + 5 for now, was in zip(writers.counts(), b)))
    errors = writers.errors()
    if errors:
        raise Failed("%d client errors in planned switchovers, first: %s" % (len(errors), errors[0][1]))
    check_nothing_lost(bench, writers)
    stamps = writers.stamps()
    gaps = [longest_gap(stamps, *span) for span in spans]
    calm = [longest_gap(stamps, start - FLOW_MS, start - 1) for start, _ in spans]
    one = [max(longest_gap([entry[1] for entry in writer.acknowledged], *span) for writer in writers.list)
           for span in spans]
    floor = "the same writers before it"
    return [
        Row("switchover: longest gap between two writes, p50", "ms", median(gaps), count, median(calm), floor,
            target=10),
        Row("switchover: longest gap between two writes, max", "ms", max(gaps), count, max(calm), floor),
        Row("switchover: longest gap of any one client, p50", "ms", median(one), count),
        Row("switchover: writes closed, as recorded, p50", "ms", median(closed), len(closed)),
        Row("switchover: orders refused by a check", "", len(refusals), count),
        Row("switchover: client errors", "", len(errors), writers.total(), target=0),
        Row("switchover: acknowledged writes lost", "", 0, writers.total(), target=0),
    ]


# ---- failover and return

def kill(node):
    """SIGKILL of batond and its PostgreSQL, all within a millisecond or so; returns the time of the first."""
    pids = [*node.pids("daemon"), *tree(node.postmaster())]
    at = now_ms()
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    node.process.wait()
    node.process = None
    for pid in pids[1:]:  # ours since batond is dead: a dead postmaster that nobody reaps looks alive
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            pass
    return at


def adopt_orphans():
    """Orphaned grandchildren become ours, so that we can reap them: not every init does so at once."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def come_back(node, primary, undo):
    """Undoes what befell the node; milliseconds until it says STANDBY and has the primary's head."""
    heads = Sql(primary)
    client = Client(node, timeout=5)
    ask = client.bytes_of("GET", "/v1/status")
    undo()
    start = now_ms()

    def has_returned():
        code, body = client.ask(ask)
        if code != 200 or b'"STANDBY"' not in body or node.state() != "STANDBY":
            return False
        return head(heads) == head(Sql(node))
    until("%s is a standby with the same head" % node.name, has_returned, 60, 0.01)
    took = now_ms() - start
    client.close()
    heads.close()
    return took


def head(sql):
    sql.cursor.execute("select applied, applied_hash from local.position()")
    revision, digest = sql.cursor.fetchone()
    return revision, bytes(digest) if not isinstance(digest, str) else digest


def one_failover(bench, number, result):
    nodes = list(bench.cluster.nodes.values())
    primary = steady(bench)
    target = nodes[(nodes.index(primary) + 1) % len(nodes)]
    clients = [Client(target).connect(), Client(target).connect()]
    with Writers([target], "app/failover/%d" % number) as writers:
        until("it writes", lambda: writers.counts()[0] > 50)
        kill(primary)
        ordered = now_ms()
        promotion, refused = order(clients[0], target.name)
        document = finished(clients[1], promotion)
        before = writers.counts()[0]
        until("it writes again", lambda: writers.counts()[0] > before + 20)
    # of the new epoch: an answer of the dead one may still have been on its way
    first = min((done for _, done, _, revision in writers.list[0].acknowledged if revision > document["revision"]),
                default=None)
    if document["kind"] != "failover" or first is None:
        raise Failed("not a failover: %s" % document)
    result["first"].append(first - ordered)
    result["promotion"].append(document["duration_ms"])
    result["refused"] += len(refused)
    result["errors"].append(len(writers.errors()))
    result["back"].append(come_back(primary, target, primary.start))
    check_nothing_lost(bench, writers)
    result["writes"] += writers.total()


def failover(bench):
    count = bench.size(5, 1)
    result = {"first": [], "promotion": [], "back": [], "errors": [], "refused": 0, "writes": 0}
    for number in range(count):
        one_failover(bench, number, result)
    promoted, restarted = bare_promotion(bench, bench.size(3, 1))
    return [
        Row("commanded failover: order to first write, p50", "ms", median(result["first"]), count,
            median(promoted), "bare: drop subscription, write", target=300),
        Row("commanded failover: order to first write, max", "ms", max(result["first"]), count, max(promoted),
            "bare: drop subscription, write"),
        Row("commanded failover: the promotion itself, p50", "ms", median(result["promotion"]), count),
        Row("commanded failover: acknowledged writes lost", "", 0, result["writes"], target=0),
        Row("commanded failover: orders refused by a check", "", result["refused"], count),
        Row("commanded failover: errors that the client at the taker saw, p50", "", median(result["errors"]), count),
        Row("return of the old primary: start to standby, p50", "ms", median(result["back"]), count,
            median(restarted), "bare crash restart", target=1000),
        Row("return of the old primary: max", "ms", max(result["back"]), count, max(restarted),
            "bare crash restart"),
    ]


def bare_promotion(bench, count):
    """What PostgreSQL itself needs: the subscriber lets go of a dead publisher and writes alone; the
    publisher starts after SIGKILL until it takes connections."""
    pair = bench.pair()
    promoted, restarted = [], []
    for _ in range(count):
        taker = pair.second.connect()
        cursor = taker.cursor()
        pair.first.kill()
        start = now_ms()
        cursor.execute("alter subscription bare disable")
        cursor.execute("alter subscription bare set (slot_name = none)")
        cursor.execute("drop subscription bare")
        cursor.execute("insert into entry(key, value) values ('app/bench/1', '1')")
        promoted.append(now_ms() - start)
        taker.close()
        start = now_ms()
        pair.first.start()
        restarted.append(now_ms() - start)
        pair.first.sql("select pg_drop_replication_slot('bare')")
        pair.join()
    return promoted, restarted
