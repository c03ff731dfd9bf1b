"""The steps of a promotion as single statements on one node."""
import concurrent.futures
import os
import signal

import pytest

from pg import CLUSTER_ID, change, error_of, group, one, run


def test_a_new_node_is_fenced_and_empty(make):
    node = make("east-1")
    position = node.position()
    assert (position["name"], position["site"], str(position["cluster_id"])) == ("east-1", "east", CLUSTER_ID)
    assert (position["applied"], position["promised"]) == (0, 0)
    assert not position["is_primary"] and not position["writable"]
    assert position["applied_hash"] == position["log_base_hash"]
    assert node.own("select sha256(convert_to(cluster_id::text, 'UTF8')) = log_base_hash from local.node") == [(True,)]


def test_a_database_belongs_to_one_node(make):
    node = make("east-1")
    node.run("node_init", CLUSTER_ID, "east-1", "east")
    assert error_of(node.run, "node_init", CLUSTER_ID, "east-2", "east")[:2] == ("BT011", "other_node")
    assert error_of(node.run, "node_init", CLUSTER_ID.replace("6", "7"), "east-1", "east")[0] == "BT011"


@pytest.mark.parametrize("name", ["", "East", "a_b", "-a", "a-", "x" * 56, "a b", "ä"])
def test_names_of_nodes(make, name):
    node = make("east-1")
    node.unguarded("truncate local.node")
    assert error_of(node.run, "node_init", CLUSTER_ID, name, "east")[0] == "23514"


def test_freeze_and_thaw(primary):
    (row,) = primary.run("freeze")
    assert (row["applied"], row["frozen"], row["is_primary"], row["writable"]) == (1, True, True, False)
    assert primary.run("freeze") == [], "frozen already"
    assert primary.run("thaw", 2, "east-1") == [] == primary.run("thaw", 1, "west-1")
    (row,) = primary.run("thaw", 1, "east-1")
    assert row["writable"]
    assert primary.run("thaw", 1, "east-1") == []


def test_no_thaw_after_a_capture(primary):
    """After the promise only forward."""
    primary.run("freeze")
    (row,) = primary.run("capture", 2, "west-1")
    assert row["granted"] and row["was_primary"] and not row["is_primary"] and not row["frozen"]
    assert primary.run("thaw", 1, "east-1") == [] == primary.run("freeze")
    assert error_of(primary.run, "resume", 1, "east-1")[:2] == ("BT003", "promised")


def test_an_opening_waits_for_no_disk_and_a_promise_does(make):
    """The first row comes after it in the WAL; the next transaction of the session is as before."""
    node = make("east-1")
    cursor = node.control.cursor()
    for step, level in (("capture", "local"), ("open", "off"), ("freeze", "local")):
        cursor.execute("begin")
        run(node.control, step, *([] if step == "freeze" else [1, "east-1"]))
        assert one(node.control, "show synchronous_commit") == level
        cursor.execute("commit")


def test_i1_only_the_holder_opens_its_epoch_and_once(make):
    node = make("east-1")
    assert error_of(node.run, "open", 1, "east-1")[:2] == ("BT003", "promised")
    node.run("capture", 1, "west-1")
    assert error_of(node.run, "open", 1, "west-1")[:2] == ("BT011", "not_holder")
    node.open(2)
    node.run("fence")
    assert error_of(node.run, "open", 2, "east-1")[:2] == ("BT011", "epoch_used")
    assert not node.position()["is_primary"]


def test_i1_a_node_that_lost_its_memory_does_not_open_an_epoch_again(make):
    """A node of the same name was made anew, and the log tells that it held this epoch before."""
    first, second = make("east-1"), make("west-1", which=1)
    first.open(1)
    again = make("east-1", which=2)
    again.pull(first)
    second.pull(first)
    assert again.run("capture", 1, "east-1")[0]["granted"]
    assert error_of(again.run, "open", 1, "east-1")[:2] == ("BT011", "epoch_used")
    assert error_of(again.run, "resume", 1, "east-1")[:2] == ("BT011", "epoch_not_held")


def test_i11_a_restarted_server_writes_only_after_resume(primary, trio):
    primary.set("app/x", 1)
    trio[0].restart()
    primary.control, primary.owner = primary.connect("baton", "local"), primary.connect("baton_owner", "local")
    position = primary.position()
    assert position["is_primary"] and not position["writable"]
    assert error_of(primary.set, "app/x", 2)[:2] == ("25006", "fenced")
    assert error_of(primary.run, "resume", 2, "east-1")[0] == "BT003"
    assert primary.run("resume", 1, "east-1")[0]["writable"]
    assert primary.set("app/x", 2) == 3


