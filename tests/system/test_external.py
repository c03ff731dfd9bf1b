"""Three nodes whose databases are none of Baton's: each a server of its own, at an address of its own, reached
over TCP with TLS, and with no file in common with its batond."""
import json
import os
import re
import shutil
import signal
import socket
import ssl
import stat

import pytest

import certs
import cluster
import plain
from cluster import BUILD, PG_PORT, PORT, Cluster, Failed, free_address

NEXT = 9000  # the schema of the programs in BUILD/next
USER = "postgres" if os.geteuid() == 0 else None


def until(what, condition):
    """Nodes start here often, beside other tests: longer than usual."""
    return cluster.until(what, condition, 90)


def attach(node, server):
    """The helpers of a node that ask its database ask the server."""
    node.server = server
    node.sql = lambda statement, role=None: [line.split("|") for line in server.sql(statement, "baton").splitlines()]


def where(node, server):
    return ["--listen", "%s:%d" % (node.address, PORT), "--database", server.dsn(),
            "--pg-advertise", "%s:%d" % (server.address, PG_PORT)]


def make_server(outside, name, address):
    return plain.Plain(outside.folder / ("server-" + name), address, PG_PORT, USER, outside.env).start()


def let_members_in(server):
    """What docs/operations.md says that the members need."""
    for name, value in plain.TLS.items():
        server.sql("alter system set %s = '%s'" % (name, value))
    server.hba = plain.HBA + plain.HBA_PEERS
    server.reload()


def doctor(node):
    document = json.loads(node.cli("doctor", "--json", check=False).stdout)
    return {check["name"]: check for check in document["checks"]}


def failed(node, name):
    """The check, once it fails: after an outage the daemon's connections come back one after the other."""
    return until("check %s fails" % name, lambda: next(check for check in [doctor(node)[name]] if check["state"] == "fail"))


def tried(node):
    """What a member meets; a server that was too busy to answer in two seconds has told nothing of it."""
    check = doctor(node)["pg.members"]
    if "timeout expired" in check["text"]:
        raise Failed(check["text"])
    return check


def reason(node):
    return next(entry["reason"] for entry in node.status()["nodes"] if entry["name"] == node.name)


def shown(address, ca):
    """Serial number of the certificate that a PostgreSQL shows."""
    with socket.create_connection((address, PG_PORT), 10) as client:
        client.sendall(bytes.fromhex("0000000804d2162f"))
        if client.recv(1) != b"S":
            raise Failed("%s speaks no TLS" % address)
        with ssl.create_default_context(cafile=str(ca)).wrap_socket(client, server_hostname=address) as stream:
            return stream.getpeercert()["serialNumber"]


@pytest.fixture(scope="module")
def outside(folder):
    with Cluster(folder / "outside") as made:
        made.servers = []
        try:
            yield made
        finally:
            for node in made.nodes.values():
                node.stop()
            for server in made.servers:
                server.stop()


def next_server(outside, name):
    last = max([int(server.address.rsplit(".", 1)[1]) for server in outside.servers], default=99)
    server = make_server(outside, name, free_address(last + 1))
    outside.servers.append(server)
    return server


def test_a_cluster_is_founded_on_a_server_elsewhere(outside):
    node = outside._node("east-1", "east")
    server = next_server(outside, "east-1")
    secret = outside.folder / "admin.password"
    secret.write_text("correct-horse-battery\n")
    done = node.cli("init", "--cluster", outside.name, "--site", "east", "--node", "east-1", "--password-file", secret,
                    *where(node, server))
    assert plain.PASSWORD not in done.stdout + done.stderr + (node.folder / "node.json").read_text()
    attach(node, server)
    assert stat.S_IMODE(node.folder.stat().st_mode) == 0o700, "nothing of it is for the server"
    node.start()
    until("it is primary", lambda: node.state() == "PRIMARY")
    assert node.put("app/alone", 1).status == 200
    assert "baton_tls" in server.sql("select pg_ls_dir('.')").split()
    assert not (node.folder / "pg/tls").exists()
    key = (server.folder / "data/baton_tls/server.key").stat()
    assert stat.S_IMODE(key.st_mode) == 0o600 and key.st_uid == (server.folder / "data").stat().st_uid


