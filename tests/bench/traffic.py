"""Real traffic through HAProxy while the primary moves: what a promotion costs those who use the connector.

wrk goes through HAProxy, as `baton connector haproxy-config` makes it, to one of two real HTTPS servers; driver
haproxy moves it to the other. Wrong, and the end of the run: a request that fails in a planned switchover over
connections that are not kept (S11), or a promotion after which the other server does not answer.
"""
import json
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import threading

from client import Client, now_ms
from cluster import Failed, until
from figures import Row, median
from measures import during, timed_ms
from moves import come_back, finished, kill, order, steady
from proxies import Haproxy, Nginx
from servers import Authority, free_port

HERE = pathlib.Path(__file__).resolve().parent
CONNECTIONS = 8
WRK_S = 120  # at most; it is told to end
DRAIN_MS = 1000
CONNECTOR = "shop"
ENDED = re.compile(r"activation\.end connector=%s server=(\w+) .*state=done ms=(\d+)" % CONNECTOR)


class Wrk:
    """One wrk, until it is told to end."""

    def __init__(self, port, how):
        self.process = subprocess.Popen(
            ["wrk", "-t1", "-c%d" % CONNECTIONS, "-d%ds" % WRK_S, "--timeout", "10s", "-s", str(HERE / "traffic.lua"),
             "https://127.0.0.1:%d/" % port, "--", how], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def end(self):
        """What it counted; 'lost' are requests that got no answer, but for those under way at its end."""
        self.process.send_signal(signal.SIGINT)
        text = self.process.communicate(timeout=WRK_S)[0]
        lines = [line for line in text.splitlines() if line.startswith("{")]
        if self.process.returncode != 0 or not lines:
            raise Failed("wrk: exit %d\n%s" % (self.process.returncode, text))
        counted = json.loads(lines[-1])
        counted["per_s"] = counted["answered"] / counted["us"] * 1e6
        counted["lost"] = max(0, counted["asked"] - counted["answered"] - CONNECTIONS)
        return counted


class Watch:
    """When HAProxy itself says that a server is ready, asked about every millisecond."""

    def __init__(self, haproxy, wanted):
        self.haproxy, self.wanted = haproxy, wanted
        self.ended = threading.Event()
        self.seen_ms = None
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    def _work(self):
        with socket.socket(socket.AF_UNIX) as there:
            there.connect(self.haproxy.place)
            there.sendall(b"prompt\n")
            there.recv(65536)
            while not self.ended.wait(0.001):
                there.sendall(b"show servers state %s\n" % CONNECTOR.encode())
                answer = b""
                while not answer.endswith(b"\n\n> "):
                    answer += there.recv(65536)
                row = next(line.split() for line in answer.splitlines() if b" %s " % self.wanted.encode() in line)
                if int(row[6]) & 0x7b == 0:  # srv_admin_state: neither maintenance nor drain
                    self.seen_ms = now_ms()
                    return

    def end(self):
        until("HAProxy has switched to " + self.wanted, lambda: self.seen_ms or not self.thread.is_alive(), 30, 0.01)
        self.ended.set()
        self.thread.join(30)
        return self.seen_ms


def listens(port):
    with socket.create_connection(("127.0.0.1", port), 1):
        return True


class Site:
    """The connector, its two servers, and HAProxy before them; two of the nodes take turns."""

    def __init__(self, bench):
        self.bench = bench
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="traffic-", dir=bench.folder))
        self.folder.chmod(0o755)
        self.nodes = list(bench.cluster.nodes.values())[:2]
        self.programs = []
        try:
            self._make()
        except BaseException:
            self.close()
            raise

    def _make(self):
        authority = Authority(self.folder / "ca")
        servers = {}
        for name in ("main", "alternate"):
            servers[name] = Nginx(self.folder / name, authority, name, free_port("127.0.0.1"))
            self.programs.append(servers[name])
            until("nginx listens", lambda port=servers[name].port: listens(port))
        place = self.folder / "admin.sock"
        document = {"main": servers["main"].document(), "alternate": servers["alternate"].document(),
                    "activation": [{"driver": "haproxy", "socket": str(place), "drain_ms": DRAIN_MS}]}
        primary = steady(self.bench)
        if primary not in self.nodes:
            promotion, _ = order(Client(self.nodes[0]), self.nodes[0].name)
            finished(Client(self.nodes[0]), promotion)
            primary = steady(self.bench)
        reply = primary.put("connector/" + CONNECTOR, document)
        if reply.status != 200:
            raise Failed("the connector is refused: %s" % reply.body)
        for node in self.nodes:
            until("the connector is known at " + node.name, lambda n=node: self.row(n))
        self.nodes[1].cli("local", "set", "connector/%s/use_alternate_server" % CONNECTOR, "true")
        self.port = free_port("127.0.0.1")
        config = primary.cli("connector", "haproxy-config", CONNECTOR, "--listen", "127.0.0.1:%d" % self.port, "--hold",
                             str(self.folder / "hold.lua")).stdout
        config = config.replace("/run/haproxy/baton.state", str(self.folder / "baton.state"))
        config = config.replace("log /dev/log local0", "log stdout format raw local0 err")
        self.haproxy = Haproxy(self.folder, config, place)
        self.haproxy.start()
        self.programs.append(self.haproxy)
        self.settled()

    def close(self):
        for program in reversed(self.programs):
            program.stop()
        self.bench.cluster.primary().api("DELETE", "/v1/config/connector/" + CONNECTOR)

    def row(self, node):
        return next((row for row in node.status()["connectors"]
                     if row["name"] == CONNECTOR and row["node"] == node.name), None)

    def wanted(self, primary):
        return ("main", "alternate")[self.nodes.index(primary)]

    def settled(self):
        """HAProxy has what the primary wants, and no grace lasts; the other node has given up what it had."""
        primary = steady(self.bench)
        states = {name: "maint" for name in ("main", "alternate")} | {self.wanted(primary): "ready"}
        until("HAProxy has %s" % states, lambda: states.items() <= self.haproxy.states(CONNECTOR).items(), 60, 0.05)
        for node in self.nodes:
            until("%s is done" % node.name, lambda n=node: (self.row(n)["activation"] or {}).get("state") in (
                ("done",) if n is primary else ("done", None)), 60, 0.05)
        return primary


