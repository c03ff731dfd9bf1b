"""Durability 'available' on real nodes with a real etcd and a real witness: writes go on when nobody acknowledges, everybody sees it, it
ends by itself, and nobody becomes primary by mistake who has not what was acknowledged alone."""
import base64
import json
import signal
import threading
import time
import urllib.request

import pytest

from arbiters import ETCD, Etcd, Witness
from cluster import Cluster, logs, until
from writer import Writers

pytestmark = pytest.mark.skipif(ETCD is None, reason="etcd is not installed: apt-get install etcd-server")

WAIT_MS = 600
# The lease is as long as people have it: a shorter one is too short for a busy machine.
FAST = {"sync.wait_ms": WAIT_MS, "peer.poll_ms": 500, "takeover.delay_ms": 200, "takeover.cooldown_ms": 0,
        "takeover.per_hour_max": 60, "takeover.across_sites": "automatic"}


@pytest.fixture(scope="module")
def etcd(folder):
    etcd = Etcd(folder / "etcd")
    try:
        yield etcd.start()
    finally:
        etcd.stop()


@pytest.fixture(scope="module")
def third(folder):
    """A witness, once it is made for the cluster that needs it."""
    made = []
    yield made
    for witness in made:
        witness.stop()


def configure(cluster, words, **changes):
    """The arbiter and short times; until the members have agreed on whom to ask."""
    node = cluster.primary()
    body = [{"key": key, "value": value} for key, value in {**FAST, **changes}.items()]
    assert node.api("POST", "/v1/config", {"changes": body}).status == 200
    node.cli("arbiter", "set", *words, "--reason", "the third place is ready")
    until("who is told is agreed on", lambda: sync_set(node).get("agreed") and held(node))


@pytest.fixture(scope="module")
def three(folder, etcd):
    with Cluster(folder / "three") as cluster:
        try:
            cluster.three()
            assert cluster.east_1.status()["durability"]["mode"] == "strict"
            configure(cluster, ["etcd", "--endpoints", etcd.url])
            yield cluster
        except BaseException:
            logs(cluster)
            raise


@pytest.fixture(scope="module")
def pair(folder, third):
    with Cluster(folder / "pair", name="pair") as cluster:
        try:
            cluster.init("east-1", "east")
            cluster.join("west-1", "west")
            cluster.settled(k=0)
            third.append(Witness(folder / "witness", cluster.east_1.folder / "ca.crt").start())
            for node in cluster.alive():
                until("%s can ask it" % node.name, lambda n=node: n.cli(
                    "arbiter", "test", "postgres", "--file", third[0].document, check=False).returncode == 0)
            configure(cluster, ["postgres", "--file", third[0].document], durability="available")
            yield cluster
        except BaseException:
            logs(cluster)
            raise


# ---- what is asked

def sync_set(node):
    return json.loads(node.sql("select value from shared.config where key = 'sync/set'")[0][0])


def held(node):
    lease = node.status()["arbiter"]["lease"]
    return lease and lease["state"] == "HELD"


def durability(node):
    return node.status()["durability"]


def alarms(node):
    return {alarm["name"]: alarm["text"] for alarm in node.status()["alarms"]}


def told(cluster, arbiter):
    """Number and text of the note that the arbiter has."""
    cluster_id = cluster.primary().status()["cluster"]["id"]
    if isinstance(arbiter, Witness):
        number, note = arbiter.sql("select number, note from witness.lease where cluster = '%s'" % cluster_id)[0]
        return int(number), note
    body = json.dumps({"key": base64.b64encode(("baton/%s/record" % cluster_id).encode()).decode()}).encode()
    with urllib.request.urlopen(urllib.request.Request(arbiter.url + "/v3/kv/range", body), timeout=5) as reply:
        record = json.loads(base64.b64decode(json.load(reply)["kvs"][0]["value"]))
    return record["number"], record["note"]


def whole(cluster, arbiter, seconds=90):
    """Everybody follows one primary, acknowledgements are as promised, and the arbiter knows of nothing else."""
    cluster.settled(seconds, k=1)
    for node in cluster.alive():
        until("%s sees it whole" % node.name, lambda n=node: durability(n)["degraded_since"] is None
              and "degraded" not in alarms(n))
    primary = cluster.primary()
    until("the lease is held", lambda: held(primary))
    until("the arbiter was told", lambda: told(cluster, arbiter)[1] == "")
    return primary


