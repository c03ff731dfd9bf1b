"""A witness: made, kept running, and asked by nodes of two clusters that share it."""
import json
import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess

import psycopg2
import pytest

import certs
from arbiters import witness_sql
from cluster import BUILD, PG_PORT, PORT, Failed, free_address, until

OURS = "6f2f1f6e-7d57-4f6e-9d2b-2a37a9c4c001"
THEIRS = "0b9d8a3e-5c2f-4b7e-8f3a-6d1c2b3a4f5e"
LEASE_MS = 60000
ASK = "select result, epoch, holder from witness.ask(%s, %s, %s, %s, null, null, %s, %s)"


def cluster_ca(folder, name, cluster, constraints="CA:TRUE,pathlen:0"):
    """A CA as `baton init` makes it."""
    key = certs.new_key(folder, name)
    certs.openssl(folder, "req", "-x509", "-new", "-key", key, "-days", "30", "-subj", "/CN=%s CA/O=%s" % (name, cluster),
                  "-out", name + ".crt", "-addext", "basicConstraints=critical,%s" % constraints)
    return certs.Pair(folder / (name + ".crt"), key)


class Witness:
    def __init__(self, folder):
        self.base = folder
        self.folder = folder / "third"
        self.address = free_address()
        self.process = None
        self.run_as = "postgres" if os.geteuid() == 0 else None
        self.env = {name: value for name, value in os.environ.items()
                    if not name.startswith("PG") and name not in ("BATON_DATA_DIR", "BATON_SERVER")}
        self.cas = {OURS: cluster_ca(folder, "ours", OURS), THEIRS: cluster_ca(folder, "theirs", THEIRS)}
        self.nodes = {}
        for cluster, ca in self.cas.items():
            for node in ("east-1", "west-1"):
                name = "%s-%s" % (node, cluster[:4])
                self.nodes[cluster, node] = certs.signed(folder, name, "/CN=%s/O=%s" % (node, cluster), ca)
        self.nodes[OURS, "west-1.2"] = certs.signed(folder, "heir", "/CN=west-1.2/O=%s" % OURS, self.cas[OURS])

    def cli(self, *words, code=0, wrap=()):
        done = subprocess.run([*wrap, str(BUILD / "baton"), *map(str, words)], capture_output=True, text=True,
                              timeout=60, env=self.env, stdin=subprocess.DEVNULL)
        assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
        return done

    def init(self, *words, code=0, cas=(OURS,), folder=None):
        given = ["--listen", "%s:%d" % (self.address, PG_PORT), "--data-dir", folder or self.folder]
        if self.run_as:
            given += ["--run-as", self.run_as]
        for ca in cas:
            given += ["--cluster-ca", self.cas[ca].certificate if ca in self.cas else ca]
        return self.cli("witness", "init", *given, *words, code=code)

    def start(self):
        with open(self.base / "log", "ab") as log:
            self.process = subprocess.Popen([str(BUILD / "baton"), "witness", "run", "--data-dir", str(self.folder)],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env,
                                            start_new_session=True)
        until("the witness answers", lambda: ask_quietly(self, OURS), 60)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(40)

    def log(self):
        return (self.base / "log").read_text()

    def postmaster(self):
        try:
            pid = int((self.folder / "pg/data/postmaster.pid").read_text().split()[0])
            os.kill(pid, 0)
            return pid
        except (OSError, ValueError, IndexError):
            return None

    def connect(self, cluster=OURS, node="east-1", **more):
        arbiter = json.loads((self.folder / "arbiter.json").read_text())
        ca = self.base / "arbiter.crt"
        ca.write_text(arbiter["ca"])
        pair = self.nodes[cluster, node]
        given = {"user": "baton_witness", "dbname": "baton", "sslmode": "verify-full", "sslrootcert": str(ca),
                 "sslcert": str(pair.certificate), "sslkey": str(pair.key), "connect_timeout": 30, **more}
        connection = psycopg2.connect(arbiter["dsn"], **given)
        connection.autocommit = True
        return connection

    def ask(self, what, number=None, holder=None, cluster=OURS, node="east-1", adopt=False, of=None):
        """(result, epoch, holder), asked by 'node' of 'of', or of the same cluster."""
        connection = self.connect(of or cluster, node)
        try:
            cursor = connection.cursor()
            cursor.execute(ASK, (what, cluster, number, holder, LEASE_MS, adopt))
            return cursor.fetchone()
        finally:
            connection.close()

    def sql(self, statement, database="baton"):
        return witness_sql(self.folder, self.env, statement, database)


