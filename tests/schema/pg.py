"""Real PostgreSQL servers for tests: one initdb for the whole run, cheap copies, loopback only.

    with Servers() as servers:
        server = servers.start()
        node = server.node("east-1", "east")    # a new database with all migrations and its node row
        node.run("position")                    # schema/queries/position.sql as role baton, rows as dicts
        node.own("select ...")                  # the same as the owner

Nothing here mocks: what a test sees is what the daemon gets. Servers are ended by their own pid.
"""
import hashlib
import json
import os
import pathlib
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import psycopg2
import psycopg2.extensions
import psycopg2.extras

ROOT = pathlib.Path(__file__).resolve().parents[2]
MIGRATIONS = sorted((ROOT / "schema/migrations").glob("*.sql"))
# What the programs ask, and what only these tests do.
QUERIES = {path.stem: path.read_text() for folder in ("schema/queries", "tests/schema/queries")
           for path in sorted((ROOT / folder).glob("*.sql"))}
CLUSTER_ID = "6f0c7a3e-1111-4222-8333-444455556666"
TEMPLATE = "baton_template"

SETTINGS = """
listen_addresses = '127.0.0.1'
wal_level = logical
max_wal_senders = 20
max_replication_slots = 20
max_logical_replication_workers = 16
max_worker_processes = 24
max_connections = 60
shared_buffers = 32MB
wal_retrieve_retry_interval = 50ms
wal_sender_timeout = 5s
wal_receiver_timeout = 5s
max_slot_wal_keep_size = 1GB
jit = off
fsync = off
autovacuum = off
lc_messages = 'C'
log_min_messages = warning
"""


def bindir():
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: int(p.parts[-3]))
    assert found, "PostgreSQL is not installed: apt-get install postgresql-15"
    return found[-1].parent


def account():
    """PostgreSQL never runs as root."""
    if os.getuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


HELD = []


def free_port():
    """Nobody else's: the socket that stays bound keeps it, and lets a server in that binds with SO_REUSEADDR."""
    holder = socket.socket()
    for _ in range(200):
        port = random.randrange(10000, 20000)
        try:
            holder.bind(("", port))
        except OSError:
            continue
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        HELD.append(holder)
        return port
    raise AssertionError("no free port below 20000")


def wait_until(what, condition, seconds=20.0):
    """Returns what the condition returned, once that is true."""
    stop = time.monotonic() + seconds
    pause = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < stop, "not within %g s: %s" % (seconds, what)
        pause.wait(0.003)


def lives(pid):
    """A dead one that nobody has collected does not."""
    try:
        return pathlib.Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def checksum(text):
    return hashlib.sha256(text.encode()).hexdigest()


def migrations():
    return [(int(path.stem[:4]), path.stem[5:], path.read_text()) for path in MIGRATIONS]


def mutate(change):
    """A planted fault: {old text: new text} in the migrations, each of which must occur.

    Returns (faulty, right): the functions and triggers that change, as statements that replace them.
    """
    faulty, right = [], []
    missing = set(change)
    for _, _, text in migrations():
        for block in re.findall(r"^create function .*?^\$\$;\n|^create trigger .*?;\n", text, re.M | re.S):
            wrong = block
            for old, new in change.items():
                missing -= {old} if old in block else set()
                wrong = wrong.replace(old, new)
            if wrong != block:
                faulty.append(re.sub("^create", "create or replace", wrong))
                right.append(re.sub("^create", "create or replace", block))
    assert not missing, "no function or trigger has: %s" % missing
    return faulty, right


def migrate(connection, last=None):
    """What the daemon does at its start, as the owner. Returns the versions that were applied now."""
    cursor = connection.cursor()
    cursor.execute("set synchronous_commit = local; set search_path = pg_catalog, pg_temp")
    cursor.execute(QUERIES["migration_prepare"])
    cursor.execute("select version from local.migration")
    there = {row[0] for row in cursor.fetchall()}
    applied = []
    for version, name, text in migrations():
        if version in there or (last is not None and version > last):
            continue
        cursor.execute("begin")
        cursor.execute(text)
        run(connection, "migration_record", version, name, checksum(text))
        cursor.execute("commit")
        applied.append(version)
    cursor.execute("reset search_path")
    return applied