def others(cluster):
    primary = cluster.primary()
    return [node for node in cluster.alive() if node is not primary]


def write_alone(node, key="app/alone"):
    """The write that ends the promise; how long it took, in milliseconds."""
    began = time.monotonic()
    reply = node.put(key, "first")
    assert reply.status == 200, reply.body
    return (time.monotonic() - began) * 1000


# ---- the stories

def test_writes_go_on_and_the_promise_comes_back(three, etcd):
    primary = whole(three, etcd)
    dead, stuck = others(three)
    before = told(three, etcd)[0]
    pids = stuck.pids()  # one is gone, the other stands still and keeps its connections
    dead.kill()
    stuck.signal("both", signal.SIGSTOP, pids)
    try:
        assert write_alone(primary) >= WAIT_MS * 0.9
        number, note = told(three, etcd)
        assert number > before and json.loads(note)["voters"] == [primary.name] and json.loads(note)["k"] == 0

        shown = durability(primary)
        assert (shown["mode"], shown["k"], shown["members"]) == ("available", 0, [primary.name])
        assert shown["degraded_since"] and shown["degraded_since"] in shown["text"]
        assert shown["degraded_since"] in alarms(primary)["degraded"]
        assert "DEGRADED" in primary.cli("status").stdout
        assert any(check["name"] == "degraded" for check in primary.api("GET", "/v1/doctor").json["checks"])
        metrics = primary.api("GET", "/metrics").body.decode()
        assert "\nbaton_degraded 1\n" in metrics and "\nbaton_sync_acknowledgements 0\n" in metrics
        for i in range(20):
            assert primary.put("app/alone", i).status == 200
        # a person's write past the daemon goes on as well
        assert primary.sql("select shared.set('app/by-hand', '1', 'a test')")
    finally:
        stuck.signal("both", signal.SIGCONT, pids)
    until("one counts again", lambda: durability(primary)["k"] == 1 and not durability(primary)["degraded_since"])
    assert told(three, etcd)[1] != ""  # who is away has not heard of it
    dead.start()
    assert whole(three, etcd) is primary
    assert all(node.get("app/alone") == 19 for node in three.alive())


def test_a_person_who_writes_alone_ends_it_too(three, etcd):
    """Nobody uses the API: a COMMIT of psql waits."""
    primary = whole(three, etcd)
    away = others(three)
    for node in away:
        node.kill()
    began = time.monotonic()
    primary.sql("select shared.set('app/by-hand', '2', 'a test')")
    assert time.monotonic() - began >= WAIT_MS / 1000 * 0.9
    assert durability(primary)["degraded_since"]
    for node in away:
        node.start()
    assert whole(three, etcd) is primary


def test_who_has_not_all_is_refused(three, etcd):
    """The primary goes on alone, stops and starts, and dies: the others know what they do not have."""
    primary = whole(three, etcd)
    away = others(three)
    pids = {node: node.pids() for node in away}
    for node in away:
        node.signal("both", signal.SIGSTOP, pids[node])
    write_alone(primary)
    since = durability(primary)["degraded_since"]
    with Writers(three, [primary], "app/alone") as writers:
        until("it writes", lambda: writers.count() >= 20)
    primary.kill()
    primary.start()
    until("it goes on alone", lambda: primary.state() == "PRIMARY")
    assert durability(primary)["degraded_since"] == since
    assert primary.put("app/alone", "restarted").status == 200
    head = primary.head()[0]

    primary.kill()
    for node in away:
        node.signal("both", signal.SIGCONT, pids[node])
    for node in away:
        until("%s knows" % node.name, lambda n=node: durability(n)["degraded_since"] == since and "degraded" in alarms(n))
    west = three.west_1
    until("its lease is over", lambda: rule(west, "evidence")["verdict"] == "pass")
    assert rule(west, "sync")["verdict"] == "fail" and since in rule(west, "sync")["text"]

    planned = plan(west, "west")
    checks = {check["name"]: check for check in planned["checks"]}
    assert (checks["sync"]["verdict"], checks["quorum"]["verdict"]) == ("stop", "stop")
    assert checks["sync"]["text"].startswith("%s goes on without west-1 since %s" % (primary.name, since))
    assert planned["data_loss"]["possible"] and "at least" in planned["data_loss"]["text"]
    refused = west.cli("promote", "west", "--yes", check=False)
    assert refused.returncode != 0 and "--accept-data-loss" in refused.stderr + refused.stdout
    assert [node.state() for node in away].count("PRIMARY") == 0

    three.promote("west", "--accept-data-loss", "--reason", "the east has burnt down", via=west)
    assert west.put("app/west", 1).status == 200
    primary.start()  # it had not
    assert whole(three, etcd) is west
    kept = json.loads(primary.cli("setaside", "list", "--json").stdout)
    assert kept["batches"] and head > 0
    assert primary.get("app/west") == 1 and primary.get("app/alone") != "restarted"


