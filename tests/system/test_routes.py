"""The HTTPS API against docs/api.yaml: what it answers, to whom, and what it never tells."""
import datetime
import http.client
import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import threading
import urllib.parse

import jsonschema
import pytest
import yaml

import people
from cluster import PASSWORD, PORT, until
from people import Person

ROOT = pathlib.Path(__file__).resolve().parents[2]
API = yaml.safe_load((ROOT / "docs/api.yaml").read_text())


def schema_of(path, method, status):
    """The schema of a JSON answer, with '#/components' at hand for its references; None for another type."""
    answer = API["paths"][path][method]["responses"][str(status)]
    while "$ref" in answer:
        answer = API["components"]["responses"][answer["$ref"].rsplit("/", 1)[1]]
    for kind in ("application/json", "application/problem+json"):
        if kind in answer.get("content", {}):
            return {"components": API["components"], **answer["content"][kind]["schema"]}
    return None


def ask(node, method, path, route=None, status=200, **options):
    """One request whose answer is as the description says."""
    reply = node.api(method, path, **options)
    assert reply.status == status, "%s %s: %d %s" % (method, path, reply.status, reply.body)
    schema = schema_of(route or path.split("?")[0], method.lower(), status)
    if schema is not None:
        jsonschema.validate(reply.json, schema)
    return reply


def role(node, name, given, password="a-good-password"):
    ask(node, "PUT", "/v1/users/" + name, "/v1/users/{name}", body={"password": password, "role": given})
    return people.role(node, name, given, password)


# ---- answers

READS = ["/healthz", "/readyz", "/v1/version", "/v1/status", "/v1/doctor", "/v1/nodes", "/v1/sites", "/v1/tokens",
         "/v1/config", "/v1/history", "/v1/local", "/v1/promotions", "/v1/setaside", "/v1/connectors", "/v1/users",
         "/v1/arbiter", "/v1/why", "/v1/ready", "/v1/pause", "/v1/budget"]


@pytest.mark.parametrize("path", READS)
def test_reads_answer_as_described(three, path):
    for node in three.nodes.values():
        ask(node, "GET", path)


def test_reads_carry_their_position(three):
    reply = ask(three.east_2, "GET", "/v1/config")
    assert re.fullmatch(r"[0-9]+/east-1", reply.headers["Baton-Epoch"])
    assert int(reply.headers["Baton-Revision"]) == reply.json["revision"]


def test_a_value_goes_round(three):
    node = three.west_1
    key = "/v1/config/app/round"
    written = ask(node, "PUT", key, "/v1/config/{key}", body={"value": {"ä": [1, 2.5, None, True]}, "reason": "why"})
    reply = until("it is here", lambda: node.api("GET", key) if node.api("GET", key).status == 200 else None)
    jsonschema.validate(reply.json, schema_of("/v1/config/{key}", "get", 200))
    assert reply.json["value"] == {"ä": [1, 2.5, None, True]}
    assert reply.headers["ETag"] == '"%d"' % written.json["revision"]
    listed = ask(node, "GET", "/v1/config?prefix=app/round").json["entries"]
    assert listed == [reply.json]
    row = ask(node, "GET", "/v1/history?key=app/round").json["rows"][-1]
    assert (row["value"], row["reason"], row["author"]) == (reply.json["value"], "why", "root@west-1")
    ask(node, "DELETE", key, "/v1/config/{key}", headers={"Baton-Reason": "f%C3%BCr%20alle"})
    until("it is gone", lambda: node.api("GET", key).status == 404)
    ask(node, "GET", key, "/v1/config/{key}", status=404)
    assert ask(node, "GET", "/v1/history?key=app/round").json["rows"][-1]["reason"] == "für alle"


def test_site_values_stand_beside_the_clusters(three):
    node = three.east_1
    for site in ("", "?site=west"):
        ask(node, "PUT", "/v1/config/app/where" + site, "/v1/config/{key}", body={"value": site})
    assert [entry["site"] for entry in ask(node, "GET", "/v1/config?prefix=app/where").json["entries"]] == ["", "west"]
    only = ask(node, "GET", "/v1/config?prefix=app/where&site=west").json["entries"]
    assert [entry["value"] for entry in only] == ["?site=west"]


