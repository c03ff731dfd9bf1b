"""Tokens, joining and removing: who becomes a member, once, and who is one no longer."""
import datetime
import json
import shutil
import ssl
import subprocess

import pytest

import certs
from arbiters import Witness
from cluster import PG_PORT, PORT, Cluster, free_address, logs, until


@pytest.fixture(scope="module")
def two(folder):
    with Cluster(folder / "two") as cluster:
        try:
            cluster.init("east-1", "east")
            cluster.join("west-1", "west")
        except BaseException:
            logs(cluster)
            raise
        yield cluster


def token_for(node, site="west", *words):
    return json.loads(node.cli("token", "create", "--site", site, "--json", *words).stdout)


def try_join(cluster, token, name):
    """Joins without starting; the folder of a refused one is left as it was: absent."""
    node = cluster._node(name, "west")
    done = node.cli("join", token, "--node", name, *cluster._where(node), check=False)
    if done.returncode != 0:
        assert not (node.folder / "node.json").exists()
        del cluster.nodes[name]
    return done


def test_a_token_joins_one_node_once(two):
    """S26."""
    made = token_for(two.east_1)
    assert try_join(two, made["token"], "west-2").returncode == 0
    again = try_join(two, made["token"], "west-3")
    assert again.returncode != 0 and "token" in again.stderr
    until("the token is used", lambda: [
        token["used_by"] for token in two.east_1.api("GET", "/v1/tokens").json["tokens"]
        if token["id"] == made["id"]] == ["west-2"])


def test_a_standby_can_take_a_member_in(two):
    made = token_for(two.west_1)
    until("the token is here", lambda: made["id"] in str(two.west_1.api("GET", "/v1/tokens").json))
    assert try_join(two, made["token"], "west-4").returncode == 0
    until("it is a member", lambda: "west-4" in str(two.east_1.api("GET", "/v1/nodes").json))


def test_a_revoked_or_expired_token_is_refused(two):
    made = token_for(two.east_1)
    two.east_1.cli("token", "revoke", made["id"])
    assert "token" in try_join(two, made["token"], "west-5").stderr
    late = token_for(two.east_1)
    row = two.east_1.sql("select value from shared.config where key = 'token/%s'" % late["id"])[0][0]
    value = json.loads(row)
    value["expires_ms"] = 1
    # as if an hour had passed: the row is Baton's own, so only the owner can do this
    group = json.dumps([{"author": "test", "changes": [{"key": "token/" + late["id"], "value": value}]}])
    two.east_1.sql("select shared.write('%s')" % group)
    until("it has expired", lambda: [token["state"] for token in two.east_1.api("GET", "/v1/tokens").json["tokens"]
                                     if token["id"] == late["id"]] == ["expired"])
    assert "token" in try_join(two, late["token"], "west-6").stderr


def test_a_name_is_taken_once(two):
    refused = try_join_taken(two, token_for(two.east_1)["token"])
    assert refused.returncode != 0 and "west-1" in refused.stderr


def try_join_taken(cluster, token):
    other = Cluster(cluster.folder / "other", run_as=cluster.run_as)
    node = other._node("west-1", "west")
    return node.cli("join", token, "--node", "west-1", *other._where(node), check=False)


def stranger(folder, cluster, ca_from):
    """A context with a certificate that somebody else's CA signed for the name of a member."""
    folder.mkdir(exist_ok=True)

    def openssl(*words):
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, cwd=folder)
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 2,
            "-subj", "/O=%s/CN=demo CA" % cluster, "-keyout", "ca.key", "-out", "ca.crt")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", "/O=%s/CN=east-1" % cluster, "-keyout", "node.key", "-out", "node.csr")
    openssl("x509", "-req", "-in", "node.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", 2,
            "-out", "node.crt")
    context = ssl.create_default_context(cafile=str(ca_from / "ca.crt"))
    context.load_cert_chain(folder / "node.crt", folder / "node.key")
    return context


