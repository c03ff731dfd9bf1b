"""Making, joining, keeping and removing nodes, and what they say when they cannot."""
import json
import os
import pwd
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import time

import pytest

import certs
import plain
from cluster import PG_PORT, PORT, Cluster, Failed, free_address, until

USER = "postgres"  # a service user that is surely there


# ---- what init refuses

@pytest.fixture(scope="module")
def refused(folder):
    """A cluster that never comes to be."""
    with Cluster(folder / "refused") as cluster:
        (cluster.folder / "password").write_text("a-good-password\n")
        yield cluster


def attempt(empty, make=None, code=(2,), **options):
    """`baton init` that must fail; its words, and the folder that it was to make."""
    name = "refused-%d" % len(list(empty.folder.iterdir()))
    node = empty._node(name, "east")
    del empty.nodes[name]
    if make is not None:
        make(node.folder)
    given = {"cluster": "demo", "site": "east", "node": "east-1", "listen": "%s:%d" % (node.address, PORT),
             "pg-port": PG_PORT, "password-file": empty.folder / "password"}
    if empty.run_as:
        given["run-as"] = empty.run_as
    given.update({name.replace("_", "-"): value for name, value in options.items()})
    words = [word for name, value in given.items() for word in ("--" + name, value)]
    done = node.cli("init", *words, check=False)
    assert done.returncode in code and done.stdout == "", (done.returncode, done.stderr)
    assert "  mend: " in done.stderr or "must be" in done.stderr, done.stderr
    return done.stderr, node.folder


def test_init_leaves_a_folder_alone_that_holds_something(refused):
    """S14."""
    def make(folder):
        folder.mkdir(mode=0o750)
        (folder / "precious").write_text("data")
    said, path = attempt(refused, make=make, code=(5,))
    assert "not empty" in said
    assert [entry.name for entry in path.iterdir()] == ["precious"]
    assert (path / "precious").read_text() == "data" and stat.S_IMODE(path.stat().st_mode) == 0o750
    shutil.rmtree(path)


def test_init_leaves_a_folder_of_another_user_alone(refused):
    if os.geteuid() != 0:
        pytest.skip("only root can give folders away")

    def make(folder):
        folder.mkdir(mode=0o700)
        shutil.chown(folder, USER, USER)
    said, path = attempt(refused, make=make, code=(3,))
    assert "belongs to another user" in said
    assert path.owner() == USER and list(path.iterdir()) == []
    path.rmdir()


def test_init_needs_a_folder_for_its_folder(refused):
    said, path = attempt(refused, make=lambda folder: folder.write_text("a file"))
    assert "is not a folder" in said and path.read_text() == "a file"
    path.unlink()


@pytest.mark.parametrize("options", [
    {"node": "East_1"}, {"node": "-east"}, {"node": "east-"}, {"node": "east.1"}, {"node": "e/../../x"}, {"node": ""},
    {"site": "the east"}, {"site": "s" * 64}, {"cluster": "Demo"}], ids=lambda options: "=".join(*options.items()))
def test_init_refuses_what_is_no_name(refused, options):
    said, path = attempt(refused, **options)
    (name, value), = options.items()
    assert "--%s '%s'" % (name, value) in said, said
    assert not path.exists()


def test_init_takes_no_name_that_is_too_long_for_its_roles(refused):
    """PostgreSQL's roles and slots carry the node's name: what init takes must fit there too."""
    said, path = attempt(refused, node="n" * 56)
    assert "at most 51" in said, said
    assert not path.exists()


@pytest.mark.parametrize("options, told", [
    ({"listen": "nonsense"}, "nonsense"), ({"listen": "300.1.1.1:7443"}, "300.1.1.1"),
    ({"listen": "127.0.0.1:99999"}, "99999"), ({"listen": "127.0.0.1:"}, "127.0.0.1:"),
    ({"advertise": "0.0.0.0:7443"}, "0.0.0.0"), ({"pg_listen": "here"}, "here"), ({"pg_port": "0"}, "--pg-port"),
    ({"run_as": "nobody-of-that-name"}, "nobody-of-that-name")],
    ids=lambda value: "=".join(*value.items()) if isinstance(value, dict) else None)
def test_init_names_what_is_wrong_and_how_to_mend_it(refused, options, told):
    said, path = attempt(refused, code=(2, 4, 9), **options)
    assert told in said, said
    assert not path.exists()


