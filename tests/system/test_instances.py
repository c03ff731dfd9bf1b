"""Instances of a connector (A1 to A10): real agents beside a real server, on a cluster of three nodes."""
import base64
import ctypes
import ctypes.util
import json
import re
import signal
import ssl
import subprocess

import pytest

from agents import Agent
from cluster import BUILD, PASSWORD, Failed, until
from servers import Authority, Server


@pytest.fixture(scope="module")
def server(folder):
    server = Server(Authority(folder / "ca"), "tcf", "127.0.0.1")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def token(three):
    """A3: the id must be that of an existing connector."""
    east = three.east_1
    refused = east.cli("connector", "token", "create", "pam", check=False)
    assert refused.returncode == 4 and "pam" in refused.stderr
    assert east.put("connector/pam", {}).status == 200
    for key, value in (("instance.heartbeat_ms", 500), ("instance.silence_ms", 60000), ("instance/pam/expected", 2)):
        assert east.put(key, value).status == 200, key  # each fits the one before
    made = json.loads(east.cli("connector", "token", "create", "pam", "--json").stdout)
    for node in three.nodes.values():
        until("%s has the token" % node.name, lambda n=node: made["id"] in str(n.api("GET", "/v1/agent/tokens").json))
        assert made["token"][10:] not in node.api("GET", "/v1/agent/tokens").body.decode()
    return made


def pam(node):
    return node.api("GET", "/v1/instances/pam").json


def instance(node, name):
    for one in pam(node)["instances"]:
        if one["name"] == name:
            return one
    raise Failed("%s does not show instance %s" % (node.name, name))


def session(node, name):
    return instance(node, name)["session"]["id"]


def connected(cluster, *names):
    for node in cluster.nodes.values():
        until("%s has heard of %s" % (node.name, names), lambda n=node: all(session(n, name) for name in names))


def alarms(node):
    return {alarm["name"]: alarm["text"] for alarm in node.status()["alarms"]}


def test_agents_follow_a_promotion_with_their_sessions(three, token, server, folder):
    """A1 to A6, A8: two under one id; another version is refused; a promotion ends no session."""
    east = three.east_1
    with Agent(folder, token["token"], "a", "1.7.0", server) as a, \
         Agent(folder, token["token"], "b", "1.7.0", server, APONO_CONNECTOR_ID="pam"):
        connected(three, "a", "b")
        until("their version is on record", lambda: pam(east)["version"] == "1.7.0")
        assert (pam(east)["status"], pam(east)["is_latest_version"]) == ("CONNECTED", True)
        assert instance(east, "a")["session"]["metadata"] == {"region": "eu", "connector_version": "1.7.0"}
        assert instance(east, "a")["address"] == server.url.rpartition("/")[2]
        sessions = {name: session(east, name) for name in ("a", "b")}
        for node in three.nodes.values():  # the same on every node
            assert {name: session(node, name) for name in sessions} == sessions
        with Agent(folder, token["token"], "c", "1.8.0", server) as c:  # A2
            until("another version is refused", lambda: c.said("c has version 1.8.0") and c.said("pam have 1.7.0")
                  and c.said("instance/pam/next_version 1.8.0"))
        # A6: pages and filters
        listed = east.api("GET", "/v1/instances?status=CONNECTED&limit=1").json
        assert [one["connector"] for one in listed["connectors"]] == ["pam"] and listed["next_page_token"] is None
        assert east.api("GET", "/v1/instances?status=DISCONNECTED").json["connectors"] == []
        assert east.api("GET", "/v1/instances?status=GONE").status == 400
        assert "2 of 2" in east.cli("status").stdout
        assert "CONNECTED" in east.cli("connector", "instances", "pam").stdout
        until("both are on record", lambda: east.sql(
            "select value from shared.config where key = 'instance/pam/known'")[0][0].count('"connected": true') == 2)
        before = three.east_1.sql("select count(*) from shared.log where key like 'instance/%/known'")[0][0]
        three.promote("west", "--reason", "A4")
        for node in three.nodes.values():
            assert {name: session(node, name) for name in sessions} == sessions
        three.settled(k=1)
        three.promote("east-1", "--reason", "A4 back")
        beats = lambda: int(float(next(line for line in east.api("GET", "/metrics").body.decode().splitlines()
                                       if line.startswith("baton_heartbeats_total")).split()[1]))
        some = beats()
        until("heartbeats go on", lambda: beats() > some + 4)
        assert {name: session(east, name) for name in sessions} == sessions
        # heartbeats, and promotions, write nothing
        assert east.sql("select count(*) from shared.log where key like 'instance/%/known'")[0][0] == before
        assert a.end() == 0  # its session ends at once, long before instance.silence_ms
        for node in three.nodes.values():
            until("%s knows that it has left" % node.name, lambda n=node: instance(n, "a")["status"] == "DISCONNECTED", 40)
            assert instance(node, "a")["session"] is None
    three.settled(k=1)


