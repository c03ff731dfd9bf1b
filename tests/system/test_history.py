"""What clients were answered while the role went round and primaries died is what a single copy would have said.

The clients' history is judged by z3 (tests/history/check.py): acknowledged writes, If-Match won and lost, reads at
the primary, and unknown outcomes that may take effect late or never.
"""
import pytest

from cluster import until
from history import History, NotOneCopy


def flows(history, more=40, seconds=60):
    before = history.count()
    until("writes flow", lambda: history.count() > before + more, seconds)


def judged(cluster, history):
    cluster.settled()
    assert history.judge(*cluster.nodes.values()) > 200, history.outcomes()
    outcomes = history.outcomes()
    for each in ("put ok", "cas ok", "cas stale", "get ok"):
        assert outcomes.get(each, 0) > 10, outcomes


def test_without_a_fault(three):
    with History(three, prefix="app/calm") as history:
        flows(history, 200)
    judged(three, history)
    # the same history with one answer too old is refused
    first = next(op for op in history.ops if op["op"] != "get" and op["outcome"] == "ok")
    last = max(op["return"] for op in history.ops)
    history.ops.append({**first, "op": "get", "call": last + 1, "return": last + 2})
    with pytest.raises(NotOneCopy):
        history.judge()
    history.ops.pop()
    assert history.refused == [] and not any("unknown" in name for name in history.outcomes()), history.outcomes()


def test_with_switchovers(three):
    with History(three, prefix="app/round") as history:
        for target in ("west-1", "east-2", "east-1"):
            flows(history)
            three.promote(target, "--reason", "test")
            three.settled(writing=True)
        flows(history)
    judged(three, history)


@pytest.mark.parametrize("what", ["both", "daemon"])
def test_with_failovers(three, what):
    with History(three, prefix="app/fail-" + what) as history:
        flows(history)
        old = three.primary()
        target = three.west_1 if old is not three.west_1 else three.east_2
        old.kill(what)
        three.promote(target.name, "--reason", "it died", via=target)
        flows(history)
        if what == "daemon":
            until("its database has stopped with it", lambda: old.postmaster() is None)
        old.start()
        until("it follows", lambda: old.state() == "STANDBY", 60)
        flows(history)
    judged(three, history)


def test_with_restarts_of_the_database(three):
    with History(three, prefix="app/restart") as history:
        flows(history)
        primary = three.primary()
        primary.kill("database")
        until("it is primary again", lambda: primary.state() == "PRIMARY", 60)
        flows(history)
    judged(three, history)
