"""A real HAProxy, real nginx servers behind it, and clients that write down what they met."""
import collections
import http.client
import itertools
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

from cluster import Failed, until


def stop(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Nginx:
    """An HTTPS connector server that answers every path with its name."""

    def __init__(self, folder, authority, name, port):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        self.authority, self.name, self.port = authority, name, port
        self.url = "https://127.0.0.1:%d" % port
        certificate, key = authority.issue(name, "127.0.0.1")
        conf = self.folder / "nginx.conf"
        conf.write_text("""
daemon off; worker_processes 1; pid %(folder)s/pid; error_log %(folder)s/error.log;
events { worker_connections 512; }
http {
    access_log off;
    client_body_temp_path %(folder)s/a; proxy_temp_path %(folder)s/b; fastcgi_temp_path %(folder)s/c;
    uwsgi_temp_path %(folder)s/d; scgi_temp_path %(folder)s/e;
    server {
        listen 127.0.0.1:%(port)d ssl;
        ssl_certificate %(certificate)s; ssl_certificate_key %(key)s;
        location / { return 200 "%(name)s"; }
    }
}
""" % {"folder": self.folder, "port": port, "certificate": certificate, "key": key, "name": name})
        self.process = subprocess.Popen(["/usr/sbin/nginx", "-e", self.folder / "error.log", "-c", conf])

    def document(self):
        return {"url": self.url, "ca": self.authority.pem}

    def stop(self):
        stop(self.process)


class Haproxy:
    def __init__(self, folder, config, place):
        self.config = pathlib.Path(folder) / "haproxy.cfg"
        self.log = pathlib.Path(folder) / "haproxy.log"
        self.place = str(place)
        if os.geteuid() != 0:  # it keeps the user that starts it
            config = "\n".join(line for line in config.splitlines()
                               if line.strip() not in ("user haproxy", "group haproxy"))
        self.config.write_text(config)
        self.process = None

    def check(self):
        """What HAProxy itself says of the file."""
        done = subprocess.run(["/usr/sbin/haproxy", "-c", "-f", self.config], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(["/usr/sbin/haproxy", "-db", "-f", self.config], stdout=log, stderr=log)
        until("HAProxy answers", lambda: self.say("show info"))

    def reload(self, state):
        """As the head of the configuration says: what is so is written down, and a new process takes over from the old one."""
        pathlib.Path(state).write_text(self.say("show servers state"))
        old = self.process
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(["/usr/sbin/haproxy", "-db", "-f", self.config, "-x", self.place, "-sf",
                                             str(old.pid)], stdout=log, stderr=log)
        old.wait(60)
        until("the new HAProxy answers", lambda: "Pid: %d\n" % self.process.pid in self.say("show info"))

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            stop(self.process)

    def say(self, line):
        with socket.socket(socket.AF_UNIX) as there:
            there.settimeout(10)
            there.connect(self.place)
            there.sendall(line.encode() + b"\n")
            answer = b""
            while piece := there.recv(65536):
                answer += piece
        return answer.decode()

    def servers(self, backend):
        """{name: (state, address, port)} as HAProxy has them."""
        lines = self.say("show servers state " + backend).splitlines()
        names = lines[1][2:].split()
        rows = [dict(zip(names, line.split())) for line in lines[2:] if line]
        def state(row):
            admin = int(row["srv_admin_state"])
            return "maint" if admin & 0x63 else "drain" if admin & 0x18 else "ready"
        return {row["srv_name"]: (state(row), row["srv_addr"], int(row["srv_port"])) for row in rows}

    def states(self, backend):
        return {name: row[0] for name, row in self.servers(backend).items()}


class Knot:
    """A name server with zone example., which takes updates by the key in 'key_file'."""

    SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I="

    def __init__(self, folder, address, port):
        self.folder, self.address, self.port = pathlib.Path(folder), address, port
        (self.folder / "db").mkdir(parents=True)
        self.key_file = self.folder / "key"
        self.key_file.touch(mode=0o600)
        self.key_file.write_text('key "baton" { algorithm hmac-sha256; secret "%s"; };\n' % self.SECRET)
        (self.folder / "zone").write_text("$TTL 30\n@ IN SOA ns.example. h.example. 1 60 60 60 30\n@ IN NS ns.example.\n"
                                          "ns IN A 127.0.0.1\n")
        (self.folder / "knot.conf").write_text("""
server:
    rundir: %(folder)s
    listen: %(address)s@%(port)d
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: %(folder)s/db
key:
  - id: baton
    algorithm: hmac-sha256
    secret: %(secret)s
acl:
  - id: baton
    key: baton
    action: update
zone:
  - domain: example.
    storage: %(folder)s
    file: zone
    acl: baton
    zonefile-sync: -1
    journal-content: all
""" % {"folder": self.folder, "address": address, "port": port, "secret": self.SECRET})
        self.start()

    def start(self):
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(["/usr/sbin/knotd", "-c", self.folder / "knot.conf"], stdout=log, stderr=log)
        until("the name server answers", lambda: self.records("example", "NS"))

    def records(self, name, kind):
        done = subprocess.run(["dig", "-r", "@" + self.address, "-p", str(self.port), "+tcp", "+short", "+tries=1", name, kind],
                              capture_output=True, text=True, timeout=30, check=True)
        return done.stdout.splitlines()

    def update(self, *lines):
        """As somebody else who has the key would."""
        script = ["server %s %d" % (self.address, self.port), "zone example", *lines, "send"]
        subprocess.run(["nsupdate", "-v", "-k", self.key_file], input="\n".join(script) + "\n", text=True, check=True, timeout=30,
                       capture_output=True)

    def stop(self):
        stop(self.process)


class Clients:
    """Each asks again and again, over a new TLS connection, each request with an id, and keeps (end, who answered or None,
    why)."""

    def __init__(self, authority, address, port, count=4):
        self.context = ssl.create_default_context(cadata=authority.pem)
        self.address, self.port = address, port
        self.rows = []
        self.ids = itertools.count()
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self.work, daemon=True) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def once(self):
        connection = http.client.HTTPSConnection(self.address, self.port, context=self.context, timeout=20)
        try:
            connection.request("GET", "/", headers={"X-Id": "client-%d" % next(self.ids)})
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def work(self):
        while not self.ended.is_set():
            try:
                who, why = self.once(), ""
            except (OSError, http.client.HTTPException) as error:
                who, why = None, repr(error)
            self.rows.append((time.monotonic(), who, why))

    def answered_by(self, who):
        """Has somebody been answered by that server just now?"""
        before = len(self.rows)
        return until("clients are answered by " + who, lambda: any(row[1] == who for row in self.rows[before:]), 60)

    def report(self, since):
        """(answers, failures, longest time in ms without an answer) since a place in 'rows'."""
        rows = self.rows[since:]
        times = [row[0] for row in rows if row[1] is not None]
        gap = max((later - earlier for earlier, later in zip(times, times[1:])), default=0)
        return len(times), [row[2] for row in rows if row[1] is None], round(gap * 1000, 1)

    def stop(self):
        self.ended.set()
        for thread in self.threads:
            thread.join(30)
            if thread.is_alive():
                raise Failed("a client does not end")


class Instance:
    """One of several connector servers under one id: a process that can be killed, and started again at its place."""

    def __init__(self, folder, authority, name, port, work_ms):
        self.name, self.authority, self.port = name, authority, port
        self.url = "https://127.0.0.1:%d" % port
        self.notes = pathlib.Path(folder) / (name + ".notes")
        self.notes.touch()
        certificate, key = authority.issue(name, "127.0.0.1")
        self.words = [sys.executable, "-B", str(pathlib.Path(__file__).with_name("answerer.py")), name, str(port), certificate,
                      key, str(self.notes), str(work_ms)]
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.words)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def took(self):
        """Ids of the requests that it has read, in order."""
        return self.notes.read_text().split()

    def document(self):
        return {"url": self.url, "ca": self.authority.pem}


