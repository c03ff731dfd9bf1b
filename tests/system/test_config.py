"""Shared configuration and local settings through the API, the CLI and psql."""
import json
import os
import signal
import subprocess
import threading

from cluster import until


def test_any_node_accepts_a_write_and_all_have_it(three):
    """S28."""
    for node in three.nodes.values():
        reply = node.put("app/from/" + node.name, {"by": node.name})
        assert reply.status == 200, reply.body
        assert reply.json["epoch"]["holder"] == three.primary().name
    for node in three.nodes.values():
        for other in three.nodes.values():
            until("it is there", lambda n=node, o=other: n.get("app/from/" + o.name) == {"by": o.name})


def test_a_node_shows_what_was_written_through_it(three):
    """At once at the primary, and where the row arrives late, too; a node that gets none says what it has."""
    primary, late = three.primary(), three.west_1
    for number in range(20):
        assert primary.put("app/own", number).status == 200
        assert primary.get("app/own") == number
    until("it is there", lambda: late.get("app/own") == 19)
    worker = int(late.sql("select pid from pg_stat_activity where backend_type = 'logical replication worker'")[0][0])

    def read_back(value, resume_after):
        wake = threading.Timer(resume_after, os.kill, (worker, signal.SIGCONT))
        os.kill(worker, signal.SIGSTOP)
        try:
            assert late.put("app/own", value).status == 200  # the other standby has it
            wake.start()
            return late.get("app/own")
        finally:
            wake.join()

    assert read_back("late", 0.2) == "late"
    assert read_back("too late", 2) == "late"
    until("it is there", lambda: late.get("app/own") == "too late")


def test_the_primary_shows_what_was_written_anywhere(three):
    primary = three.primary()
    others = [node for node in three.nodes.values() if node is not primary]
    for number in range(40):
        assert others[number % 2].put("app/anywhere", number).status == 200
        assert primary.get("app/anywhere") == number


def test_if_match_lets_one_of_two_writers_win(three):
    node = three.east_2
    first = node.put("app/match", 1, headers={"If-Match": '"0"'})
    assert first.status == 200
    again = node.put("app/match", 2, headers={"If-Match": '"0"'})
    assert again.status == 412 and again.json["code"]
    revision = first.json["revision"]
    assert node.put("app/match", 3, headers={"If-Match": '"%d"' % revision}).status == 200


def test_several_keys_are_written_together_or_not_at_all(three):
    node = three.west_1
    changes = [{"site": "", "key": "app/a", "value": 1}, {"site": "", "key": "app/b", "value": 2, "if_match": 99}]
    refused = node.api("POST", "/v1/config", {"reason": "together", "changes": changes})
    assert refused.status == 412
    assert node.get("app/a") is None
    changes[1]["if_match"] = 0
    assert node.api("POST", "/v1/config", {"reason": "together", "changes": changes}).status == 200
    assert (node.get("app/a"), node.get("app/b")) == (1, 2)


def test_concurrent_writes_share_commits(three):
    primary = three.primary()
    before = int(primary.sql("select applied from local.position()")[0][0])
    answers = []

    def write(number):
        answers.append(primary.put("app/many/%d" % number, number).status)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 64
    rows = primary.sql("select count(*), count(distinct xmin::text) from shared.log where revision > %d" % before)[0]
    assert int(rows[0]) >= 64
    assert int(rows[1]) < int(rows[0]), "no two writes shared a commit"


def test_limits_have_names(three):
    node = three.east_1
    assert node.put("app/" + "k" * 300, 1).json["code"] == "key_too_long"
    assert node.put("app/big", "v" * (256 * 1024 + 1)).json["code"] == "value_too_large"
    many = [{"site": "", "key": "app/n%d" % number, "value": 1} for number in range(1001)]
    assert node.api("POST", "/v1/config", {"reason": "", "changes": many}).json["code"] == "too_many_changes"


def test_scopes_are_kept_apart(three):
    """S52."""
    node = three.east_1
    shared = node.put("connector/pam/use_alternate_server", True)
    assert (shared.status, shared.json["code"]) == (400, "key_scope")
    local = node.api("PUT", "/v1/local/app/x", {"value": 1})
    assert (local.status, local.json["code"]) == (400, "key_scope")
    system = node.put("user/mallory", {"hash": "x", "role": "admin"})
    assert system.status in (400, 403)
    unknown = node.put("conector/pam", {})
    assert unknown.status == 400 and "connector" in unknown.json["detail"] + unknown.json["mend"]