def run(connection, name, *values):
    """A file of schema/queries; rows as dicts."""
    names = {"p%d" % (i + 1): adapt(value) for i, value in enumerate(values)}
    text = re.sub("^--.*\n", "", QUERIES[name], flags=re.M)  # a value of several lines would end the comment
    text = re.sub(r"\$(\d+)", r"%(p\1)s", text.replace("%", "%%"))
    with connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
        cursor.execute(text, names)
        return [dict(row) for row in cursor.fetchall()] if cursor.description else []


def adapt(value):
    """As libpq sends it: text, typed by its place in the statement."""
    if isinstance(value, dict) or isinstance(value, list) and not (value and isinstance(value[0], (str, int))):
        return json.dumps(value)
    return value


class Servers:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="baton-pg-"))
        self.bin = bindir()
        self.running = []
        self.count = 0
        self.template = self.folder / "template"

    def __enter__(self):
        os.chmod(self.folder, 0o755)
        self.template.mkdir()
        if account():
            os.chown(self.template, account()["user"], account()["group"])
        subprocess.run([self.bin / "initdb", "-D", self.template, "-U", "baton_owner", "-A", "trust", "-N",
                        "--locale=C", "-E", "UTF8"], check=True, stdout=subprocess.DEVNULL, **account())
        with open(self.template / "postgresql.conf", "a") as conf:
            conf.write(SETTINGS)
        first = Server(self, self.template)
        first.make_database(TEMPLATE)
        with first.connect(TEMPLATE) as connection:
            migrate(connection)
        connection.close()
        first.stop()
        return self

    def __exit__(self, *_):
        for server in list(self.running):
            server.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder)

    def start(self):
        self.count += 1
        path = self.folder / ("server%d" % self.count)
        subprocess.run(["cp", "-a", self.template, path], check=True)
        return Server(self, path)


class Server:
    def __init__(self, servers, path):
        self.servers = servers
        self.path = path
        self.port = free_port()
        self.admin = None
        self.sync_names = []
        self.databases = 0
        self.empty = []  # databases that can be used again
        self.start()

    def start(self):
        log = open(self.path / "log", "ab")
        self.process = subprocess.Popen(
            [self.servers.bin / "postgres", "-D", self.path, "-p", str(self.port), "-k", self.path],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL, **account())
        log.close()
        self.servers.running.append(self)
        wait_until("PostgreSQL starts in %s" % self.path, self.answers, 60)

    def answers(self):
        assert self.process.poll() is None, (self.path / "log").read_text()[-2000:]
        try:
            self.connect("postgres").close()
            return True
        except psycopg2.OperationalError:
            return False

    def stop(self, how=signal.SIGINT):
        if self.admin is not None:
            self.admin.close()
        children = pathlib.Path("/proc/%d/task/%d/children" % (self.process.pid, self.process.pid)).read_text().split()
        self.process.send_signal(how)
        self.process.wait(60)
        # a killed one leaves them behind, with its shared memory, until they notice
        wait_until("all of it has ended", lambda: not any(map(lives, children)), 60)
        self.servers.running.remove(self)

    def restart(self, how=signal.SIGINT):
        self.stop(how)
        self.start()

    def connect(self, database, user="baton_owner", **more):
        connection = psycopg2.connect(host=str(self.path), port=self.port, dbname=database, user=user,
                                      connect_timeout=5, **more)
        connection.autocommit = True
        return connection

    def sql(self, text, *values):
        """As the superuser, in the database postgres."""
        if self.admin is None or self.admin.closed:
            self.admin = self.connect("postgres", options="-c synchronous_commit=local")
        cursor = self.admin.cursor()
        cursor.execute(text, values or None)
        return cursor.fetchall() if cursor.description else None

    def make_database(self, name, template="template0", encoding="UTF8"):
        self.sql("create database %s template %s encoding '%s'" % (name, template, encoding))

    def node(self, name, site=None, change=None):
        """One node in an empty database of its own. 'change' plants a fault in the migrations."""
        if self.empty:
            database = self.empty.pop()
        else:
            self.databases += 1
            database = "t%d" % self.databases
            self.make_database(database, TEMPLATE)
        node = Node(self, database, name)
        for faulty, right in zip(*mutate(change or {})):
            node.own(faulty)
            node.repairs.append(right)
        node.run("node_init", CLUSTER_ID, name, site or name.split("-")[0])
        return node

    def sync(self, names, k=1):
        """synchronous_standby_names, read back and in force."""
        if names == self.sync_names:
            return
        first = names and not self.sync_names
        self.sync_names = names
        want = "ANY %d (%s)" % (k, ", ".join('"%s"' % n for n in names)) if names else ""
        self.sql("alter system set synchronous_standby_names = '%s'" % want)
        self.reload()
        wait_until("synchronous_standby_names", lambda: self.sql("show synchronous_standby_names") == [(want,)])
        if first:  # a COMMIT waits for them when the checkpointer has seen the reload, so when this one is begun
            self.reload()
            self.sql("checkpoint")

    def reload(self):
        """Returns when the postmaster has begun it, and so is through with any before."""
        before = self.sql("select pg_conf_load_time(), pg_reload_conf()")[0][0]
        wait_until("the reload", lambda: self.sql("select pg_conf_load_time()")[0][0] != before)