def test_rollback_brings_values_back(three):
    node = three.east_1
    before = ask(node, "PUT", "/v1/config/app/back/a", "/v1/config/{key}", body={"value": 1}).json["revision"]
    ask(node, "PUT", "/v1/config/app/back/a", "/v1/config/{key}", body={"value": 2})
    ask(node, "PUT", "/v1/config/app/back/b", "/v1/config/{key}", body={"value": 3})
    order = {"revision": before, "prefix": "app/back/", "dry_run": True}
    plan = ask(node, "POST", "/v1/rollback", body=order).json
    assert plan["revision"] is None and len(plan["changes"]) == 2
    assert node.get("app/back/a") == 2
    done = ask(node, "POST", "/v1/rollback", body={**order, "dry_run": False}).json
    assert done["revision"] > before
    until("it is as before", lambda: node.get("app/back/a") == 1 and node.get("app/back/b") is None)
    again = ask(node, "POST", "/v1/rollback", body={**order, "dry_run": False}).json
    assert again["revision"] is None and again["changes"] == []
    ask(node, "POST", "/v1/rollback", body={"revision": 10 ** 9}, status=404)


# ---- refusals

def refused(node, method, path, route, status, code, **options):
    reply = ask(node, method, path, route, status=status, **options)
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.json["code"] == code, reply.body
    return reply.json


def test_bodies_are_checked(three):
    node = three.east_1
    put = ("PUT", "/v1/config/app/x", "/v1/config/{key}", 400)
    refused(node, *put, "body_invalid", body={"valu": 1})
    refused(node, *put, "content_type", body={"value": 1}, headers={"Content-Type": "text/plain"})
    refused(node, *put, "header_invalid", body={"value": 1}, headers={"If-Match": "7"})
    refused(node, *put, "header_invalid", body={"value": 1}, headers={"Baton-Reason": "%zz"})
    faults = refused(node, "POST", "/v1/config", "/v1/config", 400, "body_invalid",
                     body={"changes": [{"key": "app/x", "value": 1, "delete": True}, {"value": 1}]})["faults"]
    assert {fault["pointer"] for fault in faults} == {"/changes/0", "/changes/1/key"}


def test_a_body_of_null_is_answered(three):
    for path in ("/v1/join", "/v1/login", "/v1/promote"):
        connection = http.client.HTTPSConnection(three.west_1.address, PORT, timeout=20, context=three.west_1.context())
        connection.request("POST", path, "null", {"Content-Type": "application/json"})
        reply = connection.getresponse()
        assert (reply.status, json.loads(reply.read())["code"]) == (400, "body_invalid"), path
        connection.close()


def test_problems_are_utf8_wherever_a_name_is_cut(three):
    """What is quoted is cut to a length in bytes."""
    for lead in ("", "a"):
        name = urllib.parse.quote(lead + "\u00fc" * 120)
        for method, path in (("GET", "/nowhere/" + name), ("DELETE", "/v1/users/" + name), ("GET", "/v1/why?node=" + name)):
            reply = three.east_1.api(method, path)
            assert reply.status == 404 and "\u00fc" in reply.json["detail"], path


def test_all_faults_of_a_connector_are_named(three):
    value = {"main": {"url": "ftp://x"}, "probe": {"timeout_ms": -1}, "nonsense": 1}
    problem = refused(three.west_1, "PUT", "/v1/config/connector/bad", "/v1/config/{key}", 400, "bad_value",
                      body={"value": value})
    pointers = {fault["pointer"] for fault in problem["faults"]}
    assert {"/value/main/url", "/value/probe/timeout_ms", "/value/nonsense"} <= pointers


def test_keys_stay_where_they_belong(three):
    node = three.east_1
    refused(node, "PUT", "/v1/config/log.level", "/v1/config/{key}", 400, "key_scope", body={"value": "debug"})
    refused(node, "PUT", "/v1/config/nonsense", "/v1/config/{key}", 400, "key_unknown", body={"value": 1})
    refused(node, "PUT", "/v1/local/durability", "/v1/local/{key}", 400, "key_scope", body={"value": "strict"})
    refused(node, "PUT", "/v1/local/log.level", "/v1/local/{key}", 400, "bad_value", body={"value": "loud"})
    refused(node, "PUT", "/v1/config/app/" + "x" * 252, "/v1/config/{key}", 413, "key_too_long", body={"value": 1})
    refused(node, "PUT", "/v1/config/app/big", "/v1/config/{key}", 413, "value_too_large",
            body={"value": "x" * 262144})


