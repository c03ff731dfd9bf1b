"""Instances of connectors at scale: agents beside one real server, on all nodes of the cluster.

Wrong, and the end of the run: a heartbeat that writes to the shared log, a session that a failover ends, an
agent that does not end with 0 when it is told to. Times and costs are only reported.
"""
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import tempfile

from client import Client, now_ms
from cluster import BUILD, Failed, until
from connectors import Connectors
from figures import Row, median, percentile, pss_kib
from measures import cost, timed_ms
from moves import finished, kill, order, steady

EVERYTHING = "/v1/instances?limit=1000"


class Agents:
    """`baton agent`, so many beside each connector, in turns; ended by SIGKILL if not before."""

    def __init__(self, folder, connectors, each):
        self.folder = folder
        self.connectors = connectors
        self.names = [(name, "i-%02d" % number) for number in range(1, each + 1) for name in connectors.names]
        self.processes = {}

    def token(self, client, connector):
        code, answer = client.json("POST", "/v1/agent/tokens", {"connector": connector})
        if code not in (200, 201):
            raise Failed("no token for %s: %d %s" % (connector, code, answer))
        return answer

    def start(self, tokens):
        server = self.connectors.server
        for connector, name in self.names:
            with open(self.folder / ("%s.%s.log" % (connector, name)), "wb") as log:
                self.processes[connector, name] = subprocess.Popen(
                    [str(BUILD / "baton"), "agent", "--connector-id", connector, "--instance", name, "--version",
                     "1.7.0", "--listen", "127.0.0.1:0", "--health", server.url + "/", "--ca",
                     str(self.connectors.authority.folder / "ca.crt")],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    env={"PATH": os.environ["PATH"], "BATON_AGENT_TOKEN": tokens[connector]["token"]})

    def pids(self):
        return [process.pid for process in self.processes.values()]

    def kill(self, keys):
        """SIGKILL of these; the time of the first."""
        at = now_ms()
        for key in keys:
            self.processes[key].kill()
        for key in keys:
            self.processes.pop(key).wait()
        return at

    def stop(self):
        """As a service manager would, all at once."""
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        codes = [process.wait(60) for process in self.processes.values()]
        self.processes = {}
        if any(codes):
            raise Failed("agents ended with %s" % sorted(set(codes)))

    def close(self):
        self.kill(list(self.processes))


def sessions(client):
    """{(connector, instance): session} of those that are CONNECTED at this node and have spoken to it."""
    code, document = client.json("GET", EVERYTHING)
    if code != 200 or document["next_page_token"] is not None:
        raise Failed("instances: %s" % code)
    return {(one["connector"], row["name"]): row["session"]["id"] for one in document["connectors"]
            for row in one["instances"] if row["status"] == "CONNECTED" and row["session"] is not None}


def written(node):
    """What heartbeats must leave alone, and what a node writes at all: (revision, commits of records, bytes of WAL)."""
    row = node.sql("select (select applied from local.position()), (select count(distinct txn) from shared.log where "
                   "key like 'instance/%/known'), pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')")[0]
    return tuple(int(word) for word in row)


def metric(client, name):
    code, body = client.ask(client.bytes_of("GET", "/metrics"))
    found = re.search(rb"^%s ([\d.e+]+)$" % name.encode(), body, re.MULTILINE)
    if code != 200 or found is None:
        raise Failed("no metric %s" % name)
    return float(found.group(1))


class Registry:
    """The part of the cluster that is measured: the primary's batond, and its PostgreSQL."""

    def __init__(self, node):
        self.node = node
        self.groups = [node.pids("daemon"), node.pids("database")]

    def look(self, seconds, more=()):
        """Costs while nothing but heartbeats happens."""
        client = Client(self.node)
        before, beats, start = written(self.node), metric(client, "baton_heartbeats_total"), now_ms()
        cpu = cost([*self.groups, *more], seconds)
        wall_s = (now_ms() - start) / 1000
        after = written(self.node)
        seen = {"cpu": cpu, "pss": [pss_kib(pids) / 1024 for pids in [*self.groups, *more]],
                "beats_s": (metric(client, "baton_heartbeats_total") - beats) / wall_s,
                "rows": after[0] - before[0], "wal_s": (after[2] - before[2]) / wall_s,
                "connections": metric(client, "baton_http_connections")}
        client.close()
        return seen