def one(connection, text, *values):
    cursor = connection.cursor()
    cursor.execute(text, values or None)
    return cursor.fetchone()[0]


class Node:
    """One member's database, seen as the daemon (run, call) and as the owner (own)."""

    def __init__(self, server, database, name):
        self.server = server
        self.database = database
        self.name = name
        self.spoilt = False  # True: the schema or what close() does not empty was changed
        self.repairs = []  # statements that take planted faults back
        self.closing = []
        self.control = self.connect("baton", "local")
        self.owner = self.connect("baton_owner", "local")

    def connect(self, user="baton", synchronous_commit="on"):
        connection = self.server.connect(self.database, user,
                                         options="-c synchronous_commit=%s" % synchronous_commit)
        self.closing.append(connection)
        return connection

    def run(self, query, *values):
        return run(self.control, query, *values)

    def value(self, query, *values):
        """The only column of the only row."""
        (row,) = self.run(query, *values)
        (value,) = row.values()
        return value

    def own(self, text, *values):
        cursor = self.owner.cursor()
        cursor.execute(text, values or None)
        return cursor.fetchall() if cursor.description else None

    def unguarded(self, text):
        """What the guards of local.node forbid to everybody."""
        self.own("alter table local.node disable trigger user; " + text)
        self.own("alter table local.node enable always trigger node_row; "
                 "alter table local.node enable always trigger node_identity; "
                 "alter table local.node enable replica trigger log_config")

    def position(self):
        (row,) = self.run("position")
        return row

    def applied(self):
        return self.position()["applied"]

    def open(self, epoch, kind="init"):
        """This node is primary of an epoch, with its first row written."""
        assert self.run("capture", epoch, self.name)[0]["granted"]
        self.run("open", epoch, self.name)
        return self.set("epoch", {"number": epoch, "holder": self.name, "kind": kind})

    def set(self, key, value, **more):
        """One change in one group; the group's answer must be good."""
        answer = self.write([group(change(key, value, **more))])
        assert answer["ok"], answer
        return answer["revision"]

    def write(self, groups, connection=None):
        (row,) = run(connection or self.control, "write", groups)
        answers = row["answer"]["groups"]
        return answers[0] if len(groups) == 1 else answers

    def config(self):
        return {(r["site"], r["key"]): r["value"] for r in self.run("config_list", "", None)}

    def log(self):
        return self.own("select revision, epoch, holder, txn, site, key, value::text, author, at, reason, encode(hash, 'hex') "
                        "from shared.log order by revision")

    def close(self):
        for repair in self.repairs:
            self.own(repair)
        for (slot,) in self.own("select slot_name from pg_replication_slots where database = current_database()"):
            drop = "local.slot_drop" if slot.startswith("baton_") else "pg_drop_replication_slot"
            self.own("select %s(%%s)" % drop, slot)
        if not self.spoilt:  # emptying takes a tenth of the time of making
            self.unguarded("set session_replication_role = replica; truncate shared.log, shared.config, local.node, "
                           "local.config_base, local.epoch_start, local.setaside, local.event, local.setting, "
                           "local.activation restart identity")
            self.server.empty.append(self.database)
        for connection in self.closing:
            connection.close()
        if self.spoilt:
            self.server.sql("drop database %s with (force)" % self.database)

    # -- replication

    def conninfo(self, publisher):
        return ("host=127.0.0.1 port=%d dbname=%s user=baton_owner application_name=%s connect_timeout=2"
                % (publisher.server.port, publisher.database, self.name))

    def attach(self, publisher, enabled=True):
        """Slot at the publisher, then what came before it, then the subscription; all as role baton."""
        publisher.run("slot_make", slot_name(self))
        self.pull(publisher)
        self.run("sub_attach", sub_name(publisher), self.conninfo(publisher), slot_name(self), enabled)
        if enabled:
            self.wait_streaming(publisher)

    def pull(self, publisher):
        while rows := publisher.value("log_rows", self.applied(), 500):
            self.run("catchup", rows)

    def wait_streaming(self, publisher):
        wait_until("%s streams to %s" % (publisher.name, self.name), lambda: any(
            s["name"] == self.name and s["slot"] == slot_name(self) and s["state"] == "streaming"
            for s in publisher.run("standbys")))

    def detach_all(self):
        for sub in self.run("subs"):
            assert self.value("sub_detach", sub["name"])

    def wait_applied(self, revision, seconds=20):
        wait_until("%s has revision %d" % (self.name, revision), lambda: self.applied() >= revision, seconds)


