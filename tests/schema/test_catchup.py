"""Pulling, finding where two logs part, setting aside, snapshots, pruning, the state of then."""
import copy
import random

import pytest

from pg import CLUSTER_ID, change, delete, error_of, group, rows_from


@pytest.fixture
def pair(make):
    """A primary with some rows, and a standby that has them all."""
    first, second = make("east-1"), make("west-1", which=1)
    first.open(1)
    for i in range(5):
        first.write([group(change("app/a", i), change("app/%d" % i, i, site="east"))])
    second.pull(first)
    return first, second


def state(node):
    return node.log(), node.config(), node.run("config_digest")


def test_pull_brings_all_to_the_byte(pair):
    first, second = pair
    assert state(first) == state(second)
    assert first.run("history", "", 0, 99) == second.run("history", "", 0, 99)
    assert second.value("log_rows", first.applied(), 10) == []
    assert second.value("catchup", []) == first.applied()


def test_pull_is_atomic(pair):
    first, second = pair
    head = second.applied()
    first.set("app/x", 1)
    first.set("app/x", 2)
    rows = rows_from(first, head)
    rows[1]["hash"] = "00" * 32
    assert error_of(second.run, "catchup", rows)[0] == "BT004"
    assert second.applied() == head


def test_pages_never_cut_a_group(pair):
    first, _ = pair
    first.write([group(*[change("app/g%d" % i, i) for i in range(30)])])
    after = 0
    while rows := first.value("log_rows", after, 4):
        assert rows[0]["txn"] == rows[0]["revision"] == after + 1
        after = rows[-1]["revision"]
        assert not any(r["txn"] == rows[-1]["txn"] for r in first.value("log_rows", after, 1))
    assert after == first.applied()


def test_pages_are_bounded_in_bytes(pair):
    first, _ = pair
    head = first.applied()
    for i in range(6):
        first.write([group(*[change("app/big%d" % j, random.Random(i * 100 + j).randbytes(100_000).hex())
                             for j in range(5)])])
    sizes = []
    after = head
    while rows := first.value("log_rows", after, 1000):
        sizes.append(len(rows))
        after = rows[-1]["revision"]
    assert after == first.applied() and len(sizes) > 1


def fork(first, second, ours=6, theirs=3):
    """Both go on from the same rows: 'first' alone in epoch 1, 'second' in epoch 2. Returns the common revision."""
    common = second.applied()
    second.open(2)
    for i in range(theirs):
        second.set("app/theirs%d" % i, i)
    for i in range(ours):
        first.set("app/ours", i)
    first.write([group(delete("app/0", site="east"), change("app/1", "other", site="east"))])
    assert first.run("capture", 2, "west-1")[0]["granted"]
    return common


def test_match_finds_where_the_logs_part(pair):
    first, second = pair
    common = fork(first, second)
    assert second.value("match", first.value("points", None, None)) == common
    assert first.value("match", second.value("points", None, None)) == common
    assert first.value("match", first.value("points", None, None)) == first.applied()


def test_match_narrows_down_in_few_rounds(make):
    first, second = make("east-1"), make("west-1", which=1)
    first.open(1)
    for _ in range(20):
        first.write([group(*[change("app/%d" % i, i) for i in range(100)])])
    second.pull(first)
    second.open(2)
    second.set("app/theirs", 1)
    for _ in range(40):
        first.write([group(*[change("app/%d" % i, i) for i in range(100)])])
    points = first.value("points", None, None)
    assert len(points) <= 64 and points[-1]["revision"] == 0 and points[0]["revision"] == first.applied()
    rounds = 1
    while (low := second.value("match", points)) != 2001:
        high = min(p["revision"] for p in points if p["revision"] > low)
        points = first.value("points", low, high)
        assert len(points) <= 64
        rounds += 1
    assert rounds <= 3


def test_match_of_another_cluster_is_none(pair, make):
    first, _ = pair
    points = first.value("points", None, None)
    for point in points:
        point["hash"] = "00" * 32
    assert first.value("match", points) is None