def test_init_does_not_run_postgresql_as_root(refused):
    if os.geteuid() != 0:
        pytest.skip("only root could")
    said, path = attempt(refused, run_as="root", code=(3,))
    assert "PostgreSQL does not run as root" in said and "--run-as" in said
    assert not path.exists()


@pytest.mark.parametrize("option", ["listen", "pg_listen"])
def test_init_refuses_an_address_that_is_not_of_this_host(refused, option):
    """TEST-NET-1 (RFC 5737) is nobody's."""
    said, path = attempt(refused, **{option: "192.0.2.1" if option == "pg_listen" else "192.0.2.1:%d" % PORT}, code=(2,))
    assert "192.0.2.1" in said, said
    assert not path.exists()


@pytest.mark.parametrize("port", [PORT, PG_PORT], ids=["https", "postgresql"])
def test_init_says_that_a_port_is_taken_and_leaves_nothing(refused, port):
    address = free_address()
    with socket.create_server((address, port)):
        said, path = attempt(refused, listen="%s:%d" % (address, PORT), code=(5,))
    assert "in use" in said and "%s:%d" % (address, port) in said, said
    assert not path.exists()


# ---- members of each kind

@pytest.fixture(scope="module")
def mixed(folder):
    """east-1 managed as root, west-1 managed as a service user; north-1 on a plain server joins later."""
    with Cluster(folder / "mixed") as cluster:
        cluster.init("east-1", "east")
        yield cluster


def join(cluster, name, site, *words, **options):
    """`baton join` that must fail: what it said, and its folder."""
    token = json.loads(cluster.primary().cli("token", "create", "--site", site, "--json").stdout)["token"]
    node = cluster._node("refused-join", site, **options)
    del cluster.nodes["refused-join"]
    done = node.cli("join", token, "--node", name, *cluster._where(node), *words, check=False)
    assert done.returncode != 0
    return done.stderr, node.folder


def test_a_service_user_runs_a_node(mixed):
    """batond, baton and PostgreSQL all run as one user that is not root."""
    user = USER if os.geteuid() == 0 else None
    west = mixed.join("west-1", "west", user=user)
    mixed.settled()
    if user is not None:
        uid = pwd.getpwnam(user).pw_uid
        for pid in (*west.pids("daemon"), west.postmaster()):
            assert os.stat("/proc/%d" % pid).st_uid == uid
        assert {path.stat().st_uid for path in west.folder.rglob("*") if not path.is_symlink()} == {uid}
    assert west.put("app/by-west", 1).status == 200
    until("east has it", lambda: mixed.east_1.get("app/by-west") == 1)


def test_a_name_that_is_taken_is_refused(mixed):
    said, path = join(mixed, "west-1", "west")
    assert "there is a member 'west-1' already" in said and "mend:" in said, said
    assert not path.exists()
    assert mixed.west_1.status()["primary"]["node"] == "east-1"


def test_a_second_batond_on_one_folder_is_refused(mixed):
    for node in (mixed.east_1, mixed.west_1):
        done = subprocess.run([*node.program("batond"), "--data-dir", str(node.folder)], capture_output=True, text=True,
                              timeout=30, env=mixed.env, stdin=subprocess.DEVNULL)
        assert done.returncode == 5, done.stderr
        assert "used by process %d" % node.daemon() in done.stderr and "mend: stop that batond" in done.stderr
        assert node.running() and node.put("app/still", 1).status == 200


def test_batond_says_that_its_port_is_taken(mixed):
    node = mixed.west_1
    node.stop()
    with socket.create_server((node.address, PORT)):
        node.start()
        code = node.process.wait(60)
    said = node.log.read_text()[-600:]
    assert code not in (0, None) and "%s:%d" % (node.address, PORT) in said and "in use" in said, said
    assert "mend:" in said, said
    assert node.postmaster() is None
    node.start()
    mixed.settled()


# ---- a database that is not ours

@pytest.fixture(scope="module")
def server(mixed):
    address = free_address(int(mixed.west_1.address.rsplit(".", 1)[1]) + 1)
    run_as = USER if os.geteuid() == 0 else None
    server = plain.Plain(mixed.folder / "plain", address, PG_PORT, run_as, mixed.env)
    yield server
    server.stop()