def test_a_foreign_certificate_opens_nothing(two, folder):
    node = two.east_1
    cluster_id = json.loads((node.folder / "node.json").read_text())["cluster_id"]
    context = stranger(folder / "stranger", cluster_id, node.folder)
    with pytest.raises(OSError):  # refused in the handshake, which a client sees when it reads
        node.api("GET", "/v1/status", context=context)
    with pytest.raises(OSError):
        node.api("GET", "/healthz", context=context)


def test_a_removed_member_is_refused_at_once(two):
    """S41."""
    removed = two.nodes["west-2"]
    context = removed.context()
    assert two.east_1.api("GET", "/v1/peer/state", context=context).status == 200
    refused = two.east_1.api("DELETE", "/v1/nodes/east-1")
    assert (refused.status, refused.json["code"]) == (409, "node_is_primary")
    two.east_1.cli("node", "remove", "west-2", "--yes")
    for node in (two.east_1, two.west_1):
        until("%s refuses it" % node.name, lambda n=node: n.api(
            "GET", "/v1/peer/state", context=context).json["code"] == "not_a_member")
        assert node.api("GET", "/v1/status", context=context).status == 403
        assert node.api("GET", "/healthz").status == 200
    assert "west-2" not in [node["name"] for node in two.east_1.api("GET", "/v1/nodes").json["nodes"]]
    assert two.east_1.api("DELETE", "/v1/nodes/west-2").status == 404
    # its name may be used again, by a new machine with a new certificate
    shutil.rmtree(removed.folder)
    del two.nodes["west-2"]
    assert try_join(two, token_for(two.east_1)["token"], "west-2").returncode == 0
    assert two.east_1.api("GET", "/v1/peer/state", context=two.nodes["west-2"].context()).status == 200
    assert two.east_1.api("GET", "/v1/peer/state", context=context).json["code"] == "not_a_member"


def due_for_renewal(node, folder):
    """Gives a stopped node a certificate whose end is near: it renews it by itself at its start."""
    ca = certs.Pair(node.folder / "ca.crt", node.folder / "ca.key")
    now = datetime.datetime.now(datetime.timezone.utc)
    start, end = ((now + datetime.timedelta(days=days)).strftime("%Y%m%d%H%M%SZ") for days in (-80, 10))
    config = json.loads((node.folder / "node.json").read_text())
    key = folder / (node.name + ".key")
    shutil.copy(node.folder / "node.key", key)
    pair = certs.signed(folder, node.name, "/O=%s/CN=%s" % (config["cluster_id"], node.name), ca, start, end,
                        certs.USAGE + "subjectAltName=DNS:%s,IP:%s\n" % (node.name, node.address), key)
    (node.folder / "node.crt").chmod(0o600)
    (node.folder / "node.crt").write_bytes(pair.certificate.read_bytes() + ca.certificate.read_bytes())


def psql(node, folder, user):
    """What the database of 'node' answers to the certificate in that data directory."""
    return subprocess.run(
        ["psql", "-XqAt", "-c", "select 1", "host=%s port=%d dbname=baton user=%s sslmode=verify-full sslrootcert=%s "
         "sslcert=%s sslkey=%s" % (node.address, PG_PORT, user, *(folder / name for name in (
             "ca.crt", "node.crt", "node.key")))],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd="/")


@pytest.fixture
def witness(two, folder):
    """Grants the lease of the cluster for one test."""
    third = Witness(folder / "witness", two.east_1.folder / "ca.crt").start()
    try:
        until("it is set", lambda: two.east_1.cli("arbiter", "set", "postgres", "--file", third.document,
                                                  "--reason", "a witness stands", check=False).returncode == 0)
        until("the lease is held", lambda: (two.east_1.status()["arbiter"]["lease"] or {}).get("state") == "HELD")
        yield third
        two.east_1.cli("arbiter", "set", "manual", "--reason", "it goes")
        until("nobody asks it", lambda: two.east_1.status()["arbiter"]["kind"] == "manual")
    finally:
        third.stop()


