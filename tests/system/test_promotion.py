"""Promotions on real nodes: nothing acknowledged is lost, nobody else is primary, and all come back."""
import json

import pytest

from cluster import Cluster, Failed, until
from writer import Writers


def others(cluster, node):
    return [one for one in cluster.nodes.values() if one is not node]


def primaries(cluster):
    """Nodes whose database takes writes, as the databases themselves say."""
    found = []
    for node in cluster.alive():
        if node.sql("select writable from local.position()") == [["t"]]:
            found.append(node.name)
    return found


def test_switchover_loses_nothing_and_no_client_fails(three):
    """S50: Writes at every node while the role goes round: none is lost, none is refused."""
    with Writers(three, three.nodes.values(), "app/switch") as writers:
        until("writes flow", lambda: writers.count() > 30)
        for target in ("west-1", "east-2", "east-1"):
            before = writers.count()
            three.promote(target, "--reason", "test")
            assert three.primary().name == target
            until("writes flow again", lambda b=before: writers.count() > b + 30)
            assert primaries(three) == [target]
            three.settled(k=1, writing=True)
    three.settled(k=1)
    assert writers.refused == []
    assert writers.unknown == set()
    for node in three.nodes.values():
        assert writers.lost(node) == []


def test_promotion_is_recorded_with_who_why_and_how_long(three):
    """S56."""
    three.promote("west", "--reason", "a drill")
    three.settled(k=1)
    record = until("it is recorded", lambda: next(
        one for one in json.loads(three.east_1.cli("promotion", "list", "--json").stdout)["promotions"][:1]
        if one["reason"] == "a drill"))
    assert record["kind"] == "switchover"
    assert record["old_primary"] == "fenced-proved"
    assert [step["name"] for step in record["steps"]][-1] == "RELEASING"
    assert all(step["duration_ms"] is not None for step in record["steps"])
    assert record["to"] == {"node": "west-1", "site": "west"}
    three.promote("east-1")
    three.settled(k=1)


def test_dry_run_says_what_would_happen_and_changes_nothing(three):
    before = three.east_1.head()
    plan = json.loads(three.west_1.cli("promote", "west", "--dry-run", "--json").stdout)
    assert plan["kind"] == "switchover"
    assert plan["possible"] is True
    assert plan["data_loss"]["possible"] is False
    assert {check["name"] for check in plan["checks"]} >= {"quorum", "sync", "acks", "streaming"}
    assert three.primary().name == "east-1"
    assert three.east_1.head() == before


def test_promoting_the_primary_is_refused(three):
    """S24."""
    done = three.promote("east-1", check=False)
    assert done.returncode == 5
    assert "primary already" in done.stderr


def test_promoting_nobody_is_refused(three):
    """S22."""
    done = three.promote("north", check=False)
    assert done.returncode == 4
    assert "north" in done.stderr


@pytest.mark.parametrize("what", ["both", "daemon", "database"])
def test_failover_after_kill_loses_nothing_and_the_old_primary_returns(three, what):
    """SIGKILL of the primary's parts under load; the other member of the quorum is alive."""
    old = three.primary()
    target = three.west_1 if old is not three.west_1 else three.east_2
    with Writers(three, three.nodes.values(), "app/kill-%s" % what) as writers:
        until("writes flow", lambda: writers.count() > 30)
        old.kill(what)
        if what == "database":
            # batond starts it again; what was acknowledged is there and the epoch goes on
            until("the old primary resumes", lambda: old.state() == "PRIMARY", 60)
        else:
            three.promote(target.name, "--reason", "it died", via=target)
        before = writers.count()
        until("writes flow again", lambda: writers.count() > before + 30, 60)
        writers.stop()
    if what != "database":
        assert three.primary() is target
        if what == "daemon":
            until("its database has stopped with it", lambda: old.postmaster() is None)
        old.start()
    three.settled(k=1)
    for node in three.nodes.values():
        assert writers.lost(node) == []
    assert len(primaries(three)) == 1


def test_a_restarted_primary_is_fenced_until_its_peers_have_spoken(three):
    """S48: I11: alone it stays fenced; with one of them it goes on under the same epoch."""
    primary = three.primary()
    epoch = primary.status()["primary"]["epoch"]
    rest = others(three, primary)
    for node in rest:
        node.stop()
    primary.stop()
    primary.start()
    until("its database is asked", lambda: primary.settled_fenced())
    reply = primary.put("app/alone", 1)
    assert reply.status in (503, 504), reply.body
    assert primary.state() == "FENCED"
    assert primaries(three) == []
    with pytest.raises(Failed, match="another session has fenced this database"):
        primary.sql("select local.resume(epoch, name) from local.node", role="baton")
    primary.sql("update local.node set is_primary = true, opened_pg = pg_postmaster_start_time()")
    until("what was opened past the daemon is fenced", lambda: primary.sql("select is_primary from local.node") == [["f"]])
    until("it says so", primary.settled_fenced)
    for node in rest:
        node.start()
    three.settled(k=1)
    assert three.primary() is primary
    assert primary.status()["primary"]["epoch"] == epoch


