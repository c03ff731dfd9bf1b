"""What members say to each other, against docs/api.yaml: all that batond asks and answers in a full life, and
what it refuses."""
import json
import pathlib

import jsonschema
import pytest
import yaml

from cluster import logs, until
from recorder import Recorded

ROOT = pathlib.Path(__file__).resolve().parents[2]
API = yaml.safe_load((ROOT / "docs/api.yaml").read_text())
ROUTES = {(path, method): item[method] for path, item in API["paths"].items() if path.startswith("/v1/peer/")
          for method in ("get", "post") if method in item}


@pytest.fixture(scope="module")
def two(folder):
    with Recorded(folder / "two", name="two") as cluster:
        try:
            cluster.init("east-1", "east")
            cluster.join("west-1", "west")
            cluster.settled(k=0)
        except BaseException:
            logs(cluster)
            raise
        yield cluster


def validate(document, schema):
    validator = jsonschema.Draft202012Validator(
        schema, resolver=jsonschema.RefResolver(base_uri="", referrer=API, store={"": API}))
    errors = list(validator.iter_errors(document))
    assert not errors, "%s: %s in %s" % (errors[0].json_path, errors[0].message, json.dumps(document))


def check_answer(path, method, status, kind, answer):
    told = ROUTES[path, method]["responses"]
    assert str(status) in told, "%s %s answered %d: %s" % (method, path, status, answer)
    answer_told = told[str(status)]
    if "$ref" in answer_told:
        answer_told = API["components"]["responses"][answer_told["$ref"].rsplit("/", 1)[1]]
    assert list(answer_told["content"]) == [kind], path
    validate(json.loads(answer), answer_told["content"][kind]["schema"])


def check(exchange):
    path, _, query = exchange.path.partition("?")
    method = exchange.method.lower()
    route = ROUTES[path, method]
    sent = dict(pair.split("=") for pair in query.split("&") if pair)
    told = {parameter["name"]: parameter for parameter in route.get("parameters", [])}
    needed = {name for name in told if told[name].get("required")}
    assert needed <= set(sent) <= set(told), exchange
    if "requestBody" in route:
        validate(json.loads(exchange.body), route["requestBody"]["content"]["application/json"]["schema"])
    else:
        assert exchange.body == b"", exchange
    check_answer(path, method, exchange.status, exchange.kind, exchange.answer)


# ---- what is said

def away_longer_than_the_log(two):
    """The member comes back to a log that no longer reaches down to it."""
    east, west = two.east_1, two.west_1
    west.stop()
    since = east.head()[0]
    for first in range(0, 1100, 100):
        changes = [{"key": "app/many/%d" % number, "value": number} for number in range(first, first + 100)]
        assert east.api("POST", "/v1/config", {"changes": changes}).status == 200
    until("its log is pruned", lambda: east.sql(
        "set synchronous_commit = local; select local.log_prune(1000, 0)") == [["0"]])
    assert int(east.sql("select log_base from local.position()")[0][0]) > since
    east.sql("select local.slot_drop('baton_west_1')")
    west.start()
    two.settled(k=0)


def a_fork(two):
    """Rows that only the old primary has, when it comes back."""
    east, west = two.east_1, two.west_1
    west.kill()
    assert east.put("app/alone", 1).status == 200
    east.kill()
    west.start()
    until("it is up", west.settled_fenced)
    two.promote("west", "--accept-data-loss", "--reason", "gone", via=west)
    east.start()
    two.settled(k=0)


