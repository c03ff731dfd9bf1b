"""Clients that write down all they asked and were answered; tests/history/check.py judges it.

Each thread is one client with one operation at a time. Writes go to any node; reads only to the primary, which
says before and after the read that it is that, of one epoch: another node's answer is exact for its
revision, and may be old. Keys are used for a while each, so that the checker has short histories.
"""
import http.client
import json
import random
import sys
import threading
import time

from cluster import PORT, ROOT, Failed

sys.path.insert(0, str(ROOT / "tests/history"))
import check  # noqa: E402

KEYS = 3         # in use at once
KEY_OPS = 120    # then a key is left for the next one
PAUSE_S = 0.005  # of a client after each operation: the processor is for who is tested


class NotOneCopy(Failed):
    """What the clients were answered, no single copy can have answered."""


class Client(threading.Thread):
    def __init__(self, history, number, nodes, reads):
        super().__init__(daemon=True)
        self.history, self.nodes, self.reads = history, nodes, reads
        self.rng = random.Random("%s %d" % (history.prefix, number))
        self.connections = {}
        self.known = {}  # revision of each key, as this client was last told

    def ask(self, node, method, path, body=None, headers=None):
        """(status, document, headers); None: no answer came."""
        try:
            if node.name not in self.connections:
                self.connections[node.name] = http.client.HTTPSConnection(node.address, PORT, timeout=self.history.timeout_s,
                                                                          context=self.history.contexts[node.name])
            connection = self.connections[node.name]
            connection.request(method, path, None if body is None else json.dumps(body),
                               {"Content-Type": "application/json", **(headers or {})})
            reply = connection.getresponse()
            return reply.status, json.loads(reply.read()), reply.headers
        except (OSError, http.client.HTTPException, ValueError):
            connection = self.connections.pop(node.name, None)
            if connection is not None:
                connection.close()
            return None

    def primary_epoch(self, node):
        """None unless the node is primary."""
        answer = self.ask(node, "GET", "/v1/status")
        if answer is None or answer[0] != 200:
            return None
        here = [one for one in answer[1]["nodes"] if one["name"] == node.name]
        return here[0]["epoch"] if here and here[0]["state"] == "PRIMARY" else None

    def read(self, key):
        for node in sorted(self.history.nodes, key=lambda node: node is not self.history.primary):
            epoch = self.primary_epoch(node)
            if epoch is None:
                continue
            self.history.primary = node
            call = time.monotonic_ns()
            answer = self.ask(node, "GET", "/v1/config/" + key)
            end = time.monotonic_ns()
            if answer is None or answer[0] not in (200, 404) or self.primary_epoch(node) != epoch:
                return
            value, revision = (answer[1]["value"], answer[1]["revision"]) if answer[0] == 200 else (None, 0)
            self.known[key] = revision
            self.history.keep(op="get", key=key, value=value, revision=revision, call=call, end=end, outcome="ok",
                              node=node.name)
            return
        self.history.stopping.wait(0.05)

    def write(self, key):
        node = self.rng.choice(self.nodes)
        value = self.history.next_value()
        op = {"op": "put", "key": key, "value": value, "node": node.name}
        if self.rng.random() < 0.7:
            op.update(op="cas", expect=self.known.get(key, 0))
        call = time.monotonic_ns()
        answer = self.ask(node, "PUT", "/v1/config/" + key, {"value": value},
                          {"If-Match": '"%d"' % op["expect"]} if op["op"] == "cas" else None)
        end = time.monotonic_ns()
        if answer is None or answer[1].get("kind") == "unknown_outcome":
            self.history.keep(call=call, end=None, outcome="unknown", **op)
        elif answer[0] == 200:
            self.known[key] = answer[1]["revision"]
            self.history.keep(call=call, end=end, outcome="ok", revision=answer[1]["revision"], **op)
        elif answer[0] == 412:
            self.history.keep(call=call, end=end, outcome="stale", **op)
        else:  # surely not done
            self.history.refused.append((op, answer[0], answer[1]))
        if answer is None or answer[0] not in (200, 412):
            self.history.stopping.wait(0.05)

    def run(self):
        while not self.history.stopping.is_set():
            key = self.history.key(self.rng)
            if self.reads and self.rng.random() < 0.4:
                self.read(key)
            else:
                self.write(key)
            self.history.stopping.wait(PAUSE_S)
        for connection in self.connections.values():
            connection.close()


class History:
    """Used as a context manager; judge() stops the clients, and fails when no single copy could have answered so."""

    def __init__(self, cluster, nodes=None, clients=3, prefix="app/h", reads=True, pinned=False, timeout_s=30):
        """'pinned': one client for each node, that writes there and nowhere else."""
        self.prefix = prefix
        self.nodes = list(nodes or cluster.nodes.values())
        self.file = cluster.folder / ("history-%s.jsonl" % prefix.replace("/", "-"))
        self.contexts = {node.name: node.context() for node in self.nodes}
        self.primary = None
        self.ops, self.refused = [], []
        self.stamps = []  # when each write was acknowledged
        self.calls = []   # and when it had been sent
        self.timeout_s = timeout_s
        self.values = 0
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        homes = [[node] for node in self.nodes] if pinned else [self.nodes] * clients
        self.threads = [Client(self, number, nodes, reads) for number, nodes in enumerate(homes)]

    def key(self, rng):
        return "%s/%d" % (self.prefix, len(self.ops) // (KEYS * KEY_OPS) * KEYS + rng.randrange(KEYS))

    def next_value(self):
        with self.lock:
            self.values += 1
            return self.values

    def keep(self, end, **op):
        with self.lock:
            self.ops.append({**op, "return": end})
            if op["op"] != "get" and op["outcome"] == "ok":
                self.stamps.append(end / 1e9)
                self.calls.append(op["call"] / 1e9)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(4 * self.timeout_s)

    def count(self):
        """Writes that were acknowledged."""
        return len(self.stamps)

    def outage_ms(self, moment):
        """The longest time since that moment of time.monotonic() in which no write was acknowledged."""
        with self.lock:
            stamps = [moment, *sorted(stamp for stamp in self.stamps if stamp > moment)]
        return max(((after - before) * 1000 for before, after in zip(stamps, stamps[1:])), default=0.0)

    def outcomes(self):
        counts = {}
        for op in self.ops:
            name = "%s %s" % (op["op"], op["outcome"])
            counts[name] = counts.get(name, 0) + 1
        return counts

    def read_at_last(self, node):
        """What the node holds of every key, once all is settled: as one more read of each."""
        rows = node.sql("select key, value, revision from shared.config where key like '%s/%%'" % self.prefix)
        held = {key: (json.loads(value), int(revision)) for key, value, revision in rows}
        now = time.monotonic_ns()
        for key in sorted({op["key"] for op in self.ops}):
            value, revision = held.get(key, (None, 0))
            self.keep(op="get", key=key, value=value, revision=revision, call=now, end=time.monotonic_ns(), outcome="ok",
                      node=node.name)

    def judge(self, *nodes):
        """All the nodes have settled. Returns how many operations there were."""
        self.stop()
        for node in nodes:
            self.read_at_last(node)
        self.file.write_text("".join(json.dumps(op) + "\n" for op in self.ops))
        try:
            return check.check(self.ops)[0]
        except check.Broken as problem:
            raise NotOneCopy("%s: %s" % (self.file, problem)) from None
