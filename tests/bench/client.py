"""Clients of the HTTP API that cost little themselves: on two cores, what a client burns is missing elsewhere.

Requests are ready-made bytes on one kept connection; of an answer only what is needed is read.
"""
import json
import multiprocessing
import re
import socket
import ssl
import time

from cluster import PASSWORD, PORT, Failed

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
REVISION = re.compile(rb'"revision": *(\d+)')
FORK = multiprocessing.get_context("fork")
READ_SIZE = 65536


def now_ms():
    return time.monotonic() * 1000


class Client:
    """One connection to a node with the node's own certificate, made when first needed."""

    def __init__(self, node, timeout=30, token=None):
        self.node = node
        self.timeout = timeout
        self.context = node.context()
        self.extra = "Authorization: Bearer %s\r\n" % token if token else ""
        self.socket = None

    def connect(self):
        self.close()
        plain = socket.create_connection((self.node.address, PORT), self.timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = self.context.wrap_socket(plain, server_hostname=self.node.address)
        return self

    def close(self):
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def bytes_of(self, method, path, body=None):
        data = b"" if body is None else json.dumps(body).encode()
        head = "%s %s HTTP/1.1\r\nHost: %s:%d\r\n%s" % (method, path, self.node.address, PORT, self.extra)
        if body is not None:
            head += "Content-Type: application/json\r\nContent-Length: %d\r\n" % len(data)
        return head.encode() + b"\r\n" + data

    def send(self, request):
        if self.socket is None:
            self.connect()
        self.socket.sendall(request)

    def answer(self):
        """(status, body). A closed or broken connection raises OSError and is forgotten."""
        got = b""
        try:
            while True:
                end = got.find(b"\r\n\r\n")
                if end >= 0:
                    found = LENGTH.search(got, 0, end + 2)
                    size = int(found.group(1)) if found else 0
                    if len(got) >= end + 4 + size:
                        return int(got[9:12]), got[end + 4:end + 4 + size]
                more = self.socket.recv(READ_SIZE)
                if not more:
                    raise ConnectionError("%s closed the connection" % self.node.name)
                got += more
        except OSError:
            self.close()
            raise

    def ask(self, request):
        """As the others do: an idle connection that the server has closed is made anew, once."""
        fresh = self.socket is None
        try:
            self.send(request)
            return self.answer()
        except (ConnectionError, ssl.SSLEOFError):
            if fresh:
                raise
            self.close()
            self.send(request)
            return self.answer()

    def json(self, method, path, body=None):
        status, text = self.ask(self.bytes_of(method, path, body))
        return status, json.loads(text) if text else None


def login(node):
    """A bearer token of the administrator at this node, for clients that have no certificate."""
    status, answer = Client(node).json("POST", "/v1/login", {"user": "admin", "password": PASSWORD})
    if status != 200:
        raise Failed("login at %s: %d %s" % (node.name, status, answer))
    return answer["token"]


class Writer:
    """A process with one client that writes to one node, the next write as soon as the last is answered.

    Every value is written once and to a key of its own, so that what was acknowledged can be counted.
    """

    def __init__(self, node, prefix, timeout=30):
        self.node = node
        self.timeout = timeout
        self.prefix = prefix
        self.stopping = FORK.Event()
        self.count = FORK.Value("L", 0, lock=False)
        self.receiver, self.sender = FORK.Pipe(duplex=False)
        self.acknowledged = []  # (sent_ms, acknowledged_ms, number, revision)
        self.errors = []  # (ms, what)
        self.process = FORK.Process(target=self._run, daemon=True)

    def start(self):
        self.process.start()
        self.sender.close()
        return self

    def key(self, number):
        return "%s/%d" % (self.prefix, number)

    def _run(self):
        acknowledged, errors, number = [], [], 0
        client = Client(self.node, self.timeout)
        while not self.stopping.is_set():
            number += 1
            request = client.bytes_of("PUT", "/v1/config/" + self.key(number), {"value": number})
            sent = now_ms()
            try:
                client.send(request)
                status, body = client.answer()
            except OSError as problem:
                client.close()
                errors.append((sent, "%s: %s" % (type(problem).__name__, problem)))
                self.stopping.wait(0.002)
                continue
            if status == 200:
                acknowledged.append((sent, now_ms(), number, int(REVISION.search(body).group(1))))
                self.count.value += 1
            else:
                errors.append((sent, "%d %s" % (status, body.decode(errors="replace"))))
                self.stopping.wait(0.002)
        self.sender.send((acknowledged, errors))

    def stop(self):
        self.stopping.set()
        if not self.receiver.poll(60):
            self.process.kill()
            raise Failed("the writer at %s does not end" % self.node.name)
        self.acknowledged, self.errors = self.receiver.recv()
        self.process.join()
        return self


class Writers:
    """A writer at each of the nodes; 'timeouts': seconds that it waits for an answer, by name of the node."""

    def __init__(self, nodes, prefix, timeouts=None):
        self.prefix = prefix
        self.list = [Writer(node, "%s/%s" % (prefix, node.name), (timeouts or {}).get(node.name, 30)) for node in nodes]
        self.running = False

    def __enter__(self):
        for writer in self.list:
            writer.start()
        self.running = True
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.running:
            self.running = False
            for writer in self.list:
                writer.stopping.set()
            for writer in self.list:
                writer.stop()

    def counts(self):
        return [writer.count.value for writer in self.list]

    def stamps(self):
        return sorted(entry[1] for writer in self.list for entry in writer.acknowledged)

    def errors(self):
        return [error for writer in self.list for error in writer.errors]

    def total(self):
        return sum(len(writer.acknowledged) for writer in self.list)

    def lost(self, node):
        """What was acknowledged and is not in the node's log at that revision with that value."""
        prefix = self.list[0].prefix.rsplit("/", 1)[0]
        rows = node.sql("select revision, key, value from shared.log where key like '%s/%%'" % prefix)
        have = {(int(revision), key, value) for revision, key, value in rows}
        return [(writer.key(number), revision) for writer in self.list
                for _, _, number, revision in writer.acknowledged
                if (revision, writer.key(number), str(number)) not in have]


def longest_gap(stamps, start, end):
    """The longest time between two neighbours of the sorted 'stamps' that touches start..end."""
    longest = 0.0
    for before, after in zip(stamps, stamps[1:]):
        if after >= start and before <= end:
            longest = max(longest, after - before)
    return longest