def plan(node, target, *options):
    return json.loads(node.cli("promote", target, "--dry-run", "--json", *options, check=False).stdout)


def rule(node, name):
    answer = node.api("GET", "/v1/why?node=" + node.name).json["nodes"][0]["answer"]
    return {one["name"]: one for one in answer["rules"]}[name]


def test_nothing_is_given_up_that_nobody_was_told_of(three, etcd):
    """The arbiter is away: writes wait, as in strict, and status says for what."""
    primary = whole(three, etcd)
    answers = []
    away = others(three)
    pids = [pid for node in away for pid in node.pids("database")]
    etcd.stop()
    try:
        until("it goes on without the arbiter", lambda: primary.status()["arbiter"]["lease"]["state"] == "FAILSAFE")
        # who would be promoted with the primary's help cannot know that no other went on alone
        checks = plan(away[0], away[0].name)["checks"]
        assert [check["name"] for check in checks if check["verdict"] == "stop"] == ["arbiter"], checks
        checks = plan(away[0], away[0].name, "--override", "arbiter", "--reason", "a test")["checks"]
        assert not [check for check in checks if check["verdict"] == "stop"], checks

        for pid in pids:
            away[0].signal("database", signal.SIGSTOP, [pid])
        writing = threading.Thread(target=lambda: answers.append(primary.put("app/waits", 1, timeout=30)))
        writing.start()
        text = until("it says for what", lambda: "arbiter" in alarms(primary).get("writes_wait", "")
                     and alarms(primary)["writes_wait"])
        assert "the arbiter is not heard" in text
        assert not answers and durability(primary)["degraded_since"] is None and durability(primary)["k"] == 1
    finally:
        for pid in pids:
            away[0].signal("database", signal.SIGCONT, [pid])
        etcd.start()
    writing.join(60)
    assert answers[0].status == 200
    assert "agreed" in sync_set(primary)
    whole(three, etcd)


def test_strict_waits(three, etcd):
    primary = whole(three, etcd)
    assert primary.put("durability", "strict").status == 200
    until("it is strict", lambda: durability(primary)["mode"] == "strict")
    until("nobody is told any more", lambda: "arbiter" not in sync_set(primary))
    away = others(three)
    for node in away:
        node.kill()
    answers = []
    writing = threading.Thread(target=lambda: answers.append(primary.put("app/waits", 2, timeout=30)))
    writing.start()
    until("it waits", lambda: "durability is strict" in alarms(primary).get("writes_wait", ""))
    assert not answers and durability(primary)["degraded_since"] is None
    for node in away:
        node.start()
    writing.join(60)
    assert answers[0].status == 200
    assert primary.api("DELETE", "/v1/config/durability").status == 200
    until("available again", lambda: sync_set(primary).get("agreed"))
    whole(three, etcd)


def test_one_of_two_takes_over_and_goes_on_alone(pair, third):
    """Nobody is left to acknowledge: it waits for the lease, tells the arbiter, and goes on."""
    east, west = pair.east_1, pair.west_1
    assert whole(pair, third[0]) is east
    until("west is ready", lambda: rule(west, "sync")["verdict"] == rule(west, "digest")["verdict"] == "pass")
    with Writers(pair, [east], "app/pair") as writers:
        until("it writes", lambda: writers.count() >= 10)
        east.kill()
        until("west takes over", lambda: west.state() == "PRIMARY")
    assert west.put("app/west", 1).status == 200
    assert durability(west)["degraded_since"] and durability(west)["members"] == ["west-1"]
    assert json.loads(told(pair, third[0])[1])["voters"] == ["west-1"]
    assert writers.lost(west) == []
    east.start()
    assert whole(pair, third[0]) is west
    assert east.get("app/west") == 1
