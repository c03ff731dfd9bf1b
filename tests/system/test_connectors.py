"""Connector servers: the documents' two procedures step by step (P1 to P6), on real nodes and servers."""
import base64
import hmac
import json
import os
import re
import subprocess

import pytest

from cluster import PORT, Cluster, Failed, Node, until
from guarded import Guarded
from servers import Authority, Server


@pytest.fixture(scope="module")
def company(folder):
    """Main and alternate server, and a folder for what activations render."""
    class Company:
        pass

    company = Company()
    company.authority = Authority(folder / "ca")
    company.main = Server(company.authority, "tcf-main", "127.0.0.1")
    company.alternate = Server(company.authority, "tcf-alternate", "127.0.0.1")
    company.active = folder / "active"
    company.active.mkdir()
    os.chmod(company.active, 0o755)
    yield company
    company.main.stop()
    company.alternate.stop()


def connector(company, name, main=True, alternate=True):
    document = {"target_connectors": ["active-directory"],
                "probe": {"path": "/health", "interval_ms": 1000, "timeout_ms": 1000, "targets_path": "/connectors"},
                "activation": [{"driver": "file", "path": str(company.active / (name + ".json")), "format": "json"}]}
    if main:
        document["main"] = company.main.document()
    if alternate:
        document["alternate"] = company.alternate.document()
    return document


def seen(node, name):
    for entry in node.status()["connectors"]:
        if entry["name"] == name and entry["node"] == node.name:
            return entry
    raise Failed("%s does not show connector %s" % (node.name, name))


def in_use(node, name):
    return seen(node, name)["effective"]


def activated(company, node, name, server):
    """The node uses the server, has done so, and the rendered file names it."""
    def done():
        entry = seen(node, name)
        rendered = json.loads((company.active / (name + ".json")).read_text())
        wanted = company.main.url if server == "main" else company.alternate.url
        return (entry["effective"] == server and entry["activation"]["state"] == "done"
                and rendered["url"] == wanted and rendered["node"] == node.name)
    return until("%s has activated %s of %s" % (node.name, server, name), done)


def put(node, key, value):
    reply = node.put(key, value)
    assert reply.status == 200, reply.body


def flag(node, name, value):
    node.cli("local", "set", "connector/%s/use_alternate_server" % name, "true" if value else "false")


def test_multi_site_procedure(three, company):
    """S11, S57: P1, P2, P4: save on the primary, tick at each secondary; nothing happens there until promotion."""
    east, west = three.east_1, three.west_1
    # P4 step 1: the primary site saves the connector with both servers
    put(east, "connector/pam", connector(company, "pam"))
    activated(company, east, "pam", "main")
    # P1: the alternate's configuration is on every member ...
    for node in three.nodes.values():
        until("%s has both servers" % node.name,
              lambda n=node: n.get("connector/pam")["alternate"]["url"] == company.alternate.url)
    # P4 step 2: ... and the flag is set at the secondary member, by hand, there
    flag(west, "pam", True)
    assert west.api("GET", "/v1/local/connector/pam/use_alternate_server").json["value"] is True
    for node in (east, three.east_2):
        assert node.api("GET", "/v1/local/connector/pam/use_alternate_server").status == 404
    # P2: on the secondary it is ignored, shown, and proved all the same
    entry = until("the latent alternate is proved", lambda: seen(west, "pam")["latent_probe"]["ok"] and seen(west, "pam"))
    assert (entry["effective"], entry["would_use"]) == ("none", "alternate")
    assert in_use(east, "pam") == "main"
    # promotion of the secondary site activates what its own setting chooses
    before = west.api("GET", "/v1/explain/connector/pam?if_promoted=west").json["if_promoted"]
    three.promote("west", "--reason", "P2")
    activated(company, west, "pam", "alternate")
    until("the former primary uses none", lambda: in_use(east, "pam") == "none")
    after = west.api("GET", "/v1/explain/connector/pam").json
    assert before["connector"] == after["now"]["connector"] if "now" in after else after["connector"]
    # and back: the first site uses its own again
    three.settled(k=1)
    three.promote("east-1", "--reason", "P2 back")
    activated(company, east, "pam", "main")
    until("the former primary uses none", lambda: in_use(west, "pam") == "none")
    three.settled(k=1)