def test_paths_methods_and_queries_are_checked(three):
    node = three.east_1
    assert node.api("GET", "/v1/nothing").json["code"] == "route_not_found"
    reply = node.api("POST", "/v1/status", {})
    assert (reply.status, reply.json["code"], reply.headers["Allow"]) == (405, "method_not_allowed", "GET, HEAD")
    assert node.api("GET", "/v1/status?verbose=1").json["code"] == "query_invalid"
    assert node.api("GET", "/v1/history?limit=0").json["code"] == "query_invalid"


# ---- who

def test_nobody_is_told_nothing(three):
    nobody = Person(three.east_1)
    for path in READS + ["/metrics", "/v1/events", "/v1/peer/state", "/v1/config/app/x"]:
        if path in ("/healthz", "/readyz"):
            continue
        reply = nobody.ask("GET", path)
        assert (reply.status, reply.json["code"]) == (401, "login_needed"), path
    assert nobody.ask("PUT", "/v1/config/app/x", {"value": 1}).status == 401


def test_roles_are_kept(three):
    node = three.east_1
    viewer = role(node, "vera", "viewer")
    operator = role(node, "otto", "operator")
    assert viewer.ask("GET", "/v1/status").status == 200
    assert viewer.ask("PUT", "/v1/config/app/x", {"value": 1}).json["code"] == "role_needed"
    assert viewer.ask("GET", "/v1/users").status == 403
    assert operator.ask("PUT", "/v1/config/app/x", {"value": 1}).status == 200
    assert operator.ask("POST", "/v1/tokens", {"site": "west"}).status == 403
    nobody = {"arbiter": {"kind": "etcd", "endpoints": ["http://127.0.0.1:1"]}}
    assert operator.ask("PUT", "/v1/arbiter", nobody).status == 403
    assert operator.ask("POST", "/v1/arbiter/test", nobody).status == 403
    assert operator.ask("POST", "/v1/arbiter/test", {}).json["code"] == "no_arbiter"
    assert viewer.ask("PUT", "/v1/pause", {"for_s": 60, "reason": "x"}).status == 403
    assert viewer.ask("POST", "/v1/check/timeouts", {}).status == 403
    assert viewer.ask("GET", "/v1/why").status == 200
    assert operator.ask("GET", "/v1/peer/state").status == 403
    # the own password may be changed, and nothing else of the own row
    assert viewer.ask("PUT", "/v1/users/vera", {"role": "admin"}).status == 403
    assert viewer.ask("PUT", "/v1/users/otto", {"password": "another-password"}).status == 403
    assert viewer.ask("PUT", "/v1/users/vera", {"password": "short"}).json["code"] == "password_weak"
    assert viewer.ask("PUT", "/v1/users/vera", {"password": "another-password"}).status == 200
    until("the old session has ended", lambda: viewer.ask("GET", "/v1/status").status == 401)
    ask(node, "DELETE", "/v1/users/otto", "/v1/users/{name}")
    until("the removed user is out", lambda: operator.ask("GET", "/v1/status").status == 401)
    refused(node, "DELETE", "/v1/users/admin", "/v1/users/{name}", 409, "last_admin")


def test_wrong_passwords_are_slowed_down_and_told_alike(three):
    three.east_2.cli("config", "set", "login.delay_ms", "30000")  # longer than all these tries take
    until("it waits longer", lambda: three.east_2.get("login.delay_ms") == 30000)
    person = Person(three.east_2)
    answers = [person.ask("POST", "/v1/login", {"user": user, "password": "wrong-password"})
               for user in ["zoe"] * 3 + ["admin"] * 9]
    wrong = [reply for reply in answers if reply.status == 401]
    assert len({reply.text for reply in wrong}) == 1, "an unknown user is told from a known one"
    throttled = [reply for reply in answers if reply.status == 429]
    assert throttled and int(throttled[0].getheader("Retry-After")) >= 1
    assert len(wrong) <= 6
    three.east_2.cli("config", "delete", "login.delay_ms")