@pytest.fixture(scope="module")
def empty(folder):
    return Witness(folder)


@pytest.fixture(scope="module")
def witness(empty):
    made = empty.init()
    assert "arbiter.json" in made.stdout and "witness run" in made.stdout
    empty.start()
    yield empty
    if empty.process.poll() is None:
        empty.stop()


def error_of(action, *words, **more):
    with pytest.raises(psycopg2.Error) as caught:
        action(*words, **more)
    return caught.value


# ---- what init refuses

def test_what_is_no_cluster_is_refused_and_nothing_is_left(empty):
    folder = empty.base / "refused"
    loose = cluster_ca(empty.base, "loose", OURS, "CA:TRUE")  # could make CAs of its own
    nameless = cluster_ca(empty.base, "nameless", "Example Ltd")
    for given, says in ((empty.nodes[OURS, "east-1"].certificate, "not of a cluster's CA"),
                        (loose.certificate, "not of a cluster's CA"), (nameless.certificate, "not of a cluster's CA"),
                        (empty.base / "nothing", "nothing"), (pathlib.Path("/etc/passwd"), "/etc/passwd")):
        done = empty.init(folder=folder, cas=[given], code=4 if given.name == "nothing" else 2)
        assert says in done.stderr and done.stdout == "", done.stderr
        assert not folder.exists()
    done = empty.cli("witness", "init", "--data-dir", folder, code=2)
    assert "--cluster-ca" in done.stderr

    folder.mkdir()
    (folder / "precious").write_text("data")
    assert "not empty" in empty.init(folder=folder, code=5).stderr
    assert [entry.name for entry in folder.iterdir()] == ["precious"]
    shutil.rmtree(folder)
    with socket.socket() as taken:
        taken.bind((empty.address, PG_PORT))
        taken.listen()
        assert "in use" in empty.init(folder=folder, code=5).stderr
    assert not folder.exists()
    assert "holds no witness" in empty.cli("witness", "run", "--data-dir", empty.base, code=4).stderr


# ---- what it is

def test_no_secret_leaves_it(witness):
    document = (witness.folder / "arbiter.json").read_text()
    assert "PRIVATE" not in document and set(json.loads(document)) == {"kind", "dsn", "ca"}
    for name in ("ca.key", "node.key"):
        assert stat.S_IMODE((witness.folder / name).stat().st_mode) == 0o400
    # and no key of a cluster is in it: what was brought is a certificate
    held = [path for path in (witness.folder / "clusters").iterdir()]
    assert [path.name for path in held] == [OURS + ".crt"]
    assert "PRIVATE" not in held[0].read_text()


def test_it_keeps_what_it_says(witness):
    rows = dict(witness.sql("select name, setting from pg_settings where name in ('fsync', 'full_page_writes', "
                            "'synchronous_commit', 'max_wal_senders', 'listen_addresses', 'ssl')"))
    assert rows == {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "max_wal_senders": "0",
                    "listen_addresses": witness.address, "ssl": "on"}
    assert witness.sql("select rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls "
                       "from pg_roles where rolname = 'baton_witness'") == [["f"]]


