"""Local settings, the table of known keys, this node's own history."""
import re
import threading

import pytest

from pg import ROOT, change, error_of, group, one, wait_until


def test_p1_local_settings_stay_local_and_need_no_primary(make):
    """use_alternate_server is each node's own: set while fenced, gone from no stream."""
    first, second = make("east-1"), make("west-1", which=1)
    first.open(1)
    second.attach(first)
    second.run("local_set", "connector/pam/use_alternate_server", "true", "root@west-1")
    assert [(r["key"], r["value"], r["author"]) for r in second.run("local_list", "")] \
        == [("connector/pam/use_alternate_server", True, "root@west-1")]
    second.wait_applied(first.set("app/x", 1))
    assert first.run("local_list", "") == [] and first.config() == second.config()
    assert second.value("local_unset", "connector/pam/use_alternate_server", "root@west-1") is True
    assert second.value("local_unset", "connector/pam/use_alternate_server", "root@west-1") is False


def test_a_local_setting_waits_for_no_standby(primary, trio):
    """Also on a primary whose writes are blocked, and whose queue of notifications is held by one of them."""
    trio[0].sync(["nobody"])
    writer = primary.connect("baton")
    thread = threading.Thread(target=primary.write, args=([group(change("app/x", 1))], writer))
    thread.start()
    wait_until("the write waits", lambda: primary.own(
        "select 1 from pg_stat_activity where pid = %s and wait_event = 'SyncRep'", writer.info.backend_pid))
    primary.control.cursor().execute("set statement_timeout = '10s'")
    primary.run("local_set", "connector/pam/use_alternate_server", "true", "root@east-1")
    primary.run("event_add", "test", {})
    primary.value("waiters_cancel")
    thread.join()


@pytest.mark.parametrize("key, code, slug", [
    ("app/x", "BT005", "key_scope"), ("connector/pam", "BT005", "key_scope"), ("epoch", "BT005", "key_scope"),
    ("nonsense", "BT005", "key_unknown"), ("connector/pam/use_alternate_serverx", "BT005", "key_unknown"),
])
def test_a_shared_key_is_refused_in_local(make, key, code, slug):
    node = make("east-1")
    assert error_of(node.run, "local_set", key, "true", "me")[:2] == (code, slug)
    assert error_of(node.own, "insert into local.setting values (%s, 'true', 'me')", key)[0] == code
    assert node.run("local_list", "") == []


def test_a_large_local_value_is_refused(make):
    node = make("east-1")
    large = {"x": "x" * 262140}
    assert error_of(node.run, "local_set", "connector/pam/use_alternate_server", large, "me")[0] == "BT006"
    assert error_of(node.run, "local_set", "connector/pam/use_alternate_server", str(2 ** 63), "me")[:2] \
        == ("BT006", "number_too_long")


def rules_of_the_daemon():
    """The rows of sites/setting.h, as its setting_rules_json() tells them."""
    text = (ROOT / "sites/setting.h").read_text()
    table = text[text.index("#define SETTING_TABLE"):text.index("enum setting_id")]
    found = re.findall(r'X\(\w+, "([^"]+)", \w+,.*?\b(CLUSTER|SITE|NODE|SYSTEM|SECRET),\s*\\?\s*(?:LIVE|RESTART)', table, re.S)
    return {name: scope.lower() for name, scope in found}


def test_the_first_rules_are_those_of_the_daemon(make):
    daemon = rules_of_the_daemon()
    assert len(daemon) > 30
    for pattern, scope in make("east-1").own("select pattern, scope from local.key_rule"):
        assert daemon[pattern] == scope, pattern


def test_the_daemon_loads_its_rules(make):
    node = make("east-1")
    node.spoilt = True
    rules = [{"pattern": p, "scope": s} for p, s in rules_of_the_daemon().items()]
    for form in (lambda p: p, lambda p: p.replace("**", "%").replace("*", "%")):
        load = [{"pattern": form(r["pattern"]), "scope": r["scope"]} for r in rules]
        assert node.value("key_rules_load", load) == len(rules)
        assert node.value("key_rules_load", load) == len(rules)
        assert dict(node.own("select pattern, scope from local.key_rule")) \
            == {form(p): s for p, s in rules_of_the_daemon().items()}
        for rule in rules:
            key = rule["pattern"].replace("**", "a/b").replace("*", "x-1")
            assert node.own("select local.key_scope(%s)", key) == [(rule["scope"],)], key