WRONG = [("wal_level", "replica"), ("ssl", "off"), ("full_page_writes", "off"), ("max_wal_senders", "3"),
         ("max_replication_slots", "4"), ("max_logical_replication_workers", "1"), ("max_worker_processes", "4"),
         ("max_connections", "20"), ("default_transaction_read_only", "on"), ("session_replication_role", "replica"),
         ("restart_after_crash", "on"), ("wal_retrieve_retry_interval", "5s"), ("password_encryption", "md5")]


def test_each_wrong_setting_is_named_with_its_mend(mixed, server):
    """All faults are told in one run; the last line is the first fault that must be mended."""
    server.settings.update(WRONG)
    server.hba = server.hba.replace("hostssl", "host")
    server.start()
    dsn = server.dsn().replace("verify-full", "disable")
    said, path = join(mixed, "north-1", "north", "--database", dsn)
    server.stop()
    server.settings = dict(server.settings, **{name: plain.FIT.get(name) for name, _ in WRONG})
    server.settings = {name: value for name, value in server.settings.items() if value is not None}
    server.hba = plain.HBA
    for name, value in WRONG:
        lines = [line for line in said.splitlines() if "%s is %s" % (name, value[:-1]) in line.replace("'", "")]
        assert lines and "mend: ALTER SYSTEM SET %s = " % name in lines[0], (name, said)
    assert "the database is not fit" in said.splitlines()[-2] and "more faults" in said.splitlines()[-2], said
    assert plain.PASSWORD not in said
    assert not path.exists()


def test_a_role_that_is_no_superuser_and_an_old_database_are_named(mixed, server):
    server.start()
    server.sql("create role limited login password '%s'" % plain.PASSWORD)
    server.stop()
    server.hba = plain.HBA.replace("all postgres", "all postgres,limited")
    server.start()
    said, path = join(mixed, "north-1", "north", "--database", server.dsn().replace("user=postgres", "user=limited"))
    assert "is no superuser" in said and "ALTER ROLE" in said and not path.exists(), said
    server.sql("create database baton")
    said, path = join(mixed, "north-1", "north", "--database", server.dsn())
    assert "has a database 'baton' already" in said and "mend:" in said and not path.exists(), said
    server.sql("drop database baton")
    server.sql("drop role limited")
    for dsn, told in ((server.dsn().replace(plain.PASSWORD, "wrong-password"), "password authentication failed"),
                      (server.dsn().replace(server.address, "127.0.0.1"), "refused"), ("host=", "--database")):
        said, path = join(mixed, "north-1", "north", "--database", dsn)
        assert told in said and "wrong-password" not in said and not path.exists(), said


def test_a_failed_join_leaves_the_server_as_it_was(mixed, server):
    """Here the daemon's access is not in pg_hba.conf; that is seen after the schema was made."""
    server.stop()
    server.hba = plain.HBA.replace("hostssl baton baton", "#")
    server.start()
    said, path = join(mixed, "north-1", "north", "--database", server.dsn())
    assert "add to pg_hba.conf" in said and "hostssl baton baton" in said, said
    assert not path.exists()
    assert server.sql("select count(*) from pg_database where datname = 'baton'") == "0"
    assert server.sql("select count(*) from pg_roles where rolname ~ '^baton'") == "0"
    server.stop()
    server.hba = plain.HBA


def test_a_plain_server_becomes_a_member(mixed, server):
    """Joined to a managed primary, it follows; with the certificate rule it can be primary too."""
    server.hba = plain.HBA
    server.start()
    token = json.loads(mixed.east_1.cli("token", "create", "--site", "north", "--json").stdout)["token"]
    node = mixed._node("north-1", "north")
    node.address = server.address  # its certificate is to be good for the server too
    done = node.cli("join", token, "--node", "north-1", *mixed._where(node), "--database", server.dsn())
    assert "other members cannot replicate from here yet" in done.stderr
    assert plain.PASSWORD not in done.stderr + (node.folder / "node.json").read_text()
    node.start()
    node.sql = lambda statement, role=None: [line.split("|") for line in server.sql(statement, "baton").splitlines()]
    node.external = True
    until("it follows", lambda: node.state() == "STANDBY")
    mixed.settled()
    assert node.put("app/by-north", 1).status == 200
    # what the two warnings asked for, and the node's certificate, which lies in the server's own folder
    server.stop()
    server.hba = plain.HBA + plain.HBA_PEERS
    server.settings.update(plain.TLS)
    server.start()
    mixed.settled()
    mixed.promote("north", "--reason", "its turn")
    mixed.settled()
    assert mixed.primary() is node and mixed.west_1.put("app/led-by-north", 1).status == 200
    mixed.promote("east")
    mixed.settled()


