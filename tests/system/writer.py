"""Clients that write all the time and remember what was acknowledged, for tests of promotions."""
import contextlib
import json
import threading
import time

from cluster import PORT
import http.client


PAUSE_S = 0.005  # after each write: they are to be many, and not to take the processor from who is tested


class Writers:
    """One thread for each node; every value is written once. Nothing is repeated, so an answer that
    did not come is an unknown outcome and not an acknowledgement."""

    def __init__(self, cluster, nodes, prefix="app/w"):
        self.cluster = cluster
        self.prefix = prefix
        self.acknowledged = {}
        self.unknown = set()
        self.refused = []
        self.stamps = []
        self.stopping = threading.Event()
        self.going = threading.Event()
        self.going.set()
        self.turns = [threading.Lock() for _ in nodes]  # each held during a write of its thread
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._run, args=(node, index), daemon=True)
                        for index, node in enumerate(nodes)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)

    @contextlib.contextmanager
    def paused(self):
        """None of their writes is under way."""
        self.going.clear()
        with contextlib.ExitStack() as held:
            for turn in self.turns:
                held.enter_context(turn)
            try:
                yield
            finally:
                self.going.set()

    def count(self):
        return len(self.acknowledged)

    def _run(self, node, index):
        connection = None
        number = 0
        context = node.context()
        while not self.stopping.is_set():
            self.going.wait()
            number += 1
            with self.turns[index]:
                if connection is None:
                    connection = http.client.HTTPSConnection(node.address, PORT, timeout=30, context=context)
                if self._write(connection, "%s/%d/%d" % (self.prefix, index, number), number):
                    continue
            connection = None
            if self.stopping.wait(0.05):
                return

    def _write(self, connection, key, number):
        """False: the connection is gone."""
        try:
            connection.request("PUT", "/v1/config/" + key, json.dumps({"value": number}),
                               {"Content-Type": "application/json"})
            reply = connection.getresponse()
            body = reply.read()
        except (OSError, http.client.HTTPException):
            with self.lock:
                self.unknown.add(key)
            return False
        with self.lock:
            if reply.status == 200:
                self.acknowledged[key] = number
                self.stamps.append(time.monotonic())
            else:
                document = json.loads(body)
                if document.get("kind") == "unknown_outcome":
                    self.unknown.add(key)
                else:
                    self.refused.append((key, reply.status, document.get("code"), document.get("detail")))
        return True

    def gap_ms(self):
        pairs = zip(self.stamps, self.stamps[1:])
        return max(((b - a) * 1000 for a, b in pairs), default=0.0)

    def lost(self, node):
        """Acknowledged keys that the node does not hold with their value."""
        rows = node.sql("select key, value from shared.config where key like '%s/%%'" % self.prefix)
        have = {key: value for key, value in rows}
        return [key for key, number in self.acknowledged.items() if have.get(key) != str(number)]