def witness_answers(witness, folder):
    """What the witness says to the certificate in that data directory."""
    value = witness.value()
    ca = witness.base / "arbiter.crt"
    ca.write_text(value["ca"])
    cluster = json.loads((folder / "node.json").read_text())["cluster_id"]
    done = subprocess.run(
        ["psql", "-XqAt", "-c", "select result, holder from witness.ask('read', '%s', null, null, null, null, null, false)"
         % cluster, "%s user=baton_witness dbname=baton sslmode=verify-full sslrootcert=%s sslcert=%s sslkey=%s" % (
             value["dsn"], ca, folder / "node.crt", folder / "node.key")],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd="/")
    return done.stdout.strip() or done.stderr


def test_a_removed_member_stays_out_whatever_it_renews(two, folder, witness):
    """Also when another machine has its name, and it runs and believes that it is that member. The witness knows it too."""
    made = folder / "renewed"
    made.mkdir()
    gone = two.join("west-3", "west")
    gone.stop()
    due_for_renewal(gone, made)
    before = (gone.folder / "node.crt").read_bytes()
    gone.start()
    until("it has renewed its certificate", lambda: "certificate.renew ok=1" in gone.log.read_text())
    until("it follows again", lambda: gone.state() == "STANDBY")
    assert (gone.folder / "node.crt").read_bytes() != before
    nodes = [two.east_1, two.west_1]
    for node in nodes:
        until("%s knows it" % node.name, lambda n=node: n.api(
            "GET", "/v1/peer/state", context=gone.context()).status == 200)
        until("so does its database", lambda n=node: psql(n, gone.folder, "baton_n_west-3").stdout == "1\n")
    assert witness_answers(witness, gone.folder) == "done|east-1"

    def is_out():
        for node in nodes:
            until("%s refuses it" % node.name, lambda n=node: n.api(
                "GET", "/v1/peer/state", context=gone.context()).json["code"] == "not_a_member")
            until("so does its database", lambda n=node: psql(n, gone.folder, "baton_n_west-3").returncode == 2)
        until("so does the witness", lambda: "west-3, was removed" in witness_answers(witness, gone.folder))

    two.east_1.cli("node", "remove", "west-3", "--yes")
    is_out()
    # another machine gets its name, while it runs on
    del two.nodes["west-3"]
    heir = two._node("west-3", "west")
    heir.folder = two.folder / "heir"
    heir.log = two.folder / "heir.log"
    heir.address = two._address()
    while heir.address == gone.address:
        heir.address = free_address(int(heir.address.rsplit(".", 1)[1]) + 1)
    heir.cli("join", token_for(two.east_1)["token"], "--node", "west-3", *two._where(heir))
    heir.start()
    until("it follows", lambda: heir.state() == "STANDBY")
    is_out()
    for node in nodes:
        until("%s knows the new one" % node.name, lambda n=node: n.api(
            "GET", "/v1/peer/state", context=heir.context()).status == 200)
        until("so does its database", lambda n=node: psql(n, heir.folder, "baton_n_west-3.2").stdout == "1\n")
        assert psql(node, gone.folder, "baton_n_west-3.2").returncode == 2
    assert witness_answers(witness, heir.folder) == "done|east-1"
    gone.stop()
    gone.start()
    until("it is up", lambda: gone.api("GET", "/v1/version").json["code"] == "not_a_member")  # it has read that itself
    until("its database is up", lambda: gone.sql("select 1"))
    assert two.east_1.put("app/heir", 1).status == 200
    until("the heir has it", lambda: heir.get("app/heir") == 1)
    assert two.east_1.sql("select usename from pg_stat_replication where application_name = 'west-3'") == [
        ["baton_n_west-3.2"]]
    assert gone.sql("select 1 from shared.config where key = 'app/heir'") == []
    gone.stop()


def test_garbage_on_the_port_harms_nobody(two):
    import socket
    for garbage in (b"\0" * 4096, b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"x" * 512):
        with socket.create_connection((two.east_1.address, PORT), timeout=10) as port:
            port.sendall(garbage)
            try:
                port.recv(1000)
            except OSError:
                pass
    assert two.east_1.api("GET", "/healthz").status == 200