def ask_often(client, path, count):
    """Latencies of so many answers, and the size of one."""
    request = client.bytes_of("GET", path)
    sizes = []

    def ask():
        code, body = client.ask(request)
        if code != 200:
            raise Failed("GET %s: %d" % (path, code))
        sizes.append(len(body))
    return [timed_ms(ask) for _ in range(count)], sizes[-1]


def keeps(client, wanted):
    """Not one of the sessions may be another, or gone, at any time that anybody looks."""
    seen = sessions(client)
    lost = [key for key, session in wanted.items() if seen.get(key) != session]
    if lost:
        raise AssertionError("%d sessions were lost, first %s" % (len(lost), lost[0]))


def failover(bench, agents, wanted):
    """(order until promoted, order until all sessions are told by the new primary, start of the old one until
    it has heard of all again)."""
    nodes = list(bench.cluster.nodes.values())
    primary = steady(bench)
    target = nodes[(nodes.index(primary) + 1) % len(nodes)]
    clients = [Client(target).connect() for _ in range(3)]
    kill(primary)
    ordered = now_ms()
    promotion, _ = order(clients[0], target.name)
    document = finished(clients[1], promotion)
    promoted = now_ms() - ordered
    if document["kind"] != "failover":
        raise Failed("not a failover: %s" % document)
    keeps(clients[2], wanted)
    told = now_ms() - ordered
    primary.start()
    start = now_ms()
    back = Client(primary, timeout=5)
    until("%s has heard of all" % primary.name, lambda: sessions(back) == wanted, 90, 0.1)
    heard = now_ms() - start
    for node in bench.cluster.alive():
        keeps(Client(node), wanted)
    steady(bench)
    return promoted, told, heard


def silence(bench, agents, count):
    """From SIGKILL of some agents until the primary says DISCONNECTED of each."""
    client = Client(bench.cluster.primary())
    dead = list(agents.processes)[:count]
    at = agents.kill(dead)
    seen = {}

    def all_are_out():
        there = sessions(client)
        for key in dead:
            if key not in there:
                seen.setdefault(key, now_ms() - at)
        return len(seen) == len(dead)
    until("the killed are DISCONNECTED", all_are_out, 120, 0.05)
    if len(sessions(client)) != len(agents.processes):
        raise Failed("others than the killed are out, too")
    return list(seen.values())


@contextlib.contextmanager
def settings(connectors, values):
    """For this long only."""
    connectors.change([{"key": key, "value": value} for key, value in values.items()])
    try:
        yield
    finally:
        connectors.change([{"key": key, "delete": True} for key in values])


def prepare(bench, agents, connectors):
    """A token for each connector, known to all nodes."""
    client = Client(bench.cluster.primary())
    tokens = {name: agents.token(client, name) for name in connectors.names}
    ids = {token["id"] for token in tokens.values()}
    for node in bench.cluster.nodes.values():
        ask = Client(node)
        until("%s has all tokens" % node.name,
              lambda c=ask: ids <= {token["id"] for token in c.json("GET", "/v1/agent/tokens")[1]["tokens"]})
    return tokens


def instances(bench):
    """200 instances of 20 connectors: what they cost, and what becomes of them."""
    heartbeat_ms, silence_ms = bench.size(10000, 500), bench.size(30000, 10000)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="agents-", dir=bench.folder))
    with Connectors(bench, bench.size(20, 2)) as connectors, \
         settings(connectors, {"instance.heartbeat_ms": heartbeat_ms, "instance.silence_ms": silence_ms}):
        agents = Agents(folder, connectors, bench.size(10, 2))
        try:
            return measure(bench, agents, prepare(bench, agents, connectors), silence_ms)
        finally:
            agents.close()