def test_flag_without_alternate_is_an_error_and_not_a_silent_main(three, company):
    """Decision table, row 3."""
    east = three.primary()
    put(east, "connector/bare", connector(company, "bare", alternate=False))
    until("main is in use", lambda: in_use(east, "bare") == "main")
    refused = east.cli("local", "set", "connector/bare/use_alternate_server", "true", check=False)
    assert refused.returncode == 5 and "alternate" in refused.stderr
    put(east, "connector/bare", connector(company, "bare"))
    until("it can be chosen", lambda: east.get("connector/bare").get("alternate"))
    flag(east, "bare", True)
    until("the alternate is in use", lambda: in_use(east, "bare") == "alternate")
    put(east, "connector/bare", connector(company, "bare", alternate=False))
    entry = until("it is an error", lambda: in_use(east, "bare") == "error" and seen(east, "bare"))
    assert "alternate" in entry["hint"]
    flag(east, "bare", False)
    until("main is in use again", lambda: in_use(east, "bare") == "main")


def test_a_connector_is_checked_as_a_whole_before_it_is_written(three):
    """P5 and the rest of the document: every fault with its place."""
    reply = three.east_1.put("connector/wrong", {
        "main": {"url": "http://plain"}, "target_connectors": ["a", "a"],
        "activation": [{"driver": "fiel", "path": "relative"}], "probee": {}})
    assert reply.status == 400
    places = {fault["pointer"] for fault in reply.json["faults"]}
    assert any("/main/url" in place for place in places)
    assert any("/activation/0" in place for place in places)
    assert len(places) >= 3
    assert three.east_1.get("connector/wrong") is None


def test_a_dead_server_is_seen_and_stops_a_switchover(three, company):
    """S49: The latent server does not answer: the check says so, and may be overridden by name."""
    east, west = three.east_1, three.west_1
    company.alternate.healthy = False
    try:
        until("the probe has failed", lambda: seen(west, "pam")["latent_probe"]["ok"] is False)
        done = three.promote("west", "--reason", "x", check=False)
        assert done.returncode == 5
        assert "connectors" in done.stdout + done.stderr
        assert three.primary() is east
    finally:
        company.alternate.healthy = True
    until("it answers again", lambda: seen(west, "pam")["latent_probe"]["ok"])


def test_somebody_outside_is_told_of_trouble(three, company, folder):
    """A11, A7: the primary alone posts it, signed, past a gate; all tries have one delivery id; the end is told, too."""
    east = three.east_1
    receiver = Guarded(folder / "ops", "127.0.0.2", east.status()["cluster"]["id"])

    def told(count, *expected, by="east-1"):
        until("%s are told" % (expected,), lambda: len(receiver.told) >= count)
        bodies = [body for _, body in receiver.told[-len(expected):]]
        assert [(body["event_type"], body["data"]["status"], [issue["code"] for issue in body["data"]["issues"]])
                for body in bodies] == list(expected)
        assert {(body["data"]["id"], body["data"]["name"], body["data"]["type"]) for body in bodies} == {("pam",) * 2 + ("connector",)}
        assert {headers["Baton-Node"] for headers, _ in receiver.told[-len(expected):]} == {by}
        return [headers["Baton-Delivery"] for headers, _ in receiver.told[-len(expected):]]

    healthy = ("connector_active", "Active", [])
    ill = ("connector_error", "Error", ["server_unreachable"])
    document = {"url": receiver.url + "/notice", "ca": receiver.authority.pem,
                "sign": {"key_id": "k1", "key_file": str(receiver.key)}, "events": ["warning", "error", "active"],
                "connectors": ["pam"], "after_ms": 0, "timeout_ms": 20000,
                "expect_body": {"field": "/ok", "equals": True}}
    try:
        refused = east.put("notice/ops", {**document, "url": "http://127.0.0.1/"})
        assert refused.status == 400 and "/value/url" in {fault["pointer"] for fault in refused.json["faults"]}
        put(east, "notice/ops", document)
        first, = told(1, healthy)  # whoever begins to tell says how it is
        receiver.busy = 1
        company.main.healthy = False
        tries = told(3, ill, ill)
        assert tries[0] == tries[1] != first
        company.main.healthy = True
        told(4, healthy)
        # who is not reached is alarmed, and what waits is told when he is back
        put(east, "notice/ops", {**document, "timeout_ms": 100, "expect_body": {"contains": "nothing like it"}})
        company.main.healthy = False
        until("it is alarmed", lambda: [alarm for alarm in east.status()["alarms"] if alarm["name"] == "notice_failed"
                                        and "notice/ops: 1 wait" in alarm["text"]])
        put(east, "notice/ops", document)
        until("it was told in the end", lambda: not [alarm for alarm in east.status()["alarms"]
                                                     if alarm["name"] == "notice_failed"])
        assert len({headers["Baton-Delivery"] for headers, _ in receiver.told[4:]}) == 1
        # another primary, another teller: it says anew how it is, and nobody else says anything
        company.main.healthy = True
        until("it is well", lambda: receiver.told[-1][1]["event_type"] == "connector_active")
        count = len(receiver.told)
        three.promote("west", "--reason", "A11")
        told(count + 1, healthy, by="west-1")
        three.settled(k=1)
        three.promote("east-1", "--reason", "A11 back")
        told(count + 2, healthy)
    finally:
        company.main.healthy = True
        until("nobody is told any more", lambda: east.api("DELETE", "/v1/config/notice/ops").status in (200, 404))
        receiver.stop()
    until("it answers again", lambda: seen(east, "pam")["probe"]["ok"])