@pytest.mark.parametrize("key, scope", [
    ("connector/pam", "site"), ("connector/pam/use_alternate_server", "node"), ("connector/pam/other", None),
    ("connector/a/b/use_alternate_server", None), ("secret/pam-main", "secret"), ("secret/a/b", None), ("connector/pam/useXalternate_server", None), ("connector/", "site"),
    ("app", None), ("app/a", "site"), ("app/a/b/c", "site"), ("apps/a", None), ("user/root", "system"),
    ("user/a/b", None), ("promotion/3/east-1", "system"), ("epoch", "system"), ("epochs", None), ("", None)])
def test_the_longest_pattern_decides(make, key, scope):
    ((found,),) = make("east-1").own("set search_path = pg_catalog; select local.key_scope(%s)", key)
    assert found == scope


def test_no_rules_are_refused(make):
    node = make("east-1")
    for rules in ([], {}):
        assert error_of(node.run, "key_rules_load", rules)[0] == "22023"
    assert error_of(node.run, "key_rules_load", [{"pattern": "x", "scope": "all"}])[0] == "23514"
    assert node.own("select count(*) from local.key_rule") == [(12,)]


def test_events_are_bounded(make):
    node = make("east-1")
    node.own("insert into local.event (kind, doc) select 'old', '{}' from generate_series(1, 10000)")
    assert node.value("event_add", "new", {"a": 1}) == 10001
    assert node.own("select count(*), min(id) from local.event") == [(10000, 2)]
    (row,) = node.run("event_list", 10000, 5)
    assert (row["kind"], row["doc"]) == ("new", {"a": 1})


def test_an_activation_is_recorded_once_and_may_be_repeated(make):
    node = make("east-1")
    start = ("pam", "a-1", 3, "east-1", "main", "activate", "file")
    first = node.value("activation_add", *start)
    assert node.value("activation_finish", "a-1", "failed", "x" * 10000) is True
    (row,) = node.run("activation_list", "pam", 5)
    assert (row["state"], len(row["output"])) == ("failed", 8192) and row["ended_at"]
    assert node.value("activation_add", *start) == first
    (row,) = node.run("activation_list", "", 5)
    assert (row["state"], row["output"], row["ended_at"]) == ("running", None, None)
    assert node.value("activation_finish", "a-2", "done", "") is False


ADD = "select local.activation_add(%s, %s, 3, 'east-1', 'main', 'activate', 'file')"


def test_what_was_last_done_for_a_connector_is_kept(make):
    """However often another was tried since: who forgets an activation deactivates nothing."""
    node = make("east-1")
    node.value("activation_add", "quiet", "q-1", 3, "east-1", "main", "activate", "file")
    node.value("activation_add", "quiet", "q-2", 3, "east-1", "alternate", "activate", "file")
    node.own(ADD % ("'pam'", "'p-1'") + " from generate_series(1, 1200)")  # one action, tried again and again
    node.value("activation_add", "pam", "p-2", 3, "east-1", "main", "activate", "file")
    assert [row["action_id"] for row in node.run("activation_list", "", 5)] == ["p-2", "p-1", "q-2", "q-1"]
    node.own(ADD % ("'pam'", "'r-' || i") + " from generate_series(1, 1200) i")
    assert [row["action_id"] for row in node.run("activation_list", "quiet", 5)] == ["q-2"]
    ((count,),) = node.own("select count(*) from local.activation")
    assert 1001 <= count < 1001 + 16


def test_activations_are_bounded(make):
    """As many connectors as a node can have, and twice as many rows."""
    node = make("east-1")
    node.own("insert into local.activation (connector, action_id, epoch, holder, server, kind, driver) "
             "select 'c' || i, 'c-' || i, 3, 'east-1', 'main', 'activate', 'file' from generate_series(1, 1500) i")
    node.own(ADD % ("'pam'", "'p-' || i") + " from generate_series(1, 20) i")
    ((count, connectors),) = node.own("select count(*), count(distinct connector) from local.activation")
    assert count < 1019 + 16 and 1000 <= connectors < 1000 + 16


def test_settings_are_told_by_name(make):
    node = make("east-1")
    rows = {r["name"]: r["setting"] for r in node.run("settings_check")}
    assert rows["wal_level"] == "logical" and rows["wal_retrieve_retry_interval"] == "50"
    assert one(node.control, "show is_superuser") == "off"