def test_history_rollback_and_who(three):
    """S54."""
    east = three.east_1
    east.cli("config", "set", "app/colour", "red", "--reason", "first")
    revision = three.primary().head()[0]
    until("east has it", lambda: east.get("app/colour") == "red")
    east.cli("config", "set", "app/colour", "blue", "--reason", "second")
    until("east has it", lambda: east.get("app/colour") == "blue")
    history = json.loads(east.cli("config", "history", "app/colour", "--json").stdout)["rows"]
    assert [row["value"] for row in history[-2:]] == ["red", "blue"]
    assert history[-1]["reason"] == "second" and "east-1" in history[-1]["author"]
    east.cli("config", "rollback", revision, "--prefix", "app/colour", "--yes", "--reason", "back")
    until("it is as it was", lambda: east.get("app/colour") == "red")


def test_export_and_import_give_the_same(three, folder):
    east, west = three.east_1, three.west_1
    east.cli("config", "set", "app/export/one", "1")
    east.cli("config", "set", "app/export/two", json.dumps({"deep": [1, 2]}))
    until("west has it", lambda: west.get("app/export/two"))
    target = folder / "export.yaml"
    west.cli("config", "export", "app/export/", "--output", target)
    east.cli("config", "delete", "app/export/one")
    until("gone", lambda: west.get("app/export/one") is None)
    west.cli("config", "import", target, "--yes", "--reason", "restore")
    until("back", lambda: east.get("app/export/one") == 1)
    assert east.get("app/export/two") == {"deep": [1, 2]}


def test_watch_streams_changes(three):
    west = three.west_1
    command = [str(__import__("cluster").BUILD / "baton"), "config", "watch", "--json", "--data-dir", str(west.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=three.env, stdin=subprocess.DEVNULL) as watch:
        try:
            lines = []
            reader = threading.Thread(target=lambda: lines.extend(iter(watch.stdout.readline, "")), daemon=True)
            reader.start()

            def told():
                three.east_1.put("app/watched", len(lines))
                return any("app/watched" in line for line in lines)
            until("the watcher was told", told, 30, 0.2)
        finally:
            watch.terminate()


def tcf(three):
    """A connector whose alternate can be chosen, on all nodes."""
    three.west_1.put("connector/tcf", {"alternate": {"url": "https://127.0.0.1:20443"}})
    for node in three.nodes.values():
        until("it is there", lambda n=node: n.get("connector/tcf"))


def test_local_settings_are_this_nodes_alone(three):
    """S25."""
    west = three.west_1
    tcf(three)
    west.cli("local", "set", "connector/tcf/use_alternate_server", "true")
    assert "connector/tcf/use_alternate_server" in west.cli("local", "list").stdout
    for node in (three.east_1, three.east_2):
        assert "connector/tcf" not in node.cli("local", "list").stdout
    assert west.sql("select count(*) from shared.log where key like '%use_alternate_server'") == [["0"]]
    west.cli("local", "delete", "connector/tcf/use_alternate_server")


def test_local_settings_work_without_a_primary(three):
    """A person prepares a node while the rest is away."""
    west = three.west_1
    tcf(three)
    three.east_1.cli("config", "set", "write.hold_ms", "1000")
    until("west knows how long to hold a write", lambda: west.get("write.hold_ms") == 1000)
    for name in ("east-1", "east-2"):
        three.nodes[name].stop()
    try:
        until("nobody is primary", lambda: west.status()["primary"] is None)
        west.cli("local", "set", "connector/tcf/use_alternate_server", "true")
        assert west.api("GET", "/v1/local/connector/tcf/use_alternate_server").json["value"] is True
        assert west.put("app/x", 1).status == 503
        west.cli("local", "delete", "connector/tcf/use_alternate_server")
    finally:
        for name in ("east-1", "east-2"):
            three.nodes[name].start()
    three.settled(k=1)
    three.primary().cli("config", "delete", "write.hold_ms")


def test_psql_users_write_through_the_same_gate(three):
    """S44."""
    primary = three.primary()
    standby = next(node for node in three.nodes.values() if node is not primary)
    primary.sql("select shared.set('app/psql', '{\"by\": \"hand\"}', 'from psql')")
    until("it is everywhere", lambda: standby.get("app/psql") == {"by": "hand"})
    for statement in ("select shared.set('app/psql', '2')", "delete from shared.log", "truncate shared.log",
                      "update shared.log set value = '1'"):
        try:
            standby.sql(statement)
            refused = False
        except AssertionError:
            refused = True
        assert refused, statement
    for statement in ("delete from shared.log", "truncate shared.log", "update shared.log set value = '1'",
                      "select shared.set('connector/pam/use_alternate_server', 'true')"):
        try:
            primary.sql(statement)
            refused = False
        except AssertionError:
            refused = True
        assert refused, statement


def test_explain_shows_layers_and_what_a_promotion_would_change(three):
    west = three.west_1
    document = json.loads(west.cli("explain", "durability", "--if-promoted", "west", "--json").stdout)
    assert "if_promoted" in document
    assert "durability" in west.cli("explain", "durability").stdout