# ---- a node's life

def serial(node, port):
    """Serial number of the certificate that a port shows."""
    context = ssl.create_default_context(cafile=str(node.folder / "ca.crt"))
    with socket.create_connection((node.address, port), 10) as client:
        if port == PG_PORT:
            client.sendall(bytes.fromhex("0000000804d2162f"))
            assert client.recv(1) == b"S"
        with context.wrap_socket(client, server_hostname=node.address) as stream:
            return stream.getpeercert()["serialNumber"]


def test_sighup_takes_new_certificates_and_keeps_good_ones(mixed, folder):
    """S53, S86."""
    node = mixed.west_1
    made = folder / "renewed"
    made.mkdir()
    ca = certs.Pair(node.folder / "ca.crt", node.folder / "ca.key")
    subject = "/O=%s/CN=west-1" % node.status()["cluster"]["id"]
    pair = certs.signed(made, "west", subject, ca, extensions=certs.USAGE + "subjectAltName=DNS:west-1,IP:%s,DNS:localhost,"
                        "IP:127.0.0.1\n" % node.address)
    before = serial(node, PORT)
    kept = {name: (node.folder / name).read_bytes() for name in ("node.crt", "node.key")}

    def install(certificate, key):
        for name, content in (("node.crt", certificate), ("node.key", key)):
            owner = (node.folder / name).stat()
            (node.folder / name).unlink()
            (node.folder / name).write_bytes(content)
            os.chown(node.folder / name, owner.st_uid, owner.st_gid)
            os.chmod(node.folder / name, stat.S_IMODE(owner.st_mode))
        node.process.send_signal(signal.SIGHUP)

    told = len(node.log.read_text())
    install(b"no certificate\n", kept["node.key"])
    until("it says so", lambda: "certificate.reload reason=" in node.log.read_text()[told:])
    told = len(node.log.read_text())
    install(kept["node.crt"], pair.key.read_bytes())  # a pair that does not fit
    until("it says so", lambda: "certificate.reload reason=" in node.log.read_text()[told:])
    assert serial(node, PORT) == before and serial(node, PG_PORT) == before
    pid, postmaster = node.daemon(), node.postmaster()
    install(pair.certificate.read_bytes() + ca.certificate.read_bytes(), pair.key.read_bytes())
    until("HTTPS shows the new one", lambda: serial(node, PORT) != before)
    until("PostgreSQL shows the same", lambda: serial(node, PG_PORT) == serial(node, PORT))
    assert (node.daemon(), node.postmaster()) == (pid, postmaster)
    mixed.settled()
    mixed.promote("west", "--reason", "others must believe it")
    mixed.settled()
    mixed.promote("east")
    mixed.settled()


def test_doctor_tells_sick_from_well(mixed):
    for node in mixed.nodes.values():
        done = node.cli("doctor", "--json", check=False)
        checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
        bad = [check for check in checks.values() if check["state"] == "fail"]
        assert done.returncode == 0 and not bad, bad
        assert {"node", "certificate", "ca", "disk", "pg.wal_level", "pg.version"} <= set(checks)
    node = mixed.west_1
    database = node.postmaster()
    os.kill(database, signal.SIGSTOP)
    try:
        def sick():
            done = node.cli("doctor", "--json", check=False)
            failed = {check["name"] for check in json.loads(done.stdout)["checks"] if check["state"] == "fail"}
            return done.returncode == 5 and failed
        node.kill("daemon")
        assert {"process"} <= sick()
    finally:
        os.kill(database, signal.SIGCONT)
    until("PostgreSQL ends with its batond", lambda: node.postmaster() is None)
    os.chmod(node.folder / "node.key", 0o644)
    done = node.cli("doctor", check=False)
    assert done.returncode == 5 and "others may read it" in done.stdout and "chmod 400" in done.stdout, done.stdout
    os.chmod(node.folder / "node.key", 0o400)
    node.start()
    mixed.settled()
    # alone it is fenced, and says what to look at
    rest = [mixed.east_1, mixed.nodes["north-1"]]
    for other in rest:
        other.stop()
    until("it has noticed", lambda: node.status()["primary"] is None)
    done = node.cli("doctor", check=False)
    assert done.returncode == 5 and "mend" in done.stdout.lower() or "baton status" in done.stdout, done.stdout
    for other in rest:
        other.start()
    mixed.settled()


