"""What Baton is compared with, in the same run: a bare synchronous pair of PostgreSQL, and nginx.

The pair is two plain clusters with the settings of a node's managed PostgreSQL, TLS for replication
included, one table and one logical subscription: no log, no trigger, no hash, no epoch.
"""
import os
import pathlib
import pwd
import re
import secrets
import signal
import socket
import subprocess

import psycopg2

from cluster import Failed, free_address, until
from figures import tree

FOUND = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
PROGRAMS = FOUND[-1].parent if FOUND else None
# Of their own in the configuration of a node: where it lives and who may come.
OWN = re.compile(r"^(listen_addresses|port|unix_socket_directories|hba_file|ident_file|ssl_\w+_file|log_directory|"
                 r"include\w*|max_connections)\b")
TABLE = """create table entry(id uuid primary key default gen_random_uuid(), key text not null,
    value jsonb, at timestamptz not null default clock_timestamp())"""
INSERT = "insert into entry(key, value) values ('%s', '%s')"


def free_port(address, first=8454):
    for port in range(first, first + 2000):
        with socket.socket() as probe:
            try:
                probe.bind((address, port))
                return port
            except OSError:
                continue
    raise Failed("no free port at %s" % address)


class Bare:
    """One plain PostgreSQL with the settings of 'model', a node."""

    def __init__(self, folder, name, model, run_as):
        self.folder = folder / name
        self.name = name
        self.run_as = run_as if os.geteuid() == 0 else None
        self.address = free_address(200)
        self.port = free_port(self.address)
        self.password = secrets.token_hex(16)
        self.process = None
        self._make(model)

    def _command(self, *words):
        user = ["setpriv", "--reuid=" + self.run_as, "--regid=" + self.run_as, "--init-groups"] if self.run_as else []
        return [*user, *map(str, words)]

    def _make(self, model):
        self.folder.mkdir(mode=0o700)
        source = model.folder / "pg"
        for file in ("ca.crt", "server.crt", "server.key"):
            (self.folder / file).write_bytes((source / "tls" / file).read_bytes())
            (self.folder / file).chmod(0o600)
        settings = [line for line in (source / "conf/postgresql.conf").read_text().splitlines()
                    if not OWN.match(line)]
        settings += ["%s = '%s'" % pair for pair in (
            ("listen_addresses", self.address), ("port", self.port), ("unix_socket_directories", self.folder),
            ("hba_file", self.folder / "hba.conf"), ("log_directory", self.folder),
            ("ssl_ca_file", self.folder / "ca.crt"), ("ssl_cert_file", self.folder / "server.crt"),
            ("ssl_key_file", self.folder / "server.key"), ("max_connections", 100))]  # 64 clients and some
        (self.folder / "postgresql.conf").write_text("\n".join(settings) + "\n")
        (self.folder / "hba.conf").write_text(
            "local all all trust\nhostssl all all 127.0.0.0/8 scram-sha-256\n")
        secret = self.folder / "password"
        secret.write_text(self.password + "\n")
        secret.chmod(0o600)
        self._own()
        done = subprocess.run(self._command(
            PROGRAMS / "initdb", "-D", self.folder / "data", "-U", "bench", "--pwfile", secret, "-A", "scram-sha-256",
            "--encoding=UTF8", "--locale=C", "--no-sync"), capture_output=True, text=True, cwd="/", check=False)
        if done.returncode != 0:
            raise Failed("initdb: " + done.stderr)

    def _own(self):
        if self.run_as:
            entry = pwd.getpwnam(self.run_as)
            for path in [self.folder, *self.folder.iterdir()]:
                os.chown(path, entry.pw_uid, entry.pw_gid)

    def spawn(self):
        with open(self.folder.parent / (self.name + ".log"), "ab") as log:
            self.process = subprocess.Popen(
                self._command(PROGRAMS / "postgres", "-D", self.folder / "data",
                              "-c", "config_file=%s" % (self.folder / "postgresql.conf")),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True,
                env={**os.environ, "HOME": str(self.folder)})  # libpq looks there for certificates
        return self

    def conninfo(self, **more):
        words = {"host": self.folder, "port": self.port, "user": "bench", "password": self.password,
                 "dbname": "postgres", "connect_timeout": 5, **more}
        return " ".join("%s=%s" % word for word in words.items())

    def connect(self):
        connection = psycopg2.connect(self.conninfo())
        connection.autocommit = True
        return connection

    def start(self):
        self.spawn()
        until("%s takes connections" % self.name, lambda: self.sql("select 1"), 30, 0.005)
        return self

    def sql(self, *statements):
        connection = None
        try:
            connection = self.connect()
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []
        except psycopg2.OperationalError as problem:
            raise Failed("%s: %s" % (self.name, problem)) from problem
        finally:
            if connection is not None:
                connection.close()

    def load(self, sessions, seconds):
        """Commits a second of so many sessions, each inserting a row a commit (pgbench)."""
        script = self.folder / "insert.sql"
        script.write_text(INSERT % ("app/bench/1", '{"n": 1, "text": "a value as long as most are"}') + ";\n")
        done = subprocess.run(
            [str(PROGRAMS / "pgbench"), "-n", "-c", str(sessions), "-T", str(seconds), "-f", str(script), "-h",
             str(self.folder), "-p", str(self.port), "-U", "bench", "postgres"], capture_output=True, text=True,
            timeout=seconds + 60, check=False)
        found = re.search(r"tps = ([\d.]+) \(without", done.stdout)
        if done.returncode != 0 or found is None:
            raise Failed("pgbench: %s%s" % (done.stdout, done.stderr))
        return float(found.group(1))

    def kill(self):
        """SIGKILL of the postmaster and all its backends."""
        for pid in tree(self.process.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        self.process = None

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(20)
            self.process = None
        except subprocess.TimeoutExpired:
            self.kill()


class Pair:
    """Two of them: what the first commits is acknowledged by the second (ANY 1)."""

    def __init__(self, folder, model, run_as):
        self.first = Bare(folder, "bare-a", model, run_as).start()
        self.second = Bare(folder, "bare-b", model, run_as).start()
        for one in (self.first, self.second):
            one.sql(TABLE)
        self.first.sql("create publication entry for table entry with (publish = 'insert')")
        self.join()

    def join(self):
        first, second = self.first, self.second
        self.first.sql("select pg_create_logical_replication_slot('bare', 'pgoutput')")
        conninfo = first.conninfo(host=first.address, application_name="bare", sslmode="verify-ca",
                                  sslrootcert=second.folder / "ca.crt")
        second.sql("create subscription bare connection '%s' publication entry with (create_slot = false, "
                   "slot_name = 'bare', copy_data = false, synchronous_commit = local)" % conninfo)
        first.sql("alter system set synchronous_standby_names = 'ANY 1 (bare)'")
        first.sql("select pg_reload_conf()")
        until("the pair is synchronous",
              lambda: first.sql("select 1 from pg_stat_replication where sync_state = 'quorum' and "
                                "state = 'streaming'"), 30, 0.01)

    def close(self):
        for one in (self.first, self.second):
            one.stop()


class Nginx:
    """One worker process, as batond has one loop; a static file over TLS with a node's certificate."""

    def __init__(self, folder, node, body):
        self.folder = folder / "nginx"
        self.folder.mkdir()
        self.folder.chmod(0o755)
        files = self.folder / "files"
        files.mkdir()
        (files / "status").write_bytes(body)
        self.address = free_address(220)
        self.port = free_port(self.address)
        (self.folder / "nginx.conf").write_text("""
daemon off; worker_processes 1; pid %(folder)s/pid; error_log %(folder)s/error.log;
events { worker_connections 256; }
http {
    access_log off; keepalive_requests 1000000000; sendfile on; tcp_nodelay on; server_tokens off;
    open_file_cache max=16 inactive=60s; default_type application/json;
    client_body_temp_path %(folder)s/body; proxy_temp_path %(folder)s/proxy; fastcgi_temp_path %(folder)s/fcgi;
    uwsgi_temp_path %(folder)s/uwsgi; scgi_temp_path %(folder)s/scgi;
    server {
        listen %(address)s:%(port)d ssl; root %(folder)s/files;
        ssl_certificate %(node)s/node.crt; ssl_certificate_key %(node)s/node.key;
    }
}
""" % {"folder": self.folder, "address": self.address, "port": self.port, "node": node.folder})
        self.process = subprocess.Popen(
            ["nginx", "-p", str(self.folder), "-e", str(self.folder / "error.log"), "-c",
             str(self.folder / "nginx.conf")], stdin=subprocess.DEVNULL, start_new_session=True)
        until("nginx listens", self._listens, 10)

    def _listens(self):
        with socket.create_connection((self.address, self.port), 1):
            return True

    def url(self):
        return "https://%s:%d/status" % (self.address, self.port)

    def close(self):
        self.process.terminate()
        self.process.wait(10)