def test_i8_a_fork_is_set_aside_and_the_state_goes_back(pair):
    first, second = pair
    before = first.config()
    common = fork(first, second)
    tail = [row for row in first.log() if row[0] > common]
    digest = first.run("config_at", common, "")
    assert first.value("setaside_tail", common, 2, "west-1") == len(tail) == 8
    assert first.config() == before and first.run("config_list", "", None) == digest
    assert first.applied() == common
    first.pull(second)
    assert state(first) == state(second)
    (batch,) = first.run("setaside_list")
    assert (batch["first"], batch["last"], batch["rows"], batch["kept"]) == (common + 1, common + 8, 8, 8)
    assert (batch["against_epoch"], batch["against_holder"]) == (2, "west-1")
    kept = first.run("setaside_show", batch["batch"])
    assert [(r["revision"], r["key"], r["deleted"]) for r in kept] == [(row[0], row[5], row[6] is None) for row in tail]
    common = second.value("match", first.value("points", None, None))
    assert first.value("setaside_tail", common, 2, "west-1") == 0, "nothing more: what is here came from the primary"


def test_batons_own_rows_ask_nobody(pair):
    """They are set aside and shown, and discarded at once; what a person's command made is kept."""
    first, second = pair
    for key in ("epoch", "sync/set", "promotion/1", "token/x", "user/anna", "node/west-9"):
        first.set(key, {"x": 1})
    assert first.value("setaside_tail", fork(first, second), 2, "west-1") == 6 + 8
    (batch,) = first.run("setaside_list")
    assert (batch["rows"], batch["kept"], batch["discarded"]) == (14, 11, 3)
    own = [row for row in first.run("setaside_show", batch["batch"]) if row["state"] == "discarded"]
    assert [(row["key"], row["decided_by"]) for row in own] == [
        ("epoch", "baton"), ("sync/set", "baton"), ("promotion/1", "baton")]
    assert all(row["decided_at"] for row in own)
    assert first.own("select kind, doc from local.event") == [
        ("setaside", {"batch": batch["batch"], "rows": 14, "discarded": 3})]


def test_setaside_is_decided_once(pair):
    first, second = pair
    first.value("setaside_tail", fork(first, second), 2, "west-1")
    batch = first.run("setaside_list")[0]["batch"]
    assert error_of(first.run, "setaside_mark", batch, "lost", "me", None, None)[0] == "23514"
    assert first.value("setaside_mark", batch, "discarded", "root@east-1", None, [12, 13]) == 2
    assert first.value("setaside_mark", batch, "applied", "root@east-1", 77, None) == 6
    assert first.value("setaside_mark", batch, "discarded", "root@east-1", None, None) == 0
    row = first.run("setaside_show", batch)[-1]
    assert (row["state"], row["decided_by"], row["decided_revision"]) == ("applied", "root@east-1", 77)
    (batch,) = first.run("setaside_list")
    assert (batch["kept"], batch["applied"], batch["discarded"]) == (0, 6, 2)


def test_nothing_is_set_aside_on_a_primary(pair):
    first, _ = pair
    for action in (("setaside_tail", 3, 2, "x"), ("setaside_all", 0, 2, "x"),
                   ("snapshot_load", first.value("snapshot_make"))):
        assert error_of(first.run, *action)[:2] == ("BT009", "primary")


def grow_old(node, last):
    """The rows up to 'last' were written 40 days ago."""
    node.own("set session_replication_role = replica; "
             "update shared.log set at = at - interval '40 days' where revision <= %s; "
             "set session_replication_role = origin", last)


def pruned(node):
    """A log whose oldest rows are gone."""
    grow_old(node, 7)
    assert node.value("log_prune", 3, 30) == 7
    assert node.value("log_prune", 3, 30) == 0


def test_pruning_keeps_rows_and_days_and_groups(make):
    node = make("east-1")
    node.open(1)
    for _ in range(4):
        node.write([group(change("app/a", 1), change("app/b", 1), change("app/c", 1))])
    assert node.value("log_prune", 1, 30) == 0, "all are young"
    before = node.config(), node.run("config_digest"), node.applied()
    assert node.value("log_prune", 20, 0) == 0, "fewer than are kept"
    assert node.value("log_prune", 5, 0) == 7, "8 of 13 may go, but the 8th begins a group"
    assert node.position()["log_base"] == 7
    assert node.value("log_prune", 0, 0) == 3, "the last group is always kept"
    assert (node.config(), node.run("config_digest"), node.applied()) == before
    assert node.set("app/a", 2) == 14