def test_the_whole_cluster_restarts(three):
    primary = three.primary()
    epoch = primary.status()["primary"]["epoch"]
    for node in three.nodes.values():
        node.kill()
    for node in three.nodes.values():
        node.start()
    three.settled(k=1)
    assert three.primary() is primary
    assert primary.status()["primary"]["epoch"] == epoch


@pytest.mark.parametrize("role", ["primary", "standby"])
def test_a_stop_that_was_asked_for_alarms_nobody(three, role):
    three.settled(k=1)
    node = three.primary()
    if role == "standby":
        node = others(three, node)[0]
    before = node.log.stat().st_size
    node.stop()
    with open(node.log) as log:
        log.seek(before)
        lines = log.read().splitlines()
    node.start()
    three.settled(k=1)
    told = lines[[" batond.stopping " in line for line in lines].index(True):]
    assert [line for line in told if line.split()[1] != "info"] == []
    for word in ("unexpected", "terminat", "closed the connection", "refused", "failed"):
        assert word not in "\n".join(told), told
    assert "postgres.state state=stopped" in told[-1]


def test_a_lone_survivor_needs_a_word(three):
    """S51: Two of three are gone: it might lack acknowledged writes, and nobody could acknowledge."""
    survivor = next(node for node in three.nodes.values() if node is not three.primary())
    for node in others(three, survivor):
        node.kill()
    until("it sees nobody", lambda: survivor.status()["primary"] is None)
    refused = three.promote(survivor.name, "--reason", "alone", via=survivor, check=False)
    assert refused.returncode != 0
    assert "quorum" in refused.stdout + refused.stderr
    assert "--accept-data-loss" in refused.stdout + refused.stderr
    three.promote(survivor.name, "--accept-data-loss", "--reason", "alone", via=survivor)
    assert survivor.put("app/alone", "again").status == 200
    for node in others(three, survivor):
        node.start()
    three.settled(k=1)
    assert three.primary() is survivor


def test_two_orders_at_once_make_one_primary(three):
    """S81."""
    old = three.primary()
    first, second = others(three, old)
    one = first.api("POST", "/v1/promote", {"target": first.name, "reason": "one"})
    two = second.api("POST", "/v1/promote", {"target": second.name, "reason": "two"})
    assert one.status in (202, 409) and two.status in (202, 409)
    ended = []
    for node, reply in ((first, one), (second, two)):
        if reply.status == 202:
            ended.append(until("it has ended", lambda n=node, p=reply.json["id"]: [
                found for found in [n.api("GET", "/v1/promotions/" + p).json] if found["state"] != "running"], 60)[0])
    until("one is primary", lambda: len(primaries(three)) == 1 and three.primary(), 60)
    three.settled(k=1)
    assert "done" in [promotion["state"] for promotion in ended]
    for promotion in ended:  # who was second learns it, and does not wait until its time is over
        assert all(step["duration_ms"] < step["deadline_ms"] for step in promotion["steps"]), promotion


@pytest.fixture(scope="module")
def pair(folder):
    with Cluster(folder / "pair", name="pair") as cluster:
        cluster.init("east-1", "east")
        cluster.join("west-1", "west")
        cluster.settled(k=0)
        yield cluster


SET_ASIDE = "planted-set-aside-88"