def test_health_and_silence(three, token, server, folder):
    """A4, A5, A8 to A10: an instance that is sick, one that is killed, one that comes back."""
    east = three.primary()
    with Agent(folder, token["token"], "a", "1.7.0", server) as a, Agent(folder, token["token"], "b", "1.7.0", server) as b:
        connected(three, "a", "b")
        until("no alarm is left", lambda: not [name for name in alarms(east) if name.startswith("instances")])
        server.healthy = False
        try:
            until("both are sick", lambda: "connector pam: no instance works" in alarms(east)["instances_none"])
            assert instance(east, "a")["healthy"] is False and pam(east)["status"] == "CONNECTED"
            status, document = a.healthz()
            assert (status, document["status"], len(document["nodes"])) == (503, "failing", 3)
        finally:
            server.healthy = True
        until("both are well", lambda: "instances_none" not in alarms(east) and a.healthz()[0] == 200)
        assert east.put("instance.silence_ms", 2000).status == 200
        b.end(signal.SIGKILL)
        until("it is DISCONNECTED by its silence", lambda: instance(east, "b")["status"] == "DISCONNECTED")
        assert "1 of 2 expected instances works" in until("an alarm", lambda: alarms(east)["instances_few"])
        until("the record says so", lambda: '"connected": false' in three.west_1.sql(
            "select value from shared.config where key = 'instance/pam/known'")[0][0])
        with Agent(folder, token["token"], "b", "1.7.0", server):  # began later than the dead one
            connected(three, "a", "b")
        a.end()
    assert east.put("instance.silence_ms", 60000).status == 200


def test_upgrade_one_after_the_other(three, token, server, folder):
    """A2, A9: the next version is named, comes in beside the old one, and then is the only one."""
    east = three.primary()
    with Agent(folder, token["token"], "a", "1.7.0", server) as a, Agent(folder, token["token"], "b", "1.7.0", server) as b:
        connected(three, "a", "b")
        assert east.put("instance/pam/next_version", "1.8.0").status == 200
        until("the upgrade is shown", lambda: pam(east)["next_version"] == "1.8.0")
        a.end()
        with Agent(folder, token["token"], "a", "1.8.0", server):
            connected(three, "a", "b")
            until("both versions are there", lambda: {instance(east, name)["version"] for name in "ab"} == {"1.7.0", "1.8.0"})
            with Agent(folder, token["token"], "c", "1.8.0", server):
                until("enough have the new one", lambda: pam(east)["version"] == "1.8.0")
                until("the old one is told to go", lambda: b.said("b has version 1.7.0"))
                until("it is out", lambda: instance(east, "b")["status"] == "DISCONNECTED")
    assert east.api("DELETE", "/v1/config/instance/pam/next_version").status == 200


def opened(node, keys):
    """Ids of the data keys in 'keys' (seal/keys) that the node's own key opens, whoever the boxes are for."""
    sodium = ctypes.CDLL(ctypes.util.find_library("sodium"))
    bare = lambda text: base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    secret, public, key = bare((node.folder / "seal.key").read_text().strip()), bytes(32), bytes(32)
    assert sodium.crypto_scalarmult_base(public, secret) == 0
    boxes = [(name, bare(box["box"])) for name, entry in keys["keys"].items() for box in entry["boxes"].values()]
    return {name for name, box in boxes
            if sodium.crypto_box_seal_open(key, box, ctypes.c_ulonglong(len(box)), public, secret) == 0}