def test_a_cookie_changes_things_only_from_our_own_pages(three):
    node = three.west_1
    reply = Person(node).ask("POST", "/v1/login", {"user": "admin", "password": PASSWORD})
    cookie = reply.getheader("Set-Cookie")
    assert cookie.startswith("__Host-baton=")
    for part in ("Secure", "HttpOnly", "SameSite=Strict", "Path=/"):
        assert part in cookie
    browser = Person(node, cookie=cookie.split(";")[0])
    assert browser.ask("GET", "/v1/status").status == 200
    change = ("PUT", "/v1/config/app/cookie", {"value": 1})
    assert browser.ask(*change).json["code"] == "origin"
    assert browser.ask(*change, headers={"Origin": "https://evil.example"}).status == 403
    assert browser.ask(*change, headers={"Origin": "https://%s:%d" % (node.address, PORT)}).status == 200
    assert browser.ask("POST", "/v1/logout", headers={
        "Origin": "https://%s:%d" % (node.address, PORT)}).status == 200
    assert browser.ask("GET", "/v1/status").json["code"] == "session_expired"


def test_a_member_may_read_and_speak_as_a_member(three):
    reply = three.west_1.api("GET", "/v1/status", context=three.east_1.context())
    assert reply.status == 200
    assert three.west_1.api("GET", "/v1/peer/state", context=three.east_1.context()).status == 200
    denied = three.west_1.api("PUT", "/v1/config/app/x", {"value": 1}, context=three.east_1.context())
    assert denied.json["code"] == "role_needed"


def test_secrets_leave_through_no_route(three):
    node = three.east_1
    made = ask(node, "POST", "/v1/tokens", body={"site": "west"}, status=201).json
    secrets = [row[0] for row in node.sql(
        "select value ->> 'hash' from shared.config where key like 'user/%' or key like 'token/%'")]
    assert len(secrets) >= 2
    ask(node, "GET", "/v1/config/user/admin", "/v1/config/{key}", status=400)
    ask(node, "GET", "/v1/explain/user/admin", "/v1/explain/{key}", status=400)
    said = "".join(node.api("GET", path).body.decode() for path in READS + [
        "/v1/config?prefix=user/", "/v1/history?key=user/admin", "/v1/history?after=0&limit=1000", "/metrics"])
    for secret in secrets:
        assert secret not in said
    ask(node, "DELETE", "/v1/tokens/" + made["id"], "/v1/tokens/{id}")
    log = node.log.read_text()
    assert PASSWORD not in log and not any(secret in log for secret in secrets)


# ---- members

def test_a_token_works_once(three):
    made = json.loads(three.east_1.cli("token", "create", "--site", "west", "--json").stdout)
    until("the token is known", lambda: made["id"] in str(three.east_2.api("GET", "/v1/tokens").json))
    body = {"token_id": made["id"], "secret": "0" * 64, "node": "west-9", "csr": "x", "address": "127.0.0.99:7443",
            "pg": {"host": "127.0.0.99", "port": 7444, "dbname": "baton"}}
    refused(three.east_2, "POST", "/v1/join", "/v1/join", 401, "token_invalid", body=body)
    tokens = ask(three.east_1, "GET", "/v1/tokens").json["tokens"]
    assert [token["state"] for token in tokens if token["id"] == made["id"]] == ["open"]
    used = [token for token in tokens if token["used_by"] == "west-1"]
    assert used and used[0]["state"] == "used"


# ---- local settings

def test_local_settings_are_this_nodes_alone(three):
    node = three.west_1
    ask(node, "PUT", "/v1/local/log.level", "/v1/local/{key}", body={"value": "debug"})
    until("it is set", lambda: node.api("GET", "/v1/local/log.level").status == 200)
    ask(node, "GET", "/v1/local/log.level", "/v1/local/{key}")
    assert three.east_1.api("GET", "/v1/local/log.level").status == 404
    explained = ask(node, "GET", "/v1/explain/log.level", "/v1/explain/{key}").json
    assert (explained["now"]["value"], explained["now"]["from"]) == ("debug", "node")

    def if_promoted(asked, target, *told):
        """It asks the other one, who has 2 s to answer."""
        def answer():
            other = ask(asked, "GET", "/v1/explain/log.level?if_promoted=" + target, "/v1/explain/{key}").json
            return (other["now"]["value"], other["if_promoted"]["value"], other["if_promoted"]["node"]) == told
        until("%s says what %s would have" % (asked.name, target), answer)
    # another node asks the one that would lead the site
    if_promoted(three.east_1, "west", "info", "debug", "west-1")
    # as 'promote' chooses: a node by its name, of a site its primary
    if_promoted(three.west_1, "east-2", "debug", "info", "east-2")
    if_promoted(three.west_1, "east", "debug", "info", "east-1")
    refused(node, "GET", "/v1/explain/log.level?if_promoted=nowhere", "/v1/explain/{key}", 404, "target_not_found")
    ask(node, "DELETE", "/v1/local/log.level", "/v1/local/{key}")
    until("it is gone", lambda: node.api("GET", "/v1/local/log.level").status == 404)
    refused(node, "PUT", "/v1/local/connector/none/use_alternate_server", "/v1/local/{key}", 409, "no_alternate",
            body={"value": True})


