"""shared.write(), shared.set(), shared.unset(): groups, conditions, limits."""
import json
import threading

import psycopg2
import pytest

from pg import QUERIES, change, delete, error_of, group, one, wait_until


def nested(levels):
    return {"in": nested(levels - 1)} if levels > 0 else 1


def test_groups_share_a_transaction_and_fail_alone(primary):
    answers = primary.write([
        group(change("app/a", 1), change("app/b", 2)),
        group(change("app/a", 9), change("nonsense", 1)),
        group(delete("app/b"), author="alice", reason="no longer needed")])
    assert answers[0] == {"ok": True, "epoch": 1, "holder": "east-1", "txn": 2, "revision": 3}
    assert not answers[1]["ok"] and (answers[1]["code"], answers[1]["slug"]) == ("invalid", "key_unknown")
    assert answers[2] == {"ok": True, "epoch": 1, "holder": "east-1", "txn": 4, "revision": 4}
    assert primary.config() == {("", "epoch"): {"number": 1, "holder": "east-1", "kind": "init"}, ("", "app/a"): 1}
    rows = primary.run("history", "", 1, 10)
    assert [(r["revision"], r["txn"], r["key"], r["value"], r["deleted"], r["author"], r["reason"]) for r in rows] == [
        (2, 2, "app/a", 1, False, "root@east-1", None), (3, 2, "app/b", 2, False, "root@east-1", None),
        (4, 4, "app/b", None, True, "alice", "no longer needed")]
    assert len({xmin for (xmin,) in primary.own("select xmin from shared.log where revision > 1")}) == 1


def test_one_commit_for_a_batch_tells_how_it_commits(primary):
    for level in ("on", "local"):
        connection = primary.connect("baton", level)
        (row,) = [json.loads(one(connection, "select shared.write('[]')::text"))]
        assert row == {"synchronous_commit": level, "groups": []}


def test_if_match_of_a_change(primary):
    revision = primary.set("app/a", 1, if_match=0)
    assert primary.set("app/a", 2, if_match=revision) == revision + 1
    for wrong in (0, revision, revision + 2):
        answer = primary.write([group(change("app/a", 3, if_match=wrong), change("app/b", 1))])
        assert (answer["ok"], answer["code"]) == (False, "precondition_failed")
    answer = primary.write([group(change("app/b", 3, if_match=5))])
    assert answer["code"] == "precondition_failed" and "does not exist" in answer["text"]
    assert primary.write([group(delete("app/a", if_match=revision + 1))])["ok"]
    assert primary.set("app/a", 1, if_match=0)


def test_if_match_sees_the_groups_before_it(primary):
    first, second, third = primary.write([group(change("app/a", i, if_match=0)) for i in range(2)]
                                         + [group(change("app/a", 3, if_match=2))])
    assert (first["ok"], second["ok"], third["ok"]) == (True, False, True)


def test_if_match_of_a_group(primary):
    """Nothing that it names may have changed since, deleted and made keys included."""
    primary.set("app/a", 1)
    primary.set("app/b", 1)
    head = primary.applied()
    assert primary.write([group(change("app/a", 2), change("app/new", 1), if_match=head)])["ok"]
    assert primary.write([group(change("app/b", 2), if_match=head)])["ok"]
    assert primary.write([group(change("app/a", 3), if_match=head)])["code"] == "precondition_failed"
    assert primary.write([group(change("app/new", 3), if_match=head)])["code"] == "precondition_failed"
    head = primary.applied()
    primary.write([group(delete("app/b"))])
    assert primary.write([group(change("app/b", 3), if_match=head)])["code"] == "precondition_failed"


def test_a_site_has_its_own_value(primary):
    primary.write([group(change("app/a", 1), change("app/a", 2, site="east"), change("app/a", 3, site="west"))])
    primary.write([group(delete("app/a", site="east"))])
    assert primary.config()[("", "app/a")] == 1 and ("east", "app/a") not in primary.config()
    assert [r["site"] for r in primary.run("config_list", "app/", None)] == ["", "west"]
    assert [r["value"] for r in primary.run("config_list", "app/", "west")] == [3]