def test_exec_driver_is_tried_until_it_succeeds(three, folder, company):
    east = three.primary()
    script, marker = folder / "activate.sh", folder / "may-succeed"
    script.write_text("#!/bin/sh\necho \"$BATON_SERVER $BATON_EPOCH\"\n[ -e %s ] || exit 3\n" % marker)
    script.chmod(0o755)
    document = connector(company, "runs")
    document["activation"] = [{"driver": "exec", "command": [str(script)], "timeout_ms": 5000}]
    put(east, "connector/runs", document)
    until("it failed", lambda: seen(east, "runs")["activation"]["state"] == "failed")
    until("it is alarmed", lambda: any(alarm["name"] == "activation_failed" for alarm in east.status()["alarms"]))
    marker.touch()
    until("it succeeded by itself", lambda: seen(east, "runs")["activation"]["state"] == "done", 60)


# ---- baton ready ----

def reasons(node, site="west"):
    """{(node, connector or None): codes} of those that are no warning."""
    found = {}
    for member in node.api("GET", "/v1/ready?site=" + site).json["sites"][0]["nodes"]:
        for reason in member["reasons"]:
            if reason["weight"] != "warns":
                found.setdefault((member["name"], reason["connector"]), set()).add(reason["code"])
    return found


def only(node, who, code):
    return until("%s is not ready for %s alone" % (who, code), lambda: reasons(node) == {who: {code}})


def is_ready(node):
    return until("west is ready", lambda: node.api("GET", "/v1/ready").json["verdict"] == "ready")


def openssl(folder, *words):
    return subprocess.run(["openssl", *map(str, words)], cwd=folder, capture_output=True, text=True)


def check_evidence(node, folder):
    """A statement is signed by its node's certificate, which the cluster's CA has signed; one bit more and it is not."""
    member = node.api("GET", "/v1/ready?site=west&evidence=true").json["sites"][0]["nodes"][0]
    proof = member["evidence"]
    padded = proof["signature"] + "=" * (-len(proof["signature"]) % 4)
    (folder / "said.crt").write_text(proof["certificate"])
    (folder / "said.sig").write_bytes(base64.urlsafe_b64decode(padded))
    (folder / "said.txt").write_text("baton statement\n" + proof["statement"])
    assert openssl(folder, "verify", "-CAfile", node.folder / "ca.crt", "said.crt").returncode == 0
    key = openssl(folder, "x509", "-in", "said.crt", "-pubkey", "-noout").stdout
    (folder / "said.key").write_text(key)
    check = ("dgst", "-sha256", "-verify", "said.key", "-signature", "said.sig", "said.txt")
    assert "Verified OK" in openssl(folder, *check).stdout
    (folder / "said.txt").write_text("baton statement\n" + proof["statement"].replace("west-1", "west-2", 1))
    assert "Verified OK" not in openssl(folder, *check).stdout
    said = json.loads(proof["statement"])
    assert said["node"] == "west-1"
    assert {record["connector"]: record["server"] for record in said["records"]}["pam"] == "alternate"
    assert all(len(entry["digest"]) == 64 for entry in said["keys"])