# ---- taking over by itself: what is shown and refused without an arbiter; with one: test_takeover.py

def test_an_arbiter_that_is_none_is_refused(three):
    node = three.west_1
    shown = ask(node, "GET", "/v1/arbiter").json
    assert (shown["kind"], shown["arbiter"], shown["set"], shown["may_act"]) == ("manual", None, None, False)
    put = ("PUT", "/v1/arbiter", "/v1/arbiter")
    for value in ({}, {"kind": "zookeeper"}, {"kind": "etcd"}, {"kind": "etcd", "endpoints": []},
                  {"kind": "etcd", "endpoints": ["http://user:word@x:2379"]}, {"kind": "manual", "dsn": "host=x"},
                  {"kind": "postgres", "dsn": "host=x password=secret"}, {"kind": "etcd", "endpoints": ["x"], "ca": "?"}):
        refused(node, *put, 400, "arbiter", body={"arbiter": value})
        refused(node, "POST", "/v1/arbiter/test", None, 409 if value == {"kind": "manual"} else 400, "arbiter",
                body={"arbiter": value})
    refused(node, *put, 400, "body_invalid", body={"arbiter": {"kind": "manual"}, "adopted": True})
    # nobody is there: nothing has changed
    nobody = {"kind": "etcd", "endpoints": ["http://127.0.0.1:1"]}
    problem = refused(node, *put, 503, "arbiter_unreachable", body={"arbiter": nobody})
    assert "127.0.0.1 port 1" in problem["detail"] and problem["mend"]
    assert ask(three.east_1, "GET", "/v1/arbiter").json["arbiter"] is None
    refused(node, "POST", "/v1/arbiter/test", None, 409, "no_arbiter")
    tested = ask(node, "POST", "/v1/arbiter/test", body={"arbiter": nobody}).json["nodes"]
    assert [one["node"] for one in tested] == ["east-1", "east-2", "west-1"]
    for one in tested:
        assert one["error"] is None and not one["answer"]["ok"] and one["answer"]["result"] == "unclear", one
    tested = ask(node, "POST", "/v1/arbiter/test?node=east-2", "/v1/arbiter/test", body={"arbiter": nobody}).json
    assert [one["node"] for one in tested["nodes"]] == ["east-2"]
    refused(node, "POST", "/v1/arbiter/test?node=nobody", "/v1/arbiter/test", 404, "node_not_found")


def test_who_is_ready_is_told_with_its_evidence(three):
    node = three.east_2
    told = until("all have proved it", lambda: [
        one for site in ask(node, "GET", "/v1/ready?evidence=true", "/v1/ready").json["sites"] for one in site["nodes"]
        if one["evidence"] is not None][2:])
    assert told[0]["name"] == "west-1" and told[0]["evidence"]["certificate"].startswith("-----BEGIN")
    one = ask(node, "GET", "/v1/ready?site=west", "/v1/ready").json["sites"]
    assert [site["name"] for site in one] == ["west"] and "evidence" not in one[0]["nodes"][0]
    refused(node, "GET", "/v1/ready?site=nowhere", "/v1/ready", 404, "site_not_found")
    refused(node, "GET", "/v1/ready?evidence=perhaps", "/v1/ready", 400, "query_invalid")


def test_everybody_says_why_not(three):
    node = three.east_2
    nodes = {one["node"]: one for one in ask(node, "GET", "/v1/why").json["nodes"]}
    assert list(nodes) == ["east-1", "east-2", "west-1"]
    assert nodes["east-1"]["answer"]["because"] == "role"
    said = {rule["name"]: rule for rule in nodes["west-1"]["answer"]["rules"]}
    assert said["setting"]["verdict"] == "fail" and "manual" in said["setting"]["text"]
    said = {rule["name"]: rule for rule in nodes["east-2"]["answer"]["rules"]}
    assert "no arbiter" in said["setting"]["text"] and not nodes["east-2"]["answer"]["able"]
    assert [one["node"] for one in ask(node, "GET", "/v1/why?node=west-1").json["nodes"]] == ["west-1"]
    refused(node, "GET", "/v1/why?node=nobody", "/v1/why", 404, "node_not_found")
    assert "no arbiter" in node.cli("why", "east-2").stdout