def test_pruned_history_is_refused_not_invented(pair):
    first, second = pair
    then = first.run("config_at", 9, "")
    for row in then:
        del row["at"]  # pruned() makes rows old
    pruned(first)
    assert error_of(first.run, "log_rows", 6, 10)[:2] == ("BT010", "needs_snapshot")
    assert first.value("log_rows", 7, 10)[0]["revision"] == 8
    assert [{k: v for k, v in r.items() if k != "at"} for r in first.run("config_at", 9, "")] == then
    assert error_of(first.run, "config_at", 6, "")[:2] == ("BT010", "pruned")
    assert error_of(first.run, "rollback_changes", 6, "")[0] == "BT010"
    assert error_of(first.run, "config_at", 99, "")[:2] == ("BT011", "no_revision")
    first.set("app/x", 1)
    second.pull(first)
    assert state(second)[1:] == state(first)[1:]


def test_a_fork_is_found_and_undone_on_a_pruned_log(pair):
    first, second = pair
    before = first.config()
    common = fork(first, second)
    for node in pair:
        grow_old(node, 7)
        assert node.value("log_prune", 1, 30) == 7
    assert second.value("match", first.value("points", None, None)) == common
    first.value("setaside_tail", common, 2, "west-1")
    assert first.config() == before
    first.pull(second)
    assert state(first)[1:] == state(second)[1:]


def test_old_standby_matches_by_its_epoch_where_the_row_is_pruned(make):
    first, second = make("east-1"), make("west-1", which=1)
    first.open(1)
    first.set("app/a", 1)
    second.pull(first)
    for i in range(8):
        first.set("app/a", i)
    pruned(first)
    assert first.value("match", second.value("points", None, None)) == 2
    assert error_of(first.run, "log_rows", 2, 9)[0] == "BT010"


def test_snapshot_brings_an_old_node_up(make):
    first, old, third = make("east-1"), make("west-1", which=1), make("north-1", which=2)
    first.open(1)
    first.set("app/a", 1)
    old.pull(first)
    for i in range(8):
        first.write([group(change("app/a", i), change("app/n", None))])
    first.open(2)
    first.set("app/z", 1)
    snapshot = first.value("snapshot_make")
    assert old.value("snapshot_load", snapshot) == first.applied()
    assert old.run("config_digest") == first.run("config_digest") and old.config() == first.config()
    position = old.position()
    assert (position["log_base"], position["applied"], position["promised"]) == (first.applied(), first.applied(), 2)
    assert position["applied_hash"] == first.position()["applied_hash"]
    assert old.log() == []
    head = first.set("app/z", 2)
    old.pull(first)
    assert old.applied() == head and old.config() == first.config()
    assert old.run("config_at", head - 1, "app/z")[0]["value"] == 1
    assert error_of(old.run, "snapshot_load", snapshot)[:2] == ("BT011", "snapshot_old")
    third.run("snapshot_load", old.value("snapshot_make"))
    assert third.run("config_digest") == first.run("config_digest")
    third.attach(first)
    third.wait_applied(first.set("app/z", 3))


def test_snapshot_does_not_bury_a_fork(pair):
    first, second = pair
    common = fork(first, second, ours=2, theirs=20)
    snapshot = second.value("snapshot_make")
    assert first.applied() < snapshot["revision"]
    assert error_of(first.run, "snapshot_load", snapshot)[:2] == ("BT008", "fork")
    assert first.value("setaside_tail", common, 2, "west-1") == 4
    assert first.value("snapshot_load", snapshot) == second.applied()
    assert first.config() == second.config()