def slot_name(node):
    return "baton_" + node.database + "_" + node.name.replace("-", "_")


def sub_name(node):
    return "baton_" + node.name.replace("-", "_")


def change(key, value, **more):
    return {"key": key, "value": value, **more}


def delete(key, **more):
    return {"key": key, "delete": True, **more}


def group(*changes, author="root@east-1", **more):
    return {"author": author, "changes": list(changes), **more}


def error_of(action, *arguments):
    """(SQLSTATE, slug or name, text) of the error that must come."""
    try:
        result = action(*arguments)
    except psycopg2.Error as error:
        return error.pgcode, error.diag.constraint_name, error.diag.message_primary
    raise AssertionError("no error, but %r" % (result,))


def rows_from(node, after=0):
    """All rows that a peer would send, as local.catchup() takes them."""
    rows = []
    while True:
        page = node.value("log_rows", after, 1000)
        if not page:
            return rows
        rows += page
        after = page[-1]["revision"]


def apply_rows(node, rows):
    """As an apply worker does it: replica role, one transaction, no pull."""
    cursor = node.owner.cursor()
    cursor.execute("begin; set local session_replication_role = replica")
    try:
        for row in rows:
            cursor.execute("insert into shared.log values (%s, %s, %s, %s, %s, %s, %s, %s, "
                           "timestamptz 'epoch' + %s * interval '1 microsecond', %s, decode(%s, 'hex'))",
                           (row["revision"], row["epoch"], row["holder"], row["txn"], row["site"], row["key"],
                            None if row.get("delete") else json.dumps(row["value"]), row["author"], row["at"],
                            row.get("reason"), row["hash"]))
        cursor.execute("commit")
    finally:
        cursor.execute("rollback" if node.owner.info.transaction_status else "select 1")


