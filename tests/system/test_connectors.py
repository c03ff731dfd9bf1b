"""Connector servers: the documents' two procedures step by step (P1 to P6), on real nodes and servers."""
import json
import os

import pytest

from cluster import Cluster, Failed, until
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
                "probe": {"path": "/health", "interval_ms": 1000, "timeout_ms": 1000},
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
    assert in_use(east, "pam") == "none"
    after = west.api("GET", "/v1/explain/connector/pam").json
    assert before["connector"] == after["now"]["connector"] if "now" in after else after["connector"]
    # and back: the first site uses its own again
    three.promote("east-1", "--reason", "P2 back")
    activated(company, east, "pam", "main")
    assert in_use(west, "pam") == "none"
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


def test_exec_driver_is_tried_until_it_succeeds(three, folder, company):
    east = three.primary()
    script, marker = folder / "activate.sh", folder / "may-succeed"
    script.write_text("#!/bin/sh\necho \"$BATON_SERVER $BATON_EPOCH\"\n[ -e %s ] || exit 3\n" % marker)
    script.chmod(0o755)
    document = connector(company, "runs")
    document["activation"] = [{"driver": "exec", "command": [str(script)], "timeout_ms": 5000}]
    put(east, "connector/runs", document)
    until("it failed", lambda: seen(east, "runs")["activation"]["state"] == "failed")
    assert any(alarm["name"] == "activation_failed" for alarm in east.status()["alarms"])
    marker.touch()
    until("it succeeded by itself", lambda: seen(east, "runs")["activation"]["state"] == "done", 60)


def test_single_site_procedure(folder, company):
    """S58: P3, P6: one site; the flag acts at once on saving; first save main, tick, fill alternate, untick."""
    with Cluster(folder / "single", name="single") as cluster:
        node = cluster.init("only-1", "only")
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