class Askers:
    """Each asks again and again over a connection that it keeps, each request with an id; rows are
    (id, began, ended, who answered or None, why)."""

    def __init__(self, address, port, count):
        self.address, self.port = address, port
        self.rows = []
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(number,), daemon=True) for number in range(count)]
        for thread in self.threads:
            thread.start()

    def work(self, number):
        connection = None
        for turn in itertools.count():
            if self.ended.is_set():
                break
            name, began, who, why = "%d-%d" % (number, turn), time.monotonic(), None, ""
            try:
                connection = connection or http.client.HTTPConnection(self.address, self.port, timeout=60)
                connection.request("GET", "/", headers={"X-Id": name})
                reply = connection.getresponse()
                body = reply.read().decode()
                who, why = (body, "") if reply.status == 200 else (None, "%d" % reply.status)
            except (OSError, http.client.HTTPException) as error:
                connection, why = None, repr(error)
            self.rows.append((name, began, time.monotonic(), who, why))
        if connection is not None:
            connection.close()

    def shares(self, since):
        """{who: how many answers} since a place in 'rows'."""
        return collections.Counter(row[3] for row in self.rows[since:] if row[3] is not None)

    def failed(self, since=0):
        return [row for row in self.rows[since:] if row[3] is None]

    def stop(self):
        self.ended.set()
        for thread in self.threads:
            thread.join(90)
            if thread.is_alive():
                raise Failed("an asker does not end")