def measure(bench, agents, tokens, silence_ms):
    primary, seconds = bench.cluster.primary(), bench.size(30, 1)
    registry, count = Registry(primary), len(agents.names)
    asked = {node: Client(node) for node in bench.cluster.nodes.values()}
    without = registry.look(seconds)
    start = now_ms()
    agents.start(tokens)
    until("all are CONNECTED", lambda: len(sessions(asked[primary])) == count, 120, 0.05)
    connected = now_ms() - start
    for node, client in asked.items():
        until("all are CONNECTED at " + node.name, lambda c=client: len(sessions(c)) == count, 120, 0.05)
    everywhere = now_ms() - start
    until("the records are written", lambda: all(
        row[0].count('"connected": true') * len(tokens) == count for row in primary.sql(
            "select value from shared.config where key like 'instance/%/known'")), 60)
    records = written(primary)[1]
    seen = registry.look(seconds, [agents.pids()])
    if seen["rows"] != 0:
        raise AssertionError("%d rows of the shared log while there were only heartbeats" % seen["rows"])
    whole, size = ask_often(asked[primary], EVERYTHING, bench.size(300, 10))
    page, _ = ask_often(asked[primary], "/v1/instances?limit=5", bench.size(300, 10))
    wanted = sessions(asked[primary])
    promoted, told, heard = failover(bench, agents, wanted)
    out = silence(bench, agents, 10) if not bench.quick else []  # it takes as long as the setting says
    agents.stop()
    name = "%d instances of %d connectors: " % (count, len(tokens))
    beat_us = (seen["cpu"][0] - without["cpu"][0]) * 1000 / seen["beats_s"]
    rows = [
        Row(name + "start of the first agent until all are CONNECTED", "ms", connected, count),
        Row(name + "the same, at every node", "ms", everywhere, count),
        Row(name + "commits of the shared log to record them", "", records, count),
        Row(name + "batond, primary: CPU", "ms/s", seen["cpu"][0], count, without["cpu"][0], "no agent"),
        Row(name + "batond, primary: CPU for one heartbeat", "us", beat_us, round(seen["beats_s"] * seconds)),
        Row(name + "batond, primary: memory (PSS)", "MiB", seen["pss"][0], count, without["pss"][0], "no agent"),
        Row(name + "its connections", "", seen["connections"], count, without["connections"], "no agent"),
        Row(name + "its PostgreSQL: CPU", "ms/s", seen["cpu"][1], count, without["cpu"][1], "no agent"),
        Row(name + "its PostgreSQL: WAL", "B/s", seen["wal_s"], count, without["wal_s"], "no agent"),
        Row(name + "rows of the shared log for heartbeats", "", seen["rows"], round(seen["beats_s"] * seconds),
            target=0),
        Row(name + "one agent: CPU", "ms/s", seen["cpu"][2] / count, count),
        Row(name + "one agent: memory (PSS)", "MiB", seen["pss"][2] / count, count),
        Row(name + "GET of all (%d KiB): p50" % (size // 1024), "ms", median(whole), len(whole)),
        Row(name + "GET of all: p99", "ms", percentile(whole, 0.99), len(whole)),
        Row(name + "GET of a page of 5 connectors: p50", "ms", median(page), len(page)),
        Row(name + "failover: order until promoted", "ms", promoted, 1),
        Row(name + "failover: order until the new primary tells all sessions", "ms", told, 1),
        Row(name + "failover: sessions lost", "", 0, count, target=0),
        Row(name + "start of the killed node until it has heard of all", "ms", heard, count),
    ]
    for what, value in (("p50", median(out)), ("max", max(out))) if out else ():
        rows.append(Row(name + "killed agent: until DISCONNECTED, " + what, "ms", value, len(out), silence_ms,
                        "instance.silence_ms"))
    return rows