def test_members_come_and_go_while_an_agent_runs(three, token, server, folder):
    """A1: who joins is told of the agent's session and given the data key; who is removed is asked no more, and his key opens
    nothing that is sealed after the rotation that the alarm asks for."""
    east, gone = three.primary(), three.west_1

    def asked(agent):
        return {node["address"].split(":")[0] for node in agent.healthz()[1]["nodes"]}

    def keys():
        return json.loads(east.sql("select value from shared.config where key = 'seal/keys'")[0][0])

    def sealed_by():
        return {json.loads(row[0])["key"] for row in east.sql("select value from shared.config where key like 'secret/%'")}

    def has_keys(node):
        data = node.api("GET", "/v1/secrets").json["data_key"]
        return data["here"] and all(member["state"] == "has" for member in data["members"])

    east.cli("secret", "set", "pam-main", "--stdin", stdin="one")
    for node in three.nodes.values():
        until("%s has the data key" % node.name, lambda n=node: has_keys(n))
    with Agent(folder, token["token"], "a", pam(east)["version"], server) as a:
        until("it is connected", lambda: a.said("agent.connected"))
        before = re.search("session=(\\w+)", a.log.read_text()).group(1)
        for node in three.nodes.values():  # and not that of an agent that was killed
            until("%s has its session" % node.name, lambda n=node: session(n, "a") == before)
        new = three.join("west-2", "west")
        until("the agent tells the new one", lambda: session(new, "a") == before)
        until("it has the data key", lambda: has_keys(new))
        assert asked(a) == {node.address for node in three.nodes.values()} and len(three.nodes) == 4
        assert opened(new, keys()) == opened(gone, keys()) == sealed_by() == {keys()["current"]}
        east.cli("node", "remove", "west-1", "--yes")
        del three.nodes["west-1"]
        gone.stop()  # who answers is still asked: it might be the others who are removed
        until("the agent asks it no more", lambda: asked(a) == {node.address for node in three.nodes.values()})
        three.settled(k=1)
        assert {session(node, "a") for node in three.nodes.values()} == {before}
        until("it is told that he had the key", lambda: "west-1" in alarms(east)["secrets_rotate"])
        east.cli("secret", "rotate", "--reason", "west-1 is gone")
        east.cli("secret", "set", "pam-main", "--stdin", stdin="two")
        for node in three.nodes.values():
            until("%s has the next data key" % node.name, lambda n=node: has_keys(n))
        assert opened(gone, keys()) == set()
        assert opened(new, keys()) == sealed_by() == {keys()["current"]}
        until("the alarm is over", lambda: "secrets_rotate" not in alarms(east))
        assert a.end() == 0
    three.settled(k=1)


def test_a_token_is_for_its_connector_and_until_it_is_revoked(three, token, server, folder):
    """A3: what an agent may do, and how it ends."""
    east = three.primary()
    refused = subprocess.run(
        [str(BUILD / "baton"), "agent", "--connector-id", "sap", "--token", token["token"], "--version", "1", "--health",
         server.url], capture_output=True, text=True, timeout=30, check=False)
    assert refused.returncode == 2 and "for connector 'pam', not for 'sap'" in refused.stderr
    refused = subprocess.run(
        [str(BUILD / "baton"), "agent", "--connector-id", "pam", "--token", token["token"], "--version", "1", "--health",
         server.url, "--address", "gate-1:8443"], capture_output=True, text=True, timeout=30, check=False)
    assert refused.returncode == 2 and "--address 'gate-1:8443' must be an address as a number" in refused.stderr
    joined = subprocess.run(
        [str(BUILD / "baton"), "join", token["token"], "--node", "x", "--data-dir", str(folder / "x")],
        capture_output=True, text=True, timeout=30, check=False)
    assert joined.returncode == 2 and "no join token" in joined.stderr
    nobody = ssl.create_default_context(cafile=str(east.folder / "ca.crt"))
    secret = {"Authorization": "Bearer " + token["token"][:60]}
    for path in ("/v1/status", "/v1/config", "/v1/instances", "/v1/agent/tokens"):
        assert east.api("GET", path, headers=secret, context=nobody).status == 401, path
    beat = {"token_id": token["id"], "secret": "0" * 64, "connector": "pam", "instance": "x", "session": "0" * 32,
            "version": "1.8.0", "began_ms": 0, "healthy": True}
    assert east.api("POST", "/v1/agent/beat", beat).json["code"] == "token_invalid"
    with Agent(folder, token["token"], "a", "1.8.0", server) as a:
        connected(three, "a")
        other = next(node for node in three.nodes.values() if node is not east)
        before = session(other, "a")
        other.stop()
        needed = other.folder / "pg/data/global/pg_control"  # without it the server does not start
        away = needed.rename(needed.with_name("away"))
        other.start()  # its batond answers, and knows of no token and no person yet
        until("the agent hears that", lambda: a.said("has not yet read its configuration"))
        for _ in range(8):  # more than wrong ones are let through
            refused = other.api("POST", "/v1/login", {"user": "admin", "password": PASSWORD}, context=nobody)
            assert refused.status == 503, refused.body
        away.rename(needed)
        until("it is heard there again", lambda: session(other, "a") == before)
        until("who knows the password comes in", lambda: other.api(
            "POST", "/v1/login", {"user": "admin", "password": PASSWORD}, context=nobody).status == 200)
        assert not a.said("agent.refused")
        east.cli("connector", "token", "revoke", token["id"])
        for node in three.nodes.values():
            until("%s has ended the session" % node.name, lambda n=node: instance(n, "a")["status"] == "DISCONNECTED")
        until("it is refused", lambda: a.said("revoked"))
        assert a.process.poll() is None  # it stays, for a person may mend it
        assert a.end() == 0
