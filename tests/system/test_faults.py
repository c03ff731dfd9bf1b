"""Faults from outside, under load: nothing acknowledged is lost, and what needs no person settles by itself.

BATON_FAULTS=all runs every step of a promotion with every victim; otherwise each step once.
"""
import contextlib
import os
import signal
import subprocess
import time

import pytest

from cluster import Cluster, Failed, until
from writer import Writers

ALL = os.environ.get("BATON_FAULTS") == "all"


@pytest.fixture(scope="module")
def disks(folder):
    """A small disk of its own for each node; None where this may not be mounted."""
    mounted = []
    if os.geteuid() == 0:
        for name in ("east-1", "east-2", "west-1"):
            path = folder / "three" / name
            path.mkdir(parents=True)
            words = ["mount", "-t", "tmpfs", "-o", "size=400m,mode=0700", "baton-test", str(path)]
            if subprocess.run(words, capture_output=True).returncode != 0:
                break
            mounted.append(path)
    yield mounted if len(mounted) == 3 else None
    for path in mounted:
        subprocess.run(["umount", "--lazy", str(path)], check=False)


@pytest.fixture(scope="module")
def three(folder, disks):
    with Cluster(folder / "three") as cluster:
        cluster.three()
        cluster.east_1.cli("config", "set", "sync.commit_wait_ms", "3000")
        cluster.east_1.cli("config", "set", "write.hold_ms", "3000")
        cluster.settled()
        yield cluster


def others(cluster, node):
    return [one for one in cluster.nodes.values() if one is not node]


def flows(writers, more=30, seconds=60):
    before = writers.count()
    until("writes flow", lambda: writers.count() > before + more, seconds)


def nothing_is_lost(cluster, writers):
    writers.stop()
    cluster.settled()
    for node in cluster.nodes.values():
        assert writers.lost(node) == []


def alarms(node):
    """Name, and the node that the text begins with."""
    return {(alarm["name"], alarm["text"].split(":")[0]) for alarm in node.status()["alarms"]}


def seen_by(node, name):
    return next(entry for entry in node.status()["nodes"] if entry["name"] == name)


# ---- SIGKILL

BACKENDS = {"backend": "usename = 'baton' and backend_type = 'client backend'", "walsender": "backend_type = 'walsender'",
            "apply worker": "backend_type = 'logical replication worker'"}


def victims(node, part):
    """Process ids, looked up while all is well."""
    if part in ("daemon and keeper", "everything"):
        return node.pids("daemon" if part == "daemon and keeper" else "both")
    if part == "daemon and postmaster":
        return [*node.pids("daemon"), node.postmaster()]
    one = {"daemon": node.daemon, "keeper": lambda: node.process.pid, "postmaster": node.postmaster}.get(part)
    if one is not None:
        return [one()]
    return [int(row[0]) for row in
            node.sql("select pid from pg_stat_activity where %s order by pid limit 1" % BACKENDS[part])]


PARTS = ["daemon", "keeper", "daemon and keeper", "postmaster", "daemon and postmaster", "everything", "backend"]


@pytest.mark.parametrize("role, part", [*[(role, part) for role in ("primary", "standby") for part in PARTS],
                                        ("primary", "walsender"), ("standby", "apply worker")])
def test_a_part_is_killed_and_the_cluster_mends_itself(three, role, part):
    """No promotion: the same primary goes on under the same epoch. A service manager starts a dead keeper again."""
    primary = three.primary()
    epoch = primary.status()["primary"]["epoch"]
    node = primary if role == "primary" else others(three, primary)[0]
    with Writers(three, three.nodes.values(), "app/kill-%s-%s" % (role, part.replace(" ", "-"))) as writers:
        flows(writers)
        before = node.daemon(), node.postmaster()
        pids = victims(node, part)
        if node.process.pid in pids:
            node.kill("daemon", pids)
            node.start()
        else:
            node.signal(part, signal.SIGKILL, pids)
        changed = "the daemon" if part in ("daemon", "keeper", "daemon and keeper") else "the database"
        until("%s is another process" % changed, lambda: None not in (now := (node.daemon(), node.postmaster())) and
              now[changed != "the daemon"] != before[changed != "the daemon"])
        until("%s is back" % node.name, lambda: node.state() == ("PRIMARY" if node is primary else "STANDBY"), 60)
        flows(writers)
        nothing_is_lost(three, writers)
    assert three.primary() is primary and primary.status()["primary"]["epoch"] == epoch


# ---- SIGSTOP

@contextlib.contextmanager
def frozen(node, what):
    pids = node.pids(what)
    node.signal(what, signal.SIGSTOP, pids)
    try:
        yield
    finally:
        node.signal(what, signal.SIGCONT, pids)


def is_not_green(node, name):
    """What 'node' shows of it is not the picture of health."""
    entry = seen_by(node, name)
    return entry["role"] == "unknown" and entry["digest"] == "unknown" and entry["age_ms"] > 1000 and entry["reason"]