def test_fence_then_resume(primary):
    (row,) = primary.run("fence")
    assert not row["is_primary"] and not row["writable"] and row["epoch"] == 1
    assert error_of(primary.set, "app/x", 1)[0] == "25006"
    assert primary.run("resume", 1, "east-1")[0]["writable"]
    assert primary.set("app/x", 1) == 2


def test_i11_only_the_session_that_fenced_last_opens(make):
    """The one before may be that of a daemon which was killed: what it asked was left in the server."""
    node = make("east-1")
    before, later = node.control, node.connect("baton", "local")
    run(before, "fence")
    run(before, "capture", 1, "east-1")
    run(later, "fence")
    assert error_of(run, before, "open", 1, "east-1")[:2] == ("BT011", "fenced_since")
    assert run(later, "open", 1, "east-1")[0]["writable"]
    run(before, "fence")
    assert error_of(run, later, "resume", 1, "east-1")[:2] == ("BT011", "fenced_since")
    assert not node.position()["is_primary"]
    assert run(before, "resume", 1, "east-1")[0]["writable"]


@pytest.mark.parametrize("step", ["open", "resume"])
def test_i11_an_opening_that_comes_after_the_fence_opens_nothing(make, step):
    """The server has the statement, and comes to it when the next session has fenced."""
    node = make("east-1")
    before, later = node.control, node.connect("baton", "local")
    run(before, "fence")
    if step == "open":
        run(before, "capture", 1, "east-1")
    else:
        node.open(1)
        run(before, "fence")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        os.kill(before.info.backend_pid, signal.SIGSTOP)
        try:
            answer = pool.submit(error_of, run, before, step, 1, "east-1")
            (row,) = run(later, "fence")
            assert not row["is_primary"] and not answer.done()
        finally:
            os.kill(before.info.backend_pid, signal.SIGCONT)
        assert answer.result(20)[:2] == ("BT011", "fenced_since")
    assert not node.position()["is_primary"]


def test_arming_holds_nothing_that_a_fence_ends(primary):
    """ARM need not wait for a fence that is under way: what it runs never has the lock by which local.seize() finds whom to end."""
    seized = ("select count(*) from pg_locks where relation = 'local.node'::regclass and pid = pg_backend_pid()"
              " and mode in ('RowShareLock', 'RowExclusiveLock')")
    cursor = primary.control.cursor()
    for step, values, locks in (("slot_make", ["baton_west_1"], 0), ("slot_drop", ["baton_west_1"], 0), ("waiters_cancel", [], 0),
                                ("names_settle", [], 0), ("fence", [], 2)):
        cursor.execute("begin")
        run(primary.control, step, *values)
        assert one(primary.control, seized) == locks, step
        cursor.execute("commit")


def test_capture_tells_what_is_promised_instead(make):
    node = make("east-1")
    node.run("capture", 5, "west-1")
    (row,) = node.run("capture", 4, "zebra")
    assert (row["granted"], row["promised"], row["promised_holder"]) == (False, 5, "west-1")


def test_capture_outlives_a_restart(make, trio):
    """I3: the promise is durable before it is said; kill -9 right after."""
    node = make("north-1", which=2)
    node.run("capture", 7, "west-1")
    trio[2].restart(signal.SIGKILL)
    node.control, node.owner = node.connect("baton", "local"), node.connect("baton_owner", "local")
    assert node.position()["promised"] == 7


def test_opening_needs_more_than_was_applied(make):
    first, second = make("east-1"), make("west-1", which=1)
    first.open(3)
    second.pull(first)
    assert second.position()["promised_holder"] == "east-1"
    assert not second.run("capture", 2, "west-1")[0]["granted"]
    assert second.run("capture", 3, "west-1")[0]["granted"], "a pair: the same number, the greater name"
    second.run("open", 3, "west-1")
    second.set("epoch", {"number": 3})
    assert [(r["epoch"], r["holder"]) for r in second.run("history", "epoch", 0, 9)] == [(3, "east-1"), (3, "west-1")]


def test_the_writer_gets_the_epoch_that_it_wrote_in(make):
    node = make("east-1")
    node.open(1)
    node.open(4)
    answer = node.write([group(change("app/x", 1))])
    assert (answer["epoch"], answer["holder"]) == (4, "east-1")
    assert node.own("select epoch, holder, revision from local.epoch_start order by 1") \
        == [(1, "east-1", 1), (4, "east-1", 2)]