def test_nodes_come_by_certificate_and_to_nothing_else(witness):
    refused = "pg_hba.conf|certificate|SSL"
    for more in ({"user": "baton_owner"}, {"user": "postgres"}, {"dbname": "postgres"}, {"dbname": "template1"},
                 {"sslmode": "disable"}, {"sslcert": "/dev/null/x", "sslkey": "/dev/null/x"}):
        said = str(error_of(witness.connect, **more))
        assert any(word in said for word in refused.split("|")), (more, said)
    assert "certificate" in str(error_of(witness.connect, cluster=THEIRS)) or "SSL" in str(
        error_of(witness.connect, cluster=THEIRS))  # not let in yet
    connection = witness.connect()
    for statement in ("select * from witness.lease", "select * from pg_authid", "create table public.x ()",
                      "copy (select 1) to program 'true'", "select pg_read_file('postgresql.conf')",
                      "set role baton_owner", "create temp table x ()"):
        assert error_of(connection.cursor().execute, statement).pgcode == "42501", statement
    connection.close()


def test_it_grants(witness):
    assert witness.ask("read") == ("empty", None, None)
    assert witness.ask("create", 1, "east-1") == ("done", 1, "east-1")
    assert witness.ask("acquire", 1, "east-1") == ("granted", 1, "east-1")
    assert witness.ask("acquire", 2, "west-1", node="west-1") == ("held", 1, "east-1")
    assert error_of(witness.ask, "renew", 1, "east-1", node="west-1").pgcode == "BW004"
    assert witness.ask("release", 1, "east-1") == ("done", 1, "east-1")
    assert witness.ask("acquire", 2, "west-1", node="west-1") == ("granted", 2, "west-1")
    assert witness.ask("renew", 1, "east-1") == ("stale", 2, "west-1")


def test_two_do_not_run_at_once(witness):
    done = witness.cli("witness", "run", "--data-dir", witness.folder, code=5)
    assert str(witness.process.pid) in done.stderr and "runs already" in done.stderr


# ---- clusters come and go while it runs

def test_another_cluster_is_let_in(witness):
    before = witness.postmaster()
    done = witness.cli("witness", "add", witness.cas[THEIRS].certificate, "--data-dir", witness.folder, "--json")
    assert json.loads(done.stdout) == {"cluster_id": THEIRS}
    until("the other cluster is let in", lambda: ask_quietly(witness, THEIRS) == ("empty", None, None))
    assert witness.ask("create", 7, "east-1", cluster=THEIRS) == ("done", 7, "east-1")
    # each has its own row, and none reaches the other's
    for what in ("create", "read", "acquire", "renew", "release"):
        assert error_of(witness.ask, what, 2, "east-1", of=THEIRS).pgcode == "BW004"
        assert error_of(witness.ask, what, 7, "east-1", cluster=THEIRS, of=OURS).pgcode == "BW004"
    assert witness.ask("read") == ("done", 2, "west-1")
    witness.cli("witness", "add", witness.cas[THEIRS].certificate, "--data-dir", witness.folder)  # again: no harm
    forged = cluster_ca(witness.base, "forged", OURS)
    done = witness.cli("witness", "add", forged.certificate, "--data-dir", witness.folder, code=5)
    assert "another CA" in done.stderr and OURS in done.stderr
    assert witness.postmaster() == before

    (witness.folder / "clusters" / (THEIRS + ".crt")).unlink()
    until("the other cluster is sent away", lambda: ask_quietly(witness, THEIRS) is None)
    assert witness.ask("renew", 2, "west-1", node="west-1") == ("granted", 2, "west-1")


def ask_quietly(witness, cluster):
    try:
        return witness.ask("read", cluster=cluster)
    except psycopg2.Error:
        return None