@pytest.mark.parametrize("item, code, slug", [
    (group(), "invalid", "no_changes"),
    ({"author": "a", "changes": {}}, "invalid", "no_changes"),
    ({"author": "a"}, "invalid", "no_changes"),
    ({"changes": [change("app/a", 1)]}, "invalid", "author"),
    (group(change("app/a", 1), author=""), "invalid", "author"),
    (group(change("app/a", 1), author="x" * 256), "invalid", "author"),
    (group(change("app/a", 1), reason="x" * 1025), "limit", "reason_too_long"),
    (group({"key": "app/a"}), "invalid", "value_missing"),
    (group({"key": "app/a", "delete": False}), "invalid", "value_missing"),
    (group({"value": 1}), "limit", "key_too_long"),
    (group(change("app/a", 1), change("app/a", 2)), "invalid", "key_repeated"),
    (group(change("app/" + "é" * 126, 1)), "limit", "key_too_long"),
    (group(change("app/" + "x" * 252, 1)), "limit", "key_too_long"),
    (group(change("app/x y", 1)), "invalid", "key_spelling"),
    (group(change("app/", 1)), "invalid", "key_spelling"),
    (group(change("/app/x", 1)), "invalid", "key_spelling"),
    (group(change("app/x\n", 1)), "invalid", "key_spelling"),
    (group(change("app/x", 1, site="Ost")), "invalid", "site_spelling"),
    (group(change("app/x", "x" * 262143)), "limit", "value_too_large"),
    (group(change("app/x", nested(25))), "limit", "value_too_deep"),
    (group(change("app/x", {"a": [1, {"b": 2 ** 63}]})), "limit", "number_too_long"),
    (group(change("app/x", [-2 ** 63 - 1])), "limit", "number_too_long"),
    (group(change("app/x", 1e30)), "limit", "number_too_long"),
    (group(change("app/x", 1e-70)), "limit", "number_too_long"),
    (group(*[change("app/%d" % i, 1) for i in range(1001)]), "limit", "too_many_changes"),
    (group(*[change("app/%d" % i, "x" * 200_000) for i in range(90)]), "limit", "changes_too_large"),
    (group(change("connector/pam/use_alternate_server", True)), "invalid", "key_scope"),
    (group(change("cluster", {}, site="east")), "invalid", "key_system"),
    (group(change("conector/pam", {})), "invalid", "key_unknown"),
])
def test_refused_and_nothing_left(primary, item, code, slug):
    answers = primary.write([item, group(change("app/other", 1))])
    assert (answers[0]["ok"], answers[0]["code"], answers[0]["slug"]) == (False, code, slug)
    assert answers[0]["text"]
    assert answers[1]["ok"] and primary.applied() == 2


def test_limits_are_just_allowed(primary):
    assert primary.set("app/" + "x" * 251, "x" * 262142)
    assert primary.set("app/deep", nested(24))
    assert primary.set("app/numbers", [2 ** 63 - 1, -2 ** 63, 1e-60, 0.5, "9" * 70, {"9" * 70: "[[[[" * 30}])
    assert primary.write([group(*[change("app/%d" % i, i) for i in range(1000)])])["ok"]


def test_a_batch_is_one_transaction_of_at_most_1000_changes(primary):
    big = [group(*[change("app/%d" % i, i) for i in range(600)]) for _ in range(2)]
    assert error_of(primary.write, big)[:2] == ("BT006", "too_many_changes")
    assert primary.applied() == 1


def test_unknown_key_names_the_nearest(primary):
    answer = primary.write([group(change("connector/pam/use_alternate_serer", True))])
    assert "connector/*/use_alternate_server" in answer["mend"]


def test_deletion_of_what_a_newer_table_does_not_know(primary):
    """A key that an older version knew can always be removed, and only that."""
    primary.spoilt = True
    primary.run("key_rules_load", [{"pattern": "old/*", "scope": "cluster"}, {"pattern": "epoch", "scope": "system"}])
    primary.set("old/thing", 1)
    primary.run("key_rules_load", [{"pattern": "app/**", "scope": "site"}, {"pattern": "epoch", "scope": "system"}])
    assert primary.write([group(change("old/thing", 2))])["slug"] == "key_unknown"
    assert primary.write([group(delete("old/thing"))])["ok"]
    assert primary.write([group(delete("old/thing"))])["slug"] == "key_unknown"


def test_scope_cluster_has_no_site(primary):
    primary.spoilt = True
    primary.run("key_rules_load", [{"pattern": "durability", "scope": "cluster"},
                                   {"pattern": "epoch", "scope": "system"}])
    assert primary.set("durability", "async")
    answer = primary.write([group(change("durability", "async", site="east"))])
    assert (answer["code"], answer["slug"]) == ("invalid", "key_scope")


@pytest.fixture
def alice(primary):
    primary.own("drop role if exists alice")
    primary.own("create role alice login in role baton_writer")
    yield primary.connect("alice")
    for connection in primary.closing:
        if not connection.closed and connection.info.user == "alice":
            connection.close()
    wait_until("alice is gone", lambda: not primary.own("select 1 from pg_stat_activity where usename = 'alice'"))
    primary.own("drop role alice")


