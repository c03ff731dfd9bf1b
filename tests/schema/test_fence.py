"""I3, pitfall 6: no row commits after a freeze, a capture or a fence returned; in every order of the steps."""
import pytest

import fence


@pytest.mark.parametrize("act", ["freeze", "capture"])
def test_no_write_after(make, act):
    broken, played = fence.violations(make("east-1"), [act], fence.LEVELS, ["write"], ["commit", "rollback"])
    assert played == 3 * 35 * 2
    assert not broken


@pytest.mark.parametrize("act", ["freeze", "capture", "fence"])
@pytest.mark.parametrize("write", fence.WRITES)
def test_no_write_after_one_statement(make, act, write):
    """As the daemon runs it: the act and its commit in one go."""
    broken, played = fence.violations(make("east-1"), [act], fence.LEVELS, [write], [None])
    assert played == 3 * 5
    assert not broken


def test_no_write_before_the_opening(make):
    broken, played = fence.open_violations(make("east-1"), fence.LEVELS)
    assert played == 3 * 70
    assert not broken


def test_two_writers(make):
    """Commit order is revision order: one waits for the other, or fails with 40001; never with less."""
    broken, played = fence.writer_violations(make("east-1"), fence.LEVELS)
    assert played == 3 * 70
    assert not broken


LOCK = "update local.node set changed_by = pg_current_xact_id() returning * into n;"
FAULTS = {
    "no lock and no version": {LOCK: "select * into n from local.node;"},
    "key share lock": {LOCK: "select * into n from local.node for key share;"},
    "version before the lock": {LOCK: "select * into n from local.node; update local.node set changed_by = pg_current_xact_id();"},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_fault_is_seen(make, fault):
    node = make("east-1", change=FAULTS[fault])
    broken, _ = fence.violations(node, ["freeze"], fence.LEVELS[:2], ["insert"], ["commit"])
    assert broken


def test_planted_fault_between_writers_is_seen(make):
    node = make("east-1", change={LOCK: "select * into n from local.node for update;"})
    broken, _ = fence.writer_violations(node, [fence.REPEATABLE])
    assert broken