def test_doctor_leads_to_a_server_that_lets_members_in(outside):
    """Each mend of check pg.members is done as it says, and nothing else, until it passes."""
    node = outside.east_1
    server = node.server
    seen = []
    until("the role for it is made", lambda: server.sql("select 1 from pg_roles where rolname = 'baton_n_east-1'"))
    for _ in range(6):
        check = until("a member's way in is tried", lambda: tried(node))
        if check["state"] == "ok":
            break
        seen.append(check["text"])
        line = re.search(r"add to pg_(hba|ident)\.conf, and reload: (.*)", check["mend"])
        if line is None:
            for statement in check["mend"].replace("then ", "").split(";"):
                server.sql(statement)
        elif line.group(1) == "hba":
            server.hba += line.group(2) + "\n"
            server.reload()
        else:
            server.ident += line.group(2) + "\n"
            server.reload()
    assert check["state"] == "ok", (check, seen)
    assert any("certificate" in text for text in seen) and any("pg_hba.conf" in text for text in seen), seen
    # and its own daemon still believes the server, which shows another certificate now
    server.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'baton'")
    until("it is primary again", lambda: node.state() == "PRIMARY")
    until("nothing fails", lambda: not [check for check in doctor(node).values() if check["state"] == "fail"])


def test_others_join(outside):
    for name, site in (("east-2", "east"), ("west-1", "west")):
        token = json.loads(outside.east_1.cli("token", "create", "--site", site, "--json").stdout)["token"]
        node = outside._node(name, site)
        server = next_server(outside, name)
        node.cli("join", token, "--node", name, *where(node, server))
        attach(node, server)
        node.start()
        until("%s follows" % name, lambda n=node: n.state() == "STANDBY")
        let_members_in(server)
        until("members may come to %s" % name, lambda n=node: doctor(n)["pg.members"]["state"] == "ok")
    outside.settled()
    for node in outside.nodes.values():
        until("nothing fails", lambda n=node: not [check for check in doctor(n).values() if check["state"] == "fail"])
        rows = node.server.sql("select subconninfo from pg_subscription")
        assert "baton_tls/" in rows or node is outside.east_1


def test_a_planned_promotion(outside):
    for number in range(20):
        assert outside.east_1.put("app/planned/%d" % number, number).status == 200
    outside.promote("west-1", "--reason", "the others are tested, too")
    outside.settled()
    assert outside.primary() is outside.west_1
    assert outside.nodes["east-2"].put("app/led-by-west", 1).status == 200
    until("all have it", lambda: all(node.get("app/led-by-west") == 1 for node in outside.nodes.values()))


def test_a_site_is_lost(outside):
    """The primary's batond and its server die at once; what was acknowledged is there."""
    west = outside.west_1
    for number in range(20):
        assert west.put("app/lost/%d" % number, number).status == 200
    west.kill("daemon")
    west.server.stop(signal.SIGQUIT)
    east = outside.east_1
    until("it is missed", lambda: east.status()["primary"] is None)
    if east.state() != "PRIMARY":
        outside.promote("east-1", "--reason", "the west is gone", via=east)
    assert east.put("app/after", 1).status == 200
    for number in range(20):
        assert east.get("app/lost/%d" % number) == number  # it waited for these before it led
    west.server.start()
    west.start()
    outside.settled()
    until("the west has it", lambda: west.get("app/after") == 1)


def test_a_database_that_becomes_unfit_is_not_used_until_it_is_mended(outside):
    """Restarted with a wrong setting, or with the fence switched off: batond says what mends it, and looks again."""
    node = outside.nodes["east-2"]
    server = node.server
    pid = node.process.pid
    server.stop()
    server.settings["max_replication_slots"] = "4"
    server.start()
    until("it says why", lambda: "the database is not fit: max_replication_slots is 4" in reason(node))
    assert node.state() == "FENCED"
    assert failed(node, "pg.max_replication_slots")["mend"].startswith("ALTER SYSTEM SET max_replication_slots = ")
    assert "mend=\"ALTER SYSTEM SET max_replication_slots" in node.log.read_text()
    assert outside.primary().put("app/unfit", 1).status == 200
    server.stop()
    server.settings["max_replication_slots"] = plain.FIT["max_replication_slots"]
    server.start()
    outside.settled()
    for harm, name in (("alter table shared.log disable trigger log_insert", "pg.triggers"),
                       ("revoke execute on function pg_reload_conf() from baton", "pg.reload"),
                       ("revoke usage on schema local from baton", "pg.schema_local"),
                       ("alter publication baton add table shared.config", "pg.publication")):
        server.sql(harm, "baton")
        server.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'baton'")
        until("it says why", lambda: "the database is not fit" in reason(node))
        check = failed(node, name)
        assert doctor(node)["schema"]["state"] == "fail", check
        server.sql(check["mend"], "baton")
        outside.settled()
    assert node.process.pid == pid
    until("it has what it missed", lambda: node.get("app/unfit") == 1)


