"""What is measured while all is well: writes, reads, events, and what an idle node costs.

Each takes the Bench (cluster, pair, nginx, sizes) and returns rows. Baton and what it is compared with
take turns within a measure, so that the machine's other load falls on both.
"""
import json
import re
import select
import threading

import psycopg2

from client import Client, login, now_ms
from cluster import PORT, Failed
from connectors import Connectors
from figures import Row, cpu_us, median, percentile, pss_kib, tree
from floor import INSERT
from wrk import wrk

VALUE = {"text": "a value as long as most are", "n": 0}
BENCH_KEYS = 1000


def during(seconds):
    """Lets the time pass over which something is counted."""
    threading.Event().wait(seconds)


def timed_ms(action):
    start = now_ms()
    action()
    return now_ms() - start


# ---- idle

def cost(groups, seconds):
    """CPU in ms a second of each of the lists of processes, while nobody asks anything for so long."""
    before, start = [cpu_us(pids) for pids in groups], now_ms()
    during(seconds)
    wall_s = (now_ms() - start) / 1000
    return [(cpu_us(pids) - was) / 1000 / wall_s for pids, was in zip(groups, before)]


def idle(bench):
    """batond and its PostgreSQL when nobody asks anything: without a connector, and with 20 that are probed."""
    nodes = {"primary": bench.cluster.primary()}
    nodes["standby"] = next(node for node in bench.cluster.alive() if node is not nodes["primary"])
    peer = tree(bench.nginx().process.pid)
    daemons = [node.pids("daemon") for node in nodes.values()]
    databases = [tree(node.postmaster()) for node in nodes.values()]
    cpu = cost(daemons + databases, bench.size(10, 2))
    pss = [pss_kib(pids) / 1024 for pids in daemons]
    with Connectors(bench, 20):
        probing = cost(daemons, bench.size(60, 2))  # a node proves what it would use once a minute
        probing_pss = [pss_kib(pids) / 1024 for pids in daemons]
    rows = []
    for at, name in enumerate(nodes):
        rows += [
            Row("idle batond, %s: memory (PSS)" % name, "MiB", pss[at], 1, pss_kib(peer) / 1024, "nginx, idle",
                target=6),
            Row("idle batond, %s: CPU" % name, "ms/s", cpu[at], 1, target=2),
            Row("idle batond, %s, 20 connectors: memory (PSS)" % name, "MiB", probing_pss[at], 1),
            Row("idle batond, %s, 20 connectors: CPU" % name, "ms/s", probing[at], 1, cpu[at], "no connector",
                target=2),
            Row("its PostgreSQL, %s: memory (PSS)" % name, "MiB", pss_kib(databases[at]) / 1024,
                len(databases[at])),
            Row("its PostgreSQL, %s: CPU" % name, "ms/s", cpu[at + len(nodes)], len(databases[at])),
        ]
    return rows


# ---- status

def status(bench):
    """GET /v1/status over TLS against nginx with a file of the same bytes."""
    node = bench.cluster.primary()
    headers = ["Authorization: Bearer " + login(node)]
    nginx = bench.nginx()
    rounds, seconds = bench.size(3, 1), bench.size(4, 1)
    baton_url = "https://%s:%d/v1/status" % (node.address, PORT)
    per_s, cost = {"baton": [], "nginx": []}, {"baton": [], "nginx": []}
    for _ in range(rounds):
        for name, url, pids in (("baton", baton_url, node.pids("daemon")), ("nginx", nginx.url(),
                                                                           tree(nginx.process.pid))):
            before = cpu_us(pids)
            counted = wrk(url, 16, seconds, headers=headers)
            if counted["broken"] or counted["refused"] or not counted["requests"]:
                raise Failed("%s: %s" % (url, counted))
            per_s[name].append(counted["per_s"])
            cost[name].append((cpu_us(pids) - before) / counted["requests"])
    return [
        Row("GET /v1/status, TLS, keep-alive", "req/s", median(per_s["baton"]), rounds, median(per_s["nginx"]),
            "nginx, same bytes", target=0.8, of="ratio", better=1),
        Row("GET /v1/status: CPU of the server for one", "us", median(cost["baton"]), rounds, median(cost["nginx"]), "nginx"),
    ]


# ---- one write

class Sql:
    """One connection to a node's own PostgreSQL as the daemon's role."""

    def __init__(self, node):
        pg = json.loads((node.folder / "node.json").read_text())["pg"]
        self.connection = psycopg2.connect(host=pg["socket"], port=pg["port"], dbname=pg["dbname"], user="baton")
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()
        self.cursor.execute("set synchronous_commit = on")  # as the writer's connection

    def write(self, key, value):
        group = [{"author": "bench", "changes": [{"key": key, "value": value}]}]
        self.cursor.execute("select shared.write(%s::jsonb)", (json.dumps(group),))
        answer = self.cursor.fetchone()[0]
        if answer["synchronous_commit"] != "on" or not answer["groups"][0]["ok"]:
            raise Failed("shared.write: %s" % answer)
        if self.connection.notices:
            raise Failed("shared.write: %s" % self.connection.notices)

    def close(self):
        self.connection.close()


def putter(client, prefix):
    """A function that puts a new value; anything but 200 is a failure."""
    number = [0]

    def put():
        number[0] += 1
        key = "%s/%d" % (prefix, number[0] % BENCH_KEYS)
        code, body = client.ask(client.bytes_of("PUT", "/v1/config/" + key, {"value": {**VALUE, "n": number[0]}}))
        if code != 200:
            raise Failed("put at %s: %d %s" % (client.node.name, code, body))
    return put