def test_a_newer_schema_is_refused(mixed):
    """A node whose database a later Baton has migrated: this one does not touch it."""
    node = mixed.west_1
    node.sql("insert into local.migration (version, name, checksum) values (9999, 'of-the-future', repeat('0', 64))")
    node.stop()
    told = len(node.log.read_text())
    node.start()
    code = node.process.wait(60)
    said = node.log.read_text()[told:]
    assert code == 5, said
    assert "migration 9999 (of-the-future)" in said and "install the newer version of Baton" in said, said
    assert node.postmaster() is None
    # by hand, as an administrator who knows better
    command = ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups", "--"] if os.geteuid() == 0 else []
    with subprocess.Popen([*command, str(plain.PROGRAMS / "postgres"), "-D", str(node.folder / "pg/data"), "-c",
                           "config_file=%s" % (node.folder / "pg/conf/postgresql.conf")], cwd="/", env=mixed.env,
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        until("it answers", lambda: node.sql("delete from local.migration where version = 9999") == [])
        server.send_signal(signal.SIGINT)
        server.wait(30)
    node.start()
    mixed.settled()


def write_many(node, count, prefix):
    for first in range(0, count, 1000):
        changes = [{"site": "", "key": "app/%s/%d" % (prefix, number % 100), "value": number}
                   for number in range(first, min(first + 1000, count))]
        for part in range(0, len(changes), 100):  # a key stands once in a write
            reply = node.api("POST", "/v1/config", {"reason": "many", "changes": changes[part:part + 100]})
            assert reply.status == 200, reply.body


def config_of(node):
    return node.sql("select site, key, value, revision from shared.config order by 1, 2")


def prune(node):
    """What the node does by itself later: only the newest 1000 rows stay."""
    until("its log is pruned", lambda: node.sql("set synchronous_commit = local; select local.log_prune(1000, 0)") ==
          [["0"]])
    return int(node.sql("select log_base from local.position()")[0][0])


def test_a_node_that_was_away_longer_than_the_log_gets_a_snapshot(mixed):
    """Its old primary is none any more, and nobody has kept the rows that it lacks."""
    east, west, north = mixed.east_1, mixed.west_1, mixed.nodes["north-1"]
    for key in ("before", "deleted"):
        east.cli("config", "set", "app/away/" + key, "1")
    mixed.settled()
    west.stop()
    away_since = east.head()[0]
    east.cli("config", "delete", "app/away/deleted")
    write_many(east, 1500, "away")
    # what may be stored can be handed on: as deep as it may be, and in all more than fits in one write
    deep = json.loads("[" * 24 + "1" + "]" * 24)
    assert east.put("app/away/deep", deep).status == 200
    assert east.put("app/away/deeper", [deep]).json["code"] == "value_too_deep"
    assert east.put("app/away/large", 1e30).json["code"] == "number_too_long"
    for number in range(70):
        assert east.put("app/away/big-%d" % number, "v" * 260000).status == 200
    mixed.promote("north")
    assert prune(east) > away_since and prune(north) > away_since
    east.sql("select local.slot_drop('baton_west_1')")  # else it streams from there, before it is told to stop
    west.start()
    mixed.settled()
    assert int(west.sql("select log_base from local.position()")[0][0]) > away_since, "it had no snapshot"
    until("all hold the same", lambda: config_of(west) == config_of(east) == config_of(north))
    assert west.get("app/away/before") == 1 and west.get("app/away/deleted") is None
    assert west.get("app/away/deep") == deep
    # it is a whole member: it may lead, and others follow it
    mixed.promote("west")
    mixed.settled()
    assert west.put("app/away/after", 1).status == 200
    mixed.promote("east")
    mixed.settled()


def copy_of(node):
    """The folder of a stopped node, as a backup tool would take it."""
    backup = node.folder.parent / (node.name + ".backup")
    subprocess.run(["cp", "-a", node.folder, backup], check=True)
    return backup


def restore(node, backup):
    shutil.rmtree(node.folder)
    backup.rename(node.folder)


def test_a_standby_restored_from_an_old_copy_converges(mixed):
    node, primary = mixed.west_1, mixed.east_1
    node.stop()
    backup = copy_of(node)
    node.start()
    mixed.settled()
    node.put("app/restored", "before")
    mixed.promote("west")
    mixed.settled()
    node.put("app/restored", "as primary")
    mixed.promote("east")
    mixed.settled()
    head = primary.head()
    node.stop()
    restore(node, backup)
    node.start()
    mixed.settled()
    assert primary.head() == head == node.head() and config_of(node) == config_of(primary)
    assert primary.status()["primary"]["node"] == "east-1"
    assert node.sql("select count(*) from local.setaside") == [["0"]]


def test_a_primary_restored_from_an_old_copy_does_not_lead(mixed):
    """Its copy says that it is primary of the very epoch that its peers know. They hold rows of that epoch
    which it has not: to go on would write other rows under the same numbers."""
    node = mixed.east_1
    epoch = node.status()["primary"]["epoch"]
    node.stop()
    backup = copy_of(node)
    node.start()
    mixed.settled()
    assert node.status()["primary"]["epoch"] == epoch
    for number in range(20):
        assert node.put("app/acknowledged/%d" % number, number).status == 200
    mixed.settled()
    node.stop()
    restore(node, backup)
    node.start()
    until("it is fenced, and knows why", lambda: node.settled_fenced() and [
        entry for entry in node.status()["nodes"] if entry["name"] == "east-1"][0]["reason"].find("wrote and lost") >= 0)
    assert node.sql("select writable from local.position()") == [["f"]]
    mixed.promote("west", "--reason", "east was restored from a backup", via=mixed.west_1)
    mixed.settled()
    for member in mixed.nodes.values():
        for number in range(20):
            assert member.get("app/acknowledged/%d" % number) == number
    mixed.promote("east")
    mixed.settled()


def test_removing_a_member_shrinks_the_sync_set_first(mixed):
    """S27, S41: With two left k is 0 again, and writes do not wait for one that is gone."""
    gone = mixed.nodes["north-1"]
    listed = json.loads(mixed.east_1.cli("node", "list", "--json").stdout)["nodes"]
    assert {node["name"] for node in listed} == {"east-1", "west-1", "north-1"}
    refused = mixed.east_1.cli("node", "remove", "east-1", "--yes", check=False)
    assert refused.returncode == 5 and "is the primary" in refused.stderr and "mend:" in refused.stderr
    refused = mixed.east_1.cli("node", "remove", "nobody", "--yes", check=False)
    assert refused.returncode == 4, refused.stderr
    mixed.west_1.cli("node", "remove", "north-1", "--yes", "--reason", "its host goes")
    del mixed.nodes["north-1"]
    started = time.monotonic()
    for number in range(20):
        reply = mixed.east_1.put("app/removed", number)
        assert reply.status == 200, reply.body
    assert time.monotonic() - started < 30, "each waits for one that is gone, 10 s"
    mixed.settled()
    document = mixed.east_1.status()
    assert document["durability"]["members"] == ["east-1", "west-1"] and document["durability"]["k"] == 0
    assert "north-1" not in mixed.west_1.cli("node", "list").stdout
    assert "north" not in mixed.west_1.cli("site", "list").stdout
    # its slot holds no log back
    for node in mixed.nodes.values():
        for what in ("pg_replication_slots where slot_name", "pg_subscription where subname", "pg_roles where rolname"):
            until("%s has no %s of it" % (node.name, what.split()[0]),
                  lambda n=node, w=what: n.sql("select count(*) from %s ~ 'north'" % w) == [["0"]])
    # the other one may stop, and writes go on
    mixed.west_1.stop()
    assert mixed.east_1.put("app/without", "alone").status == 200
    mixed.west_1.start()
    mixed.settled()
    # what was removed knows nothing new, and leads nobody
    assert gone.get("app/without") is None
    order = gone.cli("promote", "north", "--yes", "--accept-data-loss", check=False)
    assert order.returncode != 0
    assert mixed.primary().name == "east-1"
    gone.stop()
    shutil.rmtree(gone.folder)


def test_a_removed_name_may_join_again(mixed):
    mixed.join("north-1", "north")
    mixed.settled()
    assert mixed.nodes["north-1"].put("app/again", 1).status == 200