def test_a_removed_node_is_told_and_granted_nothing(witness):
    """W7: by its certificate, whatever it asks; who has its name by now is another, and others are left alone."""
    assert witness.ask("release", 2, "west-1", node="west-1") == ("done", 2, "west-1")
    assert witness.ask("acquire", 3, "east-1") == ("granted", 3, "east-1")
    connection = witness.connect()
    cursor = connection.cursor()
    cursor.execute("select result from witness.ask('bar', %s, 3, 'east-1', null, null, 0, false, 0, 0, %s)",
                   (OURS, '{"west-1": 2}'))
    assert cursor.fetchone() == ("done",)
    connection.close()
    for words in (("read",), ("create", 9, "west-1"), ("acquire", 4, "west-1"), ("release", 2, "west-1")):
        problem = error_of(witness.ask, *words, node="west-1", adopt=words[0] == "create")
        assert problem.pgcode == "BW004" and "west-1, was removed" in str(problem), problem
    assert witness.ask("acquire", 4, "west-1", node="west-1.2") == ("held", 3, "east-1")
    assert witness.ask("release", 3, "east-1") == ("done", 3, "east-1")
    assert witness.ask("acquire", 4, "west-1", node="west-1.2") == ("granted", 4, "west-1")
    witness.sql("delete from witness.barred")


# ---- it breaks

def test_its_postgresql_comes_back_with_the_record(witness):
    os.kill(witness.postmaster(), signal.SIGKILL)
    until("it answers again", lambda: ask_quietly(witness, OURS) == ("done", 4, "west-1"))
    assert witness.ask("renew", 4, "west-1", node="west-1") == ("granted", 4, "west-1")
    assert "postgresql_ended" not in witness.log() and "backoff" in witness.log()


def test_it_is_killed_and_comes_back(witness):
    postmaster = witness.postmaster()
    witness.process.kill()
    witness.process.wait()
    until("its PostgreSQL ends with it", lambda: witness.postmaster() is None)
    witness.start()
    assert witness.postmaster() != postmaster
    assert witness.ask("renew", 4, "west-1", node="west-1") == ("granted", 4, "west-1")


def test_it_stops_in_order_and_renews_its_certificate(witness):
    chain = witness.folder / "node.crt"
    old, authority = chain.read_text(), (witness.folder / "ca.crt").read_text()
    assert witness.stop() == 0
    assert witness.postmaster() is None
    # without a cluster it has nothing to do, and says so
    held = witness.folder / "clusters" / (OURS + ".crt")
    held.rename(witness.base / "away.crt")
    assert "serves no cluster" in witness.cli("witness", "run", "--data-dir", witness.folder, code=2).stderr
    assert chain.read_text() == old
    # two thirds of its life are over: the first thing that it does is to renew it
    witness.cli("witness", "run", "--data-dir", witness.folder, code=2, wrap=["faketime", "+61 days"])
    new = chain.read_text()
    assert new != old and (witness.folder / "ca.crt").read_text() == authority
    (witness.base / "away.crt").rename(held)
    certs.openssl(witness.base, "verify", "-CAfile", witness.folder / "ca.crt", "-no_check_time", chain)
    chain.chmod(0o644)
    chain.write_text(old)  # the new one is of tomorrow
    witness.start()
    assert witness.ask("renew", 4, "west-1", node="west-1") == ("granted", 4, "west-1")


def test_sql_for_a_postgresql_of_ones_own(witness):
    schema = witness.cli("witness", "sql").stdout
    witness.sql("create database own", "postgres")
    witness.sql(schema, "own")
    answer = "select result, epoch, holder from witness.ask('%s', '" + OURS + "', 3, 'east-1', null, null, 30000, false)"
    assert witness.sql(answer % "acquire", "own") == [["empty", "", ""]]
    assert witness.sql(answer % "create", "own") == [["done", "3", "east-1"]]
    assert witness.sql(answer % "acquire", "own") == [["granted", "3", "east-1"]]
    with pytest.raises(Failed, match="already exists"):
        witness.sql(schema, "own")
    assert witness.sql(answer % "renew", "own") == [["granted", "3", "east-1"]]