def switched(node, server):
    """What the node's log says the activation took, its stored intent included."""
    found = [int(took) for name, took in ENDED.findall(node.log.read_text(errors="replace")) if name == server]
    return found[-1]


def promote(site, victim, target, result):
    """Orders the promotion; the times until it is done and until HAProxy has switched."""
    client, asker = Client(target).connect(), Client(target).connect()
    watch = Watch(site.haproxy, site.wanted(target))
    if victim is not None:
        kill(victim)
    at = now_ms()
    document = finished(asker, order(client, target.name)[0])
    result["promoted"].append(now_ms() - at)
    if document["kind"] != ("switchover" if victim is None else "failover"):
        raise Failed("not as ordered: %s" % document)
    result["switched"].append(watch.end() - at)
    until("the activation is told", lambda: site.row(target)["activation"]["state"] == "done", 30)
    result["driver"].append(switched(target, site.wanted(target)))
    return at


def flow(site, how, victim, target, result):
    """The promotion in the middle of traffic, and before it the same traffic without one."""
    load = Wrk(site.port, how)
    during(site.bench.size(5, 1))
    result["calm"].append(load.end())
    load = Wrk(site.port, how)
    try:
        during(1)
        at = promote(site, victim, target, result)
        during(2 * DRAIN_MS / 1000)  # what was connected is cut, and comes again
    finally:
        counted = load.end()
    if counted["turned_ms"] == 0:
        raise Failed("nobody was answered by %s" % site.wanted(target))
    counted["turned_ms"] -= at
    result["moved"].append(counted)
    if how == "close" and victim is None and counted["lost"] + counted["errors"]:
        raise AssertionError("requests failed in a planned switchover: %s" % counted)


def one(site, how, fails, result):
    """'how': over a new connection for each request ("close"), over kept ones ("keep"), or nobody asks ("")."""
    primary = site.settled()
    target = next(node for node in site.nodes if node is not primary)
    if how:
        flow(site, how, primary if fails else None, target, result)
    else:
        promote(site, primary if fails else None, target, result)
    if fails:
        come_back(primary, target, primary.start)


def runtime_api(site, count):
    """What HAProxy itself needs: two lines one after the other, each over a connection of its own."""
    server = site.wanted(site.settled())

    def ask():
        site.haproxy.say("show servers state %s" % CONNECTOR)
        site.haproxy.say("set server %s/%s state ready; show servers state %s" % (CONNECTOR, server, CONNECTOR))
    return [timed_ms(ask) for _ in range(count)]


def switch_rows(name, result):
    count = len(result["switched"])
    return [
        Row(name + ": order until the promotion is done, p50", "ms", median(result["promoted"]), count),
        Row(name + ": order until HAProxy has switched, p50", "ms", median(result["switched"]), count,
            median(result["promoted"]), "the promotion is done"),
        Row(name + ": the activation, its stored intent included, p50", "ms", median(result["driver"]), count,
            result["bare"], "two bare lines to HAProxy"),
    ]


def traffic_rows(name, result):
    calm, moved, count = result["calm"], result["moved"], len(result["moved"])

    def middle(runs, key):
        return median([run[key] for run in runs])
    return [
        Row(name + ": requests/s", "1/s", middle(moved, "per_s"), count, middle(calm, "per_s"), "without it", better=1),
        Row(name + ": requests that failed", "", sum(run["lost"] + run["errors"] for run in moved),
            sum(run["asked"] for run in moved), sum(run["lost"] + run["errors"] for run in calm), "without it"),
        Row(name + ": longest time without an answer, p50", "ms", middle(moved, "gap_ms"), count,
            middle(calm, "gap_ms"), "without it"),
        Row(name + ": longest time without an answer, max", "ms", max(run["gap_ms"] for run in moved), count,
            max(run["gap_ms"] for run in calm), "without it"),
        Row(name + ": order until the new server answers, p50", "ms", middle(moved, "turned_ms"), count,
            median(result["promoted"]), "the promotion is done"),
    ]


KINDS = {"": "nobody asks", "close": "wrk over new connections", "keep": "wrk over kept connections"}


def traffic(bench):
    """Nobody, new connections and kept ones, through switchovers and failovers; quickly, one switchover."""
    site, rows = Site(bench), []
    kinds = [(fails, how) for fails in (False, True) for how in KINDS]
    try:
        bare = median(runtime_api(site, bench.size(50, 5)))
        for fails, how in [(False, "close")] if bench.quick else kinds:
            result = {"calm": [], "moved": [], "promoted": [], "switched": [], "driver": [], "bare": bare}
            for _ in range(bench.size(3, 1)):
                one(site, how, fails, result)
            name = "HAProxy in a %s, %s" % ("commanded failover" if fails else "switchover", KINDS[how])
            rows += traffic_rows(name, result) if how else switch_rows(name, result)
    finally:
        site.close()
    return rows
