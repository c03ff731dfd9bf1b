"""A newer Baton comes, node by node: secondaries first, and nobody follows or leads out of turn."""
import json
import subprocess

import pytest

import cluster
from cluster import BUILD, Cluster

NEXT = 9000  # the schema of the programs in BUILD/next


def until(what, condition):
    """Nodes start here often, beside other tests: longer than usual."""
    return cluster.until(what, condition, 90)


def upgrade(node):
    """The newer package is installed; what runs goes on running."""
    node.program = lambda name: [*node.wrap, str(BUILD / "next" / name)]


def downgrade(node):
    del node.program


def restart(node, change):
    node.stop()
    change(node)
    node.start()


def schema(node):
    return int(node.sql("select max(version) from local.migration")[0][0])


def reason(node):
    return next(entry["reason"] for entry in node.status()["nodes"] if entry["name"] == node.name)


def check_of(node, name):
    checks = json.loads(node.cli("doctor", "--json", check=False).stdout)["checks"]
    return next((check for check in checks if check["name"] == name), None)


def log_of(node):
    return node.sql("select revision, epoch, holder, key, value, encode(hash, 'hex') from shared.log order by 1")


@pytest.fixture(scope="module")
def three(folder):
    with Cluster(folder / "three") as made:
        made.three()
        yield made


def test_the_last_primary_waits_for_the_others(three):
    east = three.east_1
    old = schema(east)
    assert east.put("app/before", 1).status == 200
    restart(east, upgrade)
    waits = "east-1 was primary last, so the others get schema %d before it: east-2 has %d, west-1 has %d"
    until("it says for whom it waits", lambda: waits % (NEXT, old, old) in reason(east))
    assert east.state() == "FENCED" and schema(east) == old
    check = check_of(east, "schema")
    assert check["state"] == "fail" and "upgrade those first, or promote one of them" in check["mend"], check
    assert "upgrade those first" in east.log.read_text()
    # the old program is none the worse for it
    restart(east, downgrade)
    three.settled()
    assert three.primary() is east and east.put("app/before", 2).status == 200


def test_secondaries_come_first(three):
    east = three.east_1
    old = schema(east)
    for number, node in enumerate((three.nodes["east-2"], three.west_1)):
        restart(node, upgrade)
        until("it follows the older primary", lambda n=node: n.state() == "STANDBY")
        assert schema(node) == NEXT and schema(east) == old
        three.settled()
        assert east.put("app/half-way", number).status == 200  # waits for one of the two, old or new
    # who is newer than the primary is not ready, which is an alarm when it lasts
    until("nothing else is alarmed", lambda: [alarm for alarm in east.status()["alarms"] if alarm["name"] != "not_ready" or
                                              "its schema is %d, that of the primary %d" % (NEXT, old) not in alarm["text"]]
          == [])


def test_the_old_primary_follows_when_it_is_upgraded_too(three):
    east, west = three.east_1, three.west_1
    plan = three.promote("west", "--dry-run", "--json", via=west)
    findings = {check["name"]: check for check in json.loads(plan.stdout)["checks"]}
    assert findings["schema"]["verdict"] == "warn" and "east-1 has" in findings["schema"]["text"], findings["schema"]
    three.promote("west", "--reason", "the others are upgraded", via=west)
    until("east-1 keeps out", lambda: east.state() == "FENCED" and "upgrade Baton on this node" in reason(east))
    assert "schema %d" % NEXT in reason(east)
    until("a write of the newer one is acknowledged", lambda: west.put("app/newer", 1).status == 200)
    refused = three.promote("east-1", "--reason", "too early", via=west, check=False)
    assert refused.returncode != 0
    restart(east, upgrade)
    three.settled()
    assert schema(east) == NEXT
    until("all have the same log", lambda: log_of(east) == log_of(west) == log_of(three.nodes["east-2"]))
    until("it has what was written", lambda: [east.get(key) for key in ("app/before", "app/half-way", "app/newer")] ==
          [2, 1, 1])
    three.promote("east-1", "--reason", "back")
    three.settled()