def test_async_failover_sets_aside_what_only_the_old_primary_had(pair):
    """I8: written and acknowledged by the old primary alone, it is kept, shown, and can be applied."""
    old, new = pair.east_1, pair.west_1
    old.put("app/both", 1)
    old.cli("secret", "set", "both", "--stdin", stdin="anything")
    until("both have the data key", lambda: new.api("GET", "/v1/secrets").json["data_key"]["here"])
    pair.settled(k=0)
    new.kill()
    assert old.put("app/only-east", "precious").status == 200
    old.cli("secret", "set", "only-east", "--stdin", stdin=SET_ASIDE)
    assert old.put("app/both", 2).status == 200
    old.kill()
    new.start()
    until("it is up", lambda: new.settled_fenced())
    refused = pair.promote("west", "--reason", "gone", via=new, check=False)
    assert refused.returncode != 0
    assert "async" in refused.stdout + refused.stderr
    pair.promote("west", "--accept-data-loss", "--reason", "gone", via=new)
    assert new.get("app/both") == 1
    assert new.put("app/both", 3).status == 200
    old.start()
    pair.settled(k=0)
    assert pair.primary() is new
    assert old.get("app/both") == 3
    assert old.get("app/only-east") is None
    batches = json.loads(old.cli("setaside", "list", "--json").stdout)["batches"]
    assert batches[0]["kept"] >= 2
    assert "app/only-east" in old.cli("setaside", "show", batches[0]["id"]).stdout
    until("status tells", lambda: old.status()["setaside"]["count"] >= 2)
    told = [old.cli("setaside", *words).stdout for one in (("list",), ("show", batches[0]["id"])) for words in (one, (*one, "--json"))]
    told += [old.api("GET", "/v1/setaside" + path).body.decode() for path in ("", "/%s" % batches[0]["id"])]
    sealed = json.loads(old.sql("select value from local.setaside where key = 'secret/only-east'")[0][0])["sealed"]
    assert any("secret/only-east" in text for text in told)
    assert not [text for text in told if SET_ASIDE in text or sealed in text]
    old.cli("setaside", "apply", batches[0]["id"], "--yes", "--reason", "we want it back")
    until("applied everywhere", lambda: new.get("app/only-east") == "precious")
    # and what was sealed there is opened here, for who names it
    script = pair.folder / "given.sh"
    script.write_text("#!/bin/sh\n[ \"$(cat <&$BATON_SECRET_FD_ONLY_EAST)\" = '%s' ]\n" % SET_ASIDE)
    script.chmod(0o755)
    assert new.put("connector/given", {"main": {"url": "https://127.0.0.1:1"}, "activation": [
        {"driver": "exec", "command": [str(script)], "secrets": ["secret/only-east"]}]}).status == 200
    until("a program is given it", lambda: [one["activation"]["state"] for one in new.api("GET", "/v1/connectors/given")
                                            .json["nodes"] if one["node"] == new.name] == ["done"])
    assert new.api("DELETE", "/v1/config/connector/given").status in (200, 204)


def test_a_batch_of_batons_own_rows_alarms_nobody(pair):
    """Nothing of a person's was lost: it is set aside, told in 'setaside list', and no alarm."""
    pair.settled(k=0)
    old = pair.primary()
    new = others(pair, old)[0]
    new.kill()
    old.sql("set role baton; set synchronous_commit = local; select shared.write('[{\"author\": \"baton\", \"changes\": "
            "[{\"key\": \"promotion/999\", \"value\": {}}]}]')")
    old.kill()
    new.start()
    until("it is up", lambda: new.settled_fenced())
    before = len(old.log.read_text())
    pair.promote(new.name, "--accept-data-loss", "--reason", "gone", via=new)
    old.start()
    pair.settled(k=0)
    batch = json.loads(old.cli("setaside", "list", "--json").stdout)["batches"][0]
    assert (batch["kept"], batch["discarded"]) == (0, batch["rows"]) and batch["rows"] >= 1
    assert "promotion/999" in old.cli("setaside", "show", batch["id"]).stdout
    told = old.log.read_text()[before:]
    assert " info  %s node.setaside rows=%d" % (old.name, batch["rows"]) in told
    assert " warn  %s node.setaside" % old.name not in told
    assert "setaside" not in [alarm["name"] for alarm in old.status()["alarms"]]
    assert old.status()["setaside"]["count"] == 0


def test_a_primary_with_unfinished_promises_renews_itself(three):
    """A candidate that died after its captures leaves promises: the primary takes a later epoch."""
    primary = three.primary()
    number = primary.status()["primary"]["epoch"]["number"]
    victim = others(three, primary)[0]
    primary.cli("config", "set", "promote.step_ms", "1000")
    three.settled(k=1)
    victim.sql("set synchronous_commit = local; select local.capture(%d, 'zz-nobody')" % (number + 5))
    until("it has a later epoch", lambda: (three.primary() is primary and
          primary.status()["primary"]["epoch"]["number"] > number + 5), 60)
    three.settled(k=1)
    primary.cli("config", "delete", "promote.step_ms")
    assert primary.put("app/renewed", 1).status == 200


def test_a_standby_whose_database_takes_itself_for_primary_comes_back(three):
    """A fence that failed leaves that, or an OPEN that a broken connection left there: its daemon knows of neither."""
    primary = three.primary()
    standby = others(three, primary)[0]
    standby.sql("set synchronous_commit = local; update local.node set is_primary = true")
    assert primary.put("app/refused", 1).status == 200  # the other one acknowledges
    until("it has been fenced, and has the row", lambda: standby.get("app/refused") == 1)
