#!/usr/bin/python3
"""HTTPS servers for test_probe.c: good ones, and one for each way to be bad.

Usage: probe_servers.py FOLDER. Makes a CA and certificates there, starts the servers on free
loopback ports, prints {"name": port, ...} in one line and obeys commands, one a line, each
answered by one line of JSON: "stats", "hold" (the server "switch" lets requests wait), "release",
"stop" (the server "switch" closes its port), "start" (it comes back), "swap" (it shows a
certificate that has expired). Ends when its standard input does.
"""
import http.server
import json
import os
import random
import socket
import ssl
import subprocess
import sys
import threading

folder = sys.argv[1]
lock = threading.Condition()
stats = {"requests": 0, "connections": 0, "now": 0, "most": 0, "paths": []}
held = False
PARALLEL = 16  # PROBE_PARALLEL_MAX
TOLD = {"/version": {"version": "2.19.1-rc+1", "secret": "not kept"}, "/version-bad": {"version": "2.19 <script>"},
        "/names": ["oracle", "as400"], "/objects": {"connectors": [{"name": "oracle"}, {"name": "as400", "id": 7}]},
        "/no-list": {"connectors": "oracle as400"}}


def path(name):
    return os.path.join(folder, name)


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def make_ca(name):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", path(name + ".key"), "-out", path(name + ".crt"), "-subj", "/CN=" + name,
            "-days", "2")


def make_leaf(name, ca, alternative, days):
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", path(name + ".key"), "-out", path(name + ".csr"), "-subj", "/CN=" + name)
    with open(path(name + ".ext"), "w", encoding="ascii") as file:
        file.write("subjectAltName=" + alternative + "\n")
    openssl("x509", "-req", "-in", path(name + ".csr"), "-CA", path(ca + ".crt"),
            "-CAkey", path(ca + ".key"), "-CAcreateserial", "-days", str(days),
            "-extfile", path(name + ".ext"), "-out", path(name + ".crt"))


def context(name):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(path(name + ".crt"), path(name + ".key"))
    return made


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        kind = self.server.kind
        with lock:
            stats["requests"] += 1
            stats["paths"].append(self.path)
            if kind == "crowd":
                # Answers come when as many ask at once as may: fewer would wait for ever.
                stats["now"] += 1
                stats["most"] = max(stats["most"], stats["now"])
                generation = self.server.seen // PARALLEL
                self.server.seen += 1
                lock.notify_all()
                lock.wait_for(lambda: self.server.seen >= (generation + 1) * PARALLEL)
                stats["now"] -= 1
            if kind == "silent" or kind == "switch" and held:
                lock.wait_for(lambda: not held and kind == "switch")
        status = {"s503": 503, "s204": 204, "redirect": 302}.get(kind, 200)
        body = b"" if status == 204 else b"x" * (1 << 20 if kind == "big" else 2)
        if self.path in TOLD:
            body = json.dumps(TOLD[self.path]).encode()
        if self.path == "/gone":
            status = 404
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "https://127.0.0.1:%d/stolen" % ports["good"])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    kind = ""
    tls = None
    seen = 0

    def finish_request(self, request, client_address):
        with lock:
            stats["connections"] += 1
        try:
            if self.tls is not None:
                request = self.tls.wrap_socket(request, server_side=True)
            super().finish_request(request, client_address)
        except OSError:
            pass

    def handle_error(self, request, client_address):
        pass


def bind_free(bind):
    """Below the ephemeral ports, so that nobody takes the port while its server is stopped."""
    while True:
        port = random.randrange(20000, 32000)
        try:
            return bind(("127.0.0.1", port))
        except OSError:
            pass


def socket_at(address):
    made = socket.socket()
    made.bind(address)
    return made


def serve(kind, tls, port=None):
    def make(address):
        return Server(address, Handler)

    server = bind_free(make) if port is None else make(("127.0.0.1", port))
    server.kind = kind
    server.tls = tls
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01},
                     daemon=True).start()
    return server


for authority in ("ca", "other"):
    make_ca(authority)
make_leaf("good", "ca", "IP:127.0.0.1", 1)
make_leaf("expired", "ca", "IP:127.0.0.1", -1)
make_leaf("name", "ca", "DNS:elsewhere.example", 1)
make_leaf("foreign", "other", "IP:127.0.0.1", 1)
servers = {
    kind: serve(kind, tls) for kind, tls in {
        "good": context("good"), "s503": context("good"), "s204": context("good"),
        "redirect": context("good"), "silent": context("good"), "big": context("good"),
        "crowd": context("good"), "switch": context("good"), "expired": context("expired"),
        "name": context("name"), "foreign": context("foreign"), "plain": None,
    }.items()
}
ports = {kind: server.server_address[1] for kind, server in servers.items()}
closed = bind_free(socket_at)  # not listening: connections are refused, and the port stays ours
ports["refused"] = closed.getsockname()[1]
mute = bind_free(socket_at)  # accepts, and never says a word: no TLS comes about
mute.listen(64)
ports["mute"] = mute.getsockname()[1]
print(json.dumps(ports), flush=True)

for line in sys.stdin:
    command = line.strip()
    with lock:
        if command in ("hold", "release"):
            held = command == "hold"
            lock.notify_all()
    if command == "stop":
        servers["switch"].shutdown()
        servers["switch"].server_close()
    elif command == "start":
        servers["switch"] = serve("switch", context("good"), ports["switch"])
    elif command == "swap":
        servers["switch"].tls = context("expired")
    with lock:
        print(json.dumps(stats), flush=True)
        stats["paths"] = []