def test_there_is_no_way_back(three):
    """The older program leaves a newer schema alone."""
    node = three.west_1
    node.stop()
    told = len(node.log.read_text())
    downgrade(node)
    node.start()
    assert node.process.wait(60) == 5
    said = node.log.read_text()[told:]
    assert "migration 9000 (next)" in said and "install the newer version of Baton" in said, said
    node.process = None
    upgrade(node)
    node.start()
    three.settled()


def test_two_nodes_of_which_one_acknowledges(folder):
    """While the other one is upgraded nobody acknowledges: the operator says so, and the set grows back."""
    with Cluster(folder / "two") as two:
        two.init("east-1", "east")
        two.join("west-1", "west")
        two.settled()
        east, west = two.east_1, two.west_1
        east.cli("config", "set", "durability", "strict")
        two.settled(k=1)
        restart(west, upgrade)
        two.settled(k=1)
        refused = two.promote("west", "--reason", "upgrade", check=False)
        assert refused.returncode == 5 and "acks" in refused.stdout + refused.stderr, refused.stderr
        two.promote("west", "--override", "acks", "--reason", "upgrade")
        assert west.put("app/alone", 1).status == 200
        restart(east, upgrade)
        two.settled(k=1)
        assert schema(east) == NEXT
        until("it has what was written", lambda: east.get("app/alone") == 1)


def test_a_node_whose_peers_are_gone_is_upgraded_all_the_same(folder):
    """The last primary, and nobody left to come first."""
    with Cluster(folder / "left") as left:
        left.init("east-1", "east")
        left.join("west-1", "west")
        left.settled()
        east, west = left.east_1, left.west_1
        west.stop()
        restart(east, upgrade)
        until("it waits", lambda: "west-1 does not answer" in reason(east))
        refused = east.cli("schema", "upgrade", check=False)
        assert refused.returncode == 5 and "is used by process" in refused.stderr, refused.stderr
        east.stop()
        refused = east.cli("schema", "upgrade", check=False)
        assert refused.returncode == 5 and "west-1 does not answer" in refused.stderr, refused.stderr
        assert "--any-order" in refused.stderr and east.postmaster() is None
        refused = east.cli("schema", "upgrade", "--database", "host=/nowhere", check=False)
        assert refused.returncode == 2 and "is managed" in refused.stderr, refused.stderr
        done = json.loads(east.cli("schema", "upgrade", "--any-order", "--json").stdout)
        assert done["to"] == NEXT and done["from"] < NEXT and east.postmaster() is None
        assert json.loads(east.cli("schema", "upgrade", "--json").stdout) == {"from": NEXT, "to": NEXT}
        east.start()
        west.start()  # the old one: it can confirm the epoch, and may not follow
        until("it is primary", lambda: east.state() == "PRIMARY")
        until("the older one keeps out", lambda: "upgrade Baton on this node" in reason(west))
        restart(west, upgrade)
        left.settled()


def test_a_migration_that_fails_changes_nothing(folder):
    """Something is in its way: the node ends, and the older program goes on where it was."""
    with Cluster(folder / "failed") as failed:
        node = failed.init("east-1", "east")
        old = schema(node)
        node.sql("create table local.next ()")
        node.stop()
        upgrade(node)
        node.start()
        code = node.process.wait(60)
        node.process = None
        said = node.log.read_text()
        assert code != 0 and "migration 9000 (next)" in said, said[-2000:]
        downgrade(node)
        node.start()
        until("it is primary again", lambda: node.state() == "PRIMARY")
        assert schema(node) == old and node.sql("select count(*) from information_schema.columns where table_schema = "
                                                "'shared' and column_name = 'next'") == [["0"]]
        node.sql("drop table local.next")
        restart(node, upgrade)
        until("it is upgraded", lambda: node.state() == "PRIMARY" and schema(node) == NEXT)
        versions = subprocess.run([*node.program("baton"), "version"], capture_output=True, text=True, check=True)
        assert versions.stdout