def test_a_pause_has_a_reason_and_an_end(three):
    node = three.east_2
    put = ("PUT", "/v1/pause", "/v1/pause", 400)
    refused(node, *put, "reason_needed", body={"for_s": 60})
    for body in ({}, {"for_s": 60, "until": "2026-11-22T07:41:03Z"}, {"for_s": 0}, {"for_s": 86401}, {"until": "soon"}):
        refused(node, *put, "body_invalid", body={**body, "reason": "x"})
    for until_text in ("2001-01-01T00:00:00Z", "2999-01-01T00:00:00Z"):
        refused(node, *put, "pause_range", body={"until": until_text, "reason": "x"})
    refused(node, "DELETE", "/v1/pause", None, 404, "pause_not_found")
    node.cli("pause", "--for", "2h", "--reason", "new switches")
    shown = until("it is known", lambda: (p := ask(three.west_1, "GET", "/v1/pause").json)["paused"] and p)
    assert (shown["by"], shown["reason"]) == ("root@east-2", "new switches") and 7.1e6 < shown["left_ms"] <= 7.2e6
    assert "new switches" in node.cli("pause").stdout
    for one in three.nodes.values():
        status = until("it is an alarm", lambda n=one: (s := ask(n, "GET", "/v1/status").json)["pause"]["paused"] and s)
        assert "paused" in [alarm["name"] for alarm in status["alarms"]]
    until("every member says so", lambda: all(
        "new switches" in next(rule["text"] for rule in one["answer"]["rules"] if rule["name"] == "pause")
        for one in ask(node, "GET", "/v1/why").json["nodes"]))
    # it ends by itself, and by a word
    ask(node, "PUT", "/v1/pause", body={"for_s": 1, "reason": "short"})
    until("it has ended", lambda: not ask(node, "GET", "/v1/pause").json["paused"])
    node.cli("resume")
    until("nothing is left of it", lambda: node.api("DELETE", "/v1/pause").status == 404)


def test_settings_leave_room_for_each_other(three):
    node = three.west_1
    put = "/v1/config/{key}"
    problem = refused(node, "PUT", "/v1/config/lease.renew_ms", put, 400, "value_bounds", body={"value": 2300})
    assert [fault["pointer"] for fault in problem["faults"]] == ["/value"]
    assert "two renewals" in problem["faults"][0]["text"]
    problem = refused(node, "PUT", "/v1/config/lease.ttl_ms", put, 400, "value_bounds", body={"value": 2000})
    assert "lease.renew_ms" in problem["faults"][0]["text"]
    both = [{"key": "app/x", "value": 1}, {"key": "lease.ttl_ms", "value": 2000}, {"key": "lease.renew_ms", "value": 800}]
    problem = refused(node, "POST", "/v1/config", "/v1/config", 400, "value_bounds", body={"changes": both})
    assert [fault["pointer"] for fault in problem["faults"]] == ["/changes/2/value"]
    both[2]["value"] = 700
    ask(node, "POST", "/v1/config", body={"changes": both})
    # who writes again is judged by what was just written
    refused(node, "DELETE", "/v1/config/lease.renew_ms", put, 400, "value_bounds")
    plan = {"revision": 1, "prefix": "lease.renew_ms"}
    refused(node, "POST", "/v1/rollback", "/v1/rollback", 400, "value_bounds", body=plan)
    ask(node, "POST", "/v1/config", body={"changes": [{"key": change["key"], "delete": True} for change in both]})
    ask(node, "PUT", "/v1/config/lease.ttl_ms", put, body={"value": 9000})
    ask(node, "POST", "/v1/config", body={"changes": [{"key": "lease.renew_ms", "value": 2300}]})
    for key in ("lease.renew_ms", "lease.ttl_ms"):
        ask(node, "DELETE", "/v1/config/" + key, put)