def latency(bench):
    """One client, one write at a time, acknowledged by one of the others."""
    node = bench.cluster.primary()
    other = next(one for one in bench.cluster.alive() if one is not node)
    bare = bench.pair().first.connect()
    cursor, sql = bare.cursor(), Sql(node)
    text = json.dumps(VALUE)
    ways = {
        "bare": lambda: cursor.execute(INSERT % ("app/bench/1", text)),
        "api": putter(Client(node), "app/one"),
        "other": putter(Client(other), "app/other"),
        "sql": lambda: sql.write("app/bench/sql", VALUE),
    }
    rounds, count = bench.size(10, 2), bench.size(100, 20)
    taken = {name: [] for name in ways}
    for turn in range(rounds + 1):
        names = list(ways)
        for name in names[turn % 4:] + names[:turn % 4]:
            times = [timed_ms(ways[name]) for _ in range(count)]
            if turn > 0:  # the first warms up
                taken[name] += times
    sql.close()
    bare.close()
    middle = {name: median(times) for name, times in taken.items()}
    n, floor = rounds * count, (middle["bare"], "bare synchronous pair")
    return [
        Row("one write, k=1, API at the primary: p50", "ms", middle["api"], n, *floor, target=1.3, of="ratio"),
        Row("one write, k=1, API at the primary: p99", "ms", percentile(taken["api"], 0.99), n,
            percentile(taken["bare"], 0.99), floor[1]),
        Row("one write, k=1, API at a standby: p50", "ms", middle["other"], n, *floor),
        Row("one write, k=1, SQL shared.write(): p50", "ms", middle["sql"], n, *floor),
    ]


# ---- many writes

def throughput(bench):
    """64 clients with kept connections; nothing may fail, and every acknowledged write is in the log."""
    node = bench.cluster.primary()
    token = login(node)
    bare = bench.pair().first
    rounds, seconds = bench.size(3, 1), bench.size(4, 2)
    counts = "select count(*) from shared.log where key like 'app/bench/%'"
    baton, floor, waits = [], [], []
    for _ in range(rounds):
        before = int(node.sql(counts)[0][0])
        counted = wrk("https://%s:%d/" % (node.address, PORT), 64, seconds, arguments=(token, str(BENCH_KEYS)))
        written = int(node.sql(counts)[0][0]) - before
        if counted["broken"] or counted["refused"]:
            raise Failed("writes failed: %s" % counted)
        if not counted["requests"] <= written <= counted["requests"] + 64:
            raise Failed("%d writes were acknowledged, %d are there" % (counted["requests"], written))
        baton.append(counted["per_s"])
        waits.append(counted["p50_us"] / 1000)
        floor.append(bare.load(64, seconds))
    name = "bare pair, 64 sessions, a row a commit"
    return [
        Row("writes a second, k=1, 64 clients", "1/s", median(baton), rounds, median(floor), name, target=5000,
            better=1),
        Row("one write of these 64 clients: p50", "ms", median(waits), rounds, 64000 / median(floor), name),
    ]


# ---- events

class Listener:
    """One client of /v1/events."""

    SEEN = re.compile(rb"\nevent: config\nid: (\d+)-")

    def __init__(self, node):
        self.client = Client(node).connect()
        self.client.send(self.client.bytes_of("GET", "/v1/events"))
        self.rest = b""
        self.seen = {}
        self.read_once()
        if b" 200 " not in self.rest[:20]:
            raise Failed("events at %s: %r" % (node.name, self.rest[:200]))

    def read_once(self):
        more = self.client.socket.recv(65536)
        at = now_ms()
        if not more:
            raise Failed("%s ended the events" % self.client.node.name)
        self.rest += more
        end = 0
        for match in self.SEEN.finditer(self.rest):
            self.seen[int(match.group(1))] = at
            end = match.end()
        self.rest = self.rest[end:]


def gather(listeners, revision, until_ms):
    """Reads all listeners, whoever has something first, until each has seen the revision."""
    while True:
        missing = [one for one in listeners if revision not in one.seen]
        if not missing:
            return
        if now_ms() > until_ms:
            raise Failed("no event of revision %d at %s" % (revision, [one.client.node.name for one in missing]))
        sockets = {one.client.socket: one for one in missing}
        ready = [one for one in sockets if one.pending()] or select.select(list(sockets), [], [], 0.1)[0]
        for one in ready:
            sockets[one].read_once()


def events(bench):
    """From the acknowledgement of a write to its event at listeners of every node."""
    primary = bench.cluster.primary()
    listeners = {node.name: Listener(node) for node in bench.cluster.alive()}
    client = Client(primary)
    late = {name: [] for name in listeners}
    count = bench.size(300, 30)
    for number in range(count):
        code, body = client.json("PUT", "/v1/config/app/event", {"value": number})
        acknowledged = now_ms()
        if code != 200:
            raise Failed("put: %d %s" % (code, body))
        gather(listeners.values(), body["revision"], acknowledged + 5000)
        for name, listener in listeners.items():
            late[name].append(max(0.0, listener.seen[body["revision"]] - acknowledged))
    for listener in listeners.values():
        listener.client.close()
    standby = [value for name, values in late.items() if name != primary.name for value in values]
    return [
        Row("event after acknowledgement, at the primary: p50", "ms", median(late[primary.name]), count, target=5),
        Row("event after acknowledgement, at a standby: p50", "ms", median(standby), len(standby), target=5),
        Row("event after acknowledgement, at a standby: p99", "ms", percentile(standby, 0.99), len(standby)),
    ]