def test_a_stopped_daemon_is_unknown_and_its_database_still_counts(three):
    primary = three.primary()
    node = others(three, primary)[0]
    with Writers(three, [primary], "app/stop-daemon") as writers:
        with frozen(node, "daemon"):
            for other in others(three, node):
                until("it is unknown", lambda o=other: is_not_green(o, node.name))
            flows(writers)
        until("it is known again", lambda: seen_by(primary, node.name)["role"] == "standby")
        nothing_is_lost(three, writers)


def test_no_write_is_acknowledged_while_all_standbys_stand_still(three):
    """Their databases are stopped, connections open: COMMIT waits, and clients are told that they do not know."""
    primary = three.primary()
    rest = others(three, primary)
    with Writers(three, [primary], "app/stop-standbys") as writers:
        flows(writers)
        with frozen(rest[0], "database"):
            flows(writers)  # one of two is enough
            with frozen(rest[1], "database"):
                settled = writers.count()
                reply = primary.put("app/stopped", 1)
                assert reply.status in (503, 504) and reply.json["kind"] in ("unknown_outcome", "timeout"), reply.body
                settled = writers.count()
                reply = primary.put("app/stopped", 2)
                assert reply.status != 200 and writers.count() == settled
                document = until("status tells", lambda: not primary.status()["durability"]["satisfied"] and
                                 primary.status())
                assert document["alarms"], document
        until("all are back", lambda: primary.put("app/stopped", 3).status == 200)
        flows(writers)
        nothing_is_lost(three, writers)
    assert three.primary() is primary and primary.get("app/stopped") == 3


def test_a_primary_whose_database_stands_still_is_not_shown_as_well(three):
    """Its daemon is well and its connections are open. Once it goes on it is primary of the same epoch."""
    primary = three.primary()
    epoch = primary.status()["primary"]["epoch"]
    with Writers(three, three.nodes.values(), "app/stop-primary") as writers:
        flows(writers)
        with frozen(primary, "database"):
            reply = others(three, primary)[0].put("app/stopped", 4)
            assert reply.status != 200, reply.body
            until("it says so", lambda: ("fenced", primary.name) in alarms(primary))
            for node in others(three, primary):
                until("%s sees it" % node.name, lambda n=node: n.status()["primary"] is None)
        flows(writers)
        nothing_is_lost(three, writers)
    assert primary.status()["primary"]["epoch"] == epoch


def test_a_primary_that_wakes_up_after_a_failover_writes_nothing(three):
    """S87: It slept through the promotion, database and all, with writes on their way that nobody acknowledges later."""
    old = three.primary()
    new, third = others(three, old)
    with Writers(three, [old], "app/slept") as writers:
        flows(writers)
        with frozen(old, "both"):
            three.promote(new.name, "--reason", "it does not answer", via=new)
            assert new.put("app/slept-over", 1).status == 200
        until("it follows", lambda: old.state() == "STANDBY", 60)
        assert old.sql("select count(*) from local.position() where writable") == [["0"]]
        flows(writers)
        nothing_is_lost(three, writers)
    assert three.primary() is new and third.state() == "STANDBY"


def test_who_subscribes_to_a_primary_that_falls_silent_follows_the_next(three):
    """A stopped postmaster takes connections and answers none; PostgreSQL would wait for it without end."""
    old = three.primary()
    new, third = others(three, old)
    postmaster = [old.postmaster()]
    old.signal("postmaster", signal.SIGSTOP, postmaster)
    try:
        third.sql("select local.sub_detach('baton_%s')" % old.name.replace("-", "_"))
        until("it subscribes", lambda: third.sql("select pid from pg_stat_activity where usename = 'baton' and "
                                                 "wait_event = 'LibPQWalReceiverConnect'"))
        with frozen(old, "both"):
            three.promote(new.name, "--reason", "it does not answer", via=new)
            assert new.put("app/silent", 1).status == 200
            until("it follows", lambda: third.state() == "STANDBY" and third.get("app/silent") == 1)
    finally:
        old.signal("postmaster", signal.SIGCONT, postmaster)
    three.settled()


# ---- a full disk