def test_ready_tells_beforehand_what_would_fail(three, company, folder):
    """P5, P4, S49: at the standby's latent server health, a target connector and the certificate fail; each is named, and mended."""
    east, east_2, west = three.east_1, three.east_2, three.west_1
    put(east, "peer.poll_ms", 200)
    put(east, "ready.interval_ms", 5000)
    is_ready(east)
    done = east.cli("ready", "west")
    assert done.returncode == 0 and "west: READY" in done.stdout and "2.19.1" in done.stdout, done.stdout
    check_evidence(east, folder)
    told = folder / "watch.txt"
    with open(told, "w") as out:
        watch = subprocess.Popen([*east.program("baton"), "ready", "--watch", "--interval", "100ms", "--data-dir",
                                  str(east.folder)], stdout=out, stderr=out, env=three.env)

    def tells(*lines):
        for line in lines:
            until("the watch tells '%s'" % line, lambda: line in told.read_text())

    tells("west: READY")
    pam = ("west-1", "pam")
    company.alternate.healthy = False
    only(east, pam, "health")
    tells("west is not ready", "west-1, pam blocks health: status 503")
    done = east.cli("ready", check=False)
    assert done.returncode == 5 and "west: NOT READY" in done.stdout and "status 503" in done.stdout, done.stdout
    assert json.loads(east.cli("ready", "west", "--json", check=False).stdout)["verdict"] == "not_ready"
    company.alternate.targets = ["oracle"]  # P5
    company.alternate.healthy = True
    only(west, pam, "targets")
    tells("west-1, pam blocks health: over", "west-1, pam blocks targets: it lacks target connector active-directory")
    plan = east.cli("promote", "west", "--dry-run", check=False)
    assert "it lacks target connector active-directory" in plan.stdout, plan.stdout
    good = company.authority.issue("tcf-alternate", "127.0.0.1")
    company.alternate.show(*company.authority.issue("tcf-expired", "127.0.0.1", days=-1))  # S49
    company.alternate.targets = ["active-directory"]
    only(east, pam, "tls")
    tells("west-1, pam blocks tls")
    until("it is alarmed", lambda: any(alarm["name"] == "not_ready" and "west: west-1: pam" in alarm["text"]
                                       for alarm in east.status()["alarms"]))
    metrics = east.api("GET", "/metrics").body
    assert 'baton_site_ready{site="west"} 0' in metrics.decode()
    # P4: the flag of one node of a site is another one's: the key and the nodes are named, the value is not
    flag(east_2, "pam", True)
    key = "connector/pam/use_alternate_server"
    drift = until("the drift is told", lambda: [entry for entry in east.api("GET", "/v1/ready").json["drift"]
                                                if entry["weight"] == "blocks"])
    assert [(entry["key"], entry["node"], entry["other"]) for entry in drift] == [(key, "east-2", "east-1")]
    until("it is alarmed", lambda: any(alarm["name"] == "drift" and key in alarm["text"] for alarm in east.status()["alarms"]))
    tells("east-2 blocks drift")
    flag(east_2, "pam", False)
    company.alternate.show(*good)
    is_ready(east)
    tells("west is ready")
    watch.terminate()
    watch.wait(60)


def test_ready_looks_for_the_credential(three, company):
    """The secret that a connector names is stored, and every node can open it; its value is told by nobody."""
    east = three.east_1
    keyed = connector(company, "keyed")
    keyed["main"]["credential"] = "secret/pam-key"
    put(east, "connector/keyed", keyed)
    only(east, ("west-1", "keyed"), "credential")
    assert "secret/pam-key is not stored" in east.cli("ready", "west", check=False).stdout
    east.cli("secret", "set", "pam-key", "--stdin", stdin="planted-7f3a")
    is_ready(east)
    assert "planted-7f3a" not in east.api("GET", "/v1/ready?evidence=true").body.decode()


def check_full_slot(three):
    """What the primary keeps for a member that is away comes near its bound: it is told, with what to do, before it is lost."""
    east = three.east_1
    put(east, "ready.interval_ms", 1000)
    for node in three.alive():
        node.cli("local", "set", "pg.wal_keep_mb", "64")
    until("it is in force", lambda: east.sql("show max_slot_wal_keep_size") == [["64MB"]])
    east.sql("select count(pg_logical_emit_message(false, 'test', repeat('x', 1048576))) from generate_series(1, 60 - (select "
             "ceil(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) / 1048576) from pg_replication_slots where not active)::int)")
    until("the slot is nearly full", lambda: reasons(east, "east").get(("east-1", None)) == {"slot"})
    text, = until("it is alarmed", lambda: [alarm["text"] for alarm in east.status()["alarms"] if alarm["name"] == "wal_slot"])
    assert text.startswith("east-1: slot baton_west_1 keeps "), text
    done = east.cli("ready", "east", check=False)
    assert re.search(r"west_1 keeps \d+ of at most 64 MB", done.stdout) and "pg.wal_keep_mb" in done.stdout, done.stdout
    # and past it the member has to begin anew; who lost it for him goes on
    east.sql("select count(pg_logical_emit_message(false, 'test', repeat('x', 1048576))) from generate_series(1, 40)")
    east.sql("checkpoint")
    until("the slot is lost", lambda: east.sql("select wal_status from pg_replication_slots where not active") == [["lost"]])
    until("it is told", lambda: "(lost)" in east.cli("ready", "east", check=False).stdout)
    for node in three.alive():
        node.cli("local", "delete", "pg.wal_keep_mb")