def test_a_declared_rto_is_kept(three):
    """Where a person decides there is no bound; what is unguarded has one."""
    node = three.east_1
    budget = ask(node, "GET", "/v1/budget").json
    assert (budget["site"], budget["automatic"], budget["cases"]) == ("east", False, [])
    assert "no arbiter" in budget["why"]
    ask(node, "PUT", "/v1/config/takeover.within_site", "/v1/config/{key}", body={"value": "unguarded"})
    budget = until("it is counted", lambda: (b := ask(node, "GET", "/v1/budget?site=west", "/v1/budget").json)["automatic"] and b)
    worst = max(case["until_ms"]["act"] for case in budget["cases"])
    problem = refused(node, "PUT", "/v1/config/rto_ms", "/v1/config/{key}", 400, "value_bounds", body={"value": worst - 1})
    assert problem["faults"][0]["pointer"] == "/value" and str(worst) in problem["faults"][0]["text"]
    ask(node, "PUT", "/v1/config/rto_ms", "/v1/config/{key}", body={"value": worst})
    until("it is declared", lambda: ask(node, "GET", "/v1/budget").json["rto_ms"] == worst)
    done = node.cli("config", "set", "promote.step_ms", "10001", check=False)
    assert done.returncode == 2 and "rto_ms" in done.stderr, done.stderr
    ask(node, "PUT", "/v1/config/takeover.delay_ms?site=west", "/v1/config/{key}", body={"value": 0})
    refused(node, "PUT", "/v1/config/takeover.delay_ms?site=west", "/v1/config/{key}", 400, "value_bounds",
            body={"value": 9000})
    assert "within rto_ms" in node.cli("budget").stdout
    for key in ("rto_ms", "takeover.within_site", "takeover.delay_ms?site=west"):
        ask(node, "DELETE", "/v1/config/" + key, "/v1/config/{key}")


def test_timeouts_are_checked(three):
    """S6: how many requests, errors, and answers that came too late."""
    node = three.west_1
    paths = {path["name"]: path for path in ask(node, "POST", "/v1/check/timeouts", body={"requests": 5}).json["paths"]}
    assert set(paths) == {"east-1", "east-2"}
    for path in paths.values():
        assert (path["requests"], path["answered"], path["errors"]) == (5, 5, 0), path
        assert path["min_ms"] <= path["median_ms"] <= path["max_ms"] < path["limit_ms"] == 2000
    three.east_2.signal("daemon", signal.SIGSTOP)
    try:
        path = next(path for path in ask(node, "POST", "/v1/check/timeouts", body={"requests": 1}).json["paths"]
                    if path["name"] == "east-2")
        assert (path["state"], path["answered"], path["request_timeouts"] + path["connect_timeouts"]) == ("fail", 0, 1)
        done = node.cli("check", "timeouts", "--requests", 1, check=False)
        assert done.returncode == 5 and "east-2" in done.stdout
    finally:
        three.east_2.signal("daemon", signal.SIGCONT)
    three.settled(k=1)
    refused(node, "POST", "/v1/check/timeouts", None, 400, "body_invalid", body={"requests": 101})


def test_what_waits_for_others_ends_with_the_node(three):
    """A node that is told to stop answers what it cannot finish, and ends in order."""
    node, silent = three.east_2, socket.socket()
    silent.bind(("127.0.0.250", 0))
    silent.listen(1)  # takes connections and says nothing
    nobody = {"arbiter": {"kind": "etcd", "endpoints": ["http://127.0.0.250:%d" % silent.getsockname()[1]]}}
    answers = {}

    def post(path, body):
        answers[path] = node.api("POST", path, body).json

    three.west_1.signal("daemon", signal.SIGSTOP)
    try:
        threads = [threading.Thread(target=post, args=pair) for pair in (
            ("/v1/check/timeouts", {"requests": 50}), ("/v1/arbiter/test?node=east-2", nobody))]
        for thread in threads:
            thread.start()
        until("both are under way", lambda: "baton_http_requests_pending 3" in node.api("GET", "/metrics").body.decode())
        node.process.send_signal(signal.SIGTERM)
        assert node.process.wait(40) == 0
        for thread in threads:
            thread.join()
    finally:
        three.west_1.signal("daemon", signal.SIGCONT)
        silent.close()
    assert answers["/v1/check/timeouts"]["code"] == "stopping", answers
    assert answers["/v1/arbiter/test?node=east-2"]["nodes"][0]["error"] == "this node stops", answers
    node.start()
    three.settled(k=1)


# ---- events