def test_all_that_members_say_is_told_in_the_description(two):
    east, west = two.east_1, two.west_1
    assert west.put("app/through", 1).status == 200
    assert west.put("nonsense", 1).status == 400
    west.cli("config", "delete", "app/through", "--reason", "no more")
    assert west.api("GET", "/v1/why").status == 200
    assert west.api("POST", "/v1/arbiter/test", {"arbiter": {"kind": "etcd", "endpoints": ["http://127.0.0.1:1"]}}).status == 200
    assert west.api("PUT", "/v1/arbiter", {"arbiter": {"kind": "manual"}, "reason": "a drill"}).status == 200
    order = {"target": "west", "dry_run": True}
    until("nothing stands against it", lambda: east.api("POST", "/v1/promote", order).json["possible"])
    two.promote("west", "--reason", "\u00e9" * 400, via=east)  # what is kept of it ends within a letter
    two.settled(k=0)
    two.promote("east", via=west)
    two.settled(k=0)
    away_longer_than_the_log(two)
    a_fork(two)
    said = [exchange for exchange in list(two.exchanges) if exchange.path.startswith("/v1/peer/")]
    for exchange in said:
        check(exchange)
    seen = {(exchange.path.partition("?")[0], exchange.method.lower()) for exchange in said if exchange.status == 200}
    # only after a switchover that fails, and only beside an arbiter
    assert set(ROUTES) - seen == {("/v1/peer/thaw", "post"), ("/v1/peer/word", "post")}


# ---- what is refused

def ask(two, to, by, method, path, body=None, status=200, code=None):
    """As member 'by'; the answer is as the description says."""
    reply = to.api(method, path, body, context=by.context())
    assert reply.status == status, "%s: %d %s" % (path, reply.status, reply.body)
    check_answer(path.partition("?")[0], method.lower(), status, reply.headers["Content-Type"], reply.body)
    assert code is None or reply.json["code"] == code, reply.body
    return reply.json


def epoch_text(node):
    epoch = node.status()["primary"]["epoch"]
    return "%d/%s" % (epoch["number"], epoch["holder"])


POINT = {"revision": 1, "hash": "0" * 64, "epoch": 1, "holder": "east-1"}
WRONG = {
    "capture": [{}, {"epoch": 3}, {"epoch": "3"}, {"epoch": "-"}, {"epoch": "3/west-1", "promotion": "x"}, []],
    "match": [{}, {"points": []}, {"points": [POINT] * 65}, {"points": [1]}, {"points": [{**POINT, "hash": "x" * 64}]},
              {"points": [{**POINT, "revision": -1}]}, {"points": {}}],
    "order": [{}, {"author": "anna"}, {"author": "", "order": {"target": "west"}}, {"author": "anna", "order": []},
              {"author": "anna", "order": {"target": "west", "overrides": "all"}},
              {"author": "anna", "order": {"target": "west", "overrides": [1]}},
              {"author": "anna", "order": {"target": "west", "dry_run": "yes"}},
              {"author": "anna", "order": {"target": "west", "reason": "x" * 1001}}],
    "arbiter": [{}, {"author": "anna"}, {"author": "", "change": {"arbiter": {"kind": "manual"}}},
                {"author": "anna", "change": {}}, {"author": "anna", "change": {"arbiter": {"kind": "manual"}, "adopt": 1}}],
    "arbiter/test": [{"kind": "manual"}, []],
    "follow": [{}, {"node": "west-1"}, []],
    "word": [{}, {"epoch": "3/west-1"}, {"epoch": "-", "lease_ms": 5000}, {"epoch": "3/west-1", "lease_ms": 0},
             {"epoch": "3/west-1", "lease_ms": 3600001}],
    "write": [{}, {"groups": []}, {"groups": [{"author": "anna"}]},
              {"groups": [{"author": "anna", "reason": 1, "changes": [{"key": "app/x", "value": 1}]}]}],
}
WRONG.update({name: WRONG["capture"] for name in ("freeze", "thaw", "prepare", "attach", "deactivate")})


@pytest.mark.parametrize("name", WRONG)
def test_bodies_are_checked(two, name):
    for body in WRONG[name]:
        ask(two, two.east_1, two.west_1, "POST", "/v1/peer/" + name, body, 400, "body_invalid")


def test_every_command_has_its_checks():
    assert {path[len("/v1/peer/"):] for path, method in ROUTES if method == "post"} == set(WRONG)


