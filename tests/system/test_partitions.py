"""The network between nodes is cut, and nothing tells them: no write is acknowledged on two sides, none is lost."""
import contextlib
import json

import pytest

from cluster import until
from network import NetworkCluster, why_not
from writer import Writers


@pytest.fixture(scope="module")
def apart(folder):
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with NetworkCluster(folder / "apart") as cluster:
        cluster.three()
        cluster.primary().cli("config", "set", "sync.commit_wait_ms", "3000")
        cluster.primary().cli("config", "set", "write.hold_ms", "1000")
        cluster.settled()
        yield cluster


@contextlib.contextmanager
def cut(cluster, *groups, both=True):
    """The first of each group from the others of it."""
    for one, *rest in groups:
        cluster.network.cut(one.name, *[other.name for other in rest], both=both)
    try:
        yield
    finally:
        cluster.network.mend()


def others(cluster, node):
    return [one for one in cluster.nodes.values() if one is not node]


def flows(writers, more=20, seconds=60):
    before = writers.count()
    until("writes flow", lambda: writers.count() > before + more, seconds)


def alarms(node):
    return {alarm["name"] for alarm in node.status()["alarms"]}


def nothing_is_lost(cluster, *all_writers):
    for writers in all_writers:
        writers.stop()
    cluster.settled()
    for node in cluster.nodes.values():
        for writers in all_writers:
            assert writers.lost(node) == []


def test_a_standby_is_cut_off_and_the_writes_go_on(apart):
    """S8."""
    primary = apart.primary()
    epoch = primary.status()["primary"]["epoch"]
    node, other = others(apart, primary)
    with Writers(apart, [primary, other], "app/standby-off") as writers:
        flows(writers)
        with cut(apart, (node, primary, other)):
            for one in (primary, other):
                until("%s misses it" % one.name, lambda o=one: "member_silent" in alarms(o))
            flows(writers)
            reply = node.put("app/alone", 1)
            assert reply.status in (503, 504), reply.body
            refused = node.cli("promote", node.name, "--yes", "--reason", "I see nobody", check=False)
            assert refused.returncode != 0 and node.state() != "PRIMARY", refused.stdout
            flows(writers)
        nothing_is_lost(apart, writers)
    assert apart.primary() is primary and primary.status()["primary"]["epoch"] == epoch
    assert primary.get("app/alone") is None


@pytest.mark.parametrize("both", [True, False], ids=["both ways", "one way"])
def test_two_that_do_not_see_each_other_settle_by_the_third(apart, both):
    """S15: The primary and one standby are cut from one another; each sees the third."""
    primary = apart.primary()
    epoch = primary.status()["primary"]["epoch"]
    node, other = others(apart, primary)
    with Writers(apart, [primary, other], "app/pair-off/%d" % both) as writers:
        with cut(apart, (node, primary), both=both):
            until("it is missed", lambda: "member_silent" in alarms(primary))
            until("it misses the primary", lambda: "member_silent" in alarms(node))
            flows(writers)
            until("the third sees both", lambda: other.status()["primary"]["node"] == primary.name and
                  "member_silent" not in alarms(other))
        nothing_is_lost(apart, writers)
    assert apart.primary() is primary and primary.status()["primary"]["epoch"] == epoch


def test_nobody_sees_anybody_and_nobody_writes(apart):
    """Each is alone: no write is acknowledged, nobody can be promoted, and the same primary goes on."""
    primary = apart.primary()
    epoch = primary.status()["primary"]["epoch"]
    one, two = others(apart, primary)
    with Writers(apart, apart.nodes.values(), "app/all-off") as writers:
        flows(writers)
        with cut(apart, (primary, one, two), (one, two)):
            until("a write is not acknowledged", lambda: primary.put("app/all-alone", 1).status != 200)
            count = writers.count()
            for node in (one, two):
                done = node.cli("promote", node.name, "--yes", "--reason", "I see nobody", check=False)
                assert done.returncode != 0 and node.state() != "PRIMARY", done.stdout
            assert primary.put("app/all-alone", 2).status != 200
            assert writers.count() == count
        flows(writers)
        nothing_is_lost(apart, writers)
    assert apart.primary() is primary and primary.status()["primary"]["epoch"] == epoch


def test_a_primary_that_is_cut_off_acknowledges_nothing_and_comes_back(apart):
    """The others get a new primary meanwhile. What the old one wrote alone is set aside, by itself."""
    old = apart.primary()
    new, third = others(apart, old)
    began = len(old.log.read_text())
    with Writers(apart, [old], "app/cut") as here, Writers(apart, [new, third], "app/rest") as there:
        flows(here)
        flows(there)
        with contextlib.ExitStack() as stack:
            with here.paused(), there.paused():  # of a write under way only the acknowledgement could be lost
                stack.enter_context(cut(apart, (old, new, third)))
                reply = old.put("app/alone", "mine")
            assert reply.status != 200 and reply.json["kind"] in ("unknown_outcome", "timeout"), reply.body
            count = here.count()
            until("it knows", lambda: {"member_silent", "writes_wait"} <= alarms(old))
            apart.promote(new.name, "--reason", "the other side is away", via=new)
            assert new.put("app/alone", "ours").status == 200
            flows(there)
            assert old.put("app/alone", "mine again").status != 200
            assert here.count() == count, "acknowledged while cut off from all"
        until("it follows", lambda: old.state() == "STANDBY", 60)
        # its own fence ends who holds its row, and must not meet what it pulls
        assert "canceling statement due to user request" not in old.log.read_text()[began:]
        nothing_is_lost(apart, here, there)
    assert apart.primary() is new and third.state() == "STANDBY"
    assert [node.get("app/alone") for node in apart.nodes.values()] == ["ours"] * 3
    batch, = json.loads(old.cli("setaside", "list", "--json").stdout)["batches"]
    assert batch["kept"] == batch["rows"] > 0
    until("the alarm tells", lambda: "setaside" in alarms(old))
    assert "app/" in old.cli("setaside", "show", batch["id"]).stdout