def test_people_write_with_psql(primary, alice):
    revision = one(alice, "select shared.set('app/greeting', '\"hello\"', 'why')")
    assert revision == 2 and primary.config()[("", "app/greeting")] == "hello"
    assert one(alice, "select shared.set('app/greeting', 'null', site => 'east')") == 3
    assert one(alice, "select shared.unset('app/greeting')") == 4
    assert [(r["author"], r["reason"]) for r in primary.run("history", "app/greeting", 0, 9)] \
        == [("alice", "why"), ("alice", None), ("alice", None)]
    assert primary.config()[("east", "app/greeting")] is None


@pytest.mark.parametrize("call, code, slug", [
    ("set('user/root', '{}')", "BT005", "key_system"),
    ("set('epoch', '{}')", "BT005", "key_system"),
    ("unset('cluster')", "BT005", "key_system"),
    ("set('connector/pam/use_alternate_server', 'true')", "BT005", "key_scope"),
    ("set('nonsense', '1')", "BT005", "key_unknown"),
    ("set('app/x', null)", "22004", "value_missing"),
    ("set('app/x', to_jsonb(repeat('x', 262143)))", "BT006", "value_too_large"),
    ("set('app/x', (repeat('[', 25) || '1' || repeat(']', 25))::jsonb)", "BT006", "value_too_deep"),
    ("set('app/x', '123456789012345678901234567890')", "BT006", "number_too_long"),
    ("set('app/x', '1', repeat('x', 1025))", "22023", "reason_too_long"),
])
def test_people_are_refused(primary, alice, call, code, slug):
    assert error_of(one, alice, "select shared." + call)[:2] == (code, slug)
    assert primary.applied() == 1


def test_people_get_the_mend_as_a_hint(alice):
    with pytest.raises(psycopg2.Error) as caught:
        one(alice, "select shared.set('connector/pam/use_alternate_server', 'true')")
    assert caught.value.diag.message_hint == "baton local set connector/pam/use_alternate_server VALUE"


def test_a_hostile_search_path_changes_nothing(primary, alice):
    """Whatever the caller's path and temporary objects are called."""
    alice.cursor().execute("set search_path = pg_temp, shared, local, pg_catalog")
    assert one(alice, "select shared.set('app/x', '1')") == 2
    primary.spoilt = True
    primary.own("create schema evil; create function evil.concat(bigint, text, bigint, text, bigint, text, bigint, "
                "text, int, text, text, int, text, text, int, text, text, text, int, text, text, text) returns text "
                "language sql as 'select ''same'''; "
                "create function evil.starts_with(text, text) returns boolean language sql as 'select true'; "
                "create function evil.format(text, bigint) returns text language sql as 'select ''evil'''")
    primary.own("set search_path = evil, pg_catalog")
    primary.own("insert into shared.log (key, value, author) values ('app/y', '2', 'owner')")
    primary.own("reset search_path")
    assert primary.own(
        "select bool_and(c.hash = c.want) from (select l.hash, local.log_hash(coalesce(lag(l.hash) over (order by "
        "l.revision), n.log_base_hash), l.revision, l.epoch, l.holder, l.txn, l.site, l.key, l.value::text, l.author, "
        "l.at, l.reason) as want from shared.log l, local.node n) c") == [(True,)]


def test_i4_a_cancelled_wait_is_a_warning(primary, trio):
    trio[0].sync(["nobody"])
    connection = primary.connect("baton")
    pid = connection.info.backend_pid
    result = []
    thread = threading.Thread(target=lambda: result.append(primary.write([group(change("app/x", 1))], connection)))
    thread.start()
    wait_until("the commit waits", lambda: primary.own(
        "select 1 from pg_stat_activity where pid = %s and wait_event = 'SyncRep'", pid))
    assert primary.value("waiters_cancel") == 1
    thread.join()
    assert result[0]["ok"] and any("canceling wait" in notice for notice in connection.notices)


def test_history_pages_both_ways(primary):
    for i in range(5):
        primary.set("app/a", i)
        primary.set("app/b", i)
    revisions = [r["revision"] for r in primary.run("history", "app/a", 0, 3)]
    assert revisions == [2, 4, 6]
    assert [r["revision"] for r in primary.run("history", "app/a", 6, 9)] == [8, 10]
    assert [r["revision"] for r in primary.run("history_newest", "app/a", 0, 2)] == [10, 8]
    assert [r["revision"] for r in primary.run("history_newest", "", 8, 2)] == [7, 6]


def test_every_query_says_what_it_takes():
    for name, text in QUERIES.items():
        assert text.startswith("-- "), name
        body = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
        head = "\n".join(line for line in text.splitlines() if line.startswith("--"))
        for number in range(1, 10):
            assert ("$%d" % number in body) <= ("$%d" % number in head), (name, number)