def test_news_may_say_more_than_is_known(two):
    state = ask(two, two.west_1, two.east_1, "GET", "/v1/peer/state")
    own = ask(two, two.east_1, two.east_1, "GET", "/v1/peer/state")
    said = until("it has proved something", lambda: ask(two, two.west_1, two.east_1, "GET", "/v1/peer/ready"))
    assert json.loads(said["statement"])["node"] == "west-1"
    ask(two, two.west_1, two.east_1, "POST", "/v1/peer/follow", {**own, "later": [1]})
    ask(two, two.west_1, two.east_1, "POST", "/v1/peer/follow", state, 400, "body_invalid")  # another's
    for odd in ({}, "none", 1, [None, 1, {"name": 1}]):  # of a version that says it in another way
        more = dict.fromkeys(("standbys", "connectors", "lease", "takeover", "reason", "version", "statement"), odd)
        ask(two, two.west_1, two.east_1, "POST", "/v1/peer/follow", {**own, **more})
        assert two.west_1.status()["cluster"]["name"] == "two", odd


def test_a_word_is_given_to_who_is_followed(two):
    two.settled(k=0)
    primary = two.primary()
    other = two.west_1 if primary is two.east_1 else two.east_1
    now = {"epoch": epoch_text(primary), "lease_ms": 2000}
    assert ask(two, other, primary, "POST", "/v1/peer/word", now)["given"]
    assert not ask(two, other, primary, "POST", "/v1/peer/word", {**now, "epoch": "1000/" + primary.name})["given"]
    assert not ask(two, other, other, "POST", "/v1/peer/word", now)["given"]
    assert not ask(two, primary, other, "POST", "/v1/peer/word", now)["given"]


def test_queries_are_checked(two):
    for query in ("", "?after=0", "?after=-1&limit=1", "?after=0&limit=0", "?after=0&limit=1001", "?after=0&limit=x"):
        ask(two, two.east_1, two.west_1, "GET", "/v1/peer/log" + query, status=400, code="query_invalid")
    ask(two, two.east_1, two.west_1, "GET", "/v1/peer/promotion", status=400, code="query_invalid")


def test_a_command_that_does_not_fit_is_refused(two):
    two.settled(k=0)
    primary = two.primary()
    other = two.west_1 if primary is two.east_1 else two.east_1
    now, mine = epoch_text(primary), "1/" + other.name

    def refused(to, name, epoch, status, code):
        ask(two, to, other if to is primary else primary, "POST", "/v1/peer/" + name, {"epoch": epoch}, status, code)

    refused(primary, "capture", now, 403, "not_holder")
    assert not ask(two, primary, other, "POST", "/v1/peer/capture", {"epoch": mine})["granted"]
    refused(other, "freeze", now, 409, "not_primary")
    refused(other, "attach", now, 409, "not_primary")
    refused(primary, "attach", mine, 409, "not_primary")
    refused(primary, "deactivate", now, 409, "still_primary")
    ask(two, primary, other, "POST", "/v1/peer/thaw", {"epoch": mine})
    ask(two, primary, other, "GET", "/v1/peer/log?after=0&limit=10", status=409, code="needs_snapshot")
    rows = ask(two, primary, other, "GET", "/v1/peer/log?after=%d&limit=10" % (primary.head()[0] - 1))["rows"]
    assert len(rows) == 1
    ask(two, primary, other, "GET", "/v1/peer/promotion?id=nobody.00000000", status=404)
    order = {"author": "anna", "order": {"target": "nowhere"}}
    ask(two, primary, other, "POST", "/v1/peer/order", order, 404)
    order = {"author": "anna", "order": {"target": primary.name}}
    ask(two, primary, other, "POST", "/v1/peer/order", order, 409, "already_primary")
    points = {"points": [{**POINT, "revision": 10 ** 6}]}
    assert ask(two, primary, other, "POST", "/v1/peer/match", points) == {"above": 10 ** 6}
    two.settled(k=0)