def test_a_fork_below_the_kept_log_is_set_aside_from_the_state(make):
    first, second, late = make("east-1"), make("west-1", which=1), make("north-1", which=2)
    first.open(1)
    second.pull(first)
    first.set("app/fork", 1)
    late.run("snapshot_load", first.value("snapshot_make"))
    first.set("app/fork2", 2)
    late.pull(first)
    second.open(2)
    for i in range(5):
        second.set("app/x", i)
    assert second.value("match", late.value("points", None, None)) is None
    assert error_of(late.run, "setaside_tail", 1, 2, "west-1")[:2] == ("BT010", "needs_snapshot")
    assert error_of(late.run, "snapshot_load", second.value("snapshot_make"))[0] == "BT008"
    assert late.value("setaside_all", 1, 2, "west-1") == 2
    batch = late.run("setaside_list")[0]["batch"]
    assert [(r["key"], r["value"]) for r in late.run("setaside_show", batch)] == [("app/fork", 1), ("app/fork2", 2)]
    assert late.position()["applied"] == 0 and late.config() == {}
    assert late.value("snapshot_load", second.value("snapshot_make")) == second.applied()
    assert late.config() == second.config()


def test_snapshot_of_another_cluster_is_refused(pair):
    first, second = pair
    first.set("app/x", 1)
    snapshot = first.value("snapshot_make")
    snapshot["cluster_id"] = CLUSTER_ID.replace("6", "7")
    assert error_of(second.run, "snapshot_load", snapshot)[:2] == ("BT011", "other_cluster")
    assert error_of(second.run, "snapshot_load", {})[0] == "BT011"


def test_rows_of_another_cluster_do_not_fit(make):
    """The chain starts with the cluster's id."""
    first = make("east-1")
    first.open(1)
    rows = rows_from(first)
    other = make("west-1")
    other.unguarded("update local.node set log_base_hash = '\\x00'")
    assert error_of(other.run, "catchup", rows)[0] == "BT004"


def test_rollback_is_a_new_change(pair):
    first, _ = pair
    first.write([group(change("app/new", 1), change("app/a", "changed"), delete("app/0", site="east"))])
    then = first.run("config_at", 11, "")
    changes = first.value("rollback_changes", 11, "")
    assert [(c["key"], c.get("delete", False)) for c in changes] \
        == [("app/0", False), ("app/a", False), ("app/new", True)]
    head = first.applied()
    answer = first.write([group(*changes, reason="rollback to 11")])
    assert answer["ok"] and answer["revision"] == head + 3
    strip = lambda rows: [(r["site"], r["key"], r["value"]) for r in rows]
    assert strip(first.run("config_list", "", None)) == strip(then)
    assert first.value("rollback_changes", 11, "") == []


def test_rollback_keeps_to_the_prefix_and_off_the_system(pair):
    first, _ = pair
    first.set("cluster", {"name": "x"})
    first.write([group(change("app/a", "changed"), change("connector/pam", {}))])
    assert [c["key"] for c in first.value("rollback_changes", 1, "connector/")] == ["connector/pam"]
    assert "cluster" not in [c["key"] for c in first.value("rollback_changes", 1, "")]


def test_rollback_does_not_overwrite_a_change_in_between(pair):
    first, _ = pair
    first.set("app/a", "changed")
    changes = first.value("rollback_changes", 11, "app/a")
    first.set("app/a", "again")
    assert first.write([group(*changes)])["code"] == "precondition_failed"


def test_state_of_then_for_every_revision(make):
    """Replaying the log by hand gives the same as config_at, before and after pruning."""
    chance = random.Random(7)
    node = make("east-1")
    node.open(1)
    states, now = {}, {}
    for _ in range(40):
        key, site = "app/%d" % chance.randrange(6), chance.choice(["", "east"])
        if chance.random() < 0.3:
            node.write([group(delete(key, site=site))])
            now.pop((site, key), None)
        else:
            node.set(key, chance.random(), site=site)
            now[site, key] = node.config()[site, key]
        states[node.applied()] = copy.copy(now)

    def check(first):
        for revision, want in states.items():
            if revision >= first:
                have = {(r["site"], r["key"]): r["value"] for r in node.run("config_at", revision, "app/")}
                assert have == want, revision
    check(0)
    assert node.value("log_prune", 15, 0) == 26
    check(26)


def test_pruning_and_writing_do_not_disturb_a_follower(make):
    first, second = make("east-1"), make("west-1", which=1)
    first.open(1)
    second.attach(first)
    for i in range(30):
        first.set("app/a", i)
        first.value("log_prune", 5, 0)
    second.wait_applied(first.applied())
    assert second.config() == first.config() and second.run("config_digest") == first.run("config_digest")