class Events:
    """Reads an event stream on a thread of its own."""

    def __init__(self, node, last=None):
        self.connection = http.client.HTTPSConnection(node.address, PORT, timeout=60, context=node.context())
        self.connection.request("GET", "/v1/events", headers={"Last-Event-ID": last} if last else {})
        self.reply = self.connection.getresponse()
        assert self.reply.status == 200, self.reply.read()
        self.events = []
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        event = {}
        try:
            for line in self.reply:
                line = line.decode().rstrip("\n")
                if line == "" and event:
                    self.events.append(event)
                    event = {}
                elif ":" in line and not line.startswith(":"):
                    name, value = line.split(": ", 1)
                    event[name] = value
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            pass

    def config(self):
        return [json.loads(event["data"]) for event in list(self.events) if event["event"] == "config"]

    def close(self):
        self.connection.sock and self.connection.sock.shutdown(2)
        self.connection.close()


def test_events_come_and_resume(three):
    node = three.west_1
    first = Events(node)
    node.put("app/event", 0)
    until("the event", lambda: any(row["key"] == "app/event" for row in first.config()))
    jsonschema.validate([row for row in first.config() if row["key"] == "app/event"][0],
                        {"components": API["components"], "$ref": "#/components/schemas/EventConfig"})
    last = [event["id"] for event in first.events if event["event"] == "config"][-1]
    first.close()
    for number in range(1, 6):
        node.put("app/event", number)
    for token in (last, last.split("-")[0], last.rsplit("-", 1)[0] + "-00000000"):  # from the ring, from the log
        again = Events(node, token)
        until("all that was missed", lambda: [row["value"] for row in again.config() if row["key"] == "app/event"]
              == [1, 2, 3, 4, 5])
        assert not any(event["event"] == "reset" for event in again.events)
        again.close()
    # ahead of this log, and from a row that was set aside
    for token in ("99999999", last.split("-")[0] + "-00000000", last.split("-")[0] + "-00000000-1-00000000"):
        other = Events(three.east_1, token)
        until("a reset", lambda: any(event["event"] == "reset" for event in other.events))
        assert not other.config()
        other.close()
    assert node.api("GET", "/v1/events", headers={"Last-Event-ID": "x-y"}).json["code"] == "header_invalid"


def test_events_hide_what_is_secret(three):
    node = three.east_1
    stream = Events(node)
    ask(node, "POST", "/v1/tokens", body={"site": "west"}, status=201)
    row = until("the token's row", lambda: [row for row in stream.config() if row["key"].startswith("token/")])[0]
    assert row["hidden"] and row["value"] is None
    stream.close()


# ---- metrics, status

def test_metrics_pass_promtool(three):
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    for node in three.nodes.values():
        text = ask(node, "GET", "/metrics").body
        done = subprocess.run([tool, "check", "metrics"], input=text, capture_output=True)
        assert done.returncode == 0, done.stderr
        assert b'baton_info{cluster="demo"' in text
        assert b'baton_lease_state{state="NONE"} 1\n' in text and b'baton_takeover_mode{mode="manual"} 1\n' in text
    assert Person(node).ask("GET", "/metrics").status == 401
    ask(three.east_1, "PUT", "/v1/config/metrics.public", "/v1/config/{key}", body={"value": True})
    until("they are public", lambda: Person(node).ask("GET", "/metrics").status == 200)
    ask(three.east_1, "DELETE", "/v1/config/metrics.public", "/v1/config/{key}")


def test_status_is_never_old(three):
    """Rendered anew at least every 100 ms, and told to the millisecond."""
    for _ in range(100):
        asked = datetime.datetime.now(datetime.timezone.utc)
        told = datetime.datetime.strptime(three.east_1.status()["time"], "%Y-%m-%dT%H:%M:%S.%f%z")
        assert asked - told <= datetime.timedelta(milliseconds=101), (asked, told)


def test_head_tells_the_size_only(three):
    context = three.east_1.context()
    connection = http.client.HTTPSConnection(three.east_1.address, PORT, timeout=10, context=context)
    connection.request("HEAD", "/v1/version")
    reply = connection.getresponse()
    assert reply.status == 200 and int(reply.getheader("Content-Length")) > 10 and reply.read() == b""
    connection.close()


def test_keys_with_odd_characters_are_told_from_paths(three):
    key = "app/" + urllib.parse.quote("a b", safe="")
    reply = three.east_1.api("PUT", "/v1/config/" + key, {"value": 1})
    assert reply.json["code"] == "key_spelling"