def test_ready_of_a_stopped_node_is_unknown(three):
    """Unknown is not ready: exit code 6, also where nobody answers."""
    east, west = three.east_1, three.west_1
    west.stop()
    until("it is not heard any more", lambda: reasons(east) == {("west-1", None): {"unheard"}})
    done = east.cli("ready", "west", check=False)
    assert done.returncode == 6 and "west: UNKNOWN" in done.stdout, done.stdout
    assert east.cli("ready", "east").returncode == 0
    assert west.cli("ready", check=False).returncode == 6
    assert east.cli("ready", "nowhere", check=False).returncode == 4
    check_full_slot(three)
    west.start()
    is_ready(east)
    until("nothing is kept", lambda: not [alarm for alarm in east.status()["alarms"] if alarm["name"].startswith("wal_")], 60)
    three.settled(k=1)


@pytest.fixture(scope="module")
def single(folder):
    with Cluster(folder / "single", name="single") as cluster:
        cluster.init("only-1", "only")
        yield cluster


def test_single_site_procedure(single, company):
    """S58: P3, P6: one site; the flag acts at once on saving; first save main, tick, fill alternate, untick."""
    node = single.only_1
    # P6: main first
    put(node, "connector/tcf", connector(company, "tcf", alternate=False))
    activated(company, node, "tcf", "main")
    # tick, with no alternate yet: refused, never a silent main; so fill the alternate first
    refused = node.cli("local", "set", "connector/tcf/use_alternate_server", "true", check=False)
    assert refused.returncode == 5
    assert in_use(node, "tcf") == "main"
    put(node, "connector/tcf", connector(company, "tcf"))
    until("the alternate is known", lambda: node.get("connector/tcf").get("alternate"))
    # tick: P3, the alternate is active at once and the first is inactive
    flag(node, "tcf", True)
    activated(company, node, "tcf", "alternate")
    # untick: back to main at once
    flag(node, "tcf", False)
    activated(company, node, "tcf", "main")


# ---- baton backup, baton restore ----

SIGN_KEY = "planted-key-of-pam-with-32-bytes-or-more"
BACKUP_PASSWORD = "planted backup password"


def signed_by(headers, key):
    """The epoch under which a server was asked, once the request is proved to be signed by the key (RFC 9421)."""
    wanted = re.fullmatch(r"baton=(\(([^)]*)\);.*)", headers["Signature-Input"])
    values = {'"@method"': "GET", '"@request-target"': "/health"}
    lines = ["%s: %s" % (name, values.get(name) or headers[name.strip('"')]) for name in wanted.group(2).split()]
    base = "\n".join([*lines, '"@signature-params": ' + wanted.group(1)])
    mac = base64.b64encode(hmac.digest(key.encode(), base.encode(), "sha256")).decode()
    return headers["Signature"] == "baton=:%s:" % mac and headers["Baton-Epoch"]


def config_of(node):
    """What may not change by a restore: every key that is no secret, with its revision, author and time."""
    return [entry for entry in node.api("GET", "/v1/config").json["entries"] if not entry["key"].startswith("secret/")]