def test_a_renewed_certificate_reaches_the_server(outside, folder):
    node = outside.west_1
    made = folder / "renewed"
    made.mkdir()
    ca = certs.Pair(node.folder / "ca.crt", node.folder / "ca.key")
    subject = "/O=%s/CN=west-1" % node.status()["cluster"]["id"]
    pair = certs.signed(made, "west", subject, ca, key=copy_key(node, made), extensions=certs.USAGE +
                        "subjectAltName=DNS:west-1,IP:%s,IP:%s,DNS:localhost,IP:127.0.0.1\n"
                        % (node.address, node.server.address))
    before = shown(node.server.address, ca.certificate)
    certificate = node.folder / "node.crt"
    certificate.chmod(0o600)
    certificate.write_bytes(pair.certificate.read_bytes() + ca.certificate.read_bytes())
    certificate.chmod(0o444)
    node.process.send_signal(signal.SIGHUP)
    until("the server shows it", lambda: shown(node.server.address, ca.certificate) != before)
    outside.settled()
    until("members may come in as before", lambda: doctor(node)["pg.members"]["state"] == "ok")


def copy_key(node, to):
    shutil.copy(node.folder / "node.key", to / "west.key")
    (to / "west.key").chmod(0o600)
    return to / "west.key"


def upgrade(node):
    node.program = lambda name: [*node.wrap, str(BUILD / "next" / name)]


def schema(node):
    return int(node.sql("select max(version) from local.migration")[0][0])


def test_an_upgrade_by_the_owner(outside):
    """Secondaries first. What is forgotten is said: by batond, and by the command."""
    east, second, west = outside.east_1, outside.nodes["east-2"], outside.west_1
    old = schema(east)
    assert outside.primary() is east
    # forgotten: batond waits, and says what to run
    second.stop()
    upgrade(second)
    second.start()
    until("it says what is missing", lambda: "its schema is %d, this program needs %d" % (old, NEXT) in reason(second))
    check = doctor(second)["schema"]
    assert check["state"] == "fail" and "baton schema upgrade --data-dir" in check["mend"], check
    refused = second.cli("schema", "upgrade", "--database", second.server.dsn(), check=False)
    assert refused.returncode == 5 and "is used by process" in refused.stderr, refused.stderr
    second.stop()
    for words, told in (((), "--database DSN"), (("--database", west.server.dsn()), "belongs to node 'west-1'"),
                        (("--database", second.server.dsn().replace(plain.PASSWORD, "wrong")), "authentication failed")):
        refused = second.cli("schema", "upgrade", *words, check=False)
        assert refused.returncode != 0 and told in refused.stderr and "wrong" not in refused.stderr, refused.stderr
    assert schema(second) == schema(west) == old
    # out of turn: the primary
    east.stop()
    old_program = east.program
    upgrade(east)
    refused = east.cli("schema", "upgrade", "--database", east.server.dsn(), check=False)
    assert refused.returncode == 5 and "was primary last" in refused.stderr and schema(east) == old, refused.stderr
    east.program = old_program
    east.start()
    until("it leads again", lambda: east.state() == "PRIMARY")
    # in turn
    for node in (second, west):
        node.stop()
        upgrade(node)
        done = json.loads(node.cli("schema", "upgrade", "--database", node.server.dsn(), "--json").stdout)
        assert done == {"from": old, "to": NEXT}
        node.start()
        until("it follows", lambda n=node: n.state() == "STANDBY")
    outside.settled()
    outside.promote("west-1", "--reason", "upgrade", via=west)
    assert west.put("app/upgraded", 1).status == 200
    east.stop()
    upgrade(east)
    east.cli("schema", "upgrade", "--database", east.server.dsn())
    east.start()
    outside.settled()
    assert schema(east) == NEXT
    until("it has what it missed", lambda: east.get("app/upgraded") == 1)
    # the older program leaves it alone
    east.stop()
    east.program = old_program
    refused = east.cli("schema", "upgrade", "--database", east.server.dsn(), check=False)
    assert refused.returncode == 5 and "migration 9000 (next)" in refused.stderr, refused.stderr
    told = len(east.log.read_text())
    east.start()
    assert east.process.wait(60) == 5 and "migration 9000 (next)" in east.log.read_text()[told:]
    east.process = None
    upgrade(east)
    east.start()
    outside.settled()