def fill(path):
    """Takes all the room that there is; freeing it is one unlink."""
    filler = path / "filler"
    with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
        block = b"\0" * 1048576
        while True:
            file.write(block)
    with open(filler, "ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 512)
    return filler


def load(node, stop_at):
    """Big writes until one is refused or a minute is over: WAL fills its preallocated files first."""
    number = 0
    while time.monotonic() < stop_at:
        number += 1
        reply = node.put("app/bulk/%d" % (number % 5), "x" * 200000, timeout=30)
        if reply.status != 200:
            return reply
    raise Failed("a full disk took writes for a minute")


@pytest.fixture
def small(three, disks):
    if disks is None:
        pytest.skip("a small disk cannot be mounted here: mount of a tmpfs is refused, or we are not root")
    return three


def test_a_full_disk_of_a_standby_acknowledges_nothing_and_recovers(small):
    primary = small.primary()
    node, other = others(small, primary)
    with Writers(small, [primary], "app/full-standby") as writers:
        flows(writers)
        filler = fill(node.folder)
        try:
            def told():
                reply = primary.put("app/bulk/s", "x" * 200000)
                if reply.status != 200:  # the other one is enough
                    raise Failed("%d %s" % (reply.status, reply.body))
                return ("not_receiving", node.name) in alarms(primary) and ("disk_free", node.name) in alarms(node)
            until("the alarms tell", told, 90, 0)
            flows(writers)
            with frozen(other, "database"):
                assert primary.put("app/full", 1).status != 200, "the full one cannot have kept it"
        finally:
            filler.unlink()
        until("it is back by itself", lambda: node.state() == "STANDBY", 60)
        nothing_is_lost(small, writers)
    assert small.primary() is primary


def test_a_full_disk_of_the_primary_loses_nothing_and_recovers(small):
    primary = small.primary()
    epoch = primary.status()["primary"]["epoch"]
    with Writers(small, small.nodes.values(), "app/full-primary") as writers:
        flows(writers)
        filler = fill(primary.folder)
        try:
            reply = load(primary, time.monotonic() + 60)
            assert reply.status in (500, 503, 504), reply.body
            checks = primary.api("GET", "/v1/doctor").json["checks"]
            assert [check["name"] for check in checks if check["state"] == "fail"], checks
            assert any(check["name"] == "disk" and check["state"] == "fail" for check in checks)
        finally:
            filler.unlink()
        until("it is back by itself", lambda: primary.state() == "PRIMARY", 60)
        flows(writers)
        nothing_is_lost(small, writers)
    assert primary.status()["primary"]["epoch"] == epoch


# ---- at each step of a promotion

STEPS = ["ASKING", "ARMING", "PREPARING", "FREEZING", "CAPTURING", "OPENING", "ACKNOWLEDGING", "RELEASING"]
VICTIMS = ["candidate", "old primary", "peer"]
CASES = [(step, victim) for index, step in enumerate(STEPS) for number, victim in enumerate(VICTIMS)
         if ALL or index % 3 == number or step == "CAPTURING"]


def wait_for_step(node, offset, step):
    """Returns as soon as the candidate's log says that the step has begun."""
    text = bytearray()
    with open(node.log, "rb") as log:
        log.seek(offset)

        def begun():
            text.extend(log.read())
            return b" to=%s id=" % step.encode() in text or b"promo.finished" in text
        until("the promotion comes to %s" % step, begun, 60, 0.0005)
    assert b" to=%s id=" % step.encode() in text, "the promotion ended without the step %s" % step


def repeated(cluster, target):
    """The command until it has done it."""
    def once():
        done = cluster.promote(target.name, "--reason", "again", via=target, check=False)
        return done.returncode == 0 or "primary already" in done.stderr
    until("the repeated command succeeds", once, 90, 0.5)


@pytest.mark.parametrize("step, victim", CASES, ids=["%s-%s" % case for case in CASES])
def test_a_kill_at_a_step_of_a_switchover(three, step, victim):
    """Whoever dies, whenever: it is started again, the command is repeated, and it is done."""
    old = three.primary()
    candidate, peer = others(three, old)
    node = {"candidate": candidate, "old primary": old, "peer": peer}[victim]
    with Writers(three, three.nodes.values(), "app/%s-%s" % (step, victim.replace(" ", "-"))) as writers:
        flows(writers, 10)
        pids = node.pids("both")
        offset = candidate.log.stat().st_size
        assert candidate.api("POST", "/v1/promote", {"target": candidate.name, "reason": "drill"}).status == 202
        wait_for_step(candidate, offset, step)
        node.kill("both", pids)
        node.start()
        repeated(three, candidate)
        flows(writers, 10)
        nothing_is_lost(three, writers)
    assert three.primary() is candidate


def test_a_frozen_primary_does_not_wait_for_a_dead_candidate(three):
    """The candidate dies while it fetches the last row. The primary sees that it is gone, and writes on under its epoch."""
    old = three.primary()
    candidate, _ = others(three, old)
    number = old.status()["primary"]["epoch"]["number"]
    assert old.put("promote.drain_ms", 60000).status == 200
    three.settled(k=1)
    (pid,), = old.sql("select pid from pg_stat_replication where application_name = '%s'" % candidate.name)
    os.kill(int(pid), signal.SIGSTOP)
    try:
        assert old.put("app/last", 1).status == 200  # the other one has it
        offset, began = candidate.log.stat().st_size, old.log.stat().st_size
        assert candidate.api("POST", "/v1/promote", {"target": candidate.name, "reason": "drill"}).status == 202
        wait_for_step(candidate, offset, "DRAINING")
        until("it drains", lambda: old.state() == "DRAINING")
        candidate.kill("both", candidate.pids("both"))
        until("it writes on", lambda: old.put("app/on", 1).status == 200)
    finally:
        os.kill(int(pid), signal.SIGCONT)
    told = old.log.read_bytes()[began:].decode()
    assert "freeze.given_up candidate=%s" % candidate.name in told and "a switchover was given up" in told
    candidate.start()
    three.settled(k=1)
    assert old.status()["primary"]["epoch"]["number"] == number and three.primary() is old
    old.cli("config", "delete", "promote.drain_ms")
    # what it had made ready for the switchover is gone in the end: a primary receives from nobody
    until("it has no subscription", lambda: old.sql("select name from local.subs()") == [], 120)