def changed(path, target, at):
    """A copy with one bit of the byte changed."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    target.write_bytes(content)
    return target


def test_backup_and_restore(single, company, folder):
    """S70, S71: one file, secrets under a password; never restored beside its twin, nor by an older program."""
    node, kept, password = single.only_1, folder / "kept", folder / "backup.password"
    password.write_text(BACKUP_PASSWORD + "\n")
    (folder / "wrong.password").write_text("another backup password\n")
    node.cli("secret", "set", "pam-sign", "--stdin", stdin=SIGN_KEY)
    put(node, "connector/signed", {**connector(company, "signed"), "sign": {"key_id": "k1", "key": "secret/pam-sign"}})
    put(node, "app/number", {"pi": 3.10, "deep": [[[[1]]]]})
    flag(node, "signed", False)
    node.cli("token", "create", "--site", "only")
    until("the server is asked by the key", lambda: signed_by(company.main.headers, SIGN_KEY) == "1/only-1")
    assert node.cli("backup", kept, "--password-file", "-", stdin="short\n", check=False).returncode == 2
    told = json.loads(node.cli("backup", kept, "--password-file", password, "--json").stdout)
    assert (told["secrets"], told["users"], told["local"]) == (1, 1, 2)
    assert [(one["node"], one["address"]) for one in told["members"]] == [("only-1", "%s:%d" % (node.address, PORT))]
    text = kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o600
    for secret in (SIGN_KEY, BACKUP_PASSWORD, "argon2", "token/", "PRIVATE KEY", "seal/keys"):
        assert secret not in text
    again = node.cli("backup", kept, "--password-file", password, check=False)
    assert again.returncode == 5 and "exists" in again.stderr and kept.read_text() == text
    assert "backup.taken by=root@only-1" in node.log.read_text()
    before, head = config_of(node), told["head"]

    new = Node(single, "only-2", "only", single._address())
    where = ["--node", "only-1", *single._where(new), "--yes"]

    def refused(code, words, file=kept, key=password):
        done = new.cli("restore", file, "--password-file", key, *where, check=False)
        assert done.returncode == code and words in done.stderr, done.stderr
        assert not new.folder.exists()

    refused(5, "only-1 at %s:%d lives" % (node.address, PORT))  # S71
    node.stop()
    twin = Server(company.authority, "not-a-member", node.address, PORT)
    try:
        refused(5, "--not-a-member %s:%d" % (node.address, PORT))
    finally:
        twin.stop()
    refused(3, "password", key=folder / "wrong.password")
    refused(2, "changed", changed(kept, folder / "changed", len(text) // 2))
    (folder / "cut").write_text(text[:-30])
    refused(2, "last line is missing", folder / "cut")
    (folder / "later").write_text(text.replace("baton-backup 1", "baton-backup 2", 1))
    refused(5, "newer", folder / "later")
    refused(4, "No such file", folder / "none")
    new.folder.mkdir()
    (new.folder / "mine").touch()
    done = new.cli("restore", kept, "--password-file", password, *where, check=False)
    assert done.returncode == 5 and "not empty" in done.stderr and os.listdir(new.folder) == ["mine"]
    (new.folder / "mine").unlink()
    assert "whole" in new.cli("backup", "--check", kept, "--password-file", password).stdout

    restored = json.loads(new.cli("restore", kept, "--password-file", password, *where, "--json").stdout)
    assert (restored["epoch"], restored["secrets"], restored["users"], restored["local"]) == (1001, 1, 1, 2)
    assert restored["cluster_id"] == told["cluster_id"]
    for name in ("ca.crt", "ca.key", "node.key", "seal.key"):
        assert (new.folder / name).read_bytes() != (node.folder / name).read_bytes(), name
    new.name = "only-1"
    single.nodes["restored"] = new  # is stopped with the others
    new.start()
    until("it is primary", lambda: new.state() == "PRIMARY")
    assert config_of(new) == before
    rows = new.api("GET", "/v1/history?after=%d&limit=10" % head["revision"]).json["rows"]
    assert [row["key"] for row in rows[:5]] == ["epoch", "node/only-1", "sync/set", "seal/keys", "secret/pam-sign"]
    assert rows[0]["epoch"] == {"number": 1001, "holder": "only-1"}
    for words in (told["sha256"], "revision %d of epoch 1/only-1" % head["revision"], "restored by "):
        assert words in rows[0]["reason"], rows[0]
    until("the server is asked by the same key", lambda: signed_by(company.main.headers, SIGN_KEY) == "1001/only-1")
    activated(company, new, "signed", "main")
    assert new.api("GET", "/v1/tokens").json["tokens"] == []
    assert new.api("GET", "/v1/local/connector/signed/use_alternate_server").json["value"] is False
    # a node that cannot open the secrets gives no backup without them
    new.stop()
    (new.folder / "seal.key").unlink()
    new.start()
    until("it is primary again", lambda: new.state() == "PRIMARY")
    locked = new.cli("backup", folder / "locked", "--password-file", password, check=False)
    assert locked.returncode == 5 and "secret/pam-sign" in locked.stderr and "data key" in locked.stderr, locked.stderr
    assert not (folder / "locked").exists()
